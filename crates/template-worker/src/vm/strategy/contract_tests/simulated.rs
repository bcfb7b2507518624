//! Workers without Luau: tasks that do what a worker promises, as plainly as it can be said.
//!
//! Their VMs are lists of the numbers that they have seen. What a test asks of them is in the event's data, the same that
//! the contract's template understands.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use khronos::Json;
use serde::Deserialize;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use crate::execution::{Outcome, OutcomeResult};
use crate::ids::{GuildId, ThreadId};
use crate::vm::action::{LuaVmAction, LuaVmResult, VmStatus, WorkerAction};
use crate::vm::reply::Reply;
use crate::vm::strategy::pool::{Ended, Start, WorkerKind};
use crate::vm::thread_entry::{Command, CommandNumber, Message, Pulse};

/// Starts tasks.
#[derive(Debug)]
pub(super) struct Simulated(pub(super) Handle);

impl WorkerKind for Simulated {
    fn start(&self, start: Start) -> std::io::Result<()> {
        self.0.spawn(live(start));
        Ok(())
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(1)
    }
}

/// What an event asks of a VM.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    /// Its number.
    n: u64,
    /// Seconds after which it returns.
    wait: Option<f64>,
    /// Whether to keep the worker from everything else for a while.
    stick: bool,
}

/// How long a worker is stuck.
pub(super) const STUCK: Duration = Duration::from_millis(1_500);

struct Worker<V> {
    id: ThreadId,
    messages: mpsc::Receiver<Message>,
    stop_by: watch::Receiver<Option<std::time::Instant>>,
    pulse: Arc<Pulse>,
    vms: HashMap<GuildId, Vm>,
    taken: CommandNumber,
    vacate: V,
}

#[derive(Default)]
struct Vm {
    seen: Vec<u64>,
    running: Vec<(Instant, Vec<Reply>, LuaVmResult)>,
}

async fn live(start: Start) {
    let Start { mut seat, messages, pulse, mut stop_by, pause } = start;
    seat.begin();
    tokio::select! {
        () = sleep(pause) => {}
        _ = stop_by.wait_for(Option::is_some) => {}
    }
    let vacate = seat.vacating();
    let worker = Worker { id: seat.id(), messages, stop_by, pulse, vms: HashMap::new(), taken: 0, vacate };
    seat.ends(worker.serve().await);
}

impl<V: Fn(GuildId, CommandNumber)> Worker<V> {
    async fn serve(mut self) -> Ended {
        loop {
            self.answer_due();
            let stop_by = *self.stop_by.borrow();
            let running = || self.vms.values().flat_map(|vm| &vm.running);
            if stop_by.is_some_and(|by| {
                std::time::Instant::now() >= by || (self.messages.is_empty() && running().next().is_none())
            }) {
                return Ended::Stopped;
            }
            let due = running().map(|(at, ..)| *at).chain(stop_by.map(Instant::from_std)).min();
            let due = due.unwrap_or_else(|| Instant::now() + Duration::from_secs(60));
            tokio::select! {
                biased;
                message = self.messages.recv() => match message {
                    Some(Message::Command(command)) => if let Some(failed) = self.take(command).await {
                        return failed;
                    },
                    Some(Message::Order(action, reply)) => reply.send(self.obey(&action)),
                    None => return Ended::Stopped,
                },
                _ = self.stop_by.changed() => {}
                () = sleep_until(due) => {}
            }
        }
    }

    async fn take(&mut self, command: Command) -> Option<Ended> {
        assert!(command.number > self.taken, "numbers count up: {} after {}", command.number, self.taken);
        self.taken = command.number;
        let (guild, replies) = (command.guild, command.replies);
        let vm = self.vms.get_mut(&guild);
        let result = match (command.action, vm) {
            (LuaVmAction::DispatchEvent { event, .. }, _) => {
                let asked: Asked = serde_json::from_str(event.data()).unwrap();
                let since = std::time::Instant::now();
                let vm = self.vms.entry(guild).or_default();
                if asked.stick {
                    sleep(STUCK).await;
                    self.pulse.load.was_busy(since, std::time::Instant::now());
                }
                vm.seen.push(asked.n);
                let value = Json::from_text(serde_json::to_string(&vm.seen).unwrap()).unwrap();
                let outcome = Outcome { result: OutcomeResult::Ok { value }, duration_us: 0, cpu_us: 0 };
                let due = Instant::now() + asked.wait.map_or(Duration::ZERO, Duration::from_secs_f64);
                vm.running.push((due, replies, LuaVmResult::Outcome(outcome)));
                return None;
            }
            (LuaVmAction::Panic { .. }, _) => {
                return Some(Ended::Failed { reason: "it was asked to".to_owned(), culprits: Vec::new() });
            }
            (LuaVmAction::CloseIfIdle, Some(vm)) if !vm.running.is_empty() => {
                LuaVmResult::Refused { reason: "something runs".to_owned() }
            }
            (LuaVmAction::CloseIfIdle | LuaVmAction::Stop, Some(_)) => {
                self.vms.remove(&guild);
                (self.vacate)(guild, self.taken);
                LuaVmResult::Done
            }
            (_, Some(_)) => LuaVmResult::Done,
            (_, None) => {
                (self.vacate)(guild, self.taken);
                LuaVmResult::Absent
            }
        };
        replies.into_iter().for_each(|reply| reply.send(result.clone()));
        None
    }

    fn obey(&mut self, action: &WorkerAction) -> LuaVmResult {
        match action {
            WorkerAction::Ping => LuaVmResult::Done,
            WorkerAction::ListVms { after, limit } => {
                let mut guilds: Vec<_> =
                    self.vms.keys().copied().filter(|guild| Some(*guild) > *after).collect();
                guilds.sort_unstable();
                guilds.truncate(*limit);
                let status = || VmStatus { thread: Some(self.id), ..VmStatus::absent() };
                LuaVmResult::Vms(guilds.into_iter().map(|guild| (guild, status())).collect())
            }
            WorkerAction::EvictIdle { .. } => {
                let idle = |(guild, vm): (&GuildId, &Vm)| vm.running.is_empty().then_some(*guild);
                let idle: Vec<_> = self.vms.iter().filter_map(idle).collect();
                for guild in &idle {
                    self.vms.remove(guild);
                    (self.vacate)(*guild, self.taken);
                }
                LuaVmResult::Evicted { vms: idle.len() }
            }
        }
    }

    fn answer_due(&mut self) {
        let now = Instant::now();
        for vm in self.vms.values_mut() {
            for (_, replies, result) in vm.running.extract_if(.., |(at, ..)| *at <= now) {
                replies.into_iter().for_each(|reply| reply.send(result.clone()));
            }
        }
    }
}
