//! The one gate: whether a call may be served at all. What depends on what is stored (whose channel, how much is left of a
//! quota) is asked where the call is served.

use std::sync::Arc;
use std::time::Duration;

use super::rate_limits::RateLimits;
use super::{Caller, HostCall};
use crate::capabilities::Capabilities;
use crate::metrics::Served;

/// Why a call was not served. The texts are for template authors.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The template lacks a capability.
    #[error(
        "this template may not do that: it lacks the capability `{capability}`; an admin of the guild allows it by adding it to \
         the template's capabilities"
    )]
    NotAllowed {
        /// The one that it lacks.
        capability: String,
    },
    /// The context was limited by the template itself.
    #[error(
        "this context may not do that: it was limited by `withlimits` to capabilities without `{capability}`; use one \
         that was not, or hand out more"
    )]
    Limited {
        /// The one that was left out.
        capability: String,
    },
    /// The operator allows it to nobody.
    #[error(
        "no template may do that here: the operator of this service has left out the capability `{capability}` \
         (`templates.capabilities` in the configuration)"
    )]
    Forbidden {
        /// The one that nobody has.
        capability: String,
    },
    /// Too many of the guild's calls, lately.
    #[error(
        "rate limit hit for `{bucket}`: try again in {wait:.1?} (this guild may {burst} at once, and one more every {every:?})"
    )]
    RateLimited {
        /// Which rate.
        bucket: &'static str,
        /// Until there is room.
        wait: Duration,
        /// How many at once.
        burst: u32,
        /// How long for one more.
        every: Duration,
    },
    /// An argument cannot be right.
    #[error("{0}")]
    Invalid(String),
    /// The guild has used up what it may.
    #[error("{0}")]
    Quota(String),
    /// What was asked for is not there, or not this guild's: nobody hears which.
    #[error("{0}")]
    NotFound(String),
    /// Whoever was asked said no, or gave no useful answer.
    #[error("{0}")]
    Refused(String),
    /// The service has not what it takes.
    #[error("{0}")]
    Unavailable(String),
    /// Too many calls of all guilds.
    #[error("the service has too many calls to serve right now; try again in a second")]
    Busy,
    /// Something failed that no template is to know more about.
    #[error("failed to {what}: that is not the template's fault; try again later")]
    Internal {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl HostError {
    /// What it counts as.
    pub fn served(&self) -> Served {
        match self {
            Self::NotAllowed { .. } | Self::Limited { .. } | Self::Forbidden { .. } => Served::Denied,
            Self::RateLimited { .. } | Self::Quota(_) | Self::Busy => Served::Limited,
            Self::Invalid(_) | Self::NotFound(_) => Served::Invalid,
            Self::Refused(_) | Self::Unavailable(_) | Self::Internal { .. } => Served::Failed,
        }
    }
}

/// What every call goes through.
#[derive(Debug)]
pub struct Gate {
    /// The most that any template may do.
    most: Arc<Capabilities>,
    rates: Option<RateLimits>,
}

impl Gate {
    /// A gate that lets nothing through but what `most` covers; `rated` where guilds may call only so often.
    pub fn new(most: Capabilities, rated: bool) -> Self {
        Self { most: Arc::new(most), rates: rated.then(RateLimits::default) }
    }

    /// The most that any template may do.
    pub fn most(&self) -> &Arc<Capabilities> {
        &self.most
    }

    /// Whether the call may be served: its guild has not called too often, and what it wants is covered by what the operator,
    /// the guild's admin and the context allow. The rate comes first, so that calls which are refused are no cheaper: looking
    /// at the capabilities of a large one is work for the VM's thread.
    ///
    /// # Errors
    /// Says when to try again, or which capability is missing and who gives it.
    pub fn authorise(&self, caller: &Caller, call: &HostCall) -> Result<(), HostError> {
        if let Some(rates) = &self.rates {
            rates.take(caller.guild, call.buckets(), call.weight())?;
        }
        for capability in call.wants() {
            self.check(caller, capability)?;
        }
        Ok(())
    }

    /// Whether one capability is covered: for what is only known while a call is served.
    ///
    /// # Errors
    /// Says who has to give it.
    pub fn check(&self, caller: &Caller, capability: String) -> Result<(), HostError> {
        if !self.most.allows(&capability) {
            return Err(HostError::Forbidden { capability });
        }
        if !caller.template.capabilities.allows(&capability) {
            return Err(HostError::NotAllowed { capability });
        }
        if !caller.allows(&capability) {
            return Err(HostError::Limited { capability });
        }
        Ok(())
    }
}
