//! A guild's key-value records, for who looks after them from outside.
//!
//! Owns how records are named in a URL, and that templates hear of what was changed here. What a record is, is the
//! storage's business.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, Query, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use utoipa::IntoParams;

use super::admission::Place;
use super::auth::{Guild, KvRead, KvWrite};
use super::error::ApiError;
use super::extract::{JsonBody, NoIfMatch, path_part};
use super::finish::to_the_end;
use super::openapi::{GuildParam, KeyParam};
use super::paging;
use super::problem::{Problem, problems};
use super::types::{KeyUpdate, PutRecordBody, RecordBody, RecordPage, WrittenBody, stored_value};
use crate::app::App;
use crate::cursor;
use crate::events::Event;
use crate::ids::{EventId, GuildId, UserId};
use crate::storage::kv::{KeyPattern, KvAt, KvDone, KvError, KvKey, KvOp, KvQuery, KvQuota, Scopes};

/// Records of a page where the client doesn't say.
const DEFAULT_PAGE: usize = 50;
/// Most records of a page.
const LARGEST_PAGE: usize = 1_000;

problems!(ListRecordsProblems: ANY | IN_GUILD, InvalidValue);
problems!(GetRecordProblems: ANY | IN_GUILD, InvalidValue);
problems!(PutRecordProblems: ANY | IN_GUILD | WITH_BODY, InvalidValue, InvalidIfMatch, KvFull);
problems!(DeleteRecordProblems: ANY | IN_GUILD, InvalidValue, InvalidIfMatch);

/// The parameters of a query string, where one may be there several times.
struct Pairs(BTreeMap<String, Vec<String>>);

impl Pairs {
    /// Those of a request; other keys than `known` are refused.
    fn of(parts: &Parts, known: &[&str]) -> Result<Self, ApiError> {
        let invalid = |detail: String| ApiError::new(Problem::InvalidQuery, detail);
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|rejection| invalid(rejection.body_text()))?;
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (key, value) in pairs {
            if !known.contains(&key.as_str()) {
                let expected: Vec<String> = known.iter().map(|key| format!("`{key}`")).collect();
                let key: String = key.chars().take(80).collect();
                return Err(invalid(format!(
                    "unknown parameter `{key}`, expected one of {}",
                    expected.join(", ")
                )));
            }
            all.entry(key).or_default().push(value);
        }
        Ok(Self(all))
    }

    fn scopes(&mut self) -> Result<Option<Scopes>, ApiError> {
        Ok(self.0.remove("scope").map(Scopes::new).transpose()?)
    }

    /// The one value of a key.
    fn one(&mut self, key: &str) -> Result<Option<String>, ApiError> {
        match self.0.remove(key).as_deref() {
            None => Ok(None),
            Some([one]) => Ok(Some(one.clone())),
            Some(_) => {
                let detail = format!("`{key}` is there more than once; say it once");
                Err(ApiError::new(Problem::InvalidQuery, detail))
            }
        }
    }

    fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
        &mut self,
        key: &str,
    ) -> Result<Option<T>, ApiError> {
        let value = self.one(key)?;
        let read = |text: String| {
            text.parse::<T>()
                .map_err(|error| ApiError::new(Problem::InvalidQuery, format!("`{key}`: {error}")))
        };
        value.map(read).transpose()
    }
}

/// Which record.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes what `Named` reads")]
pub(super) struct ScopeParams {
    /// A scope of the key; several times for several: the key belongs to exactly this set.
    #[param(example = json!(["reminders"]), min_items = 1, max_items = 16)]
    scope: Vec<String>,
}

/// Who changes it.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes what `Named` reads")]
pub(super) struct AuthorParams {
    /// The Discord user for whom it is changed: templates hear of it.
    #[param(example = "80351110224678912")]
    author: Option<String>,
}

/// Which records.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes what `Search` reads")]
pub(super) struct SearchParams {
    /// Which keys: `%` stands for any text, and upper and lower case are the same. All where it is left out.
    #[param(example = "reminder:%")]
    query: Option<String>,
    /// A scope of the keys; several times for several: keys of exactly this set. All keys where it is left out.
    #[param(example = json!(["reminders"]), max_items = 16)]
    scope: Option<Vec<String>>,
    /// Most records on the page: 1 to 1000, otherwise 50.
    #[param(minimum = 1, maximum = 1000, example = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before; the first page where it is left out.
    cursor: Option<String>,
}

/// The record that a URL names, and for whom it is changed.
pub(super) struct Named {
    key: KvKey,
    author: Option<UserId>,
}

