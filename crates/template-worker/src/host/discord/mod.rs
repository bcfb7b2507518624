//! Everything behind `ctx.Discord`.

pub mod methods;
pub mod shapes;
pub mod table;
pub mod validate;
