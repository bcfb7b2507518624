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

/// Every method that there is.
pub fn all() -> impl Iterator<Item = &'static Method> {
    FAMILIES.iter().flat_map(|family| family.iter())
}

/// The method with this name.
pub fn find(name: &str) -> Option<&'static Method> {
    all().find(|method| method.name == name)
}
