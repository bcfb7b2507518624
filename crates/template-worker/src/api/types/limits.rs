//! Bodies about the limits of a guild. Their fields are the limits, which `limits` declares once.

use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{AdditionalProperties, KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::limits::{LimitOverrides, Limits};
use crate::settings::Setting;

/// What a guild may use.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GuildLimits)]
pub(in crate::api) struct LimitsBody {
    /// All limits, as they count for the guild.
    effective: EffectiveBody,
    /// Those of them that were set for this guild.
    overrides: OverridesBody,
}

impl LimitsBody {
    /// `effective`, which came of `overrides`.
    pub(in crate::api) fn new(effective: &Limits, overrides: LimitOverrides) -> Self {
        Self { effective: EffectiveBody(effective.clone()), overrides: OverridesBody(overrides) }
    }
}

/// All limits.
#[derive(Debug, Serialize)]
pub(in crate::api) struct EffectiveBody(Limits);

/// Some limits, by their keys.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::api) struct OverridesBody(pub(in crate::api) LimitOverrides);

impl PartialSchema for EffectiveBody {
    fn schema() -> RefOr<Schema> {
        let object = object(Limits::SETTINGS.iter());
        Limits::SETTINGS.iter().fold(object, |object, setting| object.required(setting.key)).into()
    }
}

impl PartialSchema for OverridesBody {
    fn schema() -> RefOr<Schema> {
        let example = serde_json::json!({"max_template_memory_usage": 41_943_040, "max_cpu_time_ms": 20_000});
        object(Limits::of_a_guild()).examples([example]).into()
    }
}

impl ToSchema for EffectiveBody {
    fn name() -> std::borrow::Cow<'static, str> {
        "Limits".into()
    }
}

impl ToSchema for OverridesBody {
    fn name() -> std::borrow::Cow<'static, str> {
        "LimitOverrides".into()
    }
}

/// An object that has these limits and nothing else.
fn object(settings: impl Iterator<Item = &'static Setting>) -> ObjectBuilder {
    let object = ObjectBuilder::new()
        .schema_type(Type::Object)
        .additional_properties(Some(AdditionalProperties::FreeForm(false)));
    settings.fold(object, |object, setting| object.property(setting.key, number(setting)))
}

fn number(setting: &Setting) -> Schema {
    let (least, most) = setting.within.unwrap_or((0, u64::MAX));
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(least))
        .maximum(Some(most))
        .description(Some(setting.meaning.concat().trim()))
        .into()
}
