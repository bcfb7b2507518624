//! What templates write to their log, and that no guild can take it away from another.

use khronos::LogLevel;
use serde_json::json;
use template_worker::execution::LogEntry;
use testkit::{GUILD, TestWorker};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

const NEIGHBOUR: &str = "818880986845679758";

/// Everything that was written, in order. Fails where some of it was lost.
fn written(log: &mut Receiver<LogEntry>) -> Vec<LogEntry> {
    let mut lines = Vec::new();
    loop {
        match log.try_recv() {
            Ok(line) => lines.push(line),
            Err(TryRecvError::Empty) => return lines,
            Err(error) => panic!("lines were pushed out of the log: {error}"),
        }
    }
}

fn of<'a>(lines: &'a [LogEntry], guild: &str) -> Vec<&'a LogEntry> {
    lines.iter().filter(|line| line.guild.to_string() == guild).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_log_lines_pushes_no_other_guilds_lines_out() {
    let worker = TestWorker::start_with(|config| config.vm.threads = 1).await;
    worker.template(GUILD, "flood", "for n = 1, 50000 do print(n) end return 'done'").await.expect(201);
    worker.template(NEIGHBOUR, "quiet", "for n = 1, 10 do print(n) end").await.expect(201);
    let mut log = worker.app().log.subscribe();
    let flood = worker.event(GUILD, &json!({})).await["flood"].take();
    assert_eq!(flood["value"], "done", "printing is no reason to be ended: {flood:#}");
    assert_eq!(worker.event(NEIGHBOUR, &json!({})).await["quiet"]["status"], "ok");

    let lines = written(&mut log);
    let neighbours: Vec<&str> = of(&lines, NEIGHBOUR).iter().map(|line| line.text.as_str()).collect();
    assert_eq!(neighbours, ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]);
    let flood = of(&lines, GUILD);
    let (told, printed): (Vec<&LogEntry>, Vec<&LogEntry>) =
        flood.into_iter().partition(|line| line.level == LogLevel::Warn);
    // A second's worth at once, and as many again for each second that the flood took.
    assert!(printed.len() >= 200 && printed.len() < 4_000, "{} lines", printed.len());
    let dropped: u64 = told.iter().filter_map(|line| line.text.split(' ').next()?.parse::<u64>().ok()).sum();
    assert!(dropped > 0 && dropped + printed.len() as u64 <= 50_000, "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_that_fail_in_a_loop_are_bounded_in_the_log_as_well() {
    let worker = TestWorker::start_with(|config| config.limits.max_log_lines_per_second = 1).await;
    worker.template(GUILD, "fails", "error('on purpose')").await.expect(201);
    let mut log = worker.app().log.subscribe();
    for _ in 0..5 {
        let outcome = worker.event(GUILD, &json!({})).await["fails"].take();
        assert_eq!(outcome["status"], "error", "the caller hears of each: {outcome:#}");
    }
    let lines = written(&mut log);
    assert_eq!(lines[0].level, LogLevel::Error);
    assert!(lines[0].text.contains("on purpose"), "{lines:?}");
    assert!(lines[1..].iter().any(|line| line.text.contains("MAX_LOG_LINES_PER_SECOND")), "{lines:?}");
}
