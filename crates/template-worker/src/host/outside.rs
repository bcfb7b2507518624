//! Serves the calls that reach out of the service: requests, objects, captchas, secrets.
//!
//! Owns how a call becomes one of its service, and what an error of that is to a script. What the services do is theirs.

use std::fmt;
use std::sync::Arc;

use khronos::KhronosValue;

use super::authorise::{Gate, HostError};
use super::calls::{Any, Body, CaptchaCall, HttpCall, ObjectCall, SecretCall};
use super::captcha::{self, CaptchaError, CaptchaRequest, Captchas};
use super::http::{HttpClient, HttpError, HttpLimits, HttpRequest, Permit};
use super::objects::{ObjectLimits, Objects, ObjectsError};
use super::secrets::{self, SecretsError, Vault};
use super::{Caller, HostReply, Service};
use crate::limits::Limit;
use crate::metrics::Metrics;
use crate::storage::{ObjectQuota, ObjectRecord, StorageError};

/// What reaches out of the service.
pub struct Outside {
    /// Sends requests.
    pub http: HttpClient,
    /// Keeps objects.
    pub objects: Objects,
    /// Draws captchas.
    pub captchas: Captchas,
    /// Keeps secrets.
    pub vault: Vault,
    /// What each guild may use.
    pub service: Arc<dyn Service>,
    /// Counts limits that are met.
    pub metrics: Arc<Metrics>,
}

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outside")
    }
}

impl Outside {
    pub(super) async fn http(
        &self,
        gate: &Gate,
        caller: &Caller,
        call: HttpCall,
    ) -> Result<HostReply, HostError> {
        let limits = self.service.limits(caller.guild);
        let limits = HttpLimits {
            time: limits.max_http_time(),
            in_flight: limits.max_http_in_flight,
            request_bytes: limits.max_http_request_bytes,
            response_bytes: limits.max_http_response_bytes,
        };
        let mut request = request(call)?;
        let to = self.http.destination(&request, limits).map_err(|error| self.http_error(error))?;
        let names = secrets::mentioned(&request);
        for name in &names {
            gate.check(caller, format!("secrets:{name}"))?;
        }
        let filled = self.vault.fill(caller.guild, &to, &mut request, limits.request_bytes).await;
        let filled = filled.map_err(|error| self.secrets_error(error))?;
        if !names.is_empty() {
            tracing::info!(target: "template_worker::audit", guild = %caller.guild, template = %caller.template.name, host = to.host, secrets = ?names, "secrets are put into a request");
        }
        let permit = |host: &str| permit(caller, host);
        let sent = self.http.send(caller.guild, limits, &permit, request).await;
        let mut response = sent.map_err(|error| self.http_error(error))?;
        filled.mask(&mut response);
        let headers = response.headers.into_iter().map(|(name, value)| {
            KhronosValue::List(vec![KhronosValue::Text(name), KhronosValue::Buffer(value)])
        });
        Ok(HostReply::Values(vec![
            Any(response.url.into()),
            Any(KhronosValue::Integer(response.status.into())),
            Any(KhronosValue::List(headers.collect())),
            Any(KhronosValue::Buffer(response.body)),
        ]))
    }

    fn http_error(&self, error: HttpError) -> HostError {
        match error {
            HttpError::NotAllowed { .. } | HttpError::Denied { .. } | HttpError::Discord { .. } => {
                HostError::Refused(error.to_string())
            }
            HttpError::RequestTooLarge { .. } => self.limited(Limit::HttpRequestBytes, &error),
            HttpError::ResponseTooLarge { .. } => self.limited(Limit::HttpResponseBytes, &error),
            HttpError::TooManyInFlight { .. } => self.limited(Limit::HttpInFlight, &error),
            HttpError::TimedOut { .. } => self.limited(Limit::HttpTime, &error),
            HttpError::Busy => HostError::Busy,
            HttpError::Url { .. }
            | HttpError::Method { .. }
            | HttpError::Header { .. }
            | HttpError::Headers { .. } => HostError::Invalid(error.to_string()),
            HttpError::NoPublicAddress { .. } | HttpError::ResponseHead { .. } | HttpError::Failed { .. } => {
                HostError::Refused(error.to_string())
            }
        }
    }

    fn limited(&self, limit: Limit, error: &impl ToString) -> HostError {
        self.metrics.exceeded(limit);
        HostError::Quota(error.to_string())
    }

    pub(super) async fn objects(&self, caller: &Caller, call: ObjectCall) -> Result<HostReply, HostError> {
        let (guild, objects) = (caller.guild, &self.objects);
        let served = async {
            Ok(match call {
                ObjectCall::ListFiles { prefix, after } => {
                    let listed = objects.list(guild, &prefix.unwrap_or_default(), after.as_deref()).await?;
                    HostReply::value(listed.into_iter().map(metadata).collect::<Vec<_>>())
                }
                ObjectCall::FileExists { key } => HostReply::value(objects.exists(guild, &key).await?),
                ObjectCall::DownloadFile { key } => HostReply::Blob(objects.download(guild, &key).await?),
                ObjectCall::GetFileUrl { key, expiry } => {
                    HostReply::value(objects.url(guild, &key, expiry.duration()).await?)
                }
                ObjectCall::UploadFile { key, content } => {
                    let limits = self.service.limits(guild);
                    let limits = ObjectLimits {
                        object_bytes: limits.max_object_bytes,
                        quota: ObjectQuota {
                            objects: limits.max_objects as u64,
                            bytes: limits.max_object_storage_bytes as u64,
                        },
                    };
                    objects.upload(guild, &key, content.0, limits).await?;
                    HostReply::nothing()
                }
                ObjectCall::DeleteFile { key } => {
                    objects.delete(guild, &key).await?;
                    HostReply::nothing()
                }
            })
        };
        served.await.map_err(|error| self.objects_error(error))
    }

