//! A call takes as much as its own limit says, whatever a result may be, and what is larger is refused in that limit's words:
//! from threads and from processes.

use serde_json::{Value, json};
use template_worker::config::Strategy;
use testkit::{GUILD, TestWorker};

use crate::internet::{Internet, run_in};

const MIB: usize = 1 << 20;

async fn on_both(limits: Value, check: impl AsyncFn(&TestWorker, &str)) {
    for strategy in [Strategy::ThreadPool, Strategy::ProcessPool] {
        let internet = Internet::start().await;
        let worker = TestWorker::start_with(|config| {
            internet.open(config);
            config.vm.strategy = strategy;
            // A busy machine may take its time over megabytes.
            config.limits.max_non_yieldable_time_ms = 5_000;
            config.limits.max_cpu_time_ms = 30_000;
            config.limits.max_templates_execution_time_ms = 60_000;
            config.limits.max_templates_return_wait_time_ms = 60_000;
            config.limits.max_http_time_ms = 60_000;
        })
        .await;
        worker.put(&format!("/api/v1/guilds/{GUILD}/limits"), &limits).await.expect(200);
        check(&worker, &internet.url("/big/1")).await;
        // Nothing of all that has cost the VM or its process.
        assert_eq!(run_in(&worker, GUILD, &["*"], "return 'fine'").await, "fine");
    }
}

/// What a template is told, or what it returns.
async fn told(worker: &TestWorker, source: &str) -> String {
    let heard = run_in(worker, GUILD, &["*"], &format!("local _, ctx = ... {source}")).await;
    heard.as_str().map_or_else(|| heard.to_string(), str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_takes_what_its_own_limit_allows_and_a_byte_more_is_refused_in_its_words() {
    let limits = json!({
        "max_template_memory_usage": 64 * MIB, "max_result_bytes": 1024,
        "max_object_bytes": 2 * MIB, "max_kv_value_bytes": 2 * MIB, "max_http_request_bytes": MIB + MIB / 2,
    });
    on_both(limits, async |worker, url| {
        let object =
            |bytes| format!("ctx.ObjectStorage:upload_file('k', buffer.create({bytes})) return 'stored'");
        assert_eq!(told(worker, &object(2 * MIB)).await, "stored");
        let heard = told(worker, &object(2 * MIB + 1)).await;
        assert!(heard.contains("larger than 2097152 bytes (MAX_OBJECT_BYTES)"), "{heard}");

        let key = |bytes| format!("ctx.KV:set('k', string.rep('x', {bytes}), {{'s'}}) return 'set'");
        assert_eq!(told(worker, &key(2 * MIB - 2)).await, "set");
        let heard = told(worker, &key(2 * MIB - 1)).await;
        assert!(heard.contains("(2097152 bytes as JSON: MAX_KV_VALUE_BYTES)"), "{heard}");

        let body = |bytes| {
            format!(
                "local request = ctx.HTTPClient.new_request('POST', '{url}') \
                 request.body_bytes = string.rep('x', {bytes}) return request:send().status"
            )
        };
        assert_eq!(told(worker, &body(MIB + MIB / 2)).await, "200");
        let heard = told(worker, &body(MIB + MIB / 2 + 1)).await;
        assert!(heard.contains("larger than 1572864 bytes (MAX_HTTP_REQUEST_BYTES)"), "{heard}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_takes_what_the_page_says_and_what_no_call_takes_is_refused_before_it_leaves() {
    on_both(json!({"max_template_memory_usage": 64 * MIB}), async |worker, url| {
        let batch = |count, bytes| {
            format!(
                "local ops = {{}} for n = 1, {count} do \
                 ops[n] = {{op = 'set', key = 'k' .. n, scopes = {{'s'}}, value = string.rep('x', {bytes})}} end \
                 return #ctx.KV:batch(ops)"
            )
        };
        assert_eq!(told(worker, &batch(10, 200 << 10)).await, "10");
        let heard = told(worker, &batch(25, 200 << 10)).await;
        assert!(heard.contains("may have 4194304 bytes together"), "{heard}");

        let body = format!(
            "local request = ctx.HTTPClient.new_request('POST', '{url}') \
             request.body_bytes = buffer.create({}) return request:send().status",
            MIB + 1
        );
        let heard = told(worker, &body).await;
        assert!(heard.contains("larger than 1048576 bytes (MAX_HTTP_REQUEST_BYTES)"), "{heard}");

        let heard = told(worker, "return ctx.KV:set('k', string.rep('x', 17 * 2^20), {'s'})").await;
        assert!(heard.ends_with("the arguments have more than 16777216 bytes of text: pass less"), "{heard}");

        // As JSON this is six times as long: more than a message of a process may be.
        let heard = told(worker, "return ctx.KV:set('k', string.rep('\\1', 14 * 2^20), {'s'})").await;
        let refusals = ["MAX_KV_VALUE_BYTES", "the call cannot be sent: a message is longer than 71303168 bytes; pass less"];
        assert!(refusals.iter().any(|refusal| heard.contains(refusal)), "{heard}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_arguments_of_calls_that_wait_are_memory_of_the_guild() {
    // Each of them is within all limits; the third is more than there is.
    on_both(json!({"max_object_bytes": 8 * MIB}), async |worker, _| {
        let source = "local content = buffer.create(7 * 2^20) \
                      for n = 1, 8 do task.spawn(pcall, ctx.ObjectStorage.upload_file, 'k' .. n, content) end \
                      return ctx.ObjectStorage:upload_file('last', content)";
        let heard = told(worker, source).await;
        assert!(heard.contains("not enough memory: all templates of the guild together have 20971520 bytes"), "{heard}");
    })
    .await;
}
