//! `settings!`: a section of settings, declared once. Field, default, bounds and meaning stand together, and the
//! struct, its `Default`, its validation and the text of `template-worker config` all come from there.
//!
//! Owns nothing but the shape; which settings there are is said where they are used (`config`, `limits`).

use std::ops::RangeInclusive;

/// What is known about one key of a section.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The key inside its section.
    pub key: &'static str,
    /// What it means, a line per entry.
    pub meaning: &'static [&'static str],
    /// The least and the largest value, for numbers.
    pub within: Option<Bounds>,
}

/// The least and the largest value of a number.
pub type Bounds = (u64, u64);

/// A value that its bounds refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` is {value}: {expected}")]
pub struct BadSetting {
    /// The key inside its section.
    pub key: &'static str,
    /// The value as it was given.
    pub value: String,
    /// What would be accepted.
    pub expected: String,
}

/// Says no to a `value` outside of `range`.
pub(crate) fn check_bounds(
    key: &'static str,
    value: u64,
    range: &RangeInclusive<u64>,
) -> Result<(), BadSetting> {
    if range.contains(&value) {
        return Ok(());
    }
    let expected = format!("use a value from {} to {}", range.start(), range.end());
    Err(BadSetting { key, value: value.to_string(), expected })
}

/// Declares a section; see the head of this file, and `config/sections.rs` for how it looks.
macro_rules! settings {
    (
        $(#[$doc:meta])*
        pub struct $name:ident {
            $( $(#[doc = $meaning:literal])+ pub $key:ident: $type:ty = $default:expr $(, within $range:expr)?; )+
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $( $(#[doc = $meaning])+ pub $key: $type, )+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $key: $default, )+ }
            }
        }

        impl $name {
            /// Every key of the section, in the order in which it is shown.
            pub const SETTINGS: &'static [$crate::settings::Setting] = &[
                $( $crate::settings::Setting {
                    key: stringify!($key),
                    meaning: &[$($meaning),+],
                    within: $crate::settings::settings!(@within $($range)?),
                }, )+
            ];

            /// Each number against its own bounds.
            pub(crate) fn check_bounds(&self) -> Result<(), $crate::settings::BadSetting> {
                $( $( $crate::settings::check_bounds(stringify!($key), self.$key as u64, &$range)?; )? )+
                Ok(())
            }
        }
    };
    (@within) => { None };
    (@within $range:expr) => { Some((*$range.start(), *$range.end())) };
}
pub(crate) use settings;

#[cfg(test)]
mod tests {
    settings! {
        /// A section to try.
        pub struct Tried {
            /// How many.
            /// Two lines.
            pub many: u64 = 3, within 1..=5;
            /// Whether.
            pub whether: bool = true;
        }
    }

    #[test]
    fn a_section_knows_its_defaults_its_bounds_and_its_meaning() {
        let tried = Tried::default();
        assert!(tried.check_bounds().is_ok());
        assert_eq!((tried.many, tried.whether), (3, true));
        assert_eq!(Tried::SETTINGS[0].meaning, [" How many.", " Two lines."]);
        assert_eq!(Tried::SETTINGS[0].within, Some((1, 5)));
        assert_eq!(Tried::SETTINGS[1].within, None);
        let refused = Tried { many: 6, whether: false }.check_bounds().unwrap_err();
        assert_eq!(refused.to_string(), "`many` is 6: use a value from 1 to 5");
    }
}
