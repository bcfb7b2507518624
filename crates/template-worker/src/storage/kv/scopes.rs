//! The scopes of a record: a set, in one canonical form.

use crate::events::{MAX_SCOPE_BYTES, MAX_SCOPES};

use super::KvError;

/// One to [`MAX_SCOPES`] scopes, sorted, none twice: `{"a", "b"}` and `{"b", "a", "b"}` are the same.
///
/// They are bounded as the scopes of an event are, which they become when the record expires.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scopes(Vec<String>);

impl Scopes {
    /// The set of `scopes`.
    ///
    /// # Errors
    /// Where there are none or too many, or one is empty or too long.
    pub fn new(mut scopes: Vec<String>) -> Result<Self, KvError> {
        if scopes.is_empty() {
            return Err(KvError::NoScopes);
        }
        if scopes.len() > MAX_SCOPES {
            return Err(KvError::TooManyScopes { count: scopes.len() });
        }
        if let Some(scope) = scopes.iter().find(|scope| !(1..=MAX_SCOPE_BYTES).contains(&scope.len())) {
            return Err(KvError::BadScope { bytes: scope.len() });
        }
        scopes.sort_unstable();
        scopes.dedup();
        Ok(Self(scopes))
    }

    /// They, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// They, in order.
    pub fn to_vec(&self) -> Vec<String> {
        self.0.clone()
    }

    /// The one text that stands for this set.
    pub(in crate::storage) fn to_column(&self) -> String {
        // A list of texts is always JSON.
        serde_json::to_string(&self.0).unwrap_or_default()
    }

    /// The set that this text stands for.
    pub(in crate::storage) fn from_column(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(texts: &[&str]) -> Result<Scopes, KvError> {
        Scopes::new(texts.iter().map(|text| (*text).to_owned()).collect())
    }

    #[test]
    fn the_order_in_which_scopes_are_named_does_not_matter() {
        let one = scopes(&["b", "a", "b"]).unwrap();
        assert_eq!(one, scopes(&["a", "b"]).unwrap());
        assert_eq!(one.to_column(), r#"["a","b"]"#);
        assert_eq!(Scopes::from_column(&one.to_column()).unwrap(), one);
        // A scope that looks like a set is not that set.
        assert_ne!(scopes(&[r#"a","b"#]).unwrap().to_column(), one.to_column());
    }

    #[test]
    fn scopes_are_few_and_short_and_never_empty() {
        assert!(matches!(scopes(&[]), Err(KvError::NoScopes)));
        assert!(matches!(scopes(&["x"; 17]), Err(KvError::TooManyScopes { count: 17 })));
        assert!(matches!(scopes(&["a", ""]), Err(KvError::BadScope { bytes: 0 })));
        assert!(matches!(scopes(&[&"x".repeat(129)]), Err(KvError::BadScope { bytes: 129 })));
        assert!(scopes(&["x"; 16]).is_ok() && scopes(&[&"x".repeat(128)]).is_ok());
    }
}
