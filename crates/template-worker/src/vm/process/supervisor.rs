//! One VM process from its parent's side, from its start to its end, and what is known of its death.
//!
//! A process that exits, hangs, uses too much memory or says what nobody can understand is ended, and everything that it
//! owes is answered. Starting the next one is the pool's business. What it is told, and that it keeps answering, is that of
//! `talk`; what it says is taken apart in `hearing`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::net::unix::OwnedReadHalf;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::books::{Books, lock};
use super::calls::calls;
use super::hearing::Hearing;
use super::spawned::{Death, Spawned};
use super::talk::{End, Talk};
use super::wire::{FrameReader, ToService};
use crate::limits::Limits;
use crate::vm::quarantine::Break;
use crate::vm::strategy::{Ended, Shared, WorkerStart};
use crate::vm::thread_entry::Message;

/// How long what is left of a process may take to end: itself once its connection is closed, its connection once it is gone.
const TIME_TO_DIE: Duration = Duration::from_secs(1);
/// Bytes that are read at once.
const PIECE: usize = 64 << 10;

/// What all processes of a pool have in common.
#[derive(Debug)]
pub(in crate::vm) struct Settings {
    /// The program; nothing for this one.
    pub(in crate::vm) program: PathBuf,
    /// Threads of each process.
    pub(in crate::vm) threads: usize,
    /// VMs that each thread keeps ready.
    pub(in crate::vm) warm_vms: usize,
    /// Milliseconds that a VM may be idle.
    pub(in crate::vm) idle_ms: u64,
    /// Bytes that the VMs of one process may use together.
    pub(in crate::vm) max_memory: usize,
    /// How long a process may be without an answer.
    pub(in crate::vm) heartbeat: Duration,
    /// Whether a process that cannot be locked in entirely is refused.
    pub(in crate::vm) require_confinement: bool,
    /// Whether drills are allowed.
    pub(in crate::vm) drills: bool,
}

impl Settings {
    /// Bytes of memory that a process may use, with everything that is not in a VM: code, stacks, what the allocator
    /// holds back.
    pub(super) fn most_resident(&self) -> u64 {
        let vms = self.max_memory as u64;
        vms.saturating_add(vms / 2).saturating_add(256 << 20)
    }
}

/// Runs one process until it has ended.
pub(in crate::vm) async fn supervise(start: WorkerStart, settings: Arc<Settings>, shared: Arc<Shared>) {
    let WorkerStart { mut seat, mut messages, pulse, mut stop_by, pause } = start;
    seat.begin();
    if pause > Duration::ZERO {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = asked_to_stop(&mut stop_by) => return seat.ends(Ended::Stopped),
        }
    }
    let mut process = match Spawned::start(&settings.program, seat.id()) {
        Ok(process) => process,
        Err(error) => {
            let reason = format!("its process could not be started: {error}");
            close(&mut messages, &refusal(&reason));
            return seat.ends(Ended::Failed { reason, culprits: Vec::new() });
        }
    };
    let (read, write) = match process.take_socket() {
        Some(socket) => socket.into_split(),
        None => return,
    };
    let books = Arc::new(Mutex::new(Books::default()));
    let (ready, is_ready) = watch::channel(false);
    let vacate = Box::new(seat.vacating());
    let (calls, replies) = calls();
    let hearing = Hearing::new(
        seat.id(),
        Arc::clone(&books),
        Arc::clone(&shared),
        Arc::clone(&pulse),
        vacate,
        ready,
        calls,
    );
    let mut talk = Talk::new(write, Arc::clone(&books), Arc::clone(&settings), shared, pulse, replies);
    let pid = process.pid();
    let mut listening = tokio::spawn(listen(read, hearing));
    let end = tokio::select! {
        end = talk.run(pid, seat.id(), &mut messages, stop_by, is_ready) => end,
        death = process.ended() => End::Died(death),
        heard = &mut listening => heard.unwrap_or_else(|_| {
            End::Condemned("what it said made its parent panic".to_owned())
        }),
    };
    // From here on, commands go to its successor; what was queued is refused at the end.
    messages.close();
    let death = death(end, &mut process, talk.is_stopping()).await;
    process.kill().await;
    // What it had said by then counts.
    if !listening.is_finished() {
        drop(timeout(TIME_TO_DIE, &mut listening).await);
    }
    listening.abort();
    let stopped = talk.is_stopping();
    close(&mut messages, &refusal(&death.reason));
    lock(&books).close(&refusal(&death.reason));
    if stopped && !death.own_doing {
        return seat.ends(Ended::Stopped);
    }
    let culprits =
        if death.own_doing { culprits(&process, &mut lock(&books), &death.reason) } else { Vec::new() };
    seat.ends(Ended::Failed { reason: death.reason, culprits });
}

