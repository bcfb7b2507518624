//! What a parser finds, as a [`KhronosValue`]: for text that need not be from a friend.
//!
//! Owns the limits, which hold while it is read. Leaves to `typed` what an object means that is marked as a value which
//! JSON lacks.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::typed::{TYPE_KEY, is_marked, untagged};
use super::{KhronosValue, ValueError, ValueLimits};

/// Objects and lists that stand for one value, where types are kept: those of a vector.
const LEVELS_OF_A_LEAF: usize = 2;
/// Values that stand for one: again a vector, with its tag and its three numbers.
const NODES_OF_A_LEAF: usize = 6;

/// How the parser of TOML says that a text is a date.
const TOML_DATE: &str = "$__toml_private_datetime";

/// What objects and numbers mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Types {
    /// As in typed JSON.
    Kept,
    /// Themselves. A number is what it is, however it is written.
    Plain,
}

/// Reads one value.
///
/// # Errors
/// [`ValueError::TypedJson`] for what is wrong in the text, and those that say which limit is exceeded.
pub(crate) fn read<'de, D>(parser: D, limits: ValueLimits, types: Types) -> Result<KhronosValue, ValueError>
where
    D: Deserializer<'de>,
    D::Error: fmt::Display,
{
    let budget = Budget {
        depth: limits.depth.saturating_add(LEVELS_OF_A_LEAF),
        nodes: Cell::new(limits.nodes.saturating_mul(NODES_OF_A_LEAF)),
        exceeded: Cell::new(None),
        limits,
        types,
    };
    let value = Read { budget: &budget, depth: 0 }.deserialize(parser);
    let value = value.map_err(|error| budget.exceeded.take().unwrap_or_else(|| complaint(&error)))?;
    within(&value, limits)?;
    Ok(value)
}

/// What a parser has to say.
pub(super) fn complaint(error: &impl fmt::Display) -> ValueError {
    ValueError::TypedJson(beginning(&error.to_string()))
}

/// Texts of a parser repeat what they found.
pub(super) fn beginning(text: &str) -> String {
    text.chars().take(200).collect()
}

/// What may be read; the values are counted down.
struct Budget {
    depth: usize,
    nodes: Cell<usize>,
    exceeded: Cell<Option<ValueError>>,
    limits: ValueLimits,
    types: Types,
}

impl Budget {
    fn stop<E: serde::de::Error>(&self, error: ValueError) -> E {
        self.exceeded.set(Some(error));
        E::custom("too large")
    }
}

#[derive(Clone, Copy)]
struct Read<'a> {
    budget: &'a Budget,
    depth: usize,
}

impl Read<'_> {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= self.budget.depth {
            return Err(self.budget.stop(ValueError::TooDeep { limit: self.budget.limits.depth }));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }

    fn is_typed(self) -> bool {
        self.budget.types == Types::Kept
    }
}

impl<'de> DeserializeSeed<'de> for Read<'_> {
    type Value = KhronosValue;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<KhronosValue, D::Error> {
        let Some(left) = self.budget.nodes.get().checked_sub(1) else {
            return Err(self.budget.stop(ValueError::TooManyNodes { limit: self.budget.limits.nodes }));
        };
        self.budget.nodes.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Read<'_> {
    type Value = KhronosValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<KhronosValue, E> {
        Ok(KhronosValue::Null)
    }

    fn visit_bool<E>(self, b: bool) -> Result<KhronosValue, E> {
        Ok(KhronosValue::Boolean(b))
    }

    fn visit_i64<E: serde::de::Error>(self, n: i64) -> Result<KhronosValue, E> {
        Ok(n.into())
    }

    fn visit_u64<E: serde::de::Error>(self, n: u64) -> Result<KhronosValue, E> {
        Ok(KhronosValue::whole(n))
    }

    fn visit_f64<E: serde::de::Error>(self, n: f64) -> Result<KhronosValue, E> {
        Ok(if self.is_typed() { KhronosValue::Float(n) } else { KhronosValue::from(n) })
    }

    fn visit_str<E>(self, text: &str) -> Result<KhronosValue, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<KhronosValue, A::Error> {
        let inner = self.inner()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push(item);
        }
        Ok(KhronosValue::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<KhronosValue, A::Error> {
        let inner = self.inner()?;
        let mut map = BTreeMap::new();
        let mut kind = None;
        while let Some(mut key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(inner)?;
            if self.is_typed() && key == TYPE_KEY {
                kind = Some(value);
                continue;
            }
            if self.is_typed() && is_marked(&key) {
                key.pop();
            } else if key == TOML_DATE && !self.is_typed() {
                return Ok(value);
            }
            map.insert(key, value);
        }
        let Some(kind) = kind else { return Ok(KhronosValue::Map(map)) };
        untagged(&kind, map).map_err(A::Error::custom)
    }
}

/// Whether a value, which is not deep, is within the limits, counted as on the way out of a VM.
pub(crate) fn within(value: &KhronosValue, limits: ValueLimits) -> Result<(), ValueError> {
    struct Left {
        nodes: usize,
        bytes: usize,
    }
    fn count(
        value: &KhronosValue,
        depth: usize,
        left: &mut Left,
        limits: ValueLimits,
    ) -> Result<(), ValueError> {
        left.nodes = left.nodes.checked_sub(1).ok_or(ValueError::TooManyNodes { limit: limits.nodes })?;
        let is_table = matches!(value, KhronosValue::List(_) | KhronosValue::Map(_));
        if is_table && depth >= limits.depth {
            return Err(ValueError::TooDeep { limit: limits.depth });
        }
        let mut take = |bytes: usize| {
            left.bytes =
                left.bytes.checked_sub(bytes).ok_or(ValueError::TooManyBytes { limit: limits.bytes })?;
            Ok(())
        };
        match value {
            KhronosValue::Text(text) => take(text.len()),
            KhronosValue::Buffer(bytes) => take(bytes.len()),
            KhronosValue::List(items) => {
                items.iter().try_for_each(|item| count(item, depth + 1, left, limits))
            }
            KhronosValue::Map(entries) => {
                entries.keys().try_for_each(|key| take(key.len()))?;
                entries.values().try_for_each(|item| count(item, depth + 1, left, limits))
            }
            _ => Ok(()),
        }
    }
    count(value, 0, &mut Left { nodes: limits.nodes, bytes: limits.bytes }, limits)
}
