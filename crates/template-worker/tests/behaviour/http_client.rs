//! `ctx.HTTPClient`: what a template can send, where to, and what it is told where it cannot.

use serde_json::{Value, json};
use template_worker::config::{Config, Strategy};
use testkit::TestWorker;

use crate::internet::{Internet, run, run_in};

const OTHER: &str = "818880986845679758";

async fn setup() -> (Internet, TestWorker) {
    let internet = Internet::start().await;
    let worker = TestWorker::start_with(|config: &mut Config| internet.open(config)).await;
    (internet, worker)
}

/// A template that sends a request to `url`, after `change`, and returns what `then` says.
fn sending(url: &str, change: &str, then: &str) -> String {
    format!(
        "local _, ctx = ...\nlocal request = ctx.HTTPClient.new_request('GET', '{url}')\n{change}\n\
         local response = request:send()\nreturn {then}"
    )
}

fn error(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("it is no error: {value:#}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_made_sent_and_answered_whatever_the_strategy() {
    for strategy in [Strategy::ThreadPool, Strategy::ThreadPerGuild, Strategy::ProcessPool] {
        let internet = Internet::start().await;
        let worker = TestWorker::start_with(|config: &mut Config| {
            internet.open(config);
            config.vm.strategy = strategy;
        })
        .await;
        let source = r#"
            local _, ctx = ...
            local client = ctx.HTTPClient
            local url = client:new_url("URL")
            url.path, url.query, url.fragment = "/echo/ü", "a=1", "not sent"
            local request = client:new_request("POST", url)
            request.headers:set("X-Key", "one")
            request.headers:set("x-gone", "two")
            request.headers:remove("X-GONE")
            request.body_bytes = {n = 1, list = {1, 2}, text = "ü"}
            request.timeout = 3
            local response = request:send()
            local came = response:json()
            came.headers["x-key"] = "mine"
            assert(response:json().headers["x-key"] == "one", "it is not made anew")
            came.headers["x-key"] = response:json().headers["x-key"]
            assert(response:text() == response:text() and #response:blob() == response.content_length)
            return {
                response.status, came.method, came.uri, came.headers["x-key"], came.headers["x-gone"] == nil,
                came.headers["content-type"], came.body, response.headers:get("X-Two"), response.url == tostring(url),
                typeof(client), typeof(url), typeof(request), typeof(request.headers), typeof(response),
            }
        "#;
        let got = run(&worker, &["http:api.example.com"], &source.replace("URL", &internet.url("/"))).await;
        let body = r#"{"list":[1,2],"n":1,"text":"ü"}"#;
        let expected = json!([
            201,
            "POST",
            "/echo/%C3%BC?a=1",
            "one",
            true,
            "application/json",
            body,
            "1, 2",
            false,
            "HTTPClient",
            "Url",
            "Request",
            "Headers",
            "Response",
        ]);
        assert_eq!(got, expected, "{strategy:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_reaches_the_hosts_of_its_capabilities_and_no_others() {
    let (internet, worker) = setup().await;
    let source = sending(&internet.url("/echo"), "", "response.status");
    let denied = run(&worker, &["kv:*", "http:other.example.com"], &source).await;
    assert!(error(&denied).contains("lacks the capability `http:api.example.com`"), "{denied}");
    assert_eq!(internet.requests(), 0);
    assert_eq!(run(&worker, &["http:api.example.com"], &source).await, 201);
    assert_eq!(run_in(&worker, OTHER, &["http:*"], &source).await, 201);
    let limited = source.replace("ctx.HTTPClient", "ctx:withlimits{capabilities = {'kv:*'}}.HTTPClient");
    let denied = run(&worker, &["*"], &limited).await;
    assert!(error(&denied).contains("without `http:api.example.com`"), "{denied}");
    assert_eq!(internet.requests(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_of_the_operators_list_needs_its_name() {
    let (internet, worker) = setup().await;
    let source =
        sending(&internet.url("/echo").replace("api.example.com", "reddit.com"), "", "response.status");
    let denied = run(&worker, &["http:*"], &source).await;
    assert!(error(&denied).contains("not allowed with `http:*`"), "{denied}");
    assert_eq!(run(&worker, &["http:reddit.com"], &source).await, 201);
    // Limited to all hosts, the name counts no more.
    let limited = source.replace("ctx.HTTPClient", "ctx:withlimits{capabilities = {'http:*'}}.HTTPClient");
    let denied = run_in(&worker, OTHER, &["http:*", "http:reddit.com"], &limited).await;
    assert!(error(&denied).contains("not allowed with `http:*`"), "{denied}");
    let discord = sending("https://discord.com/api/v10/users/@me", "", "response.status");
    let denied = run_in(&worker, OTHER, &["http:discord.com"], &discord).await;
    assert!(error(&denied).contains("use `ctx.Discord`"), "{denied}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_requested_says_why() {
    for (url, said) in [
        ("http://127.0.0.1/", "not an address"),
        ("http://[::1]/", "not an address"),
        ("http://2130706433/", "not an address"),
        ("http://localhost/", "not one of the public internet"),
        ("http://metadata.google.internal/", "not one of the public internet"),
        ("ftp://api.example.com/", "use `https://`"),
        ("https://user@api.example.com/", "leave user and password out"),
        ("https://api.example.com:22/", "leave the port out"),
        ("https://no.such.name.example.org.invalid/", "not one of the public internet"),
    ] {
        let (internet, worker) = setup().await;
        let got = run(&worker, &["http:*"], &sending(url, "", "response.status")).await;
        assert!(error(&got).contains(said), "{url}: {got}");
        assert_eq!(internet.requests(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_parts_of_a_request_say_which_is_wrong() {
    let (internet, worker) = setup().await;
    let tries = r#"
        local _, ctx = ...
        local client = ctx.HTTPClient
        local request = client.new_request("GET", "URL")
        local function said(f) local ok, text = pcall(f) return if ok then "nothing" else tostring(text) end
        return {
            said(function() return client.new_request("GET") end),
            said(function() return client.new_request({}, "URL") end),
            said(function() return client.new_request("GET", "no url") end),
            said(function() return client.new_url(string.rep("x", 10000)) end),
            said(function() request.headers:set("a b", "c") end),
            said(function() request.headers:set("a", {}) end),
            said(function() request.headers:set("a", string.rep("x", 20000)) end),
            said(function() for n = 1, 65 do request.headers:set("x-" .. n, "y") end end),
            said(function() request.headers = {} end),
            said(function() request.body_bytes = print end),
            said(function() request.timeout = "5" end),
            said(function() request.version = "HTTP/4" end),
            said(function() request.host = "x" end),
            said(function() request.send = print end),
            said(function() request.send() end),
            said(function() request.headers.get("x") end),
            said(function() request.headers.x = "y" end),
            said(function() local url = client.new_url("URL") url.port = 1.5 end),
            said(function() local url = client.new_url("URL") url.user = "x" end),
            said(function() client.new_request = print end),
        }
    "#;
    let got = run(&worker, &["http:*"], &tries.replace("URL", &internet.url("/"))).await;
    let expected = [
        "expected a URL",
        "a string such as \"GET\"",
        "not a URL",
        "expected a URL",
        "the name of a header",
        "the value of a header",
        "the value of a header",
        "at most 64 headers",
        "are a Headers",
        "a string, a buffer, a Blob, or a table",
        "a TimeDelta, or a number",
        "such as \"HTTP/1.1\"",
        "its fields are method, url",
        "its fields are method, url",
        "request:send()",
        "call it with a colon",
        "headers:set(name, value)",
        "cannot be the port",
        "its fields are scheme, host",
        "read-only",
    ];
    for (said, expected) in got.as_array().unwrap().iter().zip(expected) {
        assert!(error(said).contains(expected), "{said} is not about: {expected}");
    }
    assert_eq!(got.as_array().unwrap().len(), expected.len());
    assert_eq!(internet.requests(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_host_refuses_of_a_request_is_told() {
    let (internet, worker) = setup().await;
    for (number, (change, said)) in [
        ("request.method = 'BREW'", "`BREW` is not a method"),
        ("request.headers:set('Host', 'evil.example')", "the service sets it"),
        ("request.headers:set('x', 'a\\r\\nHost: evil')", "line breaks"),
        ("request.timeout = 0.05 request.url = 'HANG'", "did not answer completely within 50 ms"),
    ]
    .into_iter()
    .enumerate()
    {
        let guild = (818_880_986_845_679_760 + number as u64).to_string();
        let change = change.replace("HANG", &internet.url("/hang"));
        let got = run_in(&worker, &guild, &["http:*"], &sending(&internet.url("/"), &change, "1")).await;
        assert!(error(&got).contains(said), "{change}: {got}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_and_bytes_come_as_they_are() {
    let (internet, worker) = setup().await;
    let redirect =
        sending(&internet.url("/redirect"), "", "{response.status, response.headers:get('location')}");
    assert_eq!(run(&worker, &["http:*"], &redirect).await, json!([302, "http://169.254.169.254/latest"]));
    let then = "{#response:text(), buffer.readu8(response:blob():tobuffer(), 0), select(2, pcall(response.json, response))}";
    let bytes = run(&worker, &["http:*"], &sending(&internet.url("/bytes"), "", then)).await;
    assert_eq!((&bytes[0], &bytes[1]), (&json!(3), &json!(255)));
    assert!(error(&bytes[2]).contains("it is not UTF-8"), "{bytes}");
    let no_json = sending(&internet.url("/big/3"), "", "response:json()");
    let got = run(&worker, &["http:*"], &no_json).await;
    assert!(error(&got).contains("cannot be read"), "{got}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guild_sends_a_few_requests_at_once_and_then_one_now_and_then() {
    let (internet, worker) = setup().await;
    let source = "local _, ctx = ...\nlocal done = 0\nlocal text\nfor _ = 1, 5 do\n\
         local ok, error = pcall(function() ctx.HTTPClient.new_request('GET', 'URL'):send() end)\n\
         if ok then done += 1 else text = error end\nend\nreturn {done, text}";
    let source = source.replace("URL", &internet.url("/"));
    let got = run(&worker, &["http:*"], &source).await;
    assert_eq!(got[0], 3, "{got}");
    assert!(error(&got[1]).contains("rate limit hit for `http`: try again in"), "{got}");
    assert_eq!(run_in(&worker, OTHER, &["http:*"], &source).await[0], 3, "it is each guild's own");
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_the_client_live_on_without_it_and_cost_their_guild_alone() {
    let (internet, worker) = setup().await;
    let source = r#"
        local _, ctx = ...
        local request = ctx:withlimits{capabilities = {"http:*"}}.HTTPClient.new_request("GET", "URL")
        for _ = 1, 2000 do
            ctx:withlimits{capabilities = {}}
            local _ = ctx.HTTPClient.new_url("URL"), ctx.HTTPClient.new_headers(), table.create(1000)
        end
        return request:send().status
    "#;
    assert_eq!(run(&worker, &["http:*"], &source.replace("URL", &internet.url("/"))).await, 201);
    let hoard = "local _, ctx = ... local kept = {} while true do \
         local request = ctx.HTTPClient.new_request('GET', 'https://api.example.com')
         request.body_bytes = string.rep('x', 200000) .. #kept kept[#kept + 1] = request end";
    let got = run_in(&worker, OTHER, &["http:*"], hoard).await;
    assert!(error(&got).contains("limit exceeded: not enough memory"), "{got}");
}
