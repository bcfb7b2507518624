//! Claims about the metrics as a whole.

use std::collections::BTreeSet;

use super::*;

fn metrics() -> Metrics {
    Metrics::new(&Limits::default())
}

fn guild() -> GuildId {
    GuildId::new(818_880_986_845_679_757).unwrap()
}

fn shown(metrics: &Metrics) -> String {
    metrics.render(&Levels::default())
}

#[test]
fn what_is_rendered_are_the_names_of_the_list_each_with_help_and_every_limit() {
    let metrics = metrics();
    let text = shown(&metrics) + &metrics.render_guilds(Instant::now());
    let after = |start: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(start));
        let mut names: Vec<_> = lines.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
        names.sort_unstable();
        names
    };
    let mut names: Vec<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
    names.sort_unstable();
    assert_eq!((after("# TYPE "), after("# HELP ")), (names.clone(), names.clone()), "{text}");
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), NAMES.len(), "a name stands there twice");
    for limit in Limit::ALL {
        for metric in ["limit_value", "limit_exceeded_total", "limit_warnings_total"] {
            let line = format!("template_worker_{metric}{{limit=\"{}\"}} ", limit.name());
            assert!(text.contains(&line), "{line} is missing: {text}");
        }
    }
    assert!(text.contains("template_worker_limit_value{limit=\"cpu_time\"} 10000\n"), "{text}");
}

#[test]
fn what_happens_is_counted_under_its_label_and_nowhere_else() {
    let (metrics, other) = (metrics(), metrics());
    metrics.exceeded(Limit::CpuTime);
    metrics.exceeded_times(Limit::LogLines, 7);
    metrics.warned(Limit::CpuTime);
    metrics.executed(guild(), Status::VmBroken, 1_500_000, Instant::now());
    metrics.count(Count::Dispatched(Dispatch::Busy));
    metrics.count(Count::Broke(Broke::NonYieldable));
    let levels = Levels {
        busy: 3,
        vm_memory: 7,
        queued: vec![(ThreadId(4), 5)],
        resident: vec![("service".to_owned(), 6)],
        ..Levels::default()
    };
    let text = metrics.render(&levels);
    for line in [
        "template_worker_limit_exceeded_total{limit=\"cpu_time\"} 1\n",
        "template_worker_limit_exceeded_total{limit=\"log_lines\"} 7\n",
        "template_worker_limit_exceeded_total{limit=\"memory\"} 0\n",
        "template_worker_limit_warnings_total{limit=\"cpu_time\"} 1\n",
        "template_worker_executions_total{status=\"vm_broken\"} 1\n",
        "template_worker_executions_total{status=\"ok\"} 0\n",
        "template_worker_dispatches_total{outcome=\"busy\"} 1\n",
        "template_worker_breaks_total{reason=\"non_yieldable\"} 1\n",
        "template_worker_cpu_seconds_total 1.5\n",
        "template_worker_vms{state=\"busy\"} 3\n",
        "template_worker_vm_memory_bytes 7\n",
        "template_worker_worker_queue{worker=\"4\"} 5\n",
        "template_worker_resident_memory_bytes{process=\"service\"} 6\n",
    ] {
        assert!(text.contains(line), "{line} is missing: {text}");
    }
    assert!(!text.contains("818880986845679757"), "guilds are for admins: {text}");
    let guilds = metrics.render_guilds(Instant::now());
    assert!(guilds.ends_with("guild_cpu_seconds{guild=\"818880986845679757\"} 1.5\n"), "{guilds}");
    assert!(shown(&other).contains("exceeded_total{limit=\"cpu_time\"} 0\n"), "one service, one recorder");
    assert!(!shown(&metrics).contains("worker=\"4\""), "a worker that is gone has no line");
}

