//! Buttons, select menus, and the rows that they stand in.

use serde_json::{Map, Value};

use super::super::validate::{Rule, Shape, Thing, Wrong, shape};

/// The rows of a message.
pub const ROWS: Rule = Rule::List(&Rule::Object(&ROW), 0, 5);
/// The rows of a form.
pub const MODAL_ROWS: Rule = Rule::List(&Rule::Object(&MODAL_ROW), 1, 5);

/// A row of a message.
pub const ROW: Shape = shape!("DiscordActionRow", "A row of a message: up to five buttons, or one menu.", {
    type: "number" = Rule::Choice(&[1]), "`1`.";
    id: "number?" = Rule::Integer(0, 0x7FFF_FFFF), "A number to tell it from others.";
    components: "{DiscordButton | DiscordTextSelect | DiscordSelect}" = Rule::List(
        &Rule::Tagged("type", &[
            (2, &BUTTON), (3, &TEXT_SELECT), (5, &SELECT), (6, &SELECT), (7, &SELECT), (8, &SELECT),
        ]), 1, 5), "What is in it.";
})
.with(one_menu_or_five_buttons);

/// A button.
pub const BUTTON: Shape = shape!("DiscordButton", "A button.", {
    type: "number" = Rule::Choice(&[2]), "`2`.";
    id: "number?" = Rule::Integer(0, 0x7FFF_FFFF), "A number to tell it from others.";
    style: "number" = Rule::Choice(&[1, 2, 3, 4, 5]), "1 blue, 2 grey, 3 green, 4 red, 5 a link.";
    label: "string?" = Rule::Text(0, 80), "What it says.";
    emoji: "DiscordPartialEmoji?" = Rule::Object(&EMOJI), "An emoji before that.";
    custom_id: "string?" = Rule::Text(1, 100), "What the interaction says of it; not for links.";
    url: "string?" = Rule::Link, "Where a link leads.";
    disabled: "boolean?" = Rule::Boolean, "Whether it cannot be pressed.";
})
.with(|button| {
    let has = |key: &str| button.get(key).is_some();
    let is_link = button.get("style").and_then(Value::as_i64) == Some(5);
    match (is_link, has("custom_id"), has("url")) {
        (true, _, false) => Err(Wrong::at("url", "is missing: a button with style 5 is a link")),
        (true, true, _) => Err(Wrong::at("custom_id", "is of no use: a button with style 5 is a link")),
        (false, _, true) => Err(Wrong::at("url", "is of no use: only a button with style 5 is a link")),
        (false, false, _) => Err(Wrong::at("custom_id", "is missing")),
        _ => Ok(()),
    }
});

/// A menu of texts.
pub const TEXT_SELECT: Shape = shape!("DiscordTextSelect", "A menu of texts.", {
    type: "number" = Rule::Choice(&[3]), "`3`.";
    id: "number?" = Rule::Integer(0, 0x7FFF_FFFF), "A number to tell it from others.";
    custom_id: "string" = Rule::Text(1, 100), "What the interaction says of it.";
    options: "{DiscordSelectChoice}" = Rule::List(&Rule::Object(&CHOICE), 1, 25), "What can be chosen.";
    placeholder: "string?" = Rule::Text(0, 150), "What it says while nothing is chosen.";
    min_values: "number?" = Rule::Integer(0, 25), "The least that has to be chosen.";
    max_values: "number?" = Rule::Integer(1, 25), "The most that can be chosen.";
    disabled: "boolean?" = Rule::Boolean, "Whether it cannot be used.";
});

/// A menu of users, roles or channels.
pub const SELECT: Shape = shape!("DiscordSelect", "A menu of users, roles or channels.", {
    type: "number" = Rule::Choice(&[5, 6, 7, 8]), "5 users, 6 roles, 7 both, 8 channels.";
    id: "number?" = Rule::Integer(0, 0x7FFF_FFFF), "A number to tell it from others.";
    custom_id: "string" = Rule::Text(1, 100), "What the interaction says of it.";
    placeholder: "string?" = Rule::Text(0, 150), "What it says while nothing is chosen.";
    default_values: "{DiscordDefaultValue}?" = Rule::List(&Rule::Object(&DEFAULT_VALUE), 0, 25), "What is chosen at first.";
    channel_types: "{number}?" = Rule::List(&Rule::Integer(0, 20), 0, 20), "Which types of channels are shown.";
    min_values: "number?" = Rule::Integer(0, 25), "The least that has to be chosen.";
    max_values: "number?" = Rule::Integer(1, 25), "The most that can be chosen.";
    disabled: "boolean?" = Rule::Boolean, "Whether it cannot be used.";
});

/// What can be chosen in a menu.
pub const CHOICE: Shape = shape!("DiscordSelectChoice", "What can be chosen in a menu of texts.", {
    label: "string" = Rule::Text(1, 100), "What it says.";
    value: "string" = Rule::Text(1, 100), "What the interaction says of it.";
    description: "string?" = Rule::Text(0, 100), "More about it.";
    emoji: "DiscordPartialEmoji?" = Rule::Object(&EMOJI), "An emoji before it.";
    default: "boolean?" = Rule::Boolean, "Whether it is chosen at first.";
});

/// What is chosen in a menu at first.
pub const DEFAULT_VALUE: Shape = shape!("DiscordDefaultValue", "What is chosen in a menu at first.", {
    id: "string" = Rule::Id(Thing::Other), "The id of it.";
    type: "string" = Rule::Word(&["user", "role", "channel"]), "What it is.";
});

/// An emoji in a component.
pub const EMOJI: Shape = shape!("DiscordPartialEmoji", "An emoji of a button or a choice.", {
    id: "(string | DiscordNull)?" = Rule::OrNull(&Rule::Id(Thing::Other)), "The id of an emoji of a guild.";
    name: "string?" = Rule::Text(0, 64), "Its name, or the character itself.";
    animated: "boolean?" = Rule::Boolean, "Whether it moves.";
});

/// A row of a form.
pub const MODAL_ROW: Shape = shape!("DiscordModalRow", "A row of a form: one field for text.", {
    type: "number" = Rule::Choice(&[1]), "`1`.";
    components: "{DiscordTextInput}" = Rule::List(&Rule::Object(&TEXT_INPUT), 1, 1), "The field.";
});

/// A field for text.
pub const TEXT_INPUT: Shape = shape!("DiscordTextInput", "A field for text in a form.", {
    type: "number" = Rule::Choice(&[4]), "`4`.";
    custom_id: "string" = Rule::Text(1, 100), "What the interaction says of it.";
    style: "number" = Rule::Choice(&[1, 2]), "1 one line, 2 several.";
    label: "string" = Rule::Text(1, 45), "What it asks for.";
    min_length: "number?" = Rule::Integer(0, 4000), "The least characters.";
    max_length: "number?" = Rule::Integer(1, 4000), "The most characters.";
    required: "boolean?" = Rule::Boolean, "Whether it has to be filled in.";
    value: "string?" = Rule::Text(0, 4000), "What is in it at first.";
    placeholder: "string?" = Rule::Text(0, 100), "What is shown while it is empty.";
});

fn one_menu_or_five_buttons(row: &mut Map<String, Value>) -> Result<(), Wrong> {
    let inside = row.get("components").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let menus = inside.iter().filter(|one| one.get("type").and_then(Value::as_i64) != Some(2)).count();
    if menus == 0 || inside.len() == 1 {
        return Ok(());
    }
    Err(Wrong::at("components", "mixes a menu with others: a row holds up to five buttons, or one menu"))
}
