//! The pages that list: events, capabilities, and which pages there are.

use super::Written;
use super::markdown::{Page, cell, code};
use super::{pages, surface};
use crate::capabilities::CLOSED_LIST;
use crate::events::{ALIASES, CUSTOM_PREFIXES, DATA_TYPES, DISCORD, SERVICE, data_of, with_a_cause};

/// Where Discord says what its events hold.
const GATEWAY: &str = "https://discord.com/developers/docs/events/gateway-events";

/// The index.
pub(super) fn index() -> Written {
    let mut page = Page::new("Reference");
    page.paragraph(
        "Everything that a template can use. `template-worker init` writes a template whose editor knows all of it; the same types \
         are in [types](../../types/template-worker.d.luau).",
    );
    let objects = pages::index();
    let objects = objects
        .iter()
        .map(|(object, file, subject)| [format!("[`ctx.{}`]({file})", object.path), cell(subject)]);
    let rows =
        [["[`ctx`, the event, and globals](context.md)".to_owned(), "what every template gets".to_owned()]];
    let rest = [
        ["[Modules](modules.md)", "what a template can `require`"],
        ["[Events](events.md)", "what a template can listen to, and what it is told"],
        ["[Capabilities](capabilities.md)", "what a guild's admin can allow a template"],
        ["[Limits](../limits.md)", "what is bounded, and what happens there"],
    ];
    let rows = rows.into_iter().chain(objects).chain(rest.map(|row| row.map(str::to_owned)));
    page.table(["page", "what"], rows);
    Written::new("README.md", page.done())
}

/// Every event.
pub(super) fn events() -> Written {
    let mut page = Page::new("Events");
    page.paragraph(
        "A template says in `events` of its `template.toml` what it listens to: the name of an event (`MESSAGE_CREATE`); a base \
         name (`Discord`, `AntiRaid`, `Custom`) for all of them; and either of these with a scope, as in `KeyExpiry[reminders]`, \
         for events of that scope alone. Without a scope it gets all of them.",
    );
    page.paragraph(
        "What a handler gets is described in [`ctx`, the event, and globals](context.md#the-event).",
    );

    page.heading(2, "AntiRaid: events of the service");
    for event in SERVICE {
        page.heading(3, &format!("`{}`", event.name));
        page.paragraph(event.doc);
        if let Some(scopes) = event.scopes {
            page.paragraph(&format!("Its scopes are {scopes}."));
        }
        page.paragraph(&format!(
            "The type of the event is `{}`, that of its data `{}`:",
            surface::event_type(event.name),
            event.name
        ));
        page.fields(event.data, &|text| text.to_owned());
    }

    page.heading(2, "Custom: events of anybody");
    let prefixes = surface::listed(CUSTOM_PREFIXES.iter().map(|prefix| format!("`{prefix}`")));
    page.paragraph(&format!(
        "Any name that starts with {prefixes} can be sent over the HTTP API, with any data."
    ));

    page.heading(2, "Discord: events of the guild");
    page.paragraph(
        "What Discord's gateway sends, as it sends it. The service has no connection to the gateway yet: a client of the \
         operator's own [passes these events on](../quick-start-operator.md#connect-your-bot). An event of no guild is not \
         for templates, and neither are `GUILD_CREATE` and `GUILD_DELETE`, which tell the service in which guilds the bot is.",
    );
    page.paragraph(&format!(
        "Nor do templates get an event that the bot caused itself, where its data says so: {}. The data of the others does not \
         say who caused them; of `INTERACTION_CREATE` it never is the bot.",
        surface::listed(with_a_cause().map(code))
    ));
    let rows = DISCORD.iter().map(|name| {
        let anchor = name.to_lowercase().replace('_', "-");
        [
            code(name),
            code(&surface::event_type(name)),
            code(data_of(name)),
            format!("[what it holds]({GATEWAY}#{anchor})"),
        ]
    });
    page.table(["event", "type", "type of its data", "Discord says"], rows);
    page.paragraph(
        "Names of earlier years, such as the templates of 2025 have, go on working in `events` and as keys of handlers. \
         `event.name` is that of the event: code that compares it with an old name has to compare it with the new one.",
    );
    page.table(["old name", "event"], ALIASES.iter().map(|(old, new)| [code(old), code(new)]));
    page.paragraph("The types of what events hold and no call gives; the others are with [`ctx.Discord`](discord.md#types).");
    for ty in DATA_TYPES {
        page.ty(3, ty, &|text| text.to_owned(), &|_| Vec::new());
    }
    Written::new("events.md", page.done())
}

/// Every capability.
pub(super) fn capabilities() -> Written {
    let mut page = Page::new("Capabilities");
    page.paragraph(
        "A template can do nothing to the outside that it was not allowed. What it wants stands in `capabilities` of its \
         `template.toml`, and what it has is what the guild's admin put there when the template was stored. The operator of the \
         service may have left some out for everybody. A wider one covers a narrower one, so `kv:*` covers `kv:get:greeting`.",
    );
    page.paragraph(
        "What stands in braces is filled in: `{key}` and `{scope}` by any text, `{op}` and the others by a name that there is. A \
         `*` stands for everything after the last colon, as in `kv:get:*`; it is not part of a key.",
    );
    let rows = CLOSED_LIST.iter().map(|entry| {
        let calls: Vec<String> = surface::calls()
            .filter(|(_, declared)| entry.stands_for(declared.capability))
            .map(|(object, declared)| format!("`{object}:{}`", declared.function.name))
            .collect();
        let calls = match calls.len() {
            0 => String::new(),
            1..=12 => calls.join(", "),
            many => format!("{many} functions"),
        };
        [code(entry.form), cell(entry.allows), calls]
    });
    page.table(["capability", "allows", "functions that say so"], rows);
    Written::new("capabilities.md", page.done())
}