#[test]
fn a_histogram_is_cumulative_in_seconds_or_bytes() {
    let metrics = metrics();
    for _ in 0..1_000 {
        metrics.template_memory(3 << 20);
    }
    metrics.took(Stage::Queue, Duration::from_micros(10));
    metrics.took(Stage::Queue, Duration::from_millis(3));
    metrics.took(Stage::Queue, Duration::from_secs(10_000));
    let text = shown(&metrics);
    for line in [
        "template_worker_template_memory_bytes_bucket{le=\"2097152\"} 0\n",
        "template_worker_template_memory_bytes_bucket{le=\"4194304\"} 1000\n",
        "template_worker_template_memory_bytes_sum 3145728000\n",
        "template_worker_stage_seconds_bucket{stage=\"queue\",le=\"0.000005\"} 0\n",
        "template_worker_stage_seconds_bucket{stage=\"queue\",le=\"0.00001\"} 1\n",
        "template_worker_stage_seconds_bucket{stage=\"queue\",le=\"0.005\"} 2\n",
        "template_worker_stage_seconds_bucket{stage=\"queue\",le=\"600\"} 2\n",
        "template_worker_stage_seconds_bucket{stage=\"queue\",le=\"+Inf\"} 3\n",
        "template_worker_stage_seconds_count{stage=\"queue\"} 3\n",
        "template_worker_stage_seconds_count{stage=\"run\"} 0\n",
    ] {
        assert!(text.contains(line), "{line} is missing: {text}");
    }
}

#[test]
fn what_a_process_counted_is_counted_once_in_the_service() {
    let (process, service) = (metrics(), metrics());
    process.count_times(Count::Slice, 5);
    process.exceeded(Limit::Memory);
    process.took(Stage::Run, Duration::from_millis(3));
    process.template_memory(1);
    let counts = process.take_counts();
    assert_eq!(process.take_counts(), Counts::default());
    let json = serde_json::to_string(&counts).unwrap();
    let counts: Counts = serde_json::from_str(&json).unwrap();
    service.count(Count::Slice);
    service.add(&counts);
    service.add(&process.take_counts());
    let text = shown(&service);
    for line in [
        "template_worker_slices_total 6\n",
        "template_worker_limit_exceeded_total{limit=\"memory\"} 1\n",
        "template_worker_stage_seconds_sum{stage=\"run\"} 0.003\n",
        "template_worker_stage_seconds_bucket{stage=\"run\",le=\"0.005\"} 1\n",
        "template_worker_template_memory_bytes_count 1\n",
        "template_worker_counts_rejected_total 0\n",
    ] {
        assert!(text.contains(line), "{line} is missing: {text}");
    }
}

#[test]
fn a_process_that_lies_changes_nothing_that_is_not_its_own_and_breaks_nothing() {
    let (service, taken) = (metrics(), metrics());
    taken.count(Count::Dispatched(Dispatch::Accepted));
    taken.executed(guild(), Status::Ok, 9, Instant::now());
    taken.count(Count::Restarted(Worker::Process));
    taken.took(Stage::Total, Duration::from_secs(1));
    // What only the service counts, what does not exist, and more than can be.
    let mut lies = taken.take_counts();
    assert_eq!(lies.counters, [], "an honest process says nothing of this");
    // Dispatches, executions, CPU time and replaced processes.
    let own = [
        Count::Dispatched(Dispatch::Accepted),
        Count::Executed(Status::Ok),
        Count::CpuMicros,
        Count::Restarted(Worker::Process),
    ];
    lies.counters.extend(own.map(|what| (super::counts::number(what), 1)));
    lies.counters.extend([(u16::MAX, 1), (0, u64::MAX)]);
    let bucket = |histogram, bucket, count| HistogramCounts {
        histogram,
        buckets: vec![(bucket, count)],
        sum: u64::MAX,
    };
    lies.histograms.extend([bucket(u16::MAX, 0, 1), bucket(0, u16::MAX, 1), bucket(0, 0, u64::MAX)]);
    let before = shown(&service);
    service.add(&lies);
    let after = shown(&service);
    let differ: Vec<&str> = after.lines().filter(|line| !before.lines().any(|old| old == *line)).collect();
    // Four counters and two that cannot be; the total of a stage, and three.
    assert_eq!(differ, ["template_worker_counts_rejected_total 10"]);
    // Long lists cost no more than short ones, and no sum starts again from nothing.
    let many = Counts { counters: vec![(0, 1); 100_000], histograms: vec![bucket(0, 0, 1); 100_000] };
    service.add(&many);
    let most = Counts { counters: Vec::new(), histograms: vec![bucket(0, 0, 1); 6] };
    for _ in 0..10_000 {
        service.add(&most);
    }
    let text = shown(&service);
    assert!(
        text.contains("template_worker_stage_seconds_sum{stage=\"queue\"} 18446744073.709553\n"),
        "{text}"
    );
}
