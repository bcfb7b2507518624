//! Everything that a template can reach and that is not its own: a script walks all of it, and tries to change each piece.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use template_worker::config::{Config, Strategy};
use template_worker::host::HostCall;
use testkit::{GUILD, TestWorker};

/// Walks from the context, the event, the library and the modules. What is found under a table is walked by `pairs`, what under
/// an object by the names that are declared anywhere. Tells what could be changed, and how much was seen.
const WALK: &str = r#"
local event, ctx = ...
local changed, seen, count, kinds = {}, {}, 0, {}
local names = event.data.names

local function own(value, path)
    return value == ctx.store or value == _G
end

local function attempts(value, path)
    local function try(what, f, ...)
        if pcall(f, ...) then table.insert(changed, path .. ": " .. what) end
    end
    local function set(key) return function() value[key] = 1 end end
    try("a new field", set("a_new_field"))
    try("a number", set(1))
    for _, name in names do
        if type(value) == "userdata" or rawget(value, name) ~= nil then try(name, set(name)) end
    end
    if type(value) == "table" then
        try("rawset", rawset, value, "a_new_field", 1)
        try("table.insert", table.insert, value, 1)
        try("table.clear", table.clear, value)
    end
    try("setmetatable", setmetatable, value, {})
    local meta = getmetatable(value)
    if type(meta) == "table" then
        try("its metatable", function() meta.__index = {} end)
        try("its metatable, raw", rawset, meta, "__index", {})
    end
end

local function walk(value, path, depth)
    local kind = type(value)
    if (kind ~= "table" and kind ~= "userdata") or seen[value] or own(value) or depth > 8 then return end
    seen[value] = true
    count += 1
    kinds[typeof(value)] = (kinds[typeof(value)] or 0) + 1
    attempts(value, path)
    if kind == "table" then
        for key, inner in value do walk(inner, path .. "." .. tostring(key), depth + 1) end
    else
        for _, name in names do
            local ok, inner = pcall(function() return value[name] end)
            if ok then walk(inner, path .. "." .. name, depth + 1) end
        end
    end
end

walk(ctx, "ctx", 0)
walk(ctx:withlimits{capabilities = {}}, "limited", 0)
walk(event, "event", 0)
for name in _G do if name ~= "_G" then walk(_G[name], name, 0) end end
for _, name in {"string", "table", "math", "bit32", "buffer", "coroutine", "os", "utf8", "debug", "task", "vector"} do
    walk(_G[name], name, 0)
end
for _, module in event.data.modules do walk(require(module), module, 0) end
if pcall(function() getmetatable("").__index = {} end) then table.insert(changed, "the metatable of strings") end
return {changed = changed, count = count, kinds = kinds}
"#;

/// Every name that is declared for scripts.
fn names() -> BTreeSet<String> {
    let mut names: BTreeSet<String> =
        HostCall::all().map(|(_, call)| call.function.name.to_owned()).collect();
    for (object, _) in HostCall::all() {
        names.extend(object.split('.').map(str::to_owned));
    }
    let fields =
        ["data", "store", "log", "has_cap", "has_any_cap", "withlimits", "allowed_caps", "guild_id", "Type"];
    names.extend(fields.map(str::to_owned));
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_template_reaches_can_be_changed_but_its_own() {
    for strategy in [Strategy::ThreadPool, Strategy::ProcessPool] {
        let worker = TestWorker::start_with(|config: &mut Config| config.vm.strategy = strategy).await;
        let put = json!({"files": {"init.luau": WALK}, "events": ["Discord"], "capabilities": ["*"]});
        worker.put(&format!("/api/v1/guilds/{GUILD}/templates/walk"), &put).await.expect(201);
        let data = json!({"names": names(), "modules": [], "nested": {"list": [{"a": 1}], "empty": []}});
        let outcome = worker.event(GUILD, &data).await["walk"].take();
        assert_eq!(outcome["status"], "ok", "{outcome:#}");
        let value = &outcome["value"];
        assert_eq!(value["changed"], json!({}), "{strategy:?}");
        for kind in [
            "TemplateContext",
            "DataStores",
            "StatsStore",
            "LinksStore",
            "CopyDataStore",
            "TemplateStore",
            "KV",
        ] {
            assert!(value["kinds"][kind].as_u64() > Some(1), "no {kind} was seen: {value:#}");
        }
        assert!(value["count"].as_u64() > Some(30), "{value:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_walk_finds_what_can_be_changed() {
    let worker = TestWorker::start().await;
    let open = WALK.replace("local names = event.data.names", "local names = event.data.names x = {}");
    worker.template(GUILD, "walk", &open).await.expect(201);
    let value: Value =
        worker.event(GUILD, &json!({"names": [], "modules": []})).await["walk"]["value"].take();
    let changed = value["changed"].to_string();
    assert!(changed.contains("x: rawset") && changed.contains("x: setmetatable"), "{changed}");
}
