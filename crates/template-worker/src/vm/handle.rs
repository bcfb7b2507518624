//! What a thread does for each [`LuaVmAction`]: one short arm a variant.

use super::action::{LuaVmAction, LuaVmResult};
use super::guild_table::GuildTable;
use super::guild_vm::{GuildVm, Job};
use super::reply::Reply;
use super::strategy::Shared;
use super::thread_entry::Command;
use crate::ids::GuildId;

/// The least memory limit that can be set: a VM needs about a tenth of that for itself.
const LEAST_MEMORY: usize = 1 << 20;

impl Command {
    /// Does what the command says, on the thread of the guild's VM. Every reply is answered now or is with the VM.
    pub(super) fn handle(self, table: &mut GuildTable, shared: &Shared) {
        let Self { guild, action, replies, queued, sent_at } = self;
        // From here on the command is not on its way any more; should the guild leave this thread, nothing is lost.
        drop(queued);
        match action {
            LuaVmAction::DispatchEvent { event, templates } => {
                let jobs = templates.into_iter().zip(replies);
                let job = |(template, reply)| Job {
                    event: event.clone(),
                    template,
                    reply,
                    sent_at: sent_at.clone(),
                };
                let jobs = jobs.map(job).collect();
                table.dispatch(guild, jobs);
            }
            LuaVmAction::Stop => {
                let stopped = table.stop(guild, "the VM was stopped by an operator or the guild");
                answer(replies, if stopped { LuaVmResult::Done } else { absent(table, guild) });
            }
            LuaVmAction::GetStatus => {
                answer(replies, ask(table, guild, |vm| LuaVmResult::Status(vm.status())))
            }
            LuaVmAction::GetMemoryUsage => answer(replies, ask(table, guild, memory_usage)),
            LuaVmAction::SetMemoryLimit { limit } => {
                let most = shared.limits.max_template_memory_usage;
                answer(replies, ask(table, guild, |vm| set_memory_limit(vm, limit, most)));
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
            LuaVmAction::Panic => drill(),
        }
    }
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

fn set_memory_limit(vm: &mut GuildVm, limit: usize, most: usize) -> LuaVmResult {
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
fn drill() -> ! {
    panic!("a drill: an operator asked this thread to panic");
}
