//! What a thread does for each [`LuaVmAction`] and [`WorkerAction`]: one short arm a variant.

use super::action::{LuaVmAction, LuaVmResult, PanicPlace, WorkerAction};
use super::guild_table::GuildTable;
use super::guild_vm::{GuildVm, Job};
use super::process::escape::Attempt;
use super::reply::Reply;
use super::thread_entry::{Command, Message};
use crate::ids::GuildId;

/// The least memory limit that can be set: a VM needs about a tenth of that for itself.
const LEAST_MEMORY: usize = 1 << 20;

impl Command {
    /// Does what the command says, on the thread of the guild's VM. Every reply is answered now or is with the VM.
    pub(super) fn handle(self, table: &mut GuildTable) {
        let Self { guild, action, replies, since, number } = self;
        // From here on the command is not on its way any more; should the guild leave this thread, nothing is lost.
        table.has_taken(number);
        match action {
            LuaVmAction::DispatchEvent { event, templates, limits } => {
                let jobs = templates.into_iter().zip(replies);
                let sent_at = table.sent_at();
                let job = |(template, reply)| Job { event: event.clone(), template, reply, since, sent_at };
                let jobs = jobs.map(job).collect();
                table.dispatch(guild, &limits, jobs);
            }
            LuaVmAction::Stop => {
                let stopped = table.stop(guild, "the VM was stopped by an operator or the guild");
                answer(replies, if stopped { LuaVmResult::Done } else { absent(table, guild) });
            }
            LuaVmAction::CloseIfIdle => answer(replies, table.close_if_idle(guild)),
            LuaVmAction::GetStatus => {
                answer(replies, ask(table, guild, |vm| LuaVmResult::Status(vm.status())))
            }
            LuaVmAction::GetMemoryUsage => answer(replies, ask(table, guild, memory_usage)),
            LuaVmAction::SetMemoryLimit { limit } => {
                answer(replies, ask(table, guild, |vm| set_memory_limit(vm, limit)));
            }
            LuaVmAction::ClearCache { template } => answer(
                replies,
                ask(table, guild, |vm| {
                    vm.forget(template.as_ref());
                    LuaVmResult::Done
                }),
            ),
            LuaVmAction::CollectGarbage => {
                if let Err(replies) = table.collect_garbage(guild, replies) {
                    answer(replies, absent(table, guild));
                }
            }
            LuaVmAction::Escape { attempt } => answer(replies, try_to_escape(table, attempt)),
            LuaVmAction::Panic { place: PanicPlace::Loop } => answer(replies, drill()),
            LuaVmAction::Panic { place: PanicPlace::HostFunction } => {
                answer(replies, ask(table, guild, |vm| vm.call_from_script(drill)));
            }
        }
    }
}

impl Message {
    /// Does what the message says. Every reply is answered now or is with a VM.
    pub(super) fn handle(self, table: &mut GuildTable) {
        match self {
            Self::Command(command) => command.handle(table),
            Self::Order(action, reply) => reply.send(match action {
                WorkerAction::Ping => LuaVmResult::Done,
                WorkerAction::ListVms { after, limit } => LuaVmResult::Vms(table.list(after, limit)),
                WorkerAction::EvictIdle { idle } => LuaVmResult::Evicted { vms: table.evict_idle(idle) },
            }),
        }
    }
}

/// Only where it is to fail: a service that has its VMs in its own threads is not locked in.
fn try_to_escape(table: &GuildTable, attempt: Attempt) -> LuaVmResult {
    if table.is_locked_in() {
        return LuaVmResult::Escape(attempt.attempt());
    }
    let reason = "this service runs its VMs in threads of its own, which nothing locks in; set `vm.strategy` to \
                  \"process-pool\"";
    LuaVmResult::Refused { reason: reason.to_owned() }
}

/// What the guild's VM says, if there is one.
fn ask(
    table: &mut GuildTable,
    guild: GuildId,
    question: impl FnOnce(&mut GuildVm) -> LuaVmResult,
) -> LuaVmResult {
    match table.get(guild) {
        Some(vm) => question(vm),
        None => absent(table, guild),
    }
}

/// The guild has no VM here, and may get its next one elsewhere.
fn absent(table: &GuildTable, guild: GuildId) -> LuaVmResult {
    table.vacate(guild);
    LuaVmResult::Absent
}

fn answer(replies: Vec<Reply>, result: LuaVmResult) {
    for reply in replies {
        reply.send(result.clone());
    }
}

fn memory_usage(vm: &mut GuildVm) -> LuaVmResult {
    LuaVmResult::MemoryUsage { used: vm.runtime().used_memory(), limit: vm.runtime().memory_limit() }
}

fn set_memory_limit(vm: &mut GuildVm, limit: usize) -> LuaVmResult {
    let most = vm.limits().max_template_memory_usage;
    if !(LEAST_MEMORY..=most).contains(&limit) {
        let reason = format!("a memory limit is from {LEAST_MEMORY} to {most} bytes here, not {limit}");
        return LuaVmResult::Refused { reason };
    }
    match vm.runtime().set_memory_limit(limit) {
        Ok(()) => LuaVmResult::Done,
        Err(error) => LuaVmResult::Broken { reason: error.to_string() },
    }
}

/// The command's replies are answered by the unwinding.
#[expect(clippy::panic, reason = "that is what the drill is for")]
fn drill() -> LuaVmResult {
    panic!("a drill: an operator asked this thread to panic");
}
