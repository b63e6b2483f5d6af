//! Walks the marked tree into typed values, collecting every problem on the way.
//!
//! Invariant: decoding never stops at a problem. A value that cannot be read becomes a placeholder, and its path
//! is remembered as *unusable*, so that later checks do not complain about a value nobody wrote. A configuration
//! with a single finding is never handed out.

use std::collections::BTreeSet;

use super::host::Host;
use super::node::{Entry, Node, Yaml, shorten};
use super::problem::{Position, Wrong};
use super::spec::Spec;
use super::value::Value;

/// A problem that knows its place but not yet its file.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    pub(crate) at: Position,
    pub(crate) path: String,
    pub(crate) wrong: Wrong,
}

impl Finding {
    pub(crate) fn at(at: Position, path: String, wrong: Wrong) -> Self {
        Self { at, path, wrong }
    }
}

/// The state of one walk.
pub(crate) struct Decoder<'h> {
    pub(crate) host: &'h Host,
    pub(crate) findings: Vec<Finding>,
    /// Paths the file gives a value for.
    pub(crate) given: BTreeSet<String>,
    /// Paths whose value is a placeholder.
    pub(crate) unusable: BTreeSet<String>,
    path: String,
}

impl<'h> Decoder<'h> {
    pub(crate) fn new(host: &'h Host) -> Self {
        Self {
            host,
            findings: Vec::new(),
            given: BTreeSet::new(),
            unusable: BTreeSet::new(),
            path: String::new(),
        }
    }

    /// Reports a problem at a place of its own choosing under the current path.
    pub(crate) fn report(&mut self, at: Position, wrong: Wrong) {
        self.unusable.insert(self.path.clone());
        self.findings.push(Finding::at(at, self.path.clone(), wrong));
    }

    /// Reports that `node` is not what was expected there.
    pub(crate) fn mismatch(&mut self, node: &Node, expected: &str, instead: impl Into<String>) {
        let what = format!("expected {expected}, found {}", node.describe());
        self.report(node.at, Wrong::new(what, instead));
    }

    /// Runs `inner` one step further down.
    pub(crate) fn within<T>(&mut self, step: &str, inner: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        if !step.starts_with('[') && length > 0 {
            self.path.push('.');
        }
        self.path.push_str(step);
        let value = inner(self);
        self.path.truncate(length);
        value
    }

    /// Opens a mapping whose keys are `keys`. An empty value (every child commented out) is an empty mapping.
    pub(crate) fn mapping<'n, 'd>(&'d mut self, node: &'n Node, keys: &[&str]) -> Mapping<'n, 'd, 'h> {
        let entries: &[Entry] = match &node.yaml {
            Yaml::Map(entries) => entries,
            Yaml::Null => &[],
            _ => {
                let instead = format!("write it as `key: value` lines; the keys are {}", list(keys));
                self.mismatch(node, "a mapping", instead);
                &[]
            }
        };
        let broken = !matches!(node.yaml, Yaml::Map(_) | Yaml::Null);
        let given = |key: &&str| entries.iter().any(|entry| entry.key == *key);
        let free: Vec<&str> = keys.iter().copied().filter(|key| !given(key)).collect();
        for entry in entries.iter().filter(|entry| !keys.contains(&entry.key.as_str())) {
            self.unknown(entry, &free, keys);
        }
        Mapping { entries, at: node.at, broken, decoder: self }
    }

    /// `free` are the keys of the mapping that it does not give.
    fn unknown(&mut self, entry: &Entry, free: &[&str], keys: &[&str]) {
        let near = nearest(&entry.key, free.iter().copied());
        let instead = match near {
            Some(key) => format!("write `{key}`"),
            None => format!("remove it; the keys here are {}", list(keys)),
        };
        let what = format!("unknown key `{}`", shorten(&entry.key));
        let shown = shorten(&entry.key);
        self.within(&shown, |cx| cx.report(entry.key_at, Wrong::new(what, instead)));
        // The key was surely meant: do not also call it missing.
        if let Some(key) = near {
            self.within(key, |cx| cx.unusable.insert(cx.path.clone()));
        }
    }
}

/// A mapping being taken apart key by key.
pub(crate) struct Mapping<'n, 'd, 'h> {
    entries: &'n [Entry],
    at: Position,
    broken: bool,
    decoder: &'d mut Decoder<'h>,
}

impl Mapping<'_, '_, '_> {
    /// The value of `key`: as given, or its default, or a problem and a placeholder.
    pub(crate) fn field<T: Value>(&mut self, key: &str, spec: Spec<T>) -> T {
        let (at, broken, entries) = (self.at, self.broken, self.entries);
        self.decoder.within(key, |cx| {
            let Some(entry) = entries.iter().find(|e| e.key == key) else {
                return match spec.default {
                    Some(default) => default,
                    None if broken || cx.unusable.contains(&cx.path) => {
                        cx.unusable.insert(cx.path.clone());
                        T::placeholder()
                    }
                    None => {
                        let example = spec.example.unwrap_or("...");
                        cx.report(
                            at,
                            Wrong::new(
                                format!("the key `{key}` is missing"),
                                format!("add it, for example `{key}: {example}`"),
                            ),
                        );
                        T::placeholder()
                    }
                };
            };
            cx.given.insert(cx.path.clone());
            if matches!(entry.node.yaml, Yaml::Null) && !T::EMPTY_ALLOWED {
                let instead = match (spec.example, &spec.default) {
                    (Some(example), _) => format!("write a value, for example `{key}: {example}`"),
                    (None, Some(default)) => {
                        format!("remove the key, or write a value like `{}`", default.to_json())
                    }
                    (None, None) => "write a value".into(),
                };
                cx.report(entry.key_at, Wrong::new(format!("the key `{key}` has no value"), instead));
                return spec.default.unwrap_or_else(T::placeholder);
            }
            T::decode(&entry.node, &spec.rule, cx)
        })
    }
}

/// `a`, `b` and `c`, for messages.
pub(crate) fn list(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}

/// The word that was probably meant: at most a third of its letters differ.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edit distance (Levenshtein), ignoring case and taking `-` for `_`.
fn distance(a: &str, b: &str) -> usize {
    const LONGEST: usize = 64;
    let fold = |text: &str| -> Vec<char> {
        text.chars().take(LONGEST).map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
    };
    let (a, b) = (fold(a), fold(b));
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}