    fn objects_error(&self, error: ObjectsError) -> HostError {
        match error {
            ObjectsError::Key { .. } | ObjectsError::UrlTime => HostError::Invalid(error.to_string()),
            ObjectsError::NotFound { .. } => HostError::NotFound(error.to_string()),
            ObjectsError::TooLarge { .. } => self.limited(Limit::ObjectBytes, &error),
            ObjectsError::Storage(StorageError::TooManyObjects { .. }) => {
                self.limited(Limit::Objects, &error)
            }
            ObjectsError::Storage(StorageError::ObjectsTooLarge { .. }) => {
                self.limited(Limit::ObjectStorageBytes, &error)
            }
            ObjectsError::Busy { .. } => HostError::Quota(error.to_string()),
            ObjectsError::NoAddress | ObjectsError::CutOff => HostError::Unavailable(error.to_string()),
            ObjectsError::Store(_)
            | ObjectsError::Open(_)
            | ObjectsError::Sign(_)
            | ObjectsError::Storage(_) => {
                HostError::Internal { what: "use the store of objects", source: error.into() }
            }
        }
    }

    pub(super) async fn captcha(&self, caller: &Caller, call: CaptchaCall) -> Result<HostReply, HostError> {
        let CaptchaCall::Create { config } = call;
        let request = match config {
            Some(config) => captcha::read(config.0.0).map_err(HostError::Invalid)?,
            None => CaptchaRequest::default(),
        };
        match self.captchas.create(caller.guild, request).await {
            Ok(made) => Ok(HostReply::value([
                ("text", KhronosValue::Text(made.text)),
                ("image", KhronosValue::Buffer(made.image)),
            ])),
            Err(CaptchaError::Invalid(wrong)) => Err(HostError::Invalid(wrong)),
            Err(CaptchaError::Busy) => Err(HostError::Busy),
            Err(error) => Err(HostError::Internal { what: "draw a captcha", source: error.into() }),
        }
    }

    pub(super) async fn secrets(
        &self,
        gate: &Gate,
        caller: &Caller,
        call: SecretCall,
    ) -> Result<HostReply, HostError> {
        let SecretCall::List {} = call;
        let all = self.vault.list(caller.guild).await.map_err(|error| self.secrets_error(error))?;
        let names = all.into_iter().map(|secret| secret.name);
        let usable = names.filter(|name| gate.check(caller, format!("secrets:{name}")).is_ok());
        Ok(HostReply::value(usable.map(KhronosValue::Text).collect::<Vec<_>>()))
    }

    fn secrets_error(&self, error: SecretsError) -> HostError {
        match error {
            SecretsError::NoSuchSecret { .. } => HostError::NotFound(error.to_string()),
            SecretsError::NotForHost { .. } | SecretsError::InClear { .. } => {
                HostError::Refused(error.to_string())
            }
            SecretsError::InUrl | SecretsError::Misspelt { .. } => HostError::Invalid(error.to_string()),
            SecretsError::TooLarge { .. } => self.limited(Limit::HttpRequestBytes, &error),
            SecretsError::Unreadable { .. } => HostError::Unavailable(error.to_string()),
            error => HostError::Internal { what: "use the secrets of the guild", source: error.into() },
        }
    }
}

/// What of the template's capabilities, in this context, says about `host`.
pub(super) fn permit(caller: &Caller, host: &str) -> Permit {
    let own = Permit::of(&caller.template.capabilities, host);
    caller.limited.as_ref().map_or(own, |limited| own.min(Permit::of(limited, host)))
}

/// The request of a call. A table becomes JSON, and says so where the script did not say otherwise.
fn request(call: HttpCall) -> Result<HttpRequest, HostError> {
    let HttpCall::Send { method, url, headers, body, timeout } = call;
    let mut headers = headers.0;
    let body = match body {
        Body::Empty => Vec::new(),
        Body::Bytes(bytes) => bytes,
        Body::Json(Any(value)) => {
            if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
                headers.push(("content-type".to_owned(), b"application/json".to_vec()));
            }
            let unfit =
                |error: serde_json::Error| HostError::Invalid(format!("the body is no JSON: {error}"));
            serde_json::to_vec(&value).map_err(unfit)?
        }
    };
    Ok(HttpRequest { method, url, headers, body, timeout: timeout.map(super::calls::Seconds::duration) })
}

fn metadata(object: ObjectRecord) -> KhronosValue {
    let stored_at = object.stored_at.unix_timestamp_nanos();
    let stored_at = khronos::Timestamp::from_nanos(stored_at, khronos::TimeZone::UTC);
    KhronosValue::from([
        ("key", KhronosValue::Text(object.key)),
        ("last_modified", stored_at.map_or(KhronosValue::Null, KhronosValue::Timestamptz)),
        ("size", KhronosValue::Integer(i64::try_from(object.size).unwrap_or(i64::MAX))),
        ("etag", KhronosValue::Text(object.etag)),
    ])
}
