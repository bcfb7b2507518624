//! What a process owes its parent, as the parent knows it: which commands it was sent, and what it has been told.
//!
//! A process may have been taken over by a script. So an answer counts only where it is owed, once; and it says something
//! only about guilds that this process was given.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::execution::LoadedTemplate;
use crate::ids::GuildId;
use crate::limits::Limits;
use crate::template::{TemplateInfo, TemplateName};
use crate::vm::action::{LuaVmAction, LuaVmResult};
use crate::vm::reply::Reply;
use crate::vm::thread_entry::CommandNumber;

/// Bytes of code that a process is trusted to remember before it is told to forget all of it.
const MOST_CODE: usize = 128 << 20;

/// Commands that a process may owe answers to: as many as its threads' queues hold, so that none that was accepted is lost
/// there. With more, its parent takes no more in, and its queue fills.
pub(super) const MOST_OWED: usize = 1 << 16;

/// The books about one process.
#[derive(Debug, Default)]
pub(super) struct Books {
    owed: HashMap<u64, Owed>,
    /// Counts what was sent, commands and orders alike. Not by the pool's numbers, which orders and some commands lack.
    last: u64,
    served: HashMap<GuildId, Served>,
}

pub(super) fn lock(books: &Mutex<Books>) -> MutexGuard<'_, Books> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers that are owed for one message.
#[derive(Debug)]
struct Owed {
    replies: Vec<Option<Reply>>,
    /// Whose they are; nobody's for orders.
    guild: Option<GuildId>,
}

/// What a guild's VM in the process was sent.
#[derive(Debug, Default)]
struct Served {
    /// The number of the last command between the process and its parent.
    sent: u64,
    /// The highest number that the pool has given to one of the guild's.
    number: CommandNumber,
    /// The guild's templates that the process may have run, as they were sent last: what they may do is said there.
    templates: HashMap<TemplateName, Arc<TemplateInfo>>,
    /// Executions that were sent and have not broken a VM.
    unbroken: u64,
    /// The most bytes that a result may have, by the largest limit that was sent.
    most_bytes: usize,
}

impl Books {
    /// The process is about to get a command for `guild`, which the pool calls `number`. Returns the number that it has in
    /// messages.
    pub(super) fn sent(
        &mut self,
        number: CommandNumber,
        guild: GuildId,
        action: &LuaVmAction,
        replies: Vec<Reply>,
    ) -> u64 {
        let served = self.served.entry(guild).or_default();
        if let LuaVmAction::DispatchEvent { templates, limits, .. } = action {
            served.most_bytes = served.most_bytes.max(limits.max_result_bytes);
            served.unbroken += templates.len() as u64;
            for template in templates {
                match served.templates.get_mut(&template.info.name) {
                    Some(known) => known.clone_from(&template.info),
                    None => {
                        served.templates.insert(template.info.name.clone(), Arc::clone(&template.info));
                    }
                }
            }
        }
        served.number = served.number.max(number);
        served.sent = self.last + 1;
        self.enter(replies, Some(guild))
    }

    /// Whether the guild's VM can have been broken once more, by `template`. Counts that it was.
    pub(super) fn can_have_broken(&mut self, guild: GuildId, template: Option<&TemplateName>) -> bool {
        let Some(served) = self.served.get_mut(&guild) else { return false };
        if served.unbroken == 0 || template.is_some_and(|template| !served.templates.contains_key(template)) {
            return false;
        }
        served.unbroken -= 1;
        true
    }

    /// The same for an order.
    pub(super) fn ordered(&mut self, reply: Reply) -> u64 {
        self.enter(vec![reply], None)
    }

    fn enter(&mut self, replies: Vec<Reply>, guild: Option<GuildId>) -> u64 {
        self.last += 1;
        let replies = replies.into_iter().map(Some).collect();
        self.owed.insert(self.last, Owed { replies, guild });
        self.last
    }

    /// The process says that it has no VM of `guild`, as of the message `upto`. Returns the last command for it that the
    /// pool knows of, unless another one is on its way.
    pub(super) fn vacated(&self, guild: GuildId, upto: u64) -> Option<CommandNumber> {
        self.served.get(&guild).filter(|last| last.sent <= upto).map(|last| last.number)
    }

