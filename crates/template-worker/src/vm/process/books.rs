//! What a process owes its parent, as the parent knows it: which commands it was sent, and what it has been told.
//!
//! A process may have been taken over by a script. So an answer counts only where it is owed, once; and it says something
//! only about guilds that this process was given.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};

use crate::execution::LoadedTemplate;
use crate::ids::GuildId;
use crate::limits::Limits;
use crate::vm::action::LuaVmResult;
use crate::vm::reply::Reply;
use crate::vm::thread_entry::CommandNumber;

/// Numbers from here on are those of orders; those of commands never get so far.
pub(super) const ORDERS: CommandNumber = 1 << 62;
/// Bytes of code that a process is trusted to remember before it is told to forget all of it.
const MOST_CODE: usize = 128 << 20;

/// Commands that a process may owe answers to: as many as its threads' queues hold, so that none that was accepted is lost
/// there. With more, its parent takes no more in, and its queue fills.
pub(super) const MOST_OWED: usize = 1 << 16;

/// The books about one process.
#[derive(Debug, Default)]
pub(super) struct Books {
    owed: HashMap<CommandNumber, Vec<Option<Reply>>>,
    last_order: CommandNumber,
    served: HashSet<GuildId>,
}

impl Books {
    /// The process is about to get a command for `guild`.
    pub(super) fn sent(&mut self, number: CommandNumber, guild: GuildId, replies: Vec<Reply>) {
        self.served.insert(guild);
        self.owed.insert(number, replies.into_iter().map(Some).collect());
    }

    /// The number of an order that the process is about to get.
    pub(super) fn ordered(&mut self, reply: Reply) -> CommandNumber {
        self.last_order += 1;
        let number = ORDERS + self.last_order;
        self.owed.insert(number, vec![Some(reply)]);
        number
    }

    /// The duty that an answer of the process fulfils, if there is one.
    pub(super) fn answered(&mut self, number: CommandNumber, index: usize) -> Option<Reply> {
        let replies = self.owed.get_mut(&number)?;
        let reply = replies.get_mut(index)?.take();
        if replies.iter().all(Option::is_none) {
            self.owed.remove(&number);
        }
        reply
    }

    /// What was to be sent cannot be.
    pub(super) fn refuse(&mut self, number: CommandNumber, reason: &str) {
        for reply in self.owed.remove(&number).into_iter().flatten().flatten() {
            reply.send(LuaVmResult::Broken { reason: reason.to_owned() });
        }
    }

    /// Whether it may be sent more.
    pub(super) fn have_room(&self) -> bool {
        self.owed.len() < MOST_OWED
    }

    /// Whether the process was given this guild.
    pub(super) fn served(&self, guild: GuildId) -> bool {
        self.served.contains(&guild)
    }

    /// Whether it owes anything.
    #[cfg(test)]
    pub(super) fn owes(&self) -> bool {
        !self.owed.is_empty()
    }

    /// The process is gone: whoever waits is told so.
    pub(super) fn close(&mut self, reason: &str) {
        for reply in self.owed.drain().flat_map(|(_, replies)| replies).flatten() {
            reply.send(LuaVmResult::Broken { reason: reason.to_owned() });
        }
    }
}

/// What a process was told to remember under a number.
#[derive(Debug)]
pub(super) struct Known<T> {
    /// By address. The weak reference keeps the address from being used again.
    keys: HashMap<usize, (Weak<T>, u64, usize)>,
    last: u64,
    bytes: usize,
    sweep_at: usize,
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self { keys: HashMap::new(), last: 0, bytes: 0, sweep_at: 64 }
    }
}

/// What to say about something before its number can be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Nothing: it is known under this number.
    Known(u64),
    /// That it has this number from now on.
    New(u64),
}

impl<T> Known<T> {
    /// The number of `value`, which takes `bytes` to remember.
    pub(super) fn tell(&mut self, value: &Arc<T>, bytes: usize) -> Told {
        let address = Arc::as_ptr(value).addr();
        if let Some((_, key, _)) = self.keys.get(&address) {
            return Told::Known(*key);
        }
        self.last += 1;
        self.bytes += bytes;
        self.keys.insert(address, (Arc::downgrade(value), self.last, bytes));
        Told::New(self.last)
    }

    /// The numbers that the process may forget: of what nobody here remembers, and of everything where it got too much.
    /// To be called between two commands.
    pub(super) fn forget(&mut self) -> Vec<u64> {
        if self.keys.len() < self.sweep_at && self.bytes < MOST_CODE {
            return Vec::new();
        }
        let mut forgotten = Vec::new();
        for all in [false, true] {
            if all && self.bytes < MOST_CODE {
                break;
            }
            self.keys.retain(|_, (value, key, bytes)| {
                let keep = !all && value.strong_count() > 0;
                if !keep {
                    forgotten.push(*key);
                    self.bytes -= *bytes;
                }
                keep
            });
        }
        self.sweep_at = (self.keys.len() * 2).max(64);
        forgotten
    }
}

/// The templates and limits that a process knows.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) templates: Known<LoadedTemplate>,
    pub(super) limits: Known<Limits>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::reply::{Census, replies};

    #[tokio::test]
    async fn an_answer_counts_once_and_only_where_it_is_owed() {
        let (owed, mut books) = (Census::default(), Books::default());
        let (duties, mut answers) = replies(2, &owed, None);
        books.sent(7, GuildId::new(1).unwrap(), duties);
        assert!(books.answered(8, 0).is_none(), "nobody asked that");
        assert!(books.answered(7, 2).is_none(), "there is no such place");
        books.answered(7, 1).unwrap().send(LuaVmResult::Done);
        assert!(books.answered(7, 1).is_none(), "it was answered");
        assert!(books.owes());
        books.close("the process is gone");
        assert_eq!((books.owes(), owed.count()), (false, 0));
        let gone = LuaVmResult::Broken { reason: "the process is gone".to_owned() };
        assert_eq!(answers.recv().await, Some((1, LuaVmResult::Done)));
        assert_eq!(answers.recv().await, Some((0, gone)));
        assert!(books.served(GuildId::new(1).unwrap()) && !books.served(GuildId::new(2).unwrap()));
        let (mut one, _) = replies(1, &owed, None);
        let number = books.ordered(one.remove(0));
        assert!(number > ORDERS && books.answered(number, 0).is_some());
    }

    #[test]
    fn what_nobody_remembers_is_forgotten_and_too_much_is_forgotten_altogether() {
        let mut known = Known::<String>::default();
        let values: Vec<Arc<String>> = (0..64).map(|n| Arc::new(n.to_string())).collect();
        for (value, key) in values.iter().zip(1..) {
            assert_eq!((known.tell(value, 10), known.tell(value, 10)), (Told::New(key), Told::Known(key)));
        }
        assert_eq!(known.forget().len(), 0);
        drop(values);
        let kept = Arc::new(String::new());
        known.tell(&kept, 10);
        let mut forgotten = known.forget();
        // The first call found that all were in use, and looks again when there are twice as many.
        for _ in 0..64 {
            known.tell(&Arc::new(String::new()), 10);
            forgotten.extend(known.forget());
        }
        assert!(forgotten.len() >= 127, "{}", forgotten.len());
        assert_eq!(known.tell(&kept, 10), Told::Known(65));
        known.tell(&Arc::new(String::new()), MOST_CODE);
        let huge = Arc::new(String::new());
        known.tell(&huge, MOST_CODE);
        assert!(known.forget().contains(&65));
        assert!(matches!(known.tell(&kept, 10), Told::New(_)), "even what is in use");
    }
}
