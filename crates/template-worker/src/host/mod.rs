//! The serving side of what templates ask of the world.
//!
//! Owns the services; who may call them is decided before they are reached.

pub mod discord;
