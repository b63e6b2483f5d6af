//! The machine as files below a root directory.
//!
//! Invariant: every path the doctor reads is joined to the root here; a file that cannot be read is `None`, and a
//! check must say what that means to it.

use std::fs;
use std::path::{Path, PathBuf};

/// A machine to examine.
#[derive(Debug, Clone)]
pub struct System {
    root: PathBuf,
    /// Process whose limits and capabilities count, as a directory in /proc.
    process: &'static str,
}

impl System {
    /// This machine.
    #[must_use]
    pub fn this() -> Self {
        Self { root: PathBuf::from("/"), process: "proc/self" }
    }

    /// A tree with its own `sys`, `proc`, `dev` and so on.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), process: "proc/self" }
    }

    /// `path` of the examined machine, as a path of this one.
    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// A file's text without the last line break.
    pub(crate) fn read(&self, path: impl AsRef<Path>) -> Option<String> {
        let text = fs::read_to_string(self.path(path)).ok()?;
        Some(text.trim_end().to_owned())
    }

    pub(crate) fn number(&self, path: impl AsRef<Path>) -> Option<i64> {
        self.read(path)?.trim().parse().ok()
    }

    pub(crate) fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.path(path).exists()
    }

    /// The names in a directory, sorted; empty if there is none.
    pub(crate) fn list(&self, path: impl AsRef<Path>) -> Vec<String> {
        let entries = fs::read_dir(self.path(path)).into_iter().flatten().flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// The last part of what a symbolic link points to.
    pub(crate) fn link_name(&self, path: impl AsRef<Path>) -> Option<String> {
        let target = fs::read_link(self.path(path)).ok()?;
        Some(target.file_name()?.to_string_lossy().into_owned())
    }

    /// A line `key: value` of the process's status or of a /proc file like it.
    pub(crate) fn field(&self, path: &str, key: &str) -> Option<String> {
        let text = self.read(path)?;
        let value = text.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix(':'))?;
        Some(value.trim().to_owned())
    }

    pub(crate) fn process(&self, file: &str) -> String {
        format!("{}/{file}", self.process)
    }

    /// Whether the process has a capability, by its number in linux/capability.h.
    pub(crate) fn capable(&self, number: u32) -> Option<bool> {
        let set = self.field(&self.process("status"), "CapEff")?;
        let set = u64::from_str_radix(&set, 16).ok()?;
        Some(set >> number & 1 == 1)
    }
}
