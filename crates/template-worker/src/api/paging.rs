//! Lists that come a page at a time.
//!
//! Owns how a page is asked for, and how a cursor looks. Where in its list it stands is the list's own business.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::error::ApiError;
use super::problem::Problem;

/// Entries of a page where the client doesn't say.
const DEFAULT_PAGE: u32 = 50;
/// Most entries of a page.
const LARGEST_PAGE: u32 = 100;

/// Which page of a list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// Most entries on the page: 1 to 100, otherwise 50.
    #[param(minimum = 1, maximum = 100, example = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before; the first page where it is left out.
    cursor: Option<String>,
}

impl Page {
    /// Most entries on it.
    pub(super) fn limit(&self) -> Result<u32, ApiError> {
        let limit = self.limit.unwrap_or(DEFAULT_PAGE);
        if (1..=LARGEST_PAGE).contains(&limit) {
            return Ok(limit);
        }
        let detail = format!("`limit` is {limit}: use a value from 1 to {LARGEST_PAGE}");
        Err(ApiError::new(Problem::InvalidQuery, detail))
    }

    /// The place of the last entry of the page before.
    pub(super) fn after<P: DeserializeOwned>(&self) -> Result<Option<P>, ApiError> {
        self.cursor.as_deref().map(place_of).transpose()
    }
}

/// Cuts a list to a page. One entry more than that tells that there is another page, whose cursor comes of the last `place`.
pub(super) fn cut<T, P: Serialize>(
    all: &mut Vec<T>,
    limit: u32,
    place: impl FnOnce(&T) -> P,
) -> Option<String> {
    let more = all.len() > limit as usize;
    all.truncate(limit as usize);
    all.last().filter(|_| more).map(|last| cursor_of(&place(last)))
}

/// Cursors look like nothing in particular, so that nobody builds their own.
pub(super) fn cursor_of(place: &impl Serialize) -> String {
    // Places are texts and numbers, which are always JSON.
    BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(place).unwrap_or_default())
}

/// The place that a cursor stands for.
pub(super) fn place_of<P: DeserializeOwned>(cursor: &str) -> Result<P, ApiError> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok();
    let place = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    place.ok_or_else(no_cursor)
}

/// What is said of a cursor that stands for nothing.
pub(super) fn no_cursor() -> ApiError {
    ApiError::new(Problem::InvalidQuery, "`cursor` is not the `next_cursor` of another page")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_stands_for_its_place_and_nothing_else_for_one() {
        for place in [(0, 0), (-1, i64::MAX)] {
            assert_eq!(place_of::<(i64, i64)>(&cursor_of(&place)).unwrap(), place);
        }
        for wrong in ["", "x", "####", &cursor_of(&"a text")] {
            assert_eq!(
                place_of::<(i64, i64)>(wrong).unwrap_err().problem(),
                Problem::InvalidQuery,
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_page_that_is_full_has_a_cursor_only_where_there_is_more() {
        let cut = |mut all: Vec<u32>| {
            let cursor = cut(&mut all, 2, |last| *last);
            (all, cursor.map(|cursor| place_of::<u32>(&cursor).unwrap()))
        };
        assert_eq!(cut(vec![1]), (vec![1], None));
        assert_eq!(cut(vec![1, 2]), (vec![1, 2], None));
        assert_eq!(cut(vec![1, 2, 3]), (vec![1, 2], Some(2)));
    }
}
