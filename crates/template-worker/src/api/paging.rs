//! Lists that come a page at a time.
//!
//! Owns how a page is asked for. How a cursor looks is `cursor`'s business, and where in its list it stands the list's own.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::error::ApiError;
use super::problem::Problem;
use crate::cursor;

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
    all.last().filter(|_| more).map(|last| cursor::of(&place(last)))
}

/// The place that a cursor stands for.
pub(super) fn place_of<P: DeserializeOwned>(cursor: &str) -> Result<P, ApiError> {
    cursor::place(cursor).ok_or_else(no_cursor)
}

/// What is said of a cursor that stands for nothing.
pub(super) fn no_cursor() -> ApiError {
    ApiError::new(Problem::InvalidQuery, "`cursor` is not the `next_cursor` of another page")
}

#[cfg(test)]
mod tests {
    use super::*;

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
