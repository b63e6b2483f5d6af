//! The query of a request.
//!
//! Invariant: numbers have bounds, and what is no number is told.

use hyper::{StatusCode, Uri};

use super::answer::Problem;

/// The pairs of a query.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn of(uri: &Uri) -> Self {
        let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        Self(pairs.take(16).map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    pub(super) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// Whether `name=1` is there.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.text(name) == "1"
    }

    /// A number, or `default` where it is not given.
    pub(super) fn number(&self, name: &str, default: u64) -> Result<u64, Problem> {
        match self.text(name) {
            "" => Ok(default),
            text => text
                .parse()
                .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, format!("`{name}` must be a number"))),
        }
    }

    /// A number between 1 and `most`: more is cut down to it.
    pub(super) fn limit(&self, name: &str, default: usize, most: usize) -> Result<usize, Problem> {
        let number = self.number(name, default as u64)?;
        Ok(usize::try_from(number).unwrap_or(most).clamp(1, most))
    }
}
