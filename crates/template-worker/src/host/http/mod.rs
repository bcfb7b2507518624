//! `ctx.HTTPClient`: one request of a template to the public internet, and its answer.
//!
//! Owns what every request goes through, in this order: its size and form, the capability for its host, a place among
//! the guild's requests, the look-up and check of addresses, the call, the bounded reading of the answer, all by one
//! deadline. Secrets are put in and masked by whoever is called here.
//!
//! Redirects are not followed. The script gets them as answers and decides, and a request to the new place goes through
//! the same rules as every other. Proxies of the environment are not used: a proxy would look names up by itself.
//! Connections are not kept: each request looks up, checks and dials anew, and guilds share nothing.

mod addresses;
mod destination;
mod error;
mod in_flight;
mod names;
mod request;
mod resolver;
mod response;

#[cfg(test)]
mod tests;

use std::error::Error;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::{Client, redirect};
use tokio::time::timeout;

pub use addresses::AddressRule;
pub use destination::{Destination, MOST_URL_BYTES, Permit, capability_for, check_host, is_denied};
pub use error::HttpError;
use in_flight::InFlight;
use names::{CheckedNames, NoAddress};
pub use names::{Names, Unanswered};
pub use request::{HttpRequest, METHODS};
pub use resolver::SystemNames;
pub use response::HttpResponse;

use crate::ids::GuildId;

/// What templates are called on the network.
const USER_AGENT: &str =
    concat!("template-worker/", env!("CARGO_PKG_VERSION"), " (a template of a Discord guild)");

/// What a guild's requests may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpLimits {
    /// From the look-up to the last byte of the answer.
    pub time: Duration,
    /// Requests at the same time.
    pub in_flight: usize,
    /// Bytes of the body of a request.
    pub request_bytes: usize,
    /// Bytes of the body of an answer, decompressed.
    pub response_bytes: usize,
}

/// What the operator allows to all guilds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpOptions {
    /// Ports that a URL may name.
    pub ports: Vec<u16>,
    /// Domains, with all names inside, that `http:*` does not cover.
    pub denied_hosts: Vec<String>,
    /// Requests of all guilds at the same time.
    pub max_in_flight: usize,
    /// Which addresses may be dialled.
    pub addresses: AddressRule,
}

/// Who gets a request, for whoever puts secrets into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// The host, as capabilities name it.
    pub host: String,
    /// Whether nobody on the way there can read along: TLS, or a host whose address the operator has fixed.
    pub is_private: bool,
}

/// Sends the requests of all guilds.
pub struct HttpClient {
    options: HttpOptions,
    names: Arc<CheckedNames>,
    /// Made for the first request, since it reads the machine's certificates; `None` where that failed.
    client: OnceLock<Option<Client>>,
    in_flight: Arc<InFlight>,
}

impl HttpClient {
    /// A client that looks names up with `names`.
    pub fn new(options: HttpOptions, names: Arc<dyn Names>) -> Self {
        let in_flight = Arc::new(InFlight::new(options.max_in_flight));
        let names = Arc::new(CheckedNames::new(names, options.addresses.clone()));
        Self { options, names, client: OnceLock::new(), in_flight }
    }

    /// Who gets `request`, once its form and its size are known to be fine.
    ///
    /// # Errors
    /// [`HttpError`], in words for the template's author.
    pub fn destination(&self, request: &HttpRequest, limits: HttpLimits) -> Result<Recipient, HttpError> {
        if request.body.len() > limits.request_bytes {
            return Err(HttpError::RequestTooLarge { limit: limits.request_bytes });
        }
        request::headers(&request.headers)?;
        let destination = Destination::parse(&request.url, &self.options.ports)?;
        let host = destination.host().to_owned();
        Ok(Recipient { is_private: destination.is_private() || self.names.is_fixed(&host), host })
    }

    /// Sends `request` for `guild`, if the template's `permit` for its host lets it.
    ///
    /// # Errors
    /// [`HttpError`], in words for the template's author.
    pub async fn send(
        &self,
        guild: GuildId,
        limits: HttpLimits,
        permit: &(dyn Fn(&str) -> Permit + Sync),
        request: HttpRequest,
    ) -> Result<HttpResponse, HttpError> {
        let destination = Destination::parse(&request.url, &self.options.ports)?;
        let host = destination.host();
        destination.check(permit(host), &self.options.denied_hosts)?;
        let method = request::method(&request.method)?;
        let headers = request::headers(&request.headers)?;
        let body = request::body(request.body, limits)?;
        let time = request.timeout.map_or(limits.time, |wanted| wanted.min(limits.time));

        let _place = self.in_flight.enter(guild, limits.in_flight)?;
        let client = self.client(host)?;
        let mut prepared = client.request(method, destination.url().clone()).headers(headers);
        if !body.is_empty() {
            prepared = prepared.body(body);
        }
        let answer = async {
            let _known = self.names.look_up(host).await?;
            let response = prepared.send().await.map_err(|error| why(&error, host))?;
            response::read(response, host, limits).await
        };
        let late = |_| HttpError::TimedOut { host: host.to_owned(), time };
        timeout(time, answer).await.map_err(late)?
    }

    fn client(&self, host: &str) -> Result<&Client, HttpError> {
        let client = self.client.get_or_init(|| {
            let client = Client::builder()
                .user_agent(USER_AGENT)
                .redirect(redirect::Policy::none())
                .retry(reqwest::retry::never())
                .referer(false)
                .no_proxy()
                .pool_max_idle_per_host(0)
                .http1_only()
                .http1_max_headers(response::MOST_HEADERS)
                .dns_resolver(Arc::clone(&self.names))
                .build();
            client
                .inspect_err(|error| {
                    tracing::error!(error = error as &dyn Error, "HTTPClient cannot be used")
                })
                .ok()
        });
        let why = "the service has no root certificates; its operator can install them (`ca-certificates`)";
        client.as_ref().ok_or_else(|| HttpError::Failed { host: host.to_owned(), why })
    }
}

/// What became of a request that got no answer.
fn why(error: &reqwest::Error, host: &str) -> HttpError {
    let host = host.to_owned();
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<NoAddress>() {
            return HttpError::NoPublicAddress { host };
        }
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse_too_large) {
            return response::head_too_large(&host);
        }
        cause = error.source();
    }
    let why = if error.is_connect() {
        "no connection could be made, or TLS could not be agreed on"
    } else {
        "the connection ended, or what came back was no HTTP"
    };
    HttpError::Failed { host, why }
}
