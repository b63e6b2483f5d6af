//! Why the data plane could not be started.

use std::fmt;

/// What failed, why, and what to do about it.
#[derive(Debug)]
pub struct StartError {
    /// What was being done.
    pub what: String,
    /// Why it failed.
    pub why: String,
    /// What to do.
    pub fix: String,
}

impl StartError {
    pub(crate) fn new(what: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into(), fix: fix.into() }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.fix
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; fix: {}", self.what, self.why, self.fix)
    }
}

impl std::error::Error for StartError {}

/// Errors of the DPDK layer, with what was being done.
pub(crate) trait While<T> {
    fn during(self, what: impl FnOnce() -> String) -> Result<T, StartError>;
}

impl<T> While<T> for dpdk_ffi::error::Result<T> {
    fn during(self, what: impl FnOnce() -> String) -> Result<T, StartError> {
        self.map_err(|error| {
            let (text, fix) = (error.to_string(), error.hint().to_owned());
            // The text ends with the same fix; once is enough.
            let why = text.split("; fix: ").next().unwrap_or(&text).to_owned();
            StartError { what: what(), why, fix }
        })
    }
}
