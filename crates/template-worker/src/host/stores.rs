//! `ctx.DataStores`, served.

use std::fmt;

use khronos::KhronosValue;
use time::OffsetDateTime;

use super::HostReply;
use super::calls::{CopyCall, LinksCall, StatsCall};
use crate::config::LinksConfig;
use crate::events;

/// Serves the stores that need nothing but memory.
pub struct Stores {
    links: LinksConfig,
    started: OffsetDateTime,
    guilds: Box<dyn Fn() -> usize + Send + Sync>,
}

impl Stores {
    /// `guilds` tells how many guilds have a VM right now.
    pub fn new(links: LinksConfig, guilds: impl Fn() -> usize + Send + Sync + 'static) -> Self {
        Self { links, started: OffsetDateTime::now_utc(), guilds: Box::new(guilds) }
    }

    pub(super) fn stats(&self, call: &StatsCall) -> HostReply {
        let StatsCall::Stats {} = call;
        let guilds = i64::try_from((self.guilds)()).unwrap_or(i64::MAX);
        HostReply::value([
            ("total_cached_guilds", KhronosValue::Integer(guilds)),
            ("total_guilds", KhronosValue::Integer(guilds)),
            ("total_users", KhronosValue::Integer(0)),
            ("last_started_at", KhronosValue::Integer(self.started.unix_timestamp())),
        ])
    }

    pub(super) fn links(&self, call: &LinksCall) -> HostReply {
        match call {
            LinksCall::Links {} => HostReply::value([
                ("support_server", self.links.support_server.clone().into()),
                ("api_url", self.links.api_url.clone().into()),
                ("frontend_url", self.links.frontend_url.clone().into()),
                ("docs_url", self.links.docs_url.clone().into()),
            ]),
            LinksCall::EventList {} => {
                let names = events::ANTIRAID.iter().chain(events::DISCORD);
                HostReply::value(names.copied().collect::<Vec<_>>())
            }
        }
    }

    pub(super) fn copy(call: CopyCall) -> HostReply {
        let (CopyCall::Copy { value } | CopyCall::CopySync { value }) = call;
        HostReply::Values(vec![value])
    }
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stores").field("links", &self.links).finish_non_exhaustive()
    }
}
