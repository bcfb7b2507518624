//! Sending an event to a guild's templates, and waiting for what they make of it.
//!
//! Owns reading the event and how long a caller may wait. Which templates get it is `dispatch`'s business.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;

use super::auth::{EventsDispatch, Guild};
use super::error::ApiError;
use super::extract::{JsonBody, QueryOf};
use super::openapi::GuildParam;
use super::problem::{Problem, problems};
use super::types::{Accepted, EventBody, Results};
use super::vm;
use crate::app::App;
use crate::dispatch::Dispatched;
use crate::events::{BaseName, Event, FOR_THE_SERVICE, Said, is_an_outage};
use crate::execution::{Outcome, OutcomeResult};
use crate::ids::{EventId, GuildId, UserId};
use crate::limits::Limit;

problems!(EventProblems: ANY | IN_GUILD | WITH_BODY | OF_DISPATCH, InvalidEvent, UnknownEvent, InvalidValue);

/// Whether to wait for the templates.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wait {
    /// Whether to wait for the outcomes; otherwise the answer comes as soon as the event is accepted.
    #[param(example = true)]
    wait: Option<bool>,
    /// Milliseconds to wait, together with `wait=true`. At most MAX_TEMPLATES_RETURN_WAIT_TIME (60,000 unless the
    /// operator set another), which is also what it is where this is left out.
    #[param(example = 5000)]
    timeout_ms: Option<u64>,
}

/// Send an event
///
/// 202 once it is accepted. With `?wait=true`, 200 with one outcome for each template that got it; one that is not done
/// in time is `timed_out`, and goes on. An event of Discord's that the bot caused itself is accepted, and no template gets it.
/// `GUILD_CREATE` and `GUILD_DELETE`, which are for admins to send, tell the service of guilds that the bot came to or left:
/// no template gets them, and a `GUILD_DELETE` that is no outage destroys the guild's VM.
#[utoipa::path(post, path = "/guilds/{guild_id}/events", tag = "events", security(("token" = [])),
    params(GuildParam, Wait), request_body = EventBody,
    responses(
        (status = 200, description = "With `?wait=true`: what the templates made of it", body = Results),
        (status = 202, description = "Accepted", body = Accepted),
        EventProblems))]
pub(super) async fn send_event(
    State(app): State<Arc<App>>,
    guild: Guild<EventsDispatch>,
    QueryOf(query): QueryOf<Wait>,
    JsonBody(body): JsonBody<EventBody>,
) -> Result<Response, ApiError> {
    let limits = app.dispatcher.limits(guild.id);
    let wait = time_to_wait(&query, limits.max_templates_return_wait_time())?;
    let is_for_the_service = guild.by_admin && FOR_THE_SERVICE.contains(&body.name.as_str());
    let (event_id, dispatched) = if is_for_the_service {
        tell_the_service(&app, guild.id, body).await?
    } else {
        let event = event(guild.id, body, limits.max_event_bytes).inspect_err(|error| {
            if error.problem() == Problem::TooLarge {
                app.shared.metrics.exceeded(Limit::EventBytes);
            }
        })?;
        let event_id = event.id().clone();
        let is_the_bots = is_by(&event, app.host.services().discord.bot())?;
        if guild.by_admin && event.base() == BaseName::Discord {
            // What the operator passes on is Discord's word; what a guild's own token sends may be anything.
            app.host.observe(guild.id, event.name().as_str(), event.data()).await;
        }
        let dispatched = match is_the_bots {
            true => app.dispatcher.dispatch_to_nobody(),
            // It may wait for the guild's templates to be compiled, which is nothing to keep others out for either.
            false => app.dispatcher.dispatch_with(event, || guild.place.give_back()).await,
        };
        (event_id, dispatched?)
    };
    Ok(match wait {
        None => {
            let templates = dispatched.templates();
            (StatusCode::ACCEPTED, Json(Accepted { event_id, templates })).into_response()
        }
        Some(wait) => {
            // A minute's wait costs next to nothing: it must not keep others from being served.
            guild.place.give_back();
            let outcomes = dispatched.outcomes(wait).await;
            if wait >= limits.max_templates_return_wait_time() {
                let is_late = |outcome: &&Outcome| outcome.result == OutcomeResult::TimedOut;
                let late = outcomes.values().filter(is_late).count();
                app.shared.metrics.exceeded_times(Limit::ReturnWait, late);
            }
            let results = outcomes
                .into_iter()
                .map(|(name, outcome)| (name.as_str().to_owned(), outcome.into()))
                .collect();
            Json(Results { event_id, results }).into_response()
        }
    })
}

/// Takes in that the bot came to a guild, or is no longer there.
async fn tell_the_service(
    app: &App,
    guild: GuildId,
    body: EventBody,
) -> Result<(EventId, Dispatched), ApiError> {
    let (name, data) = (&*body.name, body.data.get());
    check_guild(&Said::in_data(name, data), guild)?;
    let dispatched = app.dispatcher.dispatch_to_nobody()?;
    app.host.observe(guild, name, data).await;
    if name == "GUILD_DELETE" && !is_an_outage(data) {
        vm::stop(app, guild).await?;
    }
    Ok((body.id.unwrap_or_else(EventId::fresh), dispatched))
}

/// Whether `bot` caused the event, as far as that is said; one of Discord's that names another guild is refused. Only people
/// interact.
fn is_by(event: &Event, bot: Option<u64>) -> Result<bool, ApiError> {
    if event.base() != BaseName::Discord {
        return Ok(false);
    }
    let name = event.name().as_str();
    let said = Said::in_data(name, event.data());
    check_guild(&said, event.guild())?;
    let author = event.author().map(UserId::get);
    Ok(name != "INTERACTION_CREATE" && bot.is_some() && (said.by == bot || author == bot))
}

