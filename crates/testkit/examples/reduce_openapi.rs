//! Reduces Discord's published description to what the simulator serves; how to run it is in
//! `crates/testkit/discord/README.md`.

use std::io::{self, Read, Write};

fn main() -> io::Result<()> {
    let mut published = String::new();
    io::stdin().read_to_string(&mut published)?;
    let published = serde_json::from_str(&published)?;
    io::stdout().write_all(testkit::discord::reduce(&published).as_bytes())
}
