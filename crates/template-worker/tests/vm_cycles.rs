//! Ten thousand VMs that come and go. A test of its own process, since it reads what the process uses.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test whose set-up fails has failed")]

use std::time::Duration;

use template_worker::dispatch::Dispatcher;
use template_worker::events::Event;
use template_worker::execution::OutcomeResult;
use template_worker::ids::{EventId, GuildId};
use template_worker::vm::{LuaVmAction, LuaVmResult};
use testkit::TestWorker;

/// What leaves most behind, if anything does: state, a sleeping thread, a suspended coroutine.
const SOURCE: &str = "
    local event, ctx = ...
    state = {ctx = ctx, event = event, text = string.rep('x', 10000)}
    state.self = state
    task.delay(60, function() return state end)
    state.wrapped = coroutine.wrap(function() coroutine.yield(state) end)
    state.wrapped()
    return 'here'
";

fn guild(index: u64) -> GuildId {
    GuildId::new(818_880_986_845_679_757 + index).unwrap()
}

/// A first event, and the end of the VM that it made.
async fn life_of_a_vm(dispatcher: &Dispatcher, guild: GuildId) {
    let name = "MESSAGE_CREATE".parse().unwrap();
    let event = Event::new(EventId::fresh(), guild, name, None, Vec::new(), "{}".into()).unwrap();
    let mut outcomes = dispatcher.dispatch(event).await.unwrap().outcomes(Duration::from_secs(60)).await;
    let outcome = outcomes.pop_first().unwrap().1;
    assert!(matches!(outcome.result, OutcomeResult::Ok { .. }), "{outcome:?}");
    match dispatcher.act(guild, LuaVmAction::Stop).await.unwrap() {
        LuaVmResult::Done => {}
        other => panic!("{other:?}"),
    }
}

/// Resident memory of this process in KiB, without what the allocator merely keeps.
fn resident() -> u64 {
    khronos::give_back_free_memory();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_vms_that_come_and_go_leave_nothing_behind() {
    const GUILDS: u64 = 10;
    let worker = TestWorker::start().await;
    for index in 0..GUILDS {
        worker.template(&guild(index).to_string(), "t", SOURCE).await.expect(201);
    }
    let cycles = async |each: usize| {
        let all = (0..GUILDS).map(|index| {
            let dispatcher = worker.app().dispatcher.clone();
            tokio::spawn(async move {
                for _ in 0..each {
                    life_of_a_vm(&dispatcher, guild(index)).await;
                }
            })
        });
        for lives in all.collect::<Vec<_>>() {
            lives.await.unwrap();
        }
        assert_eq!(worker.app().shared.vms.count(), 0);
        resident()
    };
    let before = cycles(100).await;
    for _ in 0..4 {
        cycles(900).await;
    }
    let after = cycles(900).await;
    eprintln!("resident memory: {before} KiB after 1,000 VMs, {after} KiB after 10,000");
    // Five hundred bytes left behind by each would be more.
    assert!(after < before + 4_096, "{before} KiB after 1,000 VMs, {after} KiB after 10,000");
}
