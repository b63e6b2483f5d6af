//! Filters of exchanges, in the manner of mitmproxy's.
//!
//! Invariant: a filter is bounded in length, terms, depth and in what its regular expressions may take; an error says
//! where it is.

mod address;
mod lex;
mod parse;
mod term;
#[cfg(test)]
mod tests;

use crate::decode::Limits;
use crate::store::Exchange;
use term::Term;

/// The longest filter, in bytes.
pub(crate) const MOST_BYTES: usize = 1024;
/// The most terms of a filter.
const MOST_TERMS: usize = 64;
/// The deepest nesting.
const MOST_DEPTH: usize = 32;

/// Why a filter is none.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Mistake {
    /// What to do.
    pub(crate) message: String,
    /// Where it begins, in UTF-16 code units as browsers count them.
    pub(crate) position: usize,
    /// How many of them it takes; at least 1.
    pub(crate) length: usize,
}

/// A filter.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    /// `None` lets everything through.
    root: Option<Node>,
}

#[derive(Debug)]
enum Node {
    Term(Term),
    Not(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
}

impl Filter {
    /// Reads one. Nothing but blanks lets everything through.
    ///
    /// # Errors
    /// The first mistake.
    pub(crate) fn parse(text: &str) -> Result<Self, Mistake> {
        let mistake = |(message, from, to): (String, usize, usize)| {
            let units = |part: &str| part.encode_utf16().count();
            let (from, to) = (floor(text, from), floor(text, to));
            let length = units(&text[from..to.max(from)]).max(1);
            Mistake { message, position: units(&text[..from]), length }
        };
        parse::parse(text).map(|root| Self { root }).map_err(mistake)
    }

    /// Whether it lets everything through.
    pub(crate) fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// Whether it lets this one through.
    pub(crate) fn matches(&self, exchange: &Exchange, limits: &Limits) -> bool {
        self.root.as_ref().is_none_or(|node| node.matches(exchange, limits))
    }
}

impl Node {
    fn matches(&self, exchange: &Exchange, limits: &Limits) -> bool {
        match self {
            Self::Term(term) => term.matches(exchange, limits),
            Self::Not(node) => !node.matches(exchange, limits),
            Self::And(nodes) => nodes.iter().all(|node| node.matches(exchange, limits)),
            Self::Or(nodes) => nodes.iter().any(|node| node.matches(exchange, limits)),
        }
    }
}

/// The nearest boundary of a character at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}
