//! `token`: making, listing and revoking access tokens, in the database of the data folder, also while the service
//! runs on it.

use std::io::Write;

use anyhow::Context;
use clap::{ArgGroup, Subcommand};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::config::{Config, Sources};
use crate::ids::{GuildId, TokenId};
use crate::storage::{Right, Storage, Token, TokenOwner, TokenSecret};

use super::console::{Console, Exit, Failure, plain};
use super::data_folder::{self, DataFolder};

const HELP: &str = "\
Works on the database in the data folder, also while the service runs; a change counts from the next request on.

Examples:
  template-worker token create --admin --name alice
  template-worker token create --guild 818880986845679757 --rights templates:write,events:dispatch \\
      --name dashboard --expires-in 30d
  template-worker token list
  template-worker token revoke 0199e4c4-7d5c-7e0e-9b1f-2f6f3c6a7b10

Exit codes:
  0  done
  1  it failed, and said why
  2  the command line is wrong
";

const CREATE_HELP: &str = "\
Prints the token, and nothing else, to stdout: the one time that it can be seen.

Rights: templates:read, templates:write, events:dispatch, vm:manage, kv:read, kv:write, logs:read,
secrets:write

Examples:
  TOKEN=$(template-worker token create --admin --name alice)
  template-worker token create --guild 818880986845679757 --rights events:dispatch --name bot --expires-in 30d

Exit codes:
  0  made
  1  it failed, and said why
  2  the command line is wrong
";

const LIST_HELP: &str = "\
Example:
  template-worker token list

Exit codes:
  0  printed
  1  it failed, and said why
  2  the command line is wrong
";

const REVOKE_HELP: &str = "\
Example:
  template-worker token revoke 0199e4c4-7d5c-7e0e-9b1f-2f6f3c6a7b10

Exit codes:
  0  the token is useless now
  1  there is no such token, or it failed and said why
  2  the command line is wrong
";

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a token and print it
    #[command(after_help = CREATE_HELP, group = ArgGroup::new("owner").required(true))]
    Create {
        /// What to call it, to know it again in the list
        #[arg(long, value_parser = name)]
        name: String,
        /// A token of the operator's, which may do everything
        #[arg(long, group = "owner")]
        admin: bool,
        /// A token of this guild's
        #[arg(long, value_name = "ID", group = "owner", requires = "rights")]
        guild: Option<GuildId>,
        /// What a guild's token may do, separated by commas
        #[arg(long, value_delimiter = ',', requires = "guild")]
        rights: Vec<Right>,
        /// From when on it is useless, such as 90m, 12h, 30d or 52w from now; never, where this isn't given
        #[arg(long, value_name = "TIME", value_parser = lifetime)]
        expires_in: Option<Duration>,
        #[command(flatten)]
        data: DataFolder,
    },
    /// Show all tokens, without their secrets
    #[command(after_help = LIST_HELP)]
    List {
        #[command(flatten)]
        data: DataFolder,
    },
    /// Make a token useless
    #[command(after_help = REVOKE_HELP)]
    Revoke {
        /// Its id, as `token list` shows it
        id: TokenId,
        #[command(flatten)]
        data: DataFolder,
    },
}

pub(super) fn run(args: Args, sources: Sources, console: &mut Console<'_>) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match args.command {
            Command::Create { name, admin: _, guild, rights, expires_in, data } => {
                let config = Config::load(data.add_to(sources))?.config;
                let owner = guild.map_or(TokenOwner::Admin, |guild| TokenOwner::Guild {
                    guild,
                    rights: rights.into_iter().collect(),
                });
                let new = data_folder::must_exist(&config).is_err();
                let storage = data_folder::open(&config).await?;
                let done = create(&storage, name, owner, expires_in, console).await;
                storage.close().await;
                if new {
                    writeln!(console.err, "the data folder {} is new", config.storage.data.display())?;
                }
                done
            }
            Command::List { data } => {
                let config = Config::load(data.add_to(sources))?.config;
                data_folder::must_exist(&config)?;
                let storage = data_folder::open(&config).await?;
                let tokens = storage.list_tokens().await;
                storage.close().await;
                list(&tokens?, OffsetDateTime::now_utc(), console.out)?;
                Ok(Exit::Success)
            }
            Command::Revoke { id, data } => {
                let config = Config::load(data.add_to(sources))?.config;
                data_folder::must_exist(&config)?;
                let storage = data_folder::open(&config).await?;
                let revoked = storage.revoke_token(id).await;
                storage.close().await;
                if !revoked? {
                    let hint = "`template-worker token list` shows the ids of all tokens";
                    return Err(Failure::new(
                        format!("failed to revoke the token {id}: there is none"),
                        hint,
                    )
                    .into());
                }
                writeln!(console.err, "the token {id} is useless from now on")?;
                Ok(Exit::Success)
            }
        }
    })
}

