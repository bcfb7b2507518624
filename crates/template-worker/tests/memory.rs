//! Very many VMs and the memory that they take. A test of its own process, since it reads what the process uses.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test whose set-up fails has failed")]

use std::time::Duration;

use template_worker::dispatch::Dispatcher;
use template_worker::events::Event;
use template_worker::execution::OutcomeResult;
use template_worker::ids::{EventId, GuildId};
use testkit::TestWorker;

fn guild(index: u64) -> GuildId {
    GuildId::new(818_880_986_845_679_757 + index).unwrap()
}

async fn send(dispatcher: &Dispatcher, guild: GuildId) -> khronos::Json {
    let name = "MESSAGE_CREATE".parse().unwrap();
    let event = Event::new(EventId::fresh(), guild, name, None, Vec::new(), "{}".into()).unwrap();
    let mut outcomes = dispatcher.dispatch(event).await.unwrap().outcomes(Duration::from_secs(60)).await;
    match outcomes.pop_first().unwrap().1.result {
        OutcomeResult::Ok { value } => value,
        other => panic!("{other:?}"),
    }
}

/// Resident memory of this process in MiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_guilds_share_few_threads_and_keep_their_state() {
    const GUILDS: u64 = 1_000;
    let worker = TestWorker::start().await;
    let before = resident();
    // The state of each guild takes some room, so that giving it back shows.
    let source = "state = state or string.rep('x', 200000) n = (n or 0) + 1 \
                  return select(2, ...).guild_id .. ' ' .. n";
    for index in 0..GUILDS {
        worker.template(&guild(index).to_string(), "count", source).await.expect(201);
    }
    for round in 1..=2 {
        let all = (0..GUILDS).map(|index| {
            let dispatcher = worker.app().dispatcher.clone();
            tokio::spawn(async move { (index, send(&dispatcher, guild(index)).await) })
        });
        for answer in all.collect::<Vec<_>>() {
            let (index, value) = answer.await.unwrap();
            assert_eq!(value, format!("{} {round}", guild(index)).into());
        }
    }
    assert_eq!(worker.app().shared.vms.count(), 1_000);
    let threads = worker.app().dispatcher.threads();
    let spread: Vec<usize> = threads.iter().map(|thread| thread.guilds).collect();
    assert_eq!(spread, [500, 500], "new guilds go to the thread with the fewest");
    let full = resident();

    for index in 0..GUILDS {
        worker.delete(&format!("/api/v1/guilds/{}/vm", guild(index))).await.expect(204);
    }
    assert_eq!(worker.app().shared.vms.count(), 0);
    assert!(worker.app().dispatcher.threads().iter().all(|thread| thread.guilds == 0));
    let given_back = async || resident() - before.min(resident()) < (full - before) / 4;
    testkit::until("the memory of 1,000 VMs is given back", given_back).await;
    let after = resident();
    eprintln!("resident memory: {before} MiB before, {full} MiB with 1,000 VMs, {after} MiB after");
    assert!(full - before > 300, "1,000 VMs with 200 kB of state each took {} MiB only", full - before);
}
