//! The serving side of host calls: what a template's context does to the world is done here.
//!
//! Owns the services, one folder each. They know guilds and limits, but neither Luau nor who is calling over which wire.

pub mod http;
