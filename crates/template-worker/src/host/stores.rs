//! `ctx.DataStores`, served.

use std::sync::Arc;

use khronos::KhronosValue;
use time::OffsetDateTime;

use super::calls::{CopyCall, LinksCall, StatsCall};
use super::{HostReply, Service};
use crate::config::LinksConfig;
use crate::events;

/// Serves the stores that need nothing but memory.
#[derive(Debug)]
pub struct Stores {
    links: LinksConfig,
    started: OffsetDateTime,
    service: Arc<dyn Service>,
}

impl Stores {
    /// The stores of a service that starts now.
    pub fn new(links: LinksConfig, service: Arc<dyn Service>) -> Self {
        Self { links, started: OffsetDateTime::now_utc(), service }
    }

    pub(super) fn stats(&self, call: &StatsCall) -> HostReply {
        let StatsCall::Stats {} = call;
        let guilds = i64::try_from(self.service.guilds()).unwrap_or(i64::MAX);
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
