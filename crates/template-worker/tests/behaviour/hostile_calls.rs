//! Every function under `ctx` gets what no honest template hands to it. Each call is refused or answered, and costs nobody.

use serde_json::json;
use template_worker::config::{Config, Strategy};
use template_worker::host::HostCall;
use testkit::{GUILD, TestWorker};

const NEIGHBOUR: &str = "818880986845679758";

/// Calls one function with each hostile value in each place. What a value does to who looks at it twice, or follows it, or asks
/// its metatable, would end the event; counts of what was thrown and returned tell that nothing was left out.
const ATTACK: &str = r#"
alive = (alive or 0) + 1
local event, ctx = ...
local object = ctx
for name in string.gmatch(event.data.object, "[^.]+") do object = object[name] end
local f = object[event.data.name]

local function forever() while true do end end
local evil = setmetatable({}, {
    __index = forever, __newindex = forever, __call = forever, __len = forever, __iter = forever, __eq = forever,
    __tostring = forever, __concat = forever,
})
local function nested(levels, wide)
    local value = {}
    for _ = 1, levels do value = if wide then {value, value} else {value} end
    return value
end
local cycle = {}
cycle.again = cycle
local failing = setmetatable({}, {__tostring = function() error(cycle) end, __metatable = "mine"})
local values = {
    0/0, 1/0, -1/0, 2^53, 2^63, -2^63, 1e300, -1, 0, 0.5, true, "", "\0", "\255\254", "..", "a/../b", "%", "*",
    string.rep("😀", 1_000), cycle, evil, failing, {evil}, {a = evil}, {[1.5] = 1}, {[true] = 1}, {[evil] = evil},
    vector.create(1, 2, 3), forever, coroutine.create(forever), ctx, ctx.KV, ctx.Discord, event, event.data, _G, string,
    require("@antiraid/typesext").U64("18446744073709551615"), require("@antiraid/datetime").UTC,
    require("@antiraid/datamgmt").newblob("x"),
}
local large = if not event.data.large then {} else {
    string.rep("x", 1_000_000), nested(10_000), nested(30, true), table.create(100_000, "x"), buffer.create(1_000_000),
}
local fields = {
    "channel_id", "message_id", "user_id", "role_id", "guild_id", "data", "reason", "limit", "before", "query", "id", "token",
    "op", "key", "scopes", "value", "char_count", "filters", "viewbox_size", "name", "files", "capabilities", "events",
}

local returned, thrown, odd = 0, 0, {}
local function try(...)
    local ok, said = pcall(f, ...)
    if ok then
        returned += 1
    else
        thrown += 1
        if type(said) ~= "string" or #said > 4_096 or #said == 0 then table.insert(odd, tostring(said)) end
    end
end
try()
for _, value in values do
    local all = {}
    for _, field in fields do all[field] = value end
    try(value)
    try(object, value)
    try(value, value, value, value)
    try("k", value)
    try(value, {"s"})
    try("k", value, {"s"})
    try("k", {"s"}, value)
    try("k", "v", {"s"}, value)
    try(all)
    try({all, all})
end
for _, value in large do
    try(value)
    try("k", value, {"s"})
    try({data = value, value = value, files = value})
end
return {calls = returned + thrown, due = 1 + 10 * #values + 3 * #large, odd = odd, alive = alive}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn no_argument_of_any_call_ends_a_vm_or_says_nothing() {
    attack(Strategy::ThreadPool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_argument_of_any_call_ends_a_vm_in_a_process_or_says_nothing() {
    attack(Strategy::ProcessPool).await;
}

async fn attack(strategy: Strategy) {
    let worker = TestWorker::start_with(|config: &mut Config| {
        config.vm.strategy = strategy;
        config.templates.rate_limits = false;
    })
    .await;
    let put = json!({"files": {"init.luau": ATTACK}, "events": ["Discord"], "capabilities": ["*"]});
    worker.put(&format!("/api/v1/guilds/{GUILD}/templates/attack"), &put).await.expect(201);
    worker.template(NEIGHBOUR, "t", "return 'pong'").await.expect(201);
    // Sending is a function of an object of its own.
    let all = HostCall::all().filter(|(object, _)| *object != "HTTPClient");
    let made = ["new_request", "new_headers", "new_url"].map(|name| ("HTTPClient", name));
    let own = ["has_cap", "has_any_cap", "withlimits"].map(|name| ("", name));
    let all: Vec<_> = all.map(|(object, call)| (object, call.function.name)).chain(made).chain(own).collect();
    for (index, (object, name)) in all.iter().enumerate() {
        // What is large is slow to look at, and is looked at in one way for all functions of an object.
        let is_first = index == 0 || all[index - 1].0 != *object;
        let data = json!({"object": object, "name": name, "large": is_first});
        let outcome = worker.event(GUILD, &data).await["attack"].take();
        let value = &outcome["value"];
        let context = format!("{strategy:?}: {object}.{name}: {outcome}");
        assert_eq!(outcome["status"], "ok", "{context}");
        assert_eq!(value["calls"], value["due"], "{context}");
        assert_eq!(value["odd"], json!({}), "{context}");
        assert_eq!(value["alive"], index + 1, "the same VM: {context}");
    }
    assert_eq!(worker.event(NEIGHBOUR, &json!({})).await["t"]["value"], "pong");
}
