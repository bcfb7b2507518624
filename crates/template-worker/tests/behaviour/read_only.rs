//! Everything that a template can reach and that is not its own: a script walks all of it, and tries to change each piece.

use std::collections::BTreeSet;

use khronos::declare::{Field, Function};
use serde_json::{Value, json};
use template_worker::config::{Config, Strategy};
use template_worker::execution::{CONTEXT, TABLES};
use template_worker::host::HostCall;
use testkit::{GUILD, TestWorker};

/// Walks from the context, the event, the library and the modules. What is found under a table is walked by `pairs`, what under
/// an object by the names that are declared anywhere. Tells what could be changed, and how much was seen.
const WALK: &str = r#"
local event, ctx = ...
local changed, seen, count, kinds, odd = {}, {}, 0, {}, {}
local names = event.data.names

local function own(value, path)
    return value == ctx.store or value == _G
end

-- What a script catches is a text, and never leads into the runtime's own code.
local function refused(what, said)
    if type(said) ~= "string" or string.find(said, "[runtime]", 1, true) then
        table.insert(odd, `{what}: {typeof(said)} {string.sub(tostring(said), 1, 200)}`)
    end
end

local function attempts(value, path)
    local function try(what, f, ...)
        local ok, said = pcall(f, ...)
        if ok then table.insert(changed, path .. ": " .. what) else refused(path .. ": " .. what, said) end
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
            if ok then walk(inner, path .. "." .. name, depth + 1) else refused(path .. "." .. name, inner) end
        end
    end
end

-- Values that modules make, a kind each; but those that are the script's own, to change as it likes.
local function made()
    local datetime, typesext = require("@antiraid/datetime"), require("@antiraid/typesext")
    local datamgmt = require("@antiraid/datamgmt")
    return {
        datetime.UTC, datetime.UTC:now(), datetime.timedelta_days(1), typesext.U64("1"), typesext.I64("1"),
        datamgmt.newblob("x"), datamgmt.TarArchive(), require("@lune/regex").new("x"),
        require("@lune/datetime").now(),
    }
end

-- What HTTPClient makes can be set in parts.
local function http()
    local client = ctx.HTTPClient
    local url, headers = client.new_url("https://example.com/"), client.new_headers()
    local request = client.new_request("GET", url)
    local function set(object, key) return function() object[key] = 1 end end
    for _, name in names do
        for _, object in {url, headers, request} do
            local ok, said = pcall(set(object, name))
            if not ok then refused(name, said) end
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
if event.data.modules[1] then for name, value in made() do walk(value, name, 0) end end
http()
if pcall(function() getmetatable("").__index = {} end) then table.insert(changed, "the metatable of strings") end
return {changed = changed, count = count, kinds = kinds, odd = odd}
"#;

/// The kinds of values that modules make.
const MADE: [&str; 8] = ["Timezone", "DateTime", "TimeDelta", "U64", "I64", "Blob", "TarArchive", "Regex"];

/// Every name that is declared for scripts.
fn names() -> BTreeSet<&'static str> {
    let (mut functions, mut fields) = (Vec::<Function>::new(), Vec::<Field>::new());
    let mut types = vec![&CONTEXT];
    types.extend(TABLES);
    for family in HostCall::families() {
        functions.extend(family.calls.iter().map(|call| call.function));
        types.extend(family.types.iter().chain(family.beside));
    }
    for module in khronos::modules() {
        functions.extend(module.functions);
        fields.extend(module.fields);
        types.extend(module.types);
    }
    for ty in types {
        functions.extend(ty.methods);
        fields.extend(ty.fields);
    }
    let objects = HostCall::families().iter().flat_map(|family| family.object.split('.'));
    let names = functions.iter().map(|function| function.name).chain(fields.iter().map(|field| field.name));
    objects.chain(names).chain(["Type"]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_template_reaches_can_be_changed_but_its_own() {
    for strategy in [Strategy::ThreadPool, Strategy::ProcessPool] {
        let worker = TestWorker::start_with(|config: &mut Config| config.vm.strategy = strategy).await;
        let put = json!({"files": {"init.luau": WALK}, "events": ["Discord"], "capabilities": ["*"]});
        worker.put(&format!("/api/v1/guilds/{GUILD}/templates/walk"), &put).await.expect(201);
        let modules: Vec<&str> = khronos::modules().map(|module| module.path).collect();
        let data = json!({"names": names(), "modules": modules, "nested": {"list": [{"a": 1}], "empty": []}});
        let outcome = worker.event(GUILD, &data).await["walk"].take();
        assert_eq!(outcome["status"], "ok", "{outcome:#}");
        let value = &outcome["value"];
        assert_eq!(value["changed"], json!({}), "{strategy:?}");
        assert_eq!(value["odd"], json!({}), "{strategy:?}");
        for kind in [
            "TemplateContext",
            "DataStores",
            "StatsStore",
            "LinksStore",
            "CopyDataStore",
            "TemplateStore",
            "KV",
            "Discord",
            "HTTPClient",
            "ObjectStorage",
            "ImageCaptcha",
            "Secrets",
        ] {
            assert!(value["kinds"][kind].as_u64() > Some(1), "no {kind} was seen: {value:#}");
        }
        for kind in MADE {
            assert!(value["kinds"][kind].as_u64() >= Some(1), "no {kind} was seen: {value:#}");
        }
        assert!(value["count"].as_u64() > Some(60), "{value:#}");
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

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_assigned_says_so_in_a_text_with_the_scripts_own_line() {
    let worker = TestWorker::start().await;
    let code = r#"local event, ctx = ...
local said = {}
local function try(f) table.insert(said, (select(2, pcall(f)))) end
local client = ctx.HTTPClient
local request = client.new_request("GET", "https://example.com/")
local url, headers = client.new_url("https://example.com/"), client.new_headers()
try(function() ctx.x = 1 end)
try(function() ctx.KV.x = 1 end)
try(function() request.body = 1 end)
try(function() url.pth = 1 end)
try(function() headers["X-A"] = 1 end)
return said
"#;
    worker.template(GUILD, "t", code).await.expect(201);
    let said = worker.event(GUILD, &json!({})).await["t"]["value"].take();
    assert_eq!(
        said,
        json!([
            "init.luau:7: ctx is read-only; keep state in ctx.store or in your own variables",
            "init.luau:8: KV is read-only",
            "init.luau:9: `body` of a Request cannot be set; its fields are method, url, headers, body_bytes, timeout, version",
            "init.luau:10: `pth` of a Url cannot be set; its fields are scheme, host, port, path, query, fragment",
            "init.luau:11: use `headers:set(name, value)`",
        ])
    );
}
