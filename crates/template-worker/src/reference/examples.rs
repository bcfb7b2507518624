//! A short piece of Luau for each object and module, as the reference shows it. Tests compile all of them, and Luau's type
//! checker looks at the pages.

/// What a template looks like.
pub(super) const CONTEXT: &str = r#"
return function(event: MessageCreateEvent, ctx: TemplateContext): string?
	if event.data.content == "!whoami" then
		ctx.log.info(`{event.data.author.username} asked`)
		return `{ctx.template_name} in guild {ctx.guild_id}`
	end
	return nil
end
"#;

const ALL: &[(&str, &str)] = &[
    (
        "DataStores",
        r#"
return function(_event: Event, ctx: TemplateContext)
	local stats = ctx.DataStores.StatsStore:stats()
	return `templates run for {stats.total_guilds} guilds`
end
"#,
    ),
    (
        "KV",
        r#"
local datetime = require("@antiraid/datetime")

return function(event: MessageCreateEvent, ctx: TemplateContext)
	local author = event.data.author.id
	-- Counted in one step, however many messages come at a time.
	local count = ctx.KV:increment(author, { "messages" })
	-- Gone in an hour; the event KeyExpiry tells of it then.
	ctx.KV:set(author, event.data.content, { "last" }, datetime.UTC:now() + datetime.timedelta_hours(1))
	local last, found = ctx.KV:get(author, { "last" })
	return { count = count, last = if found then last else nil }
end
"#,
    ),
    (
        "Discord",
        r#"
return function(event: MessageCreateEvent, ctx: TemplateContext)
	-- What a call throws says what Discord, or the guild's permissions, have against it.
	local ok, sent = pcall(function()
		return ctx.Discord:create_message({
			channel_id = event.data.channel_id,
			data = { content = "Hello!", allowed_mentions = { parse = {} } },
		})
	end)
	return if ok then sent.data.id else tostring(sent)
end
"#,
    ),
    (
        "ObjectStorage",
        r#"
return function(event: MessageCreateEvent, ctx: TemplateContext)
	local key = `messages/{event.data.id}.txt`
	ctx.ObjectStorage:upload_file(key, event.data.content)
	local copy = ctx.ObjectStorage:download_file(key)
	-- Whoever has the URL has the file, for an hour.
	return { bytes = #copy, url = ctx.ObjectStorage:get_file_url(key, 60 * 60) }
end
"#,
    ),
    (
        "HTTPClient",
        r#"
return function(event: MessageCreateEvent, ctx: TemplateContext)
	local request = ctx.HTTPClient:new_request("POST", "https://api.example.com/spam")
	-- The guild's secret is put in on the way out; the template never sees it.
	request.headers:set("authorization", "Bearer {{secret:spam_api}}")
	request.body_bytes = { text = event.data.content }
	local response = request:send()
	if response.status ~= 200 then
		error(`the API answered {response.status}`)
	end
	return response:json().is_spam
end
"#,
    ),
    (
        "ImageCaptcha",
        r#"
return function(event: MessageCreateEvent, ctx: TemplateContext)
	local captcha = ctx.ImageCaptcha:Create({ char_count = 6 })
	ctx.KV:set(event.data.author.id, captcha.text, { "captchas" })
	ctx.Discord:create_message({
		channel_id = event.data.channel_id,
		data = {
			content = "What does it say?",
			attachments = { { filename = "captcha.png", content = captcha.image } },
		},
	})
end
"#,
    ),
    (
        "secrets",
        r#"
return function(_event: Event, ctx: TemplateContext)
	if not table.find(ctx.secrets:list(), "spam_api") then
		ctx.log.warn("put the key of the API into the secret `spam_api` first")
	end
end
"#,
    ),
    (
        "@antiraid/datamgmt",
        r#"
local datamgmt = require("@antiraid/datamgmt")
local archive = datamgmt.TarArchive()
archive:addfile("greeting.txt", "hello")
local text = datamgmt.base64encode(archive:toblob())
"#,
    ),
    (
        "@antiraid/datetime",
        r#"
local datetime = require("@antiraid/datetime")
local berlin = datetime.new("Europe/Berlin")
local tomorrow = berlin:now() + datetime.timedelta_days(1)
print(tomorrow:format("%Y-%m-%d %H:%M"), (tomorrow - datetime.UTC:now()).hours)
"#,
    ),
    (
        "@antiraid/interop",
        r#"
local interop = require("@antiraid/interop")
-- An empty table is a map, unless it says that it is a list.
local empty = setmetatable({}, interop.array_metatable)
print(`{interop.memusage()} of {interop.memory_limit()} bytes`, interop.null == nil)
"#,
    ),
    (
        "@antiraid/luau",
        r#"
local luau = require("@antiraid/luau")
local chunk = luau.load("local a, b = ... return a + b")
print(luau.format({ sum = chunk:call(1, 2) }))
"#,
    ),
    (
        "@antiraid/typesext",
        r#"
local typesext = require("@antiraid/typesext")
local id = typesext.U64("1571224058513600595")
print(tostring(typesext.bitu64.rshift(id, 22)), typesext.randstring(16))
"#,
    ),
    (
        "@lune/datetime",
        r#"
local datetime = require("@lune/datetime")
local moment = datetime.fromIsoDate("2026-11-14T18:03:27Z")
print(moment.unixTimestamp, moment < datetime.now())
"#,
    ),
    (
        "@lune/regex",
        r#"
local regex = require("@lune/regex")
local invite = regex.new("discord\\.gg/(?<code>\\w+)")
local found = invite:captures("come to discord.gg/abc")
local code = if found then found:group("code") else nil
print(if code then code.text else "none")
"#,
    ),
    (
        "@lune/serde",
        r#"
local serde = require("@lune/serde")
local text = serde.encode("json", { n = 1 })
print(serde.decode("json", text).n, serde.hash("sha256", text))
"#,
    ),
];

/// The one for an object or a module.
pub(super) fn of(path: &str) -> Option<&'static str> {
    ALL.iter().find(|(known, _)| *known == path).map(|(_, code)| code.trim())
}
