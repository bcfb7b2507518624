//! Each limit is hit by a guild that has it as its own, says so in words that help, and is counted.

use serde_json::{Value, json};
use template_worker::limits::{Limit, Limits};
use testkit::{TestWorker, answer, until};

use crate::internet::Internet;

/// A service on which a script that spins comes to its end also where the machine is busy.
async fn patient(internet: Option<&Internet>) -> TestWorker {
    TestWorker::start_with(|config| {
        if let Some(internet) = internet {
            internet.open(config);
        }
        config.limits.max_templates_execution_time_ms = 120_000;
        config.limits.max_templates_return_wait_time_ms = 60_000;
    })
    .await
}

/// How to hit a limit, and what is heard of it.
struct Case {
    limit: Limit,
    guild: String,
    worker: TestWorker,
    internet: Internet,
}

impl Case {
    async fn set(&self, overrides: Value) {
        self.worker.put(&format!("/api/v1/guilds/{}/limits", self.guild), &overrides).await.expect(200);
    }

    async fn store(&self, name: &str, source: &str) -> testkit::Answer {
        self.worker.template(&self.guild, name, source).await
    }

    /// The outcome of a template of this source.
    async fn run(&self, source: &str) -> Value {
        self.store("t", source).await.expect(201);
        self.worker.event(&self.guild, &json!({})).await["t"].take()
    }

    /// What the author is told of a template of this source.
    async fn failure(&self, source: &str) -> String {
        let outcome = self.run(source).await;
        outcome["error"].as_str().unwrap_or_else(|| panic!("{:?}: {outcome:#}", self.limit)).to_owned()
    }

    /// The same of one that may reach out, whose source has `URL` for the way to a server and `files` for the guild's.
    async fn refused(&self, path: &str, source: &str) -> String {
        let source = format!("local _, ctx = ...\nlocal files = ctx.ObjectStorage\n{source}");
        let source = source.replace("URL", &self.internet.url(path));
        let body = json!({"files": {"init.luau": source}, "events": ["Discord"], "capabilities": ["*"]});
        self.worker.put(&format!("/api/v1/guilds/{}/templates/t", self.guild), &body).await.expect(201);
        let outcome = self.worker.event(&self.guild, &json!({})).await["t"].take();
        outcome["error"].as_str().unwrap_or_else(|| panic!("{:?}: {outcome:#}", self.limit)).to_owned()
    }

    /// The same where its execution was ended by the limit, which has its name in the outcome then.
    async fn ended(&self, source: &str) -> String {
        let outcome = self.run(source).await;
        assert_eq!(outcome["limit"], self.limit.name(), "{outcome:#}");
        outcome["error"].as_str().unwrap().to_owned()
    }

    /// What the author is told of a template that may use its guild's keys.
    async fn kv(&self, source: &str) -> String {
        let source = format!("local _, ctx = ... {source}");
        let body = json!({"files": {"init.luau": source}, "events": ["Discord"], "capabilities": ["kv:*"]});
        self.worker.put(&format!("/api/v1/guilds/{}/templates/t", self.guild), &body).await.expect(201);
        let outcome = self.worker.event(&self.guild, &json!({})).await["t"].take();
        outcome["error"].as_str().unwrap_or_else(|| panic!("{:?}: {outcome:#}", self.limit)).to_owned()
    }

    async fn send(&self, data: Value) -> testkit::Answer {
        self.worker.dispatch(&self.guild, &json!({"name": "MESSAGE_CREATE", "data": data})).await
    }

    /// Sends an event and does not wait for its outcome.
    async fn post(&self) -> testkit::Answer {
        let path = format!("/api/v1/guilds/{}/events", self.guild);
        self.worker.post(&path, &json!({"name": "MESSAGE_CREATE", "data": {}})).await
    }
}

fn detail(problem: &Value) -> String {
    problem["detail"].as_str().unwrap().to_owned()
}

