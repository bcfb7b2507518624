//! The serving side of everything that a template does to the world: who may, how often, and then doing it.
//!
//! Owns the one way of a [`HostCall`]: [`authorise`](Gate::authorise), then its service, then the record of it. It runs in the
//! service's process, whatever the strategy: VMs in a process of their own send their calls here. What scripts see of it is
//! in `plugins`; nothing here knows Luau.
//!
//! `calls` declares what there is. Each family is served in a file or folder of its own.

mod audit;
mod authorise;
pub mod calls;
pub mod captcha;
pub mod discord;
pub mod http;
mod kv;
mod line;
pub mod objects;
mod outside;
mod rate_limits;
pub mod secrets;
mod stores;
mod templates;
#[cfg(test)]
mod tests;

use std::future::Future as _;
use std::sync::Arc;
use std::task::{Context, Waker};

use tokio::runtime::Handle;

use audit::Entry;
pub use authorise::{Gate, HostError};
pub use calls::{HostCall, HostReply};
pub use discord::Discord;
pub use kv::Kv;
pub use line::{Answer, Caller, HostLine, Nowhere};
pub use outside::Outside;
pub use stores::Stores;
pub use templates::{Service, Templates};

use crate::capabilities::Capabilities;
use crate::ids::GuildId;
use crate::metrics::{Count, Metrics, Served};

/// Most calls that are served at the same time, of all guilds.
const MOST_CALLS: usize = 65_536;

/// Serves host calls. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Host(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    gate: Gate,
    services: Services,
    metrics: Arc<Metrics>,
    places: Arc<tokio::sync::Semaphore>,
    /// Where calls are served that take their time.
    runtime: Handle,
}

/// What serves each family.
#[derive(Debug)]
pub struct Services {
    /// `ctx.DataStores`.
    pub stores: Stores,
    /// `ctx.Discord`.
    pub discord: Arc<Discord>,
    /// `ctx.DataStores.TemplateStore`.
    pub templates: Templates,
    /// `ctx.KV`.
    pub kv: Kv,
    /// `ctx.HTTPClient`, `ctx.ObjectStorage`, `ctx.ImageCaptcha` and `ctx.secrets`.
    pub outside: Outside,
}

impl Host {
    /// A host that lets through what `gate` does. To be called on the runtime that it serves on.
    pub fn new(gate: Gate, services: Services, metrics: Arc<Metrics>) -> Self {
        let places = Arc::new(tokio::sync::Semaphore::new(MOST_CALLS));
        Self(Arc::new(Inner { gate, services, metrics, places, runtime: Handle::current() }))
    }

    /// What serves each family.
    pub fn services(&self) -> &Services {
        &self.0.services
    }

    /// Takes in what Discord says happened in `guild`, before its templates hear of it. Only for what comes from Discord, or
    /// from the operator: what a template may do depends on it.
    pub async fn observe(&self, guild: GuildId, event: &str, data: &str) {
        self.0.services.discord.observe(guild, event, data).await;
    }

    async fn serve(&self, caller: &Caller, call: HostCall) -> Result<HostReply, HostError> {
        let services = &self.0.services;
        match call {
            HostCall::Stats(call) => Ok(services.stores.stats(&call)),
            HostCall::Links(call) => Ok(services.stores.links(&call)),
            HostCall::Copy(call) => Ok(Stores::copy(call)),
            HostCall::Discord(call) => {
                let (method, bulk) = (call.method(), call.bulk());
                let arguments = call.arguments.into_iter().map(|argument| argument.0).collect();
                services.discord.serve(caller.guild, method, arguments, bulk).await
            }
            HostCall::Templates(call) => services.templates.serve(&self.0.gate, caller, call).await,
            HostCall::Http(call) => services.outside.http(&self.0.gate, caller, call).await,
            HostCall::Object(call) => services.outside.objects(caller, call).await,
            HostCall::Captcha(call) => services.outside.captcha(caller, call).await,
            HostCall::Secret(call) => services.outside.secrets(&self.0.gate, caller, call).await,
            HostCall::Kv(call) => services.kv.serve(caller, call).await,
        }
    }

    /// Counts what came of a call, and makes of an error what the script throws.
    fn record(&self, caller: &Caller, entry: &Entry, came: Result<HostReply, HostError>) -> HostReply {
        let (served, reply) = match came {
            Ok(reply) => (Served::Answered, reply),
            Err(error) => {
                if let HostError::Internal { source, .. } = &error {
                    tracing::error!(guild = %caller.guild, template = %caller.template.name, call = %entry, error = &**source as &dyn std::error::Error, "a host call failed");
                }
                (error.served(), HostReply::Failed(error.to_string()))
            }
        };
        entry.tell(caller, served);
        self.0.metrics.count(Count::HostCall(served));
        reply
    }
}

/// Whether a call is answered from memory, so that going to another thread would cost more than serving it.
fn is_quick(call: &HostCall) -> bool {
    matches!(call, HostCall::Stats(_) | HostCall::Links(_) | HostCall::Copy(_))
}

impl HostLine for Host {
    fn most(&self) -> Arc<Capabilities> {
        Arc::clone(self.0.gate.most())
    }

    fn call(&self, caller: Caller, call: HostCall, answer: Answer) {
        let entry = Entry::of(&call);
        if let Err(refused) = self.0.gate.authorise(&caller, &call) {
            return answer.send(self.record(&caller, &entry, Err(refused)));
        }
        let Ok(place) = Arc::clone(&self.0.places).try_acquire_owned() else {
            return answer.send(self.record(&caller, &entry, Err(HostError::Busy)));
        };
        let (host, quick) = (self.clone(), is_quick(&call));
        let mut serve = Box::pin(async move {
            let came = host.serve(&caller, call).await;
            answer.send(host.record(&caller, &entry, came));
            drop(place);
        });
        if quick && serve.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            return;
        }
        self.0.runtime.spawn(serve);
    }
}
