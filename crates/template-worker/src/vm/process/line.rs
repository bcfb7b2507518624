//! A VM process's line to its parent: the two ends of its standard input, which is a socket.
//!
//! Owns the order in which things are said, and the calls of the host that wait for the parent's reply. What else is said, and
//! what is done about what the parent says, is `inside`'s.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;

use super::wire::{EncodeError, ToService, encode_into};
use crate::capabilities::Capabilities;
use crate::host::{Answer, Caller, HostCall, HostLine, HostReply};
use crate::ids::GuildId;
use crate::vm::action::LuaVmResult;
use crate::vm::quarantine::{Break, BreakReports};
use crate::vm::reply::Answering;
use crate::vm::thread_entry::CommandNumber;

/// Bytes that are read at once, and that are kept ready for what is to be said.
pub(super) const PIECE: usize = 64 << 10;
/// Bytes that may wait for the parent to read them, before log lines are dropped. Answers are not: each of them is owed, so
/// there are as many as the parent has asked for.
const MOST_WAITING: usize = 4 << 20;

/// Reads from the parent. By the descriptor that is there, not by a duplicate of it: none other is open in a locked process.
pub(super) fn read(bytes: &mut [u8]) -> io::Result<usize> {
    loop {
        match nix::unistd::read(io::stdin(), bytes) {
            Err(Errno::EINTR) => {}
            read => return Ok(read?),
        }
    }
}

/// Writes to the parent, in the same way.
fn write(mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match nix::unistd::write(io::stdin(), bytes) {
            Err(Errno::EINTR) => {}
            written => bytes = bytes.get(written?..).unwrap_or_default(),
        }
    }
    Ok(())
}

/// The way to the parent. Whatever thread has something to say writes it down here; one thread sends it.
#[derive(Debug)]
pub(super) struct Line {
    most: Arc<Capabilities>,
    waiting: Mutex<Waiting>,
    written: Condvar,
    passing: Mutex<Passing>,
    calls: Mutex<Calls>,
}

/// Calls that wait for a reply: at most as many as Luau threads may wait in the VMs here.
#[derive(Debug, Default)]
struct Calls {
    last: u64,
    waiting: HashMap<u64, Answer>,
}

/// How far the commands have come that are handed to the threads.
#[derive(Debug, Default)]
struct Passing {
    /// The last one that was.
    passed: u64,
    /// Whose is being handed over right now.
    guild: Option<GuildId>,
    /// Whether that guild has lost its VM meanwhile, perhaps by this very command.
    vacated: bool,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    closed: bool,
}

impl Line {
    /// The line of a process whose templates may do no more than `most`.
    pub(super) fn new(most: Arc<Capabilities>) -> Self {
        Self {
            most,
            waiting: Mutex::default(),
            written: Condvar::new(),
            passing: Mutex::default(),
            calls: Mutex::default(),
        }
    }

    pub(super) fn say(&self, message: &ToService) {
        if let Err(error) = self.try_to_say(message)
            && let ToService::Answer { number, index, .. } = message
        {
            let result = LuaVmResult::Broken { reason: format!("the answer cannot be sent: {error}") };
            // It is short and plain.
            let _ = self.try_to_say(&ToService::Answer { number: *number, index: *index, result });
        }
    }

    fn try_to_say(&self, message: &ToService) -> Result<(), EncodeError> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let said = encode_into(&mut waiting.bytes, message);
        drop(waiting);
        self.written.notify_one();
        said
    }

    /// The parent has served a call.
    pub(super) fn replied(&self, number: u64, reply: HostReply) {
        let answer = self.calls().waiting.remove(&number);
        if let Some(answer) = answer {
            answer.send(reply);
        }
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There is no VM of `guild` any more, as of the last command that was handed over.
    pub(super) fn vacated(&self, guild: GuildId) {
        let mut passing = self.passing.lock().unwrap_or_else(PoisonError::into_inner);
        passing.vacated |= passing.guild == Some(guild);
        self.say(&ToService::Vacated { guild, upto: passing.passed });
    }

    /// Hands a command for `guild` over. Returns what came of that, and whether the guild's VM went away meanwhile.
    pub(super) fn pass<T>(&self, number: u64, guild: GuildId, hand_over: impl FnOnce() -> T) -> (T, bool) {
        let passing = || self.passing.lock().unwrap_or_else(PoisonError::into_inner);
        passing().guild = Some(guild);
        let came_of_it = hand_over();
        let mut passing = passing();
        passing.passed = number;
        passing.guild = None;
        (came_of_it, std::mem::take(&mut passing.vacated))
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).bytes.len() > MOST_WAITING
    }

    pub(super) fn close(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.written.notify_one();
    }

    /// Sends what was written down, until the line is closed and empty, or nobody listens.
    pub(super) fn write_out(&self) {
        let mut sending = Vec::new();
        loop {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            while waiting.bytes.is_empty() {
                if waiting.closed {
                    return;
                }
                waiting = self.written.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            std::mem::swap(&mut waiting.bytes, &mut sending);
            drop(waiting);
            if write(&sending).is_err() {
                return;
            }
            sending.clear();
            sending.shrink_to(PIECE);
        }
    }
}

impl Answering for Line {
    fn answer(&self, number: CommandNumber, index: usize, result: LuaVmResult) {
        self.say(&ToService::Answer { number, index: u32::try_from(index).unwrap_or(u32::MAX), result });
    }
}

impl HostLine for Line {
    fn most(&self) -> Arc<Capabilities> {
        Arc::clone(&self.most)
    }

    fn call(&self, caller: Caller, call: HostCall, answer: Answer) {
        let number = {
            let mut calls = self.calls();
            calls.last += 1;
            let number = calls.last;
            calls.waiting.insert(number, answer);
            number
        };
        let call = ToService::Call {
            number,
            guild: caller.guild,
            template: caller.template.name.clone(),
            limited: caller.limited.map(|limited| (*limited).clone()),
            call,
        };
        if let Err(error) = self.try_to_say(&call) {
            self.replied(
                number,
                HostReply::Failed(format!("the call cannot be sent: {error}; pass less at once")),
            );
        }
    }
}

impl BreakReports for Line {
    fn report(&self, broke: Break) {
        let Break { guild, template, reason } = broke;
        self.say(&ToService::Broke { guild, template, reason });
    }
}