/// Hits the limit. Returns what is heard of it, and what has to be in there.
async fn hit(case: &Case) -> (String, &'static str) {
    match case.limit {
        Limit::Memory => {
            case.set(json!({"max_template_memory_usage": 2 << 20})).await;
            (
                case.ended("local t = {} while true do t[#t + 1] = {} end").await,
                "2097152 bytes; keep less in tables",
            )
        }
        // A template cannot hit it: Luau has a stack of its own, and ends a recursion long before.
        Limit::Stack => {
            (case.failure("local function f() return 1 + f() end return f()").await, "stack overflow")
        }
        Limit::WallClock => {
            case.set(json!({
                "max_non_yieldable_time_ms": 100, "max_cpu_time_ms": 200, "max_templates_execution_time_ms": 300,
            }))
            .await;
            (case.ended("task.wait(60)").await, "still running 300ms after the event; return earlier")
        }
        Limit::ReturnWait => {
            case.set(json!({"max_templates_return_wait_time_ms": 50})).await;
            (case.run("task.wait(0.5)").await["status"].as_str().unwrap().to_owned(), "timed_out")
        }
        Limit::CpuTime => {
            case.set(json!({"max_cpu_time_ms": 250})).await;
            (
                case.ended("while true do end").await,
                "more than 250ms of CPU time for one event; do less at once",
            )
        }
        Limit::NonYieldable => {
            case.set(json!({"max_non_yieldable_time_ms": 50})).await;
            let source =
                "local t = setmetatable({}, {__index = function() while true do end end}) return t.x";
            (case.ended(source).await, "ran 50ms inside a metamethod")
        }
        Limit::Slice => {
            case.set(json!({"slice_ms": 1})).await;
            let source = "local t = os.clock() while os.clock() - t < 0.05 do end return 'goes on unharmed'";
            (case.run(source).await["value"].as_str().unwrap().to_owned(), "goes on unharmed")
        }
        Limit::ExecutionsInFlight => {
            case.set(json!({
                "max_executions_in_flight": 1, "max_executions_waiting": 10, "max_templates_per_guild": 5,
            }))
            .await;
            case.store("t", "task.wait(1) return 'ran in its turn'").await.expect(201);
            case.post().await.expect(202);
            let results = case.send(json!({})).await.expect(200);
            (results["results"]["t"]["value"].as_str().unwrap().to_owned(), "ran in its turn")
        }
        Limit::ExecutionsWaiting => {
            case.set(json!({
                "max_executions_in_flight": 1, "max_executions_waiting": 1, "max_templates_per_guild": 2,
            }))
            .await;
            case.store("t", "task.wait(1)").await.expect(201);
            case.post().await.expect(202);
            case.post().await.expect(202);
            let refused = case.post().await;
            assert!(refused.headers.contains_key("retry-after"));
            (
                detail(&refused.problem(429, "guild_busy")),
                "(1 and 1: MAX_EXECUTIONS_IN_FLIGHT and MAX_EXECUTIONS_WAITING)",
            )
        }
        Limit::LuauThreads => {
            case.set(json!({"max_luau_threads": 10})).await;
            let source = "for _ = 1, 100 do task.delay(0.2, function() end) end";
            (
                case.failure(source).await,
                "10 threads of this guild are waiting already, the limit of Luau threads; wait",
            )
        }
        Limit::LogLines => {
            case.set(json!({"max_log_lines_per_second": 5})).await;
            let mut log = case.worker.app().log.subscribe();
            case.run("for n = 1, 100 do print(n) end").await;
            let mut lines = Vec::new();
            while let Ok(line) = log.try_recv() {
                lines.push(line.text);
            }
            // The machine may be so slow that a line or two came back while it printed.
            assert!((6..20).contains(&lines.len()), "{lines:?}");
            (lines.pop().unwrap(), "log lines were dropped: the templates of a guild may write 5 a second")
        }
        Limit::TemplateSource => {
            case.set(json!({"max_template_source": 1024})).await;
            let refused = case.store("t", &" ".repeat(1025)).await;
            (
                detail(&refused.problem(413, "too_large")),
                "1024 bytes, all files together: MAX_TEMPLATE_SOURCE",
            )
        }
        Limit::ResultDepth => {
            case.set(json!({"max_result_depth": 3})).await;
            (
                case.failure("return {{{{1}}}}").await,
                "3 levels, the limit of result depth: return flatter tables",
            )
        }
        Limit::ResultNodes => {
            case.set(json!({"max_result_nodes": 3})).await;
            (
                case.failure("return {1, 2, 3, 4}").await,
                "more than 3 parts, the limit of result nodes: return less",
            )
        }
        Limit::ResultBytes => {
            case.set(json!({"max_result_bytes": 1024})).await;
            (
                case.failure("return string.rep('x', 1025)").await,
                "more than 1024 bytes of text, the limit of result bytes: return less",
            )
        }
        Limit::EventBytes => {
            case.set(json!({"max_event_bytes": 1024})).await;
            let refused = case.send(json!("x".repeat(1024))).await;
            (detail(&refused.problem(413, "too_large")), "1024 bytes: MAX_EVENT_BYTES")
        }
        Limit::PendingEventBytes => {
            case.set(json!({"max_event_bytes": 1024, "max_pending_event_bytes": 1024})).await;
            case.store("t", "task.wait(1)").await.expect(201);
            let large = json!({"name": "MESSAGE_CREATE", "data": "x".repeat(1000)});
            let path = format!("/api/v1/guilds/{}/events", case.guild);
            case.worker.post(&path, &large).await.expect(202);
            let refused = case.worker.post(&path, &large).await;
            assert!(refused.headers.contains_key("retry-after"));
            (detail(&refused.problem(429, "guild_busy")), "1024 bytes: MAX_PENDING_EVENT_BYTES)")
        }
        Limit::EventDepth => {
            case.set(json!({"max_event_depth": 3})).await;
            let refused = case.send(json!([[[[1]]]])).await;
            (detail(&refused.problem(400, "invalid_event")), "deeper than 3 levels (MAX_EVENT_DEPTH)")
        }
        Limit::TemplatesPerGuild => {
            case.set(json!({"max_templates_per_guild": 1})).await;
            case.store("one", "return 1").await.expect(201);
            let refused = case.store("two", "return 2").await;
            (
                detail(&refused.problem(422, "too_many_templates")),
                "has 1 templates, which is the most (MAX_TEMPLATES_PER_GUILD)",
            )
        }
        Limit::KvKeyBytes => {
            case.set(json!({"max_kv_key_bytes": 3})).await;
            (
                case.kv("return ctx.KV:set('long', 1, {'s'})").await,
                "3 bytes: MAX_KV_KEY_BYTES); use a shorter",
            )
        }
        Limit::KvValueBytes => {
            case.set(json!({"max_kv_value_bytes": 10})).await;
            let heard = case.kv("return ctx.KV:set('k', 'more than ten', {'s'})").await;
            (heard, "10 bytes as JSON: MAX_KV_VALUE_BYTES); store less")
        }
        Limit::KvRecords => {
            case.set(json!({"max_kv_records": 1})).await;
            let source =
                "ctx.KV:set('a', 1, {'s'}) ctx.KV:set('a', 2, {'s'}) return ctx.KV:set('b', 1, {'s'})";
            (case.kv(source).await, "has 1 keys, which is the most (MAX_KV_RECORDS); delete some first")
        }
        Limit::KvBytes => {
            case.set(json!({"max_kv_bytes": 20})).await;
            let source = "ctx.KV:set('a', 'xxxxxxx', {'s'}) return ctx.KV:set('b', 1, {'s'})";
            (case.kv(source).await, "20 bytes: MAX_KV_BYTES); delete some keys first")
        }
        Limit::HttpTime => {
            case.set(json!({"max_http_time_ms": 50})).await;
            let source = "ctx.HTTPClient.new_request('GET', 'URL'):send()";
            (case.refused("/hang", source).await, "within 50 ms (MAX_HTTP_TIME")
        }
        Limit::HttpInFlight => {
            case.set(json!({"max_http_in_flight": 1, "max_http_time_ms": 500})).await;
            // Either may be the one that is too many: it hears so first.
            let source = "local heard = {}\n\
                          local function send()\n\
                            local request = ctx.HTTPClient.new_request('GET', 'URL')\n\
                            table.insert(heard, select(2, pcall(request.send, request)))\n\
                          end\n\
                          task.spawn(send) send() error(heard[1], 0)";
            (
                case.refused("/hang", source).await,
                "has 1 requests in flight, which is the most (MAX_HTTP_IN_FLIGHT)",
            )
        }
        Limit::HttpRequestBytes => {
            case.set(json!({"max_http_request_bytes": 10})).await;
            let source = "local request = ctx.HTTPClient.new_request('POST', 'URL')\n\
                          request.body_bytes = 'eleven bytes' request:send()";
            (case.refused("/", source).await, "larger than 10 bytes (MAX_HTTP_REQUEST_BYTES)")
        }
        Limit::HttpResponseBytes => {
            case.set(json!({"max_http_response_bytes": 1000})).await;
            let source = "ctx.HTTPClient.new_request('GET', 'URL'):send()";
            (case.refused("/big/1001", source).await, "larger than 1000 bytes after decompression")
        }
        Limit::ObjectBytes => {
            case.set(json!({"max_object_bytes": 10})).await;
            (
                case.refused("", "files.upload_file('k', 'eleven bytes')").await,
                "larger than 10 bytes (MAX_OBJECT_BYTES)",
            )
        }
        Limit::Objects => {
            case.set(json!({"max_objects": 1})).await;
            let source = "files.upload_file('a', '') files.upload_file('b', '')";
            (case.refused("", source).await, "may have 1 objects (MAX_OBJECTS)")
        }
        Limit::ObjectStorageBytes => {
            case.set(json!({"max_object_storage_bytes": 10})).await;
            let source = "files.upload_file('a', '123456') files.upload_file('b', '12345')";
            (case.refused("", source).await, "more than 10 bytes together (MAX_OBJECT_STORAGE_BYTES)")
        }
    }
}