    /// The duty that an answer of the process fulfils, if there is one, and the most bytes that a template's result may
    /// have in it.
    pub(super) fn answered(&mut self, number: u64, index: usize) -> Option<(Reply, usize)> {
        let owed = self.owed.get_mut(&number)?;
        let reply = owed.replies.get_mut(index)?.take()?;
        let served = owed.guild.and_then(|guild| self.served.get(&guild));
        let most_bytes = served.map_or(0, |served| served.most_bytes);
        if owed.replies.iter().all(Option::is_none) {
            self.owed.remove(&number);
        }
        Some((reply, most_bytes))
    }

    /// What was to be sent cannot be.
    pub(super) fn refuse(&mut self, number: u64, reason: &str) {
        for reply in self.owed.remove(&number).into_iter().flat_map(|owed| owed.replies).flatten() {
            reply.send(LuaVmResult::Broken { reason: reason.to_owned() });
        }
    }

    /// Whether it may be sent more.
    pub(super) fn have_room(&self) -> bool {
        self.owed.len() < MOST_OWED
    }

    /// Whether the process was given this guild.
    pub(super) fn served(&self, guild: GuildId) -> bool {
        self.served.contains_key(&guild)
    }

    /// What is known of a template that the process may have run.
    pub(super) fn template(&self, guild: GuildId, name: &TemplateName) -> Option<Arc<TemplateInfo>> {
        self.served.get(&guild)?.templates.get(name).cloned()
    }

    /// Whether it owes anything.
    #[cfg(test)]
    pub(super) fn owes(&self) -> bool {
        !self.owed.is_empty()
    }

    /// The process is gone: whoever waits is told so.
    pub(super) fn close(&mut self, reason: &str) {
        for reply in self.owed.drain().flat_map(|(_, owed)| owed.replies).flatten() {
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
        let number = books.sent(7, GuildId::new(1).unwrap(), &LuaVmAction::Stop, duties);
        assert!(books.answered(number + 1, 0).is_none(), "nobody asked that");
        assert!(books.answered(number, 2).is_none(), "there is no such place");
        books.answered(number, 1).unwrap().0.send(LuaVmResult::Done);
        assert!(books.answered(number, 1).is_none(), "it was answered");
        assert!(books.owes());
        books.close("the process is gone");
        assert_eq!((books.owes(), owed.count()), (false, 0));
        let gone = LuaVmResult::Broken { reason: "the process is gone".to_owned() };
        assert_eq!(answers.recv().await, Some((1, LuaVmResult::Done)));
        assert_eq!(answers.recv().await, Some((0, gone)));
        assert!(books.served(GuildId::new(1).unwrap()) && !books.served(GuildId::new(2).unwrap()));
        let (mut one, _) = replies(1, &owed, None);
        let number = books.ordered(one.remove(0));
        assert!(books.answered(number, 0).is_some());
    }

    /// The pool gives no numbers to what it asks on its own account, while guilds move.
    #[tokio::test]
    async fn commands_without_a_number_are_told_apart_and_change_nothing_of_where_their_guilds_live() {
        let (owed, mut books) = (Census::default(), Books::default());
        let guild = |id| GuildId::new(id).unwrap();
        let sent = |books: &mut Books, number, id| {
            let (duties, answers) = replies(1, &owed, None);
            (books.sent(number, guild(id), &LuaVmAction::Stop, duties), answers)
        };
        let (_, mut first) = sent(&mut books, 5, 1);
        let (closing, mut second) = sent(&mut books, 0, 1);
        let (other, mut third) = sent(&mut books, 0, 2);
        assert_eq!(owed.count(), 3, "nobody was forgotten");
        assert_eq!(books.vacated(guild(1), closing - 1), None, "one is on its way");
        assert_eq!(books.vacated(guild(1), closing), Some(5));
        assert_eq!(books.vacated(guild(3), other), None, "it is not here");
        for (number, answers) in [(1, &mut first), (closing, &mut second), (other, &mut third)] {
            books.answered(number, 0).unwrap().0.send(LuaVmResult::Done);
            assert_eq!(answers.recv().await, Some((0, LuaVmResult::Done)));
        }
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
