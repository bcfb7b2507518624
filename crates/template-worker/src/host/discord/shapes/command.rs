//! Commands of the guild.

use serde_json::{Map, Value};

use super::super::validate::{Rule, Shape, Wrong, shape};

/// Characters of a command's names, descriptions and values together.
const MOST_CHARACTERS: usize = 8000;

const NAME: Rule = Rule::Text(1, 32);
const DESCRIPTION: Rule = Rule::Text(1, 100);
const NUMBER: Rule = Rule::Number(-9_007_199_254_740_992.0, 9_007_199_254_740_992.0);
const CHOICES: Rule = Rule::List(&Rule::Object(&CHOICE), 0, 25);

/// A command.
pub const COMMAND: Shape = shape!("DiscordCreateCommand", "A command of the guild.", {
    name: "string" = NAME, "Its name: lower case without blanks, where it is one with a slash.";
    name_localizations: "{ [string]: string }?" = Rule::OrNull(&Rule::Languages(&NAME)), "The same in other languages.";
    description: "string?" = Rule::Text(0, 100), "What it does; needed where it is one with a slash.";
    description_localizations: "{ [string]: string }?" = Rule::OrNull(&Rule::Languages(&DESCRIPTION)), "The same in other languages.";
    options: "{DiscordCommandOption}?" = Rule::List(&Rule::Object(&OPTION), 0, 25), "What it takes.";
    default_member_permissions: "(string | number | DiscordNull)?" = Rule::OrNull(&Rule::Permissions), "What a member has to be allowed to use it.";
    type: "number?" = Rule::Choice(&[1, 2, 3]), "1 with a slash, 2 on a user, 3 on a message.";
    nsfw: "boolean?" = Rule::Boolean, "Whether it is for adults.";
    contexts: "{number}?" = Rule::OrNull(&Rule::List(&Rule::Choice(&[0, 1, 2]), 1, 3)), "Where it can be used: 0 guilds, 1 messages to the bot, 2 messages among users. One of a guild is used there.";
    integration_types: "{number}?" = Rule::OrNull(&Rule::List(&Rule::Choice(&[0, 1]), 1, 2)), "For whom the bot was added: 0 guilds, 1 users.";
    dm_permission: "(boolean | DiscordNull)?" = Rule::OrNull(&Rule::Boolean), "Whether it can be used in messages to the bot; of no meaning to one of a guild.";
})
.with(|command| {
    let has_slash = command.get("type").and_then(Value::as_i64).unwrap_or(1) == 1;
    let description = command.get("description").and_then(Value::as_str).unwrap_or_default();
    match (has_slash, description.is_empty()) {
        (true, true) => return Err(Wrong::at("description", "is missing: a command with a slash has one")),
        (false, false) => {
            return Err(Wrong::at("description", "is of no use: only a command with a slash has one"));
        }
        _ => {}
    }
    if has_slash {
        check_name(command)?;
    }
    let characters = characters(&Value::Object(command.clone()));
    if characters > MOST_CHARACTERS {
        let what = format!("has {characters} characters: Discord takes at most {MOST_CHARACTERS} in a command");
        return Err(Wrong::here(what));
    }
    Ok(())
});

/// What a command takes, one shape for each of the three levels that there are.
macro_rules! option {
    ($(#[$doc:meta])* $const:ident = $name:literal, $types:expr $(, $inner:literal $of:expr)?) => {
        $(#[$doc])*
        pub const $const: Shape = shape!($name, "What a command takes.", {
            type: "number" = Rule::Choice($types),
                "1 a command below, 2 a group of them, 3 text, 4 whole number, 5 boolean, 6 user, 7 channel, 8 role, 9 user or role, 10 number, 11 file.";
            name: "string" = NAME, "Its name, lower case without blanks.";
            name_localizations: "{ [string]: string }?" = Rule::OrNull(&Rule::Languages(&NAME)), "The same in other languages.";
            description: "string" = DESCRIPTION, "What it is.";
            description_localizations: "{ [string]: string }?" = Rule::OrNull(&Rule::Languages(&DESCRIPTION)), "The same in other languages.";
            required: "boolean?" = Rule::Boolean, "Whether it has to be given.";
            choices: "{DiscordCommandChoice}?" = CHOICES, "What can be chosen.";
            $( options: $inner = Rule::List(&Rule::Object($of), 0, 25), "What it takes itself."; )?
            channel_types: "{number}?" = Rule::List(&Rule::Integer(0, 20), 0, 20), "Which types of channels are shown.";
            min_value: "number?" = NUMBER, "The least number.";
            max_value: "number?" = NUMBER, "The largest number.";
            min_length: "number?" = Rule::Integer(0, 6000), "The least characters.";
            max_length: "number?" = Rule::Integer(1, 6000), "The most characters.";
            autocomplete: "boolean?" = Rule::Boolean, "Whether the template is asked for choices.";
        })
        .with(check_name);
    };
}

option!(
    /// What a command takes: values, commands below it, or groups of them.
    OPTION = "DiscordCommandOption", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
    "{DiscordCommandOptionInGroup}?" &OPTION_IN_GROUP
);
option!(
    /// What a command below takes: values; or a command of a group.
    OPTION_IN_GROUP = "DiscordCommandOptionInGroup", &[1, 3, 4, 5, 6, 7, 8, 9, 10, 11],
    "{DiscordCommandOptionInside}?" &OPTION_INSIDE
);
option!(
    /// A value of a command in a group.
    OPTION_INSIDE = "DiscordCommandOptionInside", &[3, 4, 5, 6, 7, 8, 9, 10, 11]
);

/// What can be chosen.
pub const CHOICE: Shape = shape!("DiscordCommandChoice", "What can be chosen for an option.", {
    name: "string" = Rule::Text(1, 100), "What it says.";
    name_localizations: "{ [string]: string }?" = Rule::OrNull(&Rule::Languages(&Rule::Text(1, 100))), "The same in other languages.";
    value: "string | number" = Rule::Either(&Rule::Text(1, 100), &NUMBER), "What the interaction says of it.";
});

/// Lower case, no blanks.
fn check_name(table: &mut Map<String, Value>) -> Result<(), Wrong> {
    let name = table.get("name").and_then(Value::as_str).unwrap_or_default();
    let fits = |char: char| char.is_alphanumeric() || "-_'".contains(char) || !char.is_ascii();
    if name.chars().all(fits) && name.to_lowercase() == name && !name.contains(char::is_whitespace) {
        return Ok(());
    }
    Err(Wrong::at("name", "has to be lower case, of letters, digits, `-` and `_`"))
}

/// Characters of texts, however deep.
fn characters(value: &Value) -> usize {
    match value {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.iter().map(characters).sum(),
        Value::Object(table) => {
            let counts = |key: &str| ["name", "description", "value", "options", "choices"].contains(&key);
            table.iter().filter(|(key, _)| counts(key)).map(|(_, value)| characters(value)).sum()
        }
        _ => 0,
    }
}