impl FromRequestParts<Arc<App>> for Named {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, ApiError> {
        let key: String = path_part(parts, "key", Problem::InvalidUrl).await?;
        let mut pairs = Pairs::of(parts, &["scope", "author"])?;
        let scopes = match pairs.scopes()? {
            Some(scopes) => scopes,
            None => {
                let detail = "say which scopes the key has: `?scope=reminders`, several times for several";
                return Err(ApiError::new(Problem::InvalidQuery, detail));
            }
        };
        Ok(Self { key: KvKey { key, scopes }, author: pairs.parsed("author")? })
    }
}

/// Which records a URL asks for.
pub(super) struct Search {
    pattern: Option<String>,
    scopes: Option<Scopes>,
    limit: usize,
    after: Option<KvKey>,
}

impl FromRequestParts<Arc<App>> for Search {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, ApiError> {
        let mut pairs = Pairs::of(parts, &["query", "scope", "limit", "cursor"])?;
        let limit = pairs.parsed("limit")?.unwrap_or(DEFAULT_PAGE);
        if !(1..=LARGEST_PAGE).contains(&limit) {
            let detail = format!("`limit` is {limit}: use a value from 1 to {LARGEST_PAGE}");
            return Err(ApiError::new(Problem::InvalidQuery, detail));
        }
        Ok(Self {
            pattern: pairs.one("query")?,
            scopes: pairs.scopes()?,
            limit,
            after: pairs.one("cursor")?.map(|cursor| key_of_cursor(&cursor)).transpose()?,
        })
    }
}

/// List records
///
/// Ordered by scopes and key, a page at a time: those whose keys fit.
#[utoipa::path(get, path = "/guilds/{guild_id}/kv", tag = "kv", security(("token" = [])),
    params(GuildParam, SearchParams),
    responses((status = 200, description = "A page of records", body = RecordPage), ListRecordsProblems))]
pub(super) async fn list_records(
    State(app): State<Arc<App>>,
    guild: Guild<KvRead>,
    search: Search,
) -> Result<Json<RecordPage>, ApiError> {
    let most_bytes = app.dispatcher.limits(guild.id).max_kv_key_bytes;
    let pattern = search.pattern.map(|text| KeyPattern::new(&text, most_bytes)).transpose()?;
    let query = KvQuery {
        pattern: pattern.unwrap_or_else(KeyPattern::any),
        scopes: search.scopes,
        after: search.after,
        limit: search.limit,
    };
    let page = app.storage.kv_find(guild.id, &query, app.clock.now()).await?;
    let records = page.records.into_iter().map(RecordBody::try_from).collect::<Result<_, _>>();
    let next_cursor = page.next.as_ref().map(cursor_of);
    Ok(Json(RecordPage { records: records.map_err(ApiError::internal)?, next_cursor }))
}

/// Read a record
///
/// One that has expired is not there.
#[utoipa::path(get, path = "/guilds/{guild_id}/kv/{key}", tag = "kv", security(("token" = [])),
    params(GuildParam, KeyParam, ScopeParams),
    responses((status = 200, description = "The record", body = RecordBody), GetRecordProblems))]
pub(super) async fn get_record(
    State(app): State<Arc<App>>,
    guild: Guild<KvRead>,
    named: Named,
) -> Result<Json<RecordBody>, ApiError> {
    let at = KvAt::Key(named.key);
    let record = app.storage.kv_record(guild.id, &at, app.clock.now()).await?.ok_or_else(unknown)?;
    RecordBody::try_from(record).map(Json).map_err(ApiError::internal)
}

/// Set a record
///
/// Its value, and with it when it expires: what is left out is cleared. Templates hear of it as `ExternalKeyUpdate`.
#[utoipa::path(put, path = "/guilds/{guild_id}/kv/{key}", tag = "kv", security(("token" = [])),
    params(GuildParam, KeyParam, ScopeParams, AuthorParams), request_body = PutRecordBody,
    responses(
        (status = 200, description = "Replaced", body = WrittenBody),
        (status = 201, description = "Created", body = WrittenBody),
        PutRecordProblems))]
