//! What only makes sense together: addresses against subnets, services against ports, memory against queues.
//!
//! Invariant: a check never complains about a value that could not be read (that is already reported), and every
//! complaint is at the place of one key, which the operator can change.

mod export;
mod http;
mod monitor;
mod operate;
mod ports;
mod proxies;
mod proxy;
mod resources;
mod services;
mod start;
mod subnets;
mod upstreams;

use std::collections::BTreeSet;
use std::ops::Bound;

use super::decoder::Finding;
use super::host::Host;
use super::model::Config;
use super::node::Node;
use super::problem::Wrong;

/// What the checks found.
pub(crate) struct Verdict {
    pub(crate) errors: Vec<Finding>,
    pub(crate) warnings: Vec<Finding>,
}

/// Checks a decoded configuration.
pub(crate) fn validate(
    config: &Config,
    tree: &Node,
    host: &Host,
    unusable: &BTreeSet<String>,
    given: &BTreeSet<String>,
) -> Verdict {
    let mut checker = Checker {
        config,
        host,
        tree,
        unusable,
        given,
        verdict: Verdict { errors: Vec::new(), warnings: Vec::new() },
    };
    start::check(&mut checker);
    ports::check(&mut checker);
    monitor::mirrors(&mut checker);
    subnets::check(&mut checker);
    upstreams::check(&mut checker);
    services::check(&mut checker);
    proxies::check(&mut checker);
    resources::check(&mut checker);
    export::check(&mut checker);
    operate::check(&mut checker);
    checker.verdict
}

/// The configuration under check and what was found so far.
pub(crate) struct Checker<'a> {
    pub(crate) config: &'a Config,
    pub(crate) host: &'a Host,
    tree: &'a Node,
    unusable: &'a BTreeSet<String>,
    given: &'a BTreeSet<String>,
    verdict: Verdict,
}

impl Checker<'_> {
    /// Whether the value at `path` and everything in it is what the file says.
    pub(crate) fn usable(&self, path: &str) -> bool {
        let inside = |other: &str| {
            other.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let below = self.unusable.range::<str, _>((Bound::Included(path), Bound::Unbounded));
        !below.take_while(|other| other.starts_with(path)).any(|other| inside(other)) && self.readable(path)
    }

    /// Whether no value around `path` is a placeholder.
    fn readable(&self, path: &str) -> bool {
        let cuts = path.match_indices(['.', '[']).map(|(at, _)| &path[..at]);
        !cuts.chain([path]).any(|above| self.unusable.contains(above))
    }

    pub(crate) fn error(&mut self, path: &str, what: impl Into<String>, instead: impl Into<String>) {
        if self.readable(path) {
            let finding = self.finding(path, Wrong::new(what, instead));
            self.verdict.errors.push(finding);
        }
    }

    pub(crate) fn warn(&mut self, path: &str, what: impl Into<String>, instead: impl Into<String>) {
        if self.readable(path) {
            let finding = self.finding(path, Wrong::new(what, instead));
            self.verdict.warnings.push(finding);
        }
    }

    /// Whether the file itself gives the key at `path`.
    pub(crate) fn given(&self, path: &str) -> bool {
        self.given.contains(path)
    }

    /// Line of `path`, for "already used on line ...".
    pub(crate) fn line(&self, path: &str) -> usize {
        self.tree.locate(path).line
    }

    fn finding(&self, path: &str, wrong: Wrong) -> Finding {
        Finding::at(self.tree.locate(path), path.to_owned(), wrong)
    }
}