/// Whether the limit's line on the page quotes what was heard, with `..` for numbers.
fn is_on_the_page(limit: Limit, heard: &str) -> bool {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/limits.md")).unwrap();
    let line = page.lines().find(|line| line.contains(&format!("| `{}` |", limit.key()))).unwrap();
    let words = heard.split(' ').map(|word| {
        let (before, rest) = word.split_at(word.find(|c: char| c.is_ascii_digit()).unwrap_or(word.len()));
        let is_number = before.is_empty() || before == "(";
        let after = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
        if is_number && !rest.is_empty() { format!("{before}..{after}") } else { word.to_owned() }
    });
    let heard = words.collect::<Vec<_>>().join(" ");
    let mut quoted = line.split('`').skip(1).step_by(2);
    quoted.any(|words| (words.contains(' ') || words == "timed_out") && heard.contains(words))
}

/// The value of a metric with this label.
async fn metric(worker: &TestWorker, name: &str, label: &str) -> u64 {
    let answer = answer(worker.anonymous(reqwest::Method::GET, "/metrics")).await;
    let Value::String(text) = answer.expect(200) else { panic!("the metrics are no text") };
    let start = format!("{name}{{{label}}} ");
    let value = text.lines().find_map(|line| line.strip_prefix(&start));
    value.unwrap_or_else(|| panic!("no {start}in {text}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_limit_that_is_hit_says_so_in_words_that_help_and_is_counted() {
    assert_eq!(Limit::ALL.len(), Limits::SETTINGS.len());
    let internet = Internet::start().await;
    let worker = patient(Some(&internet)).await;
    let mut case = Case { limit: Limit::Memory, guild: String::new(), worker, internet };
    for (index, limit) in Limit::ALL.iter().enumerate() {
        case.limit = *limit;
        case.guild = (818_880_986_845_679_757 + index as u64).to_string();
        let (heard, expected) = hit(&case).await;
        assert!(heard.contains(expected), "{limit:?}: {heard}");
        // These two do no harm that anybody could be told of.
        if !matches!(limit, Limit::Slice | Limit::ExecutionsInFlight) {
            assert!(is_on_the_page(*limit, &heard), "{limit:?}: docs/limits.md does not have: {heard}");
        }
        let label = format!("limit=\"{}\"", limit.name());
        let counted = async || metric(&case.worker, "template_worker_limit_exceeded_total", &label).await > 0;
        if *limit == Limit::Stack {
            assert!(!counted().await, "nothing can hit it");
        } else {
            // A turn is counted when it is over, which may be after its answers were sent.
            until(&format!("{limit:?} is counted"), counted).await;
        }
    }
}

#[tokio::test]
async fn executions_are_counted_by_how_they_end() {
    let worker = patient(None).await;
    let limits = format!("/api/v1/guilds/{}/limits", testkit::GUILD);
    worker.put(&limits, &json!({"max_cpu_time_ms": 250})).await.expect(200);
    let sources = [("ok", "return 1"), ("error", "error('no')"), ("limit_exceeded", "while true do end")];
    for (name, source) in sources {
        worker.template(testkit::GUILD, name, source).await.expect(201);
    }
    for _ in 0..2 {
        worker.event(testkit::GUILD, &json!({})).await;
    }
    for (status, _) in sources {
        let counted =
            metric(&worker, "template_worker_executions_total", &format!("status=\"{status}\"")).await;
        assert_eq!(counted, 2, "{status}");
    }
}

#[tokio::test]
async fn an_author_is_warned_once_before_a_limit_ends_the_template() {
    let worker = TestWorker::start_with(|config| config.limits.max_result_bytes = 1_000).await;
    let mut log = worker.app().log.subscribe();
    worker.template(testkit::GUILD, "t", "local e = ... return string.rep('x', e.data.n)").await.expect(201);
    for n in [100, 850, 900] {
        let returned = worker.event(testkit::GUILD, &json!({"n": n})).await["t"]["value"].take();
        assert_eq!(returned.as_str().map(str::len), Some(n));
    }
    let warning = log.try_recv().unwrap();
    assert_eq!(warning.level, khronos::LogLevel::Warn);
    assert_eq!(
        warning.text,
        "near a limit: 852 bytes in what was returned, and 1000 are the most (MAX_RESULT_BYTES); return less"
    );
    assert!(log.try_recv().is_err(), "it is said once");
    assert_eq!(metric(&worker, "template_worker_limit_warnings_total", "limit=\"result_bytes\"").await, 1);
}

#[tokio::test]
async fn the_memory_of_all_vms_is_told_and_goes_with_them() {
    let worker = TestWorker::start_with(|config| config.vm.warm_vms = 0).await;
    let source = "kept = kept or buffer.create(1000000) return buffer.len(kept)";
    worker.template(testkit::GUILD, "t", source).await.expect(201);
    let all = async || {
        let text = answer(worker.anonymous(reqwest::Method::GET, "/metrics")).await;
        let Value::String(text) = text.expect(200) else { panic!("the metrics are no text") };
        let of = |start: &str| -> u64 {
            let lines = text.lines().filter(|line| line.starts_with(start));
            lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
        };
        (of("template_worker_vms{"), of("template_worker_vm_memory_bytes "))
    };
    assert_eq!(all().await, (0, 0));
    assert_eq!(worker.event(testkit::GUILD, &json!({})).await["t"]["value"], 1_000_000);
    let below = async |bytes| {
        metric(&worker, "template_worker_template_memory_bytes_bucket", &format!("le=\"{bytes}\"")).await
    };
    assert_eq!((below(262_144).await, below(1_048_576).await), (0, 1), "the template has a million bytes");
    until("the VM's memory is told", async || all().await.1 > 1_000_000).await;
    worker.delete(&format!("/api/v1/guilds/{}/vm", testkit::GUILD)).await.expect(204);
    until("it is gone", async || all().await == (0, 0)).await;
}