fn check_guild(said: &Said<'_>, guild: GuildId) -> Result<(), ApiError> {
    let Some((field, named)) = said.elsewhere(guild) else { return Ok(()) };
    let named: String = named.chars().take(40).collect();
    let detail = format!(
        "`data.{field}` is {named}, and the guild of the URL {guild}: send an event to the guild that it happened in"
    );
    Err(ApiError::new(Problem::InvalidValue, detail))
}

/// How long to wait; `None` for not at all.
fn time_to_wait(query: &Wait, most: Duration) -> Result<Option<Duration>, ApiError> {
    match (query.wait, query.timeout_ms) {
        (Some(true), timeout_ms) => {
            Ok(Some(timeout_ms.map_or(most, |ms| Duration::from_millis(ms).min(most))))
        }
        (_, None) => Ok(None),
        (_, Some(_)) => {
            let detail = "`timeout_ms` says how long to wait: send it together with `wait=true`";
            Err(ApiError::new(Problem::InvalidQuery, detail))
        }
    }
}

/// The event in `body`; `most_bytes` is for its data.
fn event(guild: GuildId, body: EventBody, most_bytes: usize) -> Result<Event, ApiError> {
    let data = body.data.get();
    if data.len() > most_bytes {
        let detail = format!(
            "{} bytes of data are more than an event may have ({most_bytes} bytes: MAX_EVENT_BYTES)",
            data.len()
        );
        return Err(ApiError::new(Problem::TooLarge, detail));
    }
    let id = body.id.unwrap_or_else(EventId::fresh);
    Ok(Event::new(id, guild, body.name.parse()?, body.author, body.scopes, data.into())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: serde_json::Value) -> Result<Event, ApiError> {
        let body = serde_json::from_str(&body.to_string()).unwrap();
        event(GuildId::new(1).unwrap(), body, 100)
    }

    #[test]
    fn an_event_keeps_its_id_or_gets_one() {
        let given = read(serde_json::json!({"name": "WebOrder", "data": 1, "id": "order-1"})).unwrap();
        assert_eq!((given.id().as_str(), &**given.data()), ("order-1", "1"));
        let made = read(serde_json::json!({"name": "MESSAGE", "data": null})).unwrap();
        assert_eq!((made.name().as_str(), made.id().as_str().len()), ("MESSAGE_CREATE", 36));
    }

    #[test]
    fn a_bad_event_is_refused_with_a_code_of_its_own() {
        let unknown = read(serde_json::json!({"name": "MESAGE_CREATE", "data": {}})).unwrap_err();
        assert_eq!(unknown.problem(), Problem::UnknownEvent);
        assert!(unknown.to_string().contains("did you mean `MESSAGE_CREATE`?"), "{unknown}");
        let large = read(serde_json::json!({"name": "Web", "data": "x".repeat(99)})).unwrap_err();
        assert_eq!(large.problem(), Problem::TooLarge);
        assert!(large.to_string().contains("100 bytes"), "{large}");
        let scope = read(serde_json::json!({"name": "Web", "data": 1, "scopes": [""]})).unwrap_err();
        assert_eq!(scope.problem(), Problem::InvalidValue);
    }

    #[test]
    fn who_caused_an_event_is_asked_of_discords_alone_and_where_the_bot_is_known() {
        let is_by = |name, data, author, bot| {
            let body = serde_json::json!({"name": name, "data": data, "author": author});
            is_by(&read(body).unwrap(), bot).map_err(|error| error.problem())
        };
        let (by_it, nothing) = (serde_json::json!({"author": {"id": "9"}}), serde_json::json!({}));
        assert_eq!(is_by("MESSAGE_CREATE", &by_it, None, Some(9)), Ok(true));
        assert_eq!(is_by("MESSAGE_CREATE", &by_it, None, Some(8)), Ok(false));
        assert_eq!(is_by("MESSAGE_CREATE", &by_it, None, None), Ok(false));
        assert_eq!(is_by("MESSAGE_DELETE", &nothing, Some("9"), Some(9)), Ok(true));
        assert_eq!(is_by("MESSAGE_DELETE", &nothing, None, Some(9)), Ok(false));
        assert_eq!(is_by("INTERACTION_CREATE", &nothing, Some("9"), Some(9)), Ok(false));
        assert_eq!(is_by("WebHook", &by_it, Some("9"), Some(9)), Ok(false));
        let elsewhere = serde_json::json!({"guild_id": "2"});
        assert_eq!(is_by("MESSAGE_CREATE", &elsewhere, None, None), Err(Problem::InvalidValue));
        assert_eq!(is_by("WebHook", &elsewhere, None, None), Ok(false));
    }

    #[test]
    fn a_caller_waits_as_long_as_it_says_and_never_longer_than_the_limit() {
        let most = Duration::from_secs(60);
        let wait = |wait, timeout_ms| time_to_wait(&Wait { wait, timeout_ms }, most).map_err(|e| e.problem());
        assert_eq!(wait(None, None), Ok(None));
        assert_eq!(wait(Some(false), None), Ok(None));
        assert_eq!(wait(Some(true), None), Ok(Some(most)));
        assert_eq!(wait(Some(true), Some(5)), Ok(Some(Duration::from_millis(5))));
        assert_eq!(wait(Some(true), Some(u64::MAX)), Ok(Some(most)));
        assert_eq!(wait(None, Some(5)), Err(Problem::InvalidQuery));
    }
}