/// The secret goes to stdout alone, so that a script can take it.
async fn create(
    storage: &dyn Storage,
    name: String,
    owner: TokenOwner,
    expires_in: Option<Duration>,
    console: &mut Console<'_>,
) -> anyhow::Result<Exit> {
    let now = OffsetDateTime::now_utc();
    let end =
        |lifetime| now.checked_add(lifetime).context("failed to make a token: it would expire too late");
    let expires_at = expires_in.map(end).transpose()?;
    let token = Token { id: TokenId::fresh(), name, owner, created_at: now, expires_at, revoked_at: None };
    let secret = TokenSecret::generate()?;
    storage.insert_token(&token, &secret.hash()).await?;
    writeln!(console.err, "the token {} of {}; it is shown this once:", token.id, owner_text(&token.owner))?;
    writeln!(console.out, "{}", secret.reveal())?;
    Ok(Exit::Success)
}

fn list(tokens: &[Token], now: OffsetDateTime, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut rows = vec![["ID", "NAME", "OWNER", "CREATED", "EXPIRES", "STATE"].map(str::to_owned)];
    for token in tokens {
        let state = match (token.revoked_at, token.is_live(now)) {
            (Some(_), _) => "revoked",
            (None, true) => "usable",
            (None, false) => "expired",
        };
        let expires = token.expires_at.map_or(Ok("never".to_owned()), moment)?;
        let created = moment(token.created_at)?;
        // A name comes from whoever made the token, and must not break the table.
        let name = plain(&token.name.replace(['\n', '\t'], " "));
        rows.push([token.id.to_string(), name, owner_text(&token.owner), created, expires, state.to_owned()]);
    }
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..6).map(width).collect();
    for row in &rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

fn owner_text(owner: &TokenOwner) -> String {
    match owner {
        TokenOwner::Admin => "admin".to_owned(),
        TokenOwner::Guild { guild, rights } => {
            let rights: Vec<_> = rights.iter().map(|right| right.as_str()).collect();
            format!("guild {guild} ({})", rights.join(","))
        }
    }
}

fn moment(at: OffsetDateTime) -> anyhow::Result<String> {
    Ok(at.truncate_to_second().format(&Rfc3339)?)
}

/// A name that fits in a line of the list.
fn name(text: &str) -> Result<String, &'static str> {
    let fits = (1..=100).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err("expected 1 to 100 characters in one line") }
}

/// `30d`: a whole number and a unit.
fn lifetime(text: &str) -> Result<Duration, &'static str> {
    const EXPECTED: &str = "expected a number and s, m, h, d or w, such as 12h or 30d, of at most 100 years";
    const UNITS: [(char, i64); 5] = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400), ('w', 604_800)];
    let parsed = UNITS.iter().find_map(|(unit, seconds)| {
        let count: u32 = text.strip_suffix(*unit)?.parse().ok()?;
        Some(Duration::seconds(i64::from(count) * seconds))
    });
    parsed.filter(|time| (Duration::SECOND..=Duration::days(36_525)).contains(time)).ok_or(EXPECTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_a_number_and_a_unit() {
        assert_eq!(lifetime("90s"), Ok(Duration::seconds(90)));
        assert_eq!(lifetime("15m"), Ok(Duration::minutes(15)));
        assert_eq!(lifetime("12h"), Ok(Duration::hours(12)));
        assert_eq!(lifetime("30d"), Ok(Duration::days(30)));
        assert_eq!(lifetime("2w"), Ok(Duration::weeks(2)));
        for wrong in
            ["", "30", "d", "0d", "-1d", "1.5h", "30 d", "1y", "99999d", "4294967295w", "99999999999d"]
        {
            assert!(lifetime(wrong).is_err(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn the_list_has_a_line_a_token_whatever_its_name_is() {
        let now = OffsetDateTime::UNIX_EPOCH + Duration::days(2);
        let token = |name: &str, owner, expires_at, revoked_at| Token {
            id: TokenId::fresh(),
            name: name.to_owned(),
            owner,
            created_at: OffsetDateTime::UNIX_EPOCH,
            expires_at,
            revoked_at,
        };
        let guild = TokenOwner::Guild {
            guild: GuildId::new(42).unwrap(),
            rights: [Right::EventsDispatch, Right::TemplatesRead].into(),
        };
        let tokens = [
            token("mine", TokenOwner::Admin, None, None),
            token("odd\n\u{1b}[2J", guild, Some(now), None),
            token("old", TokenOwner::Admin, None, Some(now)),
        ];
        let mut out = Vec::new();
        list(&tokens, now, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[1].contains("1970-01-01T00:00:00Z  never") && lines[1].ends_with("usable"), "{text}");
        assert!(lines[2].contains("guild 42 (templates:read,events:dispatch)"), "{text}");
        assert!(lines[2].ends_with("expired") && lines[3].ends_with("revoked"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
}
