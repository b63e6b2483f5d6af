//! The terms of a filter.
//!
//! Invariant: a body is looked at decoded, as far as [`Limits::search`] goes.

use regex::{Regex, RegexBuilder, bytes};

use super::address::Address;
use super::lex::Wrong;
use crate::decode::{Limits, decoded};
use crate::store::{Exchange, Message};

/// What a compiled regular expression, and the cache of its automaton, may take, in bytes.
const MOST_REGEX: usize = 256 << 10;

/// A term.
#[derive(Debug)]
pub(super) enum Term {
    Url(Regex),
    Method(Regex),
    Domain(Regex),
    Status(u16, u16),
    Responded,
    Waiting,
    /// A status from 400 on, or a message that broke off.
    Failed,
    Body(bytes::Regex, Sides),
    Header(Regex, Sides),
    Type(Regex, Sides),
    Source(Address),
    Destination(Address),
    Flow(u64),
}

/// Which of the two messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sides {
    request: bool,
    response: bool,
}

const BOTH: Sides = Sides { request: true, response: true };
const REQUEST: Sides = Sides { request: true, response: false };
const RESPONSE: Sides = Sides { request: false, response: true };

/// Whether the operator `~name` takes a word.
pub(super) fn takes_word(name: &str) -> bool {
    !matches!(name, "s" | "q" | "e")
}

/// The term of `~name word`; `at` is where the operator stands.
pub(super) fn operator(
    name: &str,
    word: Option<(String, usize, usize)>,
    at: (usize, usize),
) -> Result<Term, Wrong> {
    match name {
        "s" => return Ok(Term::Responded),
        "q" => return Ok(Term::Waiting),
        "e" => return Ok(Term::Failed),
        "m" | "u" | "d" | "c" | "b" | "bq" | "bs" | "h" | "hq" | "hs" | "t" | "tq" | "ts" | "src" | "dst"
        | "f" => {}
        _ => {
            let message = "there is no such operator: ~m ~u ~d ~c ~s ~q ~e ~b ~bq ~bs ~h ~hq ~hs ~t ~tq ~ts ~src \
                           ~dst ~f";
            return Err((message.to_owned(), at.0, at.1));
        }
    }
    let Some((word, from, to)) = word else {
        return Err((format!("~{name} needs {}", wanted(name)), at.0, at.1));
    };
    let place = (from, to);
    let number = || format!("~{name} needs {}", wanted(name));
    Ok(match name {
        "m" => Term::Method(regex(&word, place)?),
        "d" => Term::Domain(regex(&word, place)?),
        "c" => {
            let (least, most) = statuses(&word).ok_or_else(|| (number(), from, to))?;
            Term::Status(least, most)
        }
        "b" => Term::Body(bytes_regex(&word, place)?, BOTH),
        "bq" => Term::Body(bytes_regex(&word, place)?, REQUEST),
        "bs" => Term::Body(bytes_regex(&word, place)?, RESPONSE),
        "h" => Term::Header(regex(&word, place)?, BOTH),
        "hq" => Term::Header(regex(&word, place)?, REQUEST),
        "hs" => Term::Header(regex(&word, place)?, RESPONSE),
        "t" => Term::Type(regex(&word, place)?, BOTH),
        "tq" => Term::Type(regex(&word, place)?, REQUEST),
        "ts" => Term::Type(regex(&word, place)?, RESPONSE),
        "src" => Term::Source(Address::parse(&word).ok_or_else(|| (number(), from, to))?),
        "dst" => Term::Destination(Address::parse(&word).ok_or_else(|| (number(), from, to))?),
        "f" => Term::Flow(word.parse().map_err(|_| (number(), from, to))?),
        _ => Term::url(&word, place)?,
    })
}

fn wanted(name: &str) -> &'static str {
    match name {
        "c" => "a status like 404, 4xx or 400-499",
        "src" | "dst" => {
            "an address, a prefix, or either with a port: 10.0.0.1:80, [fd00::1]:80, 10.0.0.0/8, :80"
        }
        "f" => "the number of a flow",
        _ => "a regular expression behind it",
    }
}

fn statuses(word: &str) -> Option<(u16, u16)> {
    if let Some(class) = word.strip_suffix("xx") {
        let class: u16 = class.parse().ok().filter(|class| (1..=9).contains(class))?;
        return Some((class * 100, class * 100 + 99));
    }
    let (least, most) = word.split_once('-').unwrap_or((word, word));
    let read = |text: &str| text.parse::<u16>().ok().filter(|status| (100..=999).contains(status));
    Some((read(least)?, read(most)?)).filter(|(least, most)| least <= most)
}

fn explain(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "the regular expression takes too much memory".to_owned(),
        // The message shows the expression with marks below it; the last line says what is wrong.
        other => {
            let text = other.to_string();
            let line = text.lines().last().unwrap_or_default();
            format!("the regular expression cannot be read: {}", line.trim_start_matches("error: "))
        }
    }
}

fn regex(word: &str, (from, to): (usize, usize)) -> Result<Regex, Wrong> {
    let mut builder = RegexBuilder::new(word);
    builder.case_insensitive(true).size_limit(MOST_REGEX).dfa_size_limit(MOST_REGEX).nest_limit(64);
    builder.build().map_err(|error| (explain(&error), from, to))
}

fn bytes_regex(word: &str, (from, to): (usize, usize)) -> Result<bytes::Regex, Wrong> {
    let mut builder = bytes::RegexBuilder::new(word);
    builder.case_insensitive(true).size_limit(MOST_REGEX).dfa_size_limit(MOST_REGEX).nest_limit(64);
    builder.build().map_err(|error| (explain(&error), from, to))
}

impl Term {
    /// The term of a word without an operator.
    pub(super) fn url(word: &str, place: (usize, usize)) -> Result<Self, Wrong> {
        Ok(Self::Url(regex(word, place)?))
    }

    pub(super) fn matches(&self, exchange: &Exchange, limits: &Limits) -> bool {
        match self {
            Self::Url(regex) => regex.is_match(&exchange.url()),
            Self::Method(regex) => regex.is_match(exchange.method()),
            Self::Domain(regex) => regex.is_match(&exchange.host()),
            Self::Status(least, most) => {
                exchange.status().is_some_and(|status| (*least..=*most).contains(&status))
            }
            Self::Responded => exchange.response.is_some(),
            Self::Waiting => exchange.response.is_none(),
            Self::Failed => exchange.response.as_ref().is_some_and(|response| response.is_error()),
            Self::Body(regex, sides) => {
                sides.of(exchange).any(|message| regex.is_match(&decoded(message, limits.search()).bytes))
            }
            Self::Header(regex, sides) => sides.of(exchange).any(|message| {
                let lines = message.http.headers.iter().chain(&message.http.trailers);
                lines.into_iter().any(|(name, value)| regex.is_match(&format!("{name}: {value}")))
            }),
            Self::Type(regex, sides) => sides
                .of(exchange)
                .any(|message| message.http.header("content-type").is_some_and(|kind| regex.is_match(kind))),
            Self::Source(address) => address.holds(exchange.origin.client),
            Self::Destination(address) => address.holds(exchange.origin.server),
            Self::Flow(flow) => exchange.origin.flow == *flow,
        }
    }
}

impl Sides {
    fn of(self, exchange: &Exchange) -> impl Iterator<Item = &Message> {
        let request = exchange.request.as_deref().filter(|_| self.request);
        let response = exchange.response.as_deref().filter(|_| self.response);
        request.into_iter().chain(response)
    }
}