pub(super) async fn put_record(
    State(app): State<Arc<App>>,
    guild: Guild<KvWrite>,
    Named { key, author }: Named,
    _: NoIfMatch,
    JsonBody(body): JsonBody<PutRecordBody>,
) -> Result<Response, ApiError> {
    let most_bytes = app.dispatcher.limits(guild.id).max_kv_value_bytes;
    let value = stored_value(body.value.get(), most_bytes.max(body.value.get().len()))
        .map_err(|error| ApiError::new(Problem::InvalidValue, format!("`value`: {error}")))?;
    let op =
        KvOp::Set { at: KvAt::Key(key.clone()), value, expires_at: body.expires_at, resume: body.resume };
    let done = change(app, guild, op, key, author).await?;
    let KvDone::Set { existed, id } = done else {
        return Err(ApiError::internal("setting a record came to something else"));
    };
    let status = if existed { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(WrittenBody::new(existed, &id))).into_response())
}

/// Delete a record
///
/// Templates hear of it as `ExternalKeyUpdate`.
#[utoipa::path(delete, path = "/guilds/{guild_id}/kv/{key}", tag = "kv", security(("token" = [])),
    params(GuildParam, KeyParam, ScopeParams, AuthorParams),
    responses((status = 204, description = "Deleted"), DeleteRecordProblems))]
pub(super) async fn delete_record(
    State(app): State<Arc<App>>,
    guild: Guild<KvWrite>,
    Named { key, author }: Named,
    _: NoIfMatch,
) -> Result<StatusCode, ApiError> {
    let op = KvOp::Delete { at: KvAt::Key(key.clone()) };
    match change(app, guild, op, key, author).await? {
        KvDone::Deleted { existed: true } => Ok(StatusCode::NO_CONTENT),
        _ => Err(unknown()),
    }
}

/// Changes a record and lets the guild's templates know.
async fn change(
    app: Arc<App>,
    Guild { id: guild, place, .. }: Guild<KvWrite>,
    op: KvOp,
    key: KvKey,
    author: Option<UserId>,
) -> Result<KvDone, ApiError> {
    to_the_end(async move {
        let quota = KvQuota::of(&app.dispatcher.limits(guild));
        let written = app.storage.kv_write(guild, vec![op], quota, app.clock.now()).await;
        let written = written.inspect_err(|error| {
            error.limit().inspect(|limit| app.shared.metrics.exceeded(*limit));
        })?;
        let done =
            written.done.into_iter().next().ok_or_else(|| ApiError::internal("nothing came of a change"))?;
        let action = match &done {
            KvDone::Set { existed: false, .. } => "Create",
            KvDone::Deleted { existed: true } => "Delete",
            KvDone::Deleted { existed: false } => return Ok(done),
            _ => "Update",
        };
        tell(&app, guild, &place, &key, author, action).await;
        Ok(done)
    })
    .await
}

/// The change is made: where templates cannot hear of it, that is no reason to take it back.
async fn tell(
    app: &App,
    guild: GuildId,
    place: &Place,
    key: &KvKey,
    author: Option<UserId>,
    action: &'static str,
) {
    let told = async {
        let update = KeyUpdate { key_modified: &key.key, scopes: key.scopes.to_vec(), author, action };
        let data = serde_json::to_string(&update).map_err(ApiError::internal)?;
        let name = "ExternalKeyUpdate".parse()?;
        let event = Event::new(EventId::fresh(), guild, name, author, Vec::new(), data.into())?;
        app.dispatcher.dispatch_with(event, || place.give_back()).await?;
        Ok::<_, ApiError>(())
    };
    if let Err(error) = told.await {
        tracing::warn!(%guild, %error, "failed to tell templates of a key that was changed over the API");
    }
}

fn unknown() -> ApiError {
    ApiError::new(Problem::NotFound, "this guild has no such key with exactly these scopes")
}

fn cursor_of(key: &KvKey) -> String {
    cursor::of(&(key.scopes.to_vec(), &key.key))
}

fn key_of_cursor(cursor: &str) -> Result<KvKey, ApiError> {
    let (scopes, key): (Vec<String>, String) = paging::place_of(cursor)?;
    Ok(KvKey { key, scopes: Scopes::new(scopes).map_err(|_| paging::no_cursor())? })
}

impl From<KvError> for ApiError {
    fn from(error: KvError) -> Self {
        match error {
            error if error.is_internal() => Self::internal(error),
            KvError::Busy { .. } => Self::guild_busy(&error),
            KvError::ExpiresInThePast => Self::new(
                Problem::InvalidValue,
                "a key cannot expire in the past; `expires_at` must be later than now, or null for never",
            ),
            KvError::ValueTooLarge { .. } => Self::from_text(Problem::TooLarge, &error),
            KvError::TooManyRecords { .. } | KvError::TooManyBytes { .. } => {
                Self::from_text(Problem::KvFull, &error)
            }
            error => Self::from_text(Problem::InvalidValue, &error),
        }
    }
}
