//! What the doctor found, for people and as JSON.
//!
//! Invariant: a check that did not pass says what to do about it.

use std::fmt;

use serde::Serialize;

/// The outcome of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// As it should be.
    Pass,
    /// Nothing in the configuration needs it.
    NotApplicable,
    /// Works, but not as well as it could, or could not be found out.
    Warn,
    /// Millrace will not start, or will not carry traffic.
    Fail,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
            Self::NotApplicable => "n/a",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Short name, like `hugepages` or `driver lan`.
    pub name: String,
    /// Outcome.
    pub status: Status,
    /// What was found.
    pub found: String,
    /// What to do: commands, one each line. Empty if the check passed or does not apply.
    pub fix: Vec<String>,
}

impl Check {
    pub(crate) fn pass(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(name, Status::Pass, found)
    }

    pub(crate) fn not_applicable(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(name, Status::NotApplicable, found)
    }

    pub(crate) fn warn(name: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(name, Status::Warn, found).then(fix)
    }

    pub(crate) fn fail(name: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(name, Status::Fail, found).then(fix)
    }

    /// Adds a step to the fix.
    pub(crate) fn then(mut self, fix: impl Into<String>) -> Self {
        self.fix.push(fix.into());
        self
    }

    fn new(name: impl Into<String>, status: Status, found: impl Into<String>) -> Self {
        Self { name: name.into(), status, found: found.into(), fix: Vec::new() }
    }
}

/// Everything that was looked at, in the order of looking.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Report {
    /// The checks.
    pub checks: Vec<Check>,
}

impl Report {
    /// The worst outcome.
    #[must_use]
    pub fn worst(&self) -> Status {
        self.checks.iter().map(|check| check.status).max().unwrap_or(Status::Pass)
    }

    /// The check of this name.
    #[must_use]
    pub fn check(&self, name: &str) -> Option<&Check> {
        self.checks.iter().find(|check| check.name == name)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
        for check in &self.checks {
            writeln!(f, "{:4}  {:width$}  {}", check.status.word(), check.name, check.found)?;
            for fix in &check.fix {
                writeln!(f, "      {:width$}  fix: {fix}", "")?;
            }
        }
        let count = |status| self.checks.iter().filter(|check| check.status == status).count();
        writeln!(
            f,
            "{} passed, {} warnings, {} failed",
            count(Status::Pass),
            count(Status::Warn),
            count(Status::Fail)
        )
    }
}
