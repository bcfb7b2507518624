//! What a thread does for each [`LuaVmAction`]: one short arm a variant.

use super::action::{LuaVmAction, LuaVmResult};
use super::guild_table::GuildTable;
use super::guild_vm::Job;
use super::strategy::Shared;
use super::thread_entry::Command;

/// The least memory limit that can be set: a VM needs about a tenth of that for itself.
const LEAST_MEMORY: usize = 1 << 20;

impl Command {
    /// Does what the command says, on the thread of the guild's VM. Every reply is answered now or is with the VM.
    pub(super) fn handle(self, table: &mut GuildTable, shared: &Shared) {
        let Self { guild, action, mut replies } = self;
        if let LuaVmAction::DispatchEvent { event, templates } = action {
            let jobs = templates.into_iter().zip(replies);
            let jobs = jobs.map(|(template, reply)| Job { event: event.clone(), template, reply }).collect();
            table.dispatch(guild, jobs);
            return;
        }
        let Some(reply) = replies.pop() else { return };
        if matches!(action, LuaVmAction::Panic) {
            drop(reply);
            drill();
        }
        if matches!(action, LuaVmAction::Stop) {
            let stopped = table.stop(guild, "the VM was stopped by an operator or the guild");
            return reply.send(if stopped { LuaVmResult::Done } else { LuaVmResult::Absent });
        }
        let Some(vm) = table.get(guild) else { return reply.send(LuaVmResult::Absent) };
        let runtime = vm.runtime();
        let result = match action {
            LuaVmAction::GetStatus => LuaVmResult::Status(vm.status()),
            LuaVmAction::GetMemoryUsage => {
                LuaVmResult::MemoryUsage { used: runtime.used_memory(), limit: runtime.memory_limit() }
            }
            LuaVmAction::SetMemoryLimit { limit } => {
                let most = shared.limits.max_template_memory_usage;
                if (LEAST_MEMORY..=most).contains(&limit) {
                    runtime.set_memory_limit(limit).map_or_else(broken, |()| LuaVmResult::Done)
                } else {
                    let reason =
                        format!("a memory limit is from {LEAST_MEMORY} to {most} bytes here, not {limit}");
                    LuaVmResult::Refused { reason }
                }
            }
            LuaVmAction::CollectGarbage => {
                runtime.collect_garbage().map_or_else(broken, |()| LuaVmResult::Done)
            }
            LuaVmAction::ClearCache { template } => {
                vm.forget(template.as_ref());
                LuaVmResult::Done
            }
            LuaVmAction::DispatchEvent { .. } | LuaVmAction::Stop | LuaVmAction::Panic => LuaVmResult::Done,
        };
        reply.send(result);
    }
}

fn broken(error: khronos::RuntimeError) -> LuaVmResult {
    LuaVmResult::Broken { reason: error.to_string() }
}

#[expect(clippy::panic, reason = "that is what the drill is for")]
fn drill() -> ! {
    panic!("a drill: an operator asked this thread to panic");
}
