//! Moving guilds from one worker to another, and with that draining a worker.
//!
//! A guild that moves keeps its order and loses nothing: what comes for it meanwhile is parked, what runs has its time to
//! end, and then its VM is closed and everything that was parked goes to the new place.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::table::{Room, Route, TIME_TO_CLOSE, Table};
use super::{Inner, NoSuchWorker};
use crate::ids::{GuildId, ThreadId};
use crate::vm::action::{LuaVmAction, LuaVmResult};
use crate::vm::reply::replies;
use crate::vm::thread_entry::{Command, Message, NotTaken};

/// How often a VM is asked whether it has come to rest.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

impl Inner {
    /// Replaces a worker: its guilds move on, and then it ends. Whoever still runs something `by` then is ended. Returns
    /// when the worker is gone; where somebody drains it already, it goes by when they said.
    pub(super) async fn drain(self: &Arc<Self>, id: ThreadId, by: Instant) -> Result<(), NoSuchWorker> {
        let (slot, guilds) = {
            let mut table = self.lock();
            let (slot, guilds) = table.start_draining(id).ok_or(NoSuchWorker)?;
            // The new one first, so that the guilds have where to go.
            if let Some(slot) = slot
                && table.keeps_workers()
                && !table.stopping
                && let Err(error) = self.fill(&mut table, slot, 0, Duration::ZERO)
            {
                tracing::error!(%error, "failed to start a worker in place of one that is drained");
            }
            (slot, guilds)
        };
        if slot.is_some() {
            let moving: Vec<_> = guilds
                .into_iter()
                .map(|guild| {
                    let pool = Arc::clone(self);
                    tokio::spawn(async move { pool.move_guild(guild, Some(id), None, by).await })
                })
                .collect();
            for guild in moving {
                // It cannot panic; and if it did, the guild's VM would end with the worker.
                let _ = guild.await;
            }
            self.lock().dismiss(id);
        }
        self.is_gone(id, by.max(Instant::now()) + TIME_TO_CLOSE + self.kind.patience()).await;
        Ok(())
    }

    /// Waits until the worker is gone, at most until then.
    async fn is_gone(&self, id: ThreadId, by: Instant) {
        loop {
            let ended = self.ended.notified();
            let is_there = self.lock().entry(id).is_some();
            if !is_there || tokio::time::timeout_at(by.into(), ended).await.is_err() {
                return;
            }
        }
    }

    /// Moves a guild to `to`, or to where it belongs; with `only_from`, if it is there. One without a VM has nothing to
    /// move: its next event goes there.
    pub(super) async fn move_guild(
        self: &Arc<Self>,
        guild: GuildId,
        only_from: Option<ThreadId>,
        to: Option<ThreadId>,
        by: Instant,
    ) {
        let Some(from) = self.lock().park(guild, only_from, to) else { return };
        while !self.closed_its_vm(guild, from, by).await {
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        self.settle_anew(guild, to);
        while !self.unpark(guild) {
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Gives a guild whose VM is closed its new place. What is parked for it stays so.
    fn settle_anew(self: &Arc<Self>, guild: GuildId, to: Option<ThreadId>) {
        let mut table = self.lock();
        let parked = table.leave(guild).and_then(|route| route.parked).unwrap_or_default();
        let is_there = to.is_some_and(|to| table.settle(guild, to));
        if !is_there && !parked.is_empty() && self.place(&mut table, guild, Room::Kept).is_err() {
            // Nothing can take it: the replies say so as they are dropped.
            return;
        }
        if let Some(route) = table.routes.get_mut(&guild) {
            route.parked = Some(parked);
        }
    }

    /// Puts what was parked for the guild on the queue of its new place, in order. Returns whether that was all; what
    /// there is no room for stays parked, in front of what comes later.
    fn unpark(self: &Arc<Self>, guild: GuildId) -> bool {
        let mut table = self.lock();
        loop {
            let Some(route) = table.routes.get_mut(&guild) else { return true };
            let Some(command) = route.parked.as_mut().and_then(VecDeque::pop_front) else {
                route.parked = None;
                return true;
            };
            let (refused, has_ended) = match table.put(command) {
                Ok(()) => continue,
                Err(NotTaken::Full(refused)) => (refused, false),
                Err(NotTaken::Ended(refused)) => (refused, true),
            };
            if let (Message::Command(command), Some(route)) = (refused, table.routes.get_mut(&guild)) {
                route.parked.get_or_insert_default().push_front(command);
            }
            if !has_ended {
                return false;
            }
            let Some(Route { worker, parked, .. }) = table.leave(guild) else { return true };
            self.replace(&mut table, worker);
            if self.place(&mut table, guild, Room::Kept).is_err() {
                return true;
            }
            if let Some(route) = table.routes.get_mut(&guild) {
                route.parked = parked;
            }
        }
    }

    /// Asks for the guild's VM to be closed, and for nothing less when its time is over. Returns whether it is gone.
    async fn closed_its_vm(&self, guild: GuildId, from: ThreadId, by: Instant) -> bool {
        let now = Instant::now();
        let (in_time, is_over) = (now < by, now >= by + self.kind.patience());
        let action = if in_time { LuaVmAction::CloseIfIdle } else { LuaVmAction::Stop };
        let (owed, mut answers) = replies(1, &self.shared.owed, None);
        {
            let mut table = self.lock();
            if table.entry(from).is_none() {
                return true;
            }
            if is_over {
                // It hangs, or will not. The guild is not to wait for it; should it come to itself, the VM is to go.
                drop(table.put(Command::new(guild, LuaVmAction::Stop, Vec::new())));
                return true;
            }
            // With a number of its own, like every command, by which a worker tells it from others.
            if table.put(Command::new(guild, action, owed)).is_err() {
                // Its queue is full, or it is about to end, which the next look shows.
                return false;
            }
        }
        let patience = by.max(Instant::now()) + self.kind.patience();
        match tokio::time::timeout_at(patience.into(), answers.recv()).await {
            Ok(Some((_, LuaVmResult::Refused { .. }))) => false,
            Ok(_) => true,
            Err(_) => {
                drop(self.lock().put(Command::new(guild, LuaVmAction::Stop, Vec::new())));
                true
            }
        }
    }
}

impl Table {
    /// Parks what comes for the guild from now on. Returns where its VM is, if it has one that is not moving yet.
    fn park(
        &mut self,
        guild: GuildId,
        only_from: Option<ThreadId>,
        to: Option<ThreadId>,
    ) -> Option<ThreadId> {
        match self.routes.get_mut(&guild) {
            Some(route) if only_from.is_some_and(|from| from != route.worker) => None,
            Some(route) if route.parked.is_some() || Some(route.worker) == to => None,
            Some(route) => {
                route.parked = Some(VecDeque::new());
                Some(route.worker)
            }
            None => {
                if let Some(to) = to {
                    self.settle(guild, to);
                }
                None
            }
        }
    }
}
