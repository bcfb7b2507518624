//! The rows of the table: every method of `ctx.Discord`, one file a family.
//!
//! Owns that there is one list of them. A row says everything about its method; what the columns mean is in `table`.

mod antiraid;
mod automod;
mod channels;
mod commands;
mod guild;
mod interactions;
mod invites;
mod members;
mod messages;
mod moderation;
mod reactions;
mod roles;
mod webhooks;

#[cfg(test)]
mod tests;

use super::super::calls::Declared;
use super::table::Method;
use super::validate::Rule;

/// Every method, by family.
const FAMILIES: &[&[Method]] = &[
    antiraid::METHODS,
    automod::METHODS,
    channels::METHODS,
    commands::METHODS,
    guild::METHODS,
    interactions::METHODS,
    invites::METHODS,
    members::METHODS,
    messages::METHODS,
    moderation::METHODS,
    reactions::METHODS,
    roles::METHODS,
    webhooks::METHODS,
];

/// The reason of an entry in the audit log.
pub(super) const REASON: Rule = Rule::Text(1, 512);

const COUNT: usize = {
    let (mut count, mut family) = (0, 0);
    while family < FAMILIES.len() {
        count += FAMILIES[family].len();
        family += 1;
    }
    count
};

/// Every method that there is.
pub const ALL: &[Method] = &{
    let mut table = [FAMILIES[0][0]; COUNT];
    let (mut at, mut family) = (0, 0);
    while family < FAMILIES.len() {
        let mut row = 0;
        while row < FAMILIES[family].len() {
            table[at] = FAMILIES[family][row];
            at += 1;
            row += 1;
        }
        family += 1;
    }
    table
};

/// Their names, in the same order.
pub const NAMES: &[&str] = &{
    let mut names = [""; COUNT];
    let mut at = 0;
    while at < COUNT {
        names[at] = ALL[at].name;
        at += 1;
    }
    names
};

/// How scripts see them, in the same order.
pub const DECLARED: &[Declared] = &{
    let mut declared = [ALL[0].declare(); COUNT];
    let mut at = 0;
    while at < COUNT {
        declared[at] = ALL[at].declare();
        at += 1;
    }
    declared
};

/// The method with this name.
pub fn find(name: &str) -> Option<&'static Method> {
    ALL.iter().find(|method| method.name == name)
}
