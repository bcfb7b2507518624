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
use crate::app::App;
use crate::events::{BaseName, Event};
use crate::execution::{Outcome, OutcomeResult};
use crate::ids::{EventId, GuildId};
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
/// in time is `timed_out`, and goes on.
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
    let event = event(guild.id, body, limits.max_event_bytes).inspect_err(|error| {
        if error.problem() == Problem::TooLarge {
            app.shared.metrics.exceeded(Limit::EventBytes);
        }
    })?;
    let event_id = event.id().clone();
    if guild.by_admin && event.base() == BaseName::Discord {
        // What the operator passes on is Discord's word; what a guild's own token sends may be anything.
        app.host.observe(guild.id, event.name().as_str(), event.data()).await;
    }
    // It may wait for the guild's templates to be compiled, which is nothing to keep others out for either.
    let dispatched = app.dispatcher.dispatch_with(event, || guild.place.give_back()).await?;
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
