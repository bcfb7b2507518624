//! What `[discord]` has: whose bot it is, and where Discord is.

use super::secret::Secret;
use crate::ids::UserId;
use crate::settings::{BadSetting, settings};

settings! {
    /// The bot on Discord.
    #[derive(Eq)]
    pub struct DiscordConfig {
        /// The bot's token; empty for none, and templates cannot reach Discord. Never shown; best set by the environment.
        pub token: Secret = Secret::default();
        /// Where Discord's API is: its own address, or that of a proxy that stands before it.
        pub address: String = "https://discord.com".to_owned();
        /// The id of the application that the bot belongs to; empty asks Discord.
        pub application_id: String = String::new();
    }
}

impl DiscordConfig {
    /// The token, where there is one.
    pub fn token(&self) -> Option<&str> {
        self.token.reveal()
    }

    /// Host and port, and whether they are reached without encryption.
    pub fn host(&self) -> (&str, bool) {
        match self.address.strip_prefix("http://") {
            Some(host) => (host, true),
            None => (self.address.strip_prefix("https://").unwrap_or(&self.address), false),
        }
    }

    /// The application's id, where it is set.
    pub fn application(&self) -> Option<u64> {
        self.application_id.parse::<UserId>().ok().map(UserId::get)
    }

    pub(super) fn validate(&self) -> Result<(), BadSetting> {
        let bad = |key, value: &str, expected: &str| {
            Err(BadSetting { key, value: format!("`{value}`"), expected: expected.to_owned() })
        };
        if self.token.is_hidden() {
            return bad(
                "token",
                "(hidden)",
                "use the token itself; this only stands for it where it is shown",
            );
        }
        if self.token().is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic())) {
            return bad(
                "token",
                "(hidden)",
                "use the bot's token as Discord shows it, without blanks and \"Bot\"",
            );
        }
        let (host, _) = self.host();
        let has_scheme = self.address.starts_with("http://") || self.address.starts_with("https://");
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        if !has_scheme || host.is_empty() || !host.bytes().all(plain) {
            return bad(
                "address",
                &self.address,
                "use an address without a path, such as https://discord.com",
            );
        }
        if !self.application_id.is_empty() && self.application().is_none() {
            return bad("application_id", &self.application_id, "use the digits of the id, or \"\"");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_discord_has_a_scheme_and_no_path_and_a_token_no_blanks() {
        let discord = |token: &str, address: &str, application_id: &str| {
            let (token, address) = (Secret::from(token), address.to_owned());
            DiscordConfig { token, address, application_id: application_id.to_owned() }
        };
        let fine = discord("a.b.c", "http://127.0.0.1:3221", "12");
        assert_eq!(
            (fine.validate(), fine.host(), fine.application()),
            (Ok(()), ("127.0.0.1:3221", true), Some(12))
        );
        assert_eq!(DiscordConfig::default().host(), ("discord.com", false));
        for (token, address, application) in [
            ("Bot a.b.c", "https://discord.com", ""),
            ("(hidden)", "https://discord.com", ""),
            ("", "discord.com", ""),
            ("", "https://discord.com/api", ""),
            ("", "https://user@discord.com", ""),
            ("", "https://", ""),
            ("", "https://discord.com", "me"),
        ] {
            let error = discord(token, address, application).validate().unwrap_err().to_string();
            assert!(!error.contains("a.b.c"), "{error}");
        }
    }
}