/// What the process has died of, or is about to.
async fn death(end: End, process: &mut Spawned, is_stopping: bool) -> Death {
    match end {
        // It closes the connection a moment before it is gone.
        End::Broken(reason) => match timeout(TIME_TO_DIE, process.ended()).await {
            Ok(death) => death,
            Err(_) => Death { reason, own_doing: true, exited: false },
        },
        End::Condemned(reason) => Death { reason, own_doing: true, exited: false },
        // An exit that nobody asked for is its own doing, however it looks.
        End::Died(death) => Death { own_doing: death.own_doing || (death.exited && !is_stopping), ..death },
        End::Stopped => Death { reason: "it was stopped".to_owned(), own_doing: false, exited: false },
    }
}

/// The template that ran when the process died. With several threads at work, who can say which of them it was?
fn culprits(process: &Spawned, books: &mut Books, reason: &str) -> Vec<Break> {
    let mut running = process.marker.read();
    if running.len() != 1 {
        return Vec::new();
    }
    running.retain(|(guild, template)| books.can_have_broken(*guild, Some(template)));
    let broke = |(guild, template)| Break {
        guild,
        template: Some(template),
        reason: format!("the process of its VM ended while it ran: {reason}"),
    };
    running.into_iter().map(broke).collect()
}

/// What whoever waits is told of the end of a process.
fn refusal(reason: &str) -> String {
    format!("the process that ran this guild's VM ended: {reason}; try again")
}

/// Takes nothing more in. Whoever waits hears why.
fn close(messages: &mut mpsc::Receiver<Message>, reason: &str) {
    messages.close();
    while let Ok(message) = messages.try_recv() {
        message.refuse(reason);
    }
}

/// Returns when the worker is asked to end: by when it has to. At once, where nobody is left who could ask.
pub(super) async fn asked_to_stop(stop_by: &mut watch::Receiver<Option<Instant>>) -> Instant {
    let asked = stop_by.wait_for(Option::is_some).await.ok().and_then(|by| *by);
    asked.unwrap_or_else(Instant::now)
}

/// Takes in what the process says until it cannot be understood or has nothing more to say. Returns why.
async fn listen(mut read: OwnedReadHalf, mut hearing: Hearing) -> End {
    let mut reader = FrameReader::<ToService>::default();
    let mut piece = vec![0; PIECE];
    loop {
        match read.read(&mut piece).await {
            Ok(0) => return End::Broken("it closed the connection".to_owned()),
            Ok(bytes) => reader.feed(piece.get(..bytes).unwrap_or_default()),
            Err(error) => return End::Broken(format!("the connection to it failed: {error}")),
        }
        loop {
            match reader.next() {
                Ok(Some(message)) => {
                    if let Err(reason) = hearing.take(message) {
                        return End::Condemned(reason);
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    return End::Condemned(format!("it said what nobody understands: {error}"));
                }
            }
        }
    }
}

/// How long after its time was over a process may still need to end.
pub(in crate::vm) fn patience(limits: &Limits) -> Duration {
    limits.max_non_yieldable_time() + Duration::from_secs(2)
}
