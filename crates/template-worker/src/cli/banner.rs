//! What `serve` prints when it is ready: where it listens, the first token, and commands to try.
//!
//! Owns the text. The commands work as they are printed, wherever they are pasted: the template stands in them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use super::first_token::{AdminToken, VARIABLE};

/// The variable that holds a token for commands.
const TOKEN: &str = "TEMPLATE_WORKER_TOKEN";
/// The guild of the example events.
const GUILD: &str = "818880986845679757";
/// `examples/ping` without its comments and types. No single quotes: it stands between two in a shell.
const PING: &str = r#"{"files": {"init.luau": "return function(event) return if event.data.content == \"!ping\" then \"pong\" else nil end"}, "events": ["MESSAGE_CREATE"], "capabilities": []}"#;
const EVENT: &str = r#"{"name": "MESSAGE_CREATE", "data": {"content": "!ping"}}"#;

/// The text for a service that listens on `address` and keeps what it is given in `data`.
pub(super) fn banner(address: SocketAddr, data: &Path, token: &AdminToken) -> String {
    let url = format!("http://{}", reachable(address));
    let mut text = format!(
        "template-worker listens on http://{address}\nAPI docs: {url}/docs\nData folder: {}\n\n",
        data.display()
    );
    let variable = match token {
        AdminToken::Generated(secret) => {
            text.push_str(&format!(
                "The first admin token. It is shown this once, so keep it:\n\n  export {TOKEN}={}\n\n",
                secret.reveal()
            ));
            TOKEN
        }
        AdminToken::Chosen { added } => {
            let stored = if *added { "is stored from now on" } else { "is stored already" };
            text.push_str(&format!("The admin token of {VARIABLE} {stored}.\n\n"));
            VARIABLE
        }
        AdminToken::Known { usable } => {
            let known = if *usable { "Tokens were made before" } else { "No admin token works any more" };
            text.push_str(&format!(
                "{known}; this makes one (with the same `--data` and `--config`):\n\n  \
                 export {TOKEN}=$(template-worker token create --admin --name me)\n\n"
            ));
            TOKEN
        }
    };
    text.push_str("Try it in another terminal, with that variable set: store the ping example, and send it an event.\n\n");
    text.push_str(&commands(&url, variable));
    text.push_str("\nThe last line has \"pong\" in it. Ctrl-C stops the service.\n");
    text
}

fn commands(url: &str, variable: &str) -> String {
    let guild = format!("{url}/api/v1/guilds/{GUILD}");
    let headers = format!("-H \"Authorization: Bearer ${variable}\" -H 'Content-Type: application/json'");
    let curl = "  curl -sS -w '\\n'";
    format!(
        "{curl} -X PUT '{guild}/templates/ping' \\\n    {headers} \\\n    -d '{PING}'\n\
         {curl} '{guild}/events?wait=true' \\\n    {headers} \\\n    -d '{EVENT}'\n"
    )
}

/// An address that a client on this machine can dial: nobody can dial "all addresses" everywhere.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::TokenSecret;

    fn text(address: &str, token: &AdminToken) -> String {
        banner(address.parse().unwrap(), Path::new("./data"), token)
    }

    #[test]
    fn a_generated_token_is_printed_once_and_a_chosen_one_never() {
        let secret = TokenSecret::generate().unwrap();
        let shown = text("127.0.0.1:7700", &AdminToken::Generated(secret.clone()));
        assert_eq!(shown.matches(secret.reveal()).count(), 1, "{shown}");
        assert!(shown.contains("http://127.0.0.1:7700/docs"), "{shown}");
        let shown = text("127.0.0.1:7700", &AdminToken::Chosen { added: true });
        assert!(shown.contains("Bearer $TEMPLATE_WORKER_ADMIN_TOKEN\""), "{shown}");
    }

    #[test]
    fn the_commands_are_whole_shell_words_and_whole_json() {
        for json in [PING, EVENT] {
            assert!(!json.contains('\''));
            serde_json::from_str::<serde_json::Value>(json).unwrap();
        }
        let commands = commands("http://127.0.0.1:7700", TOKEN);
        assert_eq!(commands.matches('\'').count() % 2, 0, "{commands}");
        let mut lines = commands.lines();
        assert!(lines.next().is_some_and(|line| line.ends_with(" \\")), "{commands}");
    }

    #[test]
    fn the_commands_dial_an_address_that_can_be_dialled() {
        let shown = text("0.0.0.0:80", &AdminToken::Known { usable: true });
        assert!(shown.starts_with("template-worker listens on http://0.0.0.0:80\n"), "{shown}");
        assert!(shown.contains("'http://127.0.0.1:80/api/v1/guilds/"), "{shown}");
        let shown = text("[::]:80", &AdminToken::Known { usable: false });
        assert!(shown.contains("http://[::1]:80/docs"), "{shown}");
    }
}
