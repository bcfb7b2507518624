//! A short piece of Luau for each object and module, as the reference shows it. Tests compile all of them, and Luau's type
//! checker looks at the pages.

/// What a template looks like.
pub(super) const CONTEXT: &str = r#"
return function(event: MessageCreateEvent, ctx: TemplateContext)
	if event.data.content == "!whoami" then
		ctx.log.info(`{event.data.author.username} asked`)
		return `{ctx.template_name} in guild {ctx.guild_id}`
	end
	return nil
end
"#;

const ALL: &[(&str, &str)] = &[(
    "DataStores",
    r#"
return function(_event: Event, ctx: TemplateContext)
	local stats = ctx.DataStores.StatsStore:stats()
	return `templates run for {stats.total_guilds} guilds`
end
"#,
)];

/// The one for an object or a module.
pub(super) fn of(path: &str) -> Option<&'static str> {
    ALL.iter().find(|(known, _)| *known == path).map(|(_, code)| code.trim())
}
