//! What is wrong with a configuration, said in one line.
//!
//! Invariant: every problem names a place in the file the operator can jump to, and what to write instead.

use std::fmt;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// The configuration is used, but probably does not mean what was intended.
    Warning,
}

/// A place in the text. Both count from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// Line, from 1.
    pub(crate) line: usize,
    /// Column, from 1, in characters.
    pub(crate) column: usize,
}

impl Position {
    /// The first character of a file, where problems with the file as a whole are reported.
    pub(crate) const START: Self = Self { line: 1, column: 1 };
}

/// One problem in one place.
///
/// `Display` writes `file:line:column: path: what: instead`, with `warning: ` before the path of a warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Error or warning.
    pub severity: Severity,
    /// The file as the operator named it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1, in characters.
    pub column: usize,
    /// The key, like `ports[0].mtu`; `(file)` for the file as a whole.
    pub path: String,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub instead: String,
}

impl Problem {
    /// The line without the word `warning`, for a log that marks its lines itself.
    #[must_use]
    pub fn unmarked(&self) -> String {
        self.line("")
    }

    fn line(&self, mark: &str) -> String {
        let Self { file, line, column, path, what, instead, .. } = self;
        format!("{file}:{line}:{column}: {mark}{path}: {what}: {instead}")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line(match self.severity {
            Severity::Error => "",
            Severity::Warning => "warning: ",
        }))
    }
}

/// Everything that is wrong with one file, in the order of the file. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.0))]
pub struct Problems(pub Vec<Problem>);

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The two halves of a message, before it is known where they belong. The error of every `FromStr` of the model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {instead}")]
pub struct Wrong {
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub instead: String,
}

impl Wrong {
    /// What is wrong, and what to write instead.
    pub fn new(what: impl Into<String>, instead: impl Into<String>) -> Self {
        Self { what: what.into(), instead: instead.into() }
    }
}
