//! The configuration: YAML in, a checked [`Config`] or every problem with its place out.
//!
//! Invariant: a [`Config`] that leaves this module is complete and consistent; nothing that starts, reloads or
//! steers packets checks it again. A file with one error yields no configuration at all.
//!
//! The way through: `read` (text to a tree with positions) -> `decoder` (tree to [`model`], by `section!`) ->
//! `validate` (what only makes sense together). The keys are defined once, in `model`; `schema`, `reference`,
//! `show` and `diff` are made from that definition.

pub mod cli;
mod decoder;
mod diff;
mod endpoint;
mod host;
mod host_values;
mod link;
pub mod model;
mod net;
mod node;
mod problem;
pub(crate) mod reach;
mod read;
mod reference;
mod schema;
mod section;
mod server;
mod show;
mod spec;
mod table;
mod units;
mod validate;
mod value;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use decoder::{Decoder, Finding};
use problem::Position;
use value::Value;

pub use diff::{Diff, diff};
pub use endpoint::{Endpoint, Place};
pub(crate) use host::{GROUPS, group_ids};
pub use host::{Host, parse_cpu_list};
pub use host_values::{Auto, FileMode, Listen};
pub use link::{MacAddress, PciAddress, PortRange};
pub use model::Config;
pub use net::{InterfaceAddress, Prefix};
pub use problem::{Problem, Problems, Severity, Wrong};
pub use reference::{key_table, reference_yaml};
pub use schema::schema;
pub use server::{ServerAddress, StatusRange};
pub use show::effective_yaml;
pub use units::Size;

/// The most problems reported for one file: enough to work on, and bounded.
const MOST_PROBLEMS: usize = 100;

/// A configuration that was read and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is allowed but probably not meant.
    pub warnings: Vec<Problem>,
    /// The file it came from.
    pub source: PathBuf,
    /// The file's text.
    pub text: String,
    /// Paths of the keys the file gives a value for, like `ports[0].mtu`.
    pub given: BTreeSet<String>,
}

impl Loaded {
    /// A problem that shows only after the file was read, at the place of `path` or of what is nearest around it.
    #[must_use]
    pub fn problem(&self, path: &str, wrong: Wrong) -> Problem {
        // A text that became a configuration once is a tree again; keeping the tree would be for this case only.
        let at = read::read(&self.text, &mut Vec::new()).map_or(Position::START, |tree| tree.locate(path));
        problem(&self.source.display().to_string(), Severity::Error, Finding::at(at, path.to_owned(), wrong))
    }
}

/// Reads and checks a file for this machine. Relative paths in it are taken from its directory.
///
/// # Errors
/// Every problem found, as lines of `file:line:column: path: what is wrong: what to write instead`.
pub fn load(path: &Path) -> Result<Loaded, Problems> {
    load_for(path, &Host::current(path))
}

/// Reads and checks a file for a machine of the caller's choice.
///
/// # Errors
/// As [`load`].
pub fn load_for(path: &Path, host: &Host) -> Result<Loaded, Problems> {
    let name = path.display().to_string();
    let text = read_file(path).map_err(|finding| problems(&name, vec![finding]))?;
    parse_for(&name, &text, host)
}

/// Checks a text without regard to a machine: CPUs and files it names need not exist here.
///
/// # Errors
/// As [`load`]; `name` stands for the file.
pub fn parse(name: &str, text: &str) -> Result<Loaded, Problems> {
    parse_for(name, text, &Host::unknown())
}

/// Checks a text for a machine of the caller's choice.
///
/// # Errors
/// As [`load`]; `name` stands for the file.
pub fn parse_for(name: &str, text: &str, host: &Host) -> Result<Loaded, Problems> {
    let mut findings = Vec::new();
    let Some(tree) = read::read(text, &mut findings) else {
        return Err(problems(name, findings));
    };
    let mut decoder = Decoder::new(host);
    let config = Config::decode(&tree, &spec::Rule::default(), &mut decoder);
    let config = settle(config, &decoder.given);
    findings.append(&mut decoder.findings);
    let verdict = validate::validate(&config, &tree, host, &decoder.unusable, &decoder.given);
    findings.extend(verdict.errors);
    if !findings.is_empty() {
        return Err(problems(name, findings));
    }
    let warning = |finding| problem(name, Severity::Warning, finding);
    Ok(Loaded {
        config,
        warnings: verdict.warnings.into_iter().take(MOST_PROBLEMS).map(warning).collect(),
        source: PathBuf::from(name),
        text: text.to_owned(),
        given: decoder.given,
    })
}

/// Defaults that follow another key.
fn settle(mut config: Config, given: &BTreeSet<String>) -> Config {
    for (key, value) in config.limits.derived() {
        if !given.contains(&format!("limits.{key}")) {
            *config.limits.derived_mut(key) = value;
        }
    }
    for server in config.upstreams.iter_mut().flat_map(|upstream| &mut upstream.servers) {
        server.name = Some(server.name());
    }
    config
}

fn problem(file: &str, severity: Severity, finding: Finding) -> Problem {
    Problem {
        severity,
        file: file.to_owned(),
        line: finding.at.line,
        column: finding.at.column,
        path: finding.path,
        what: finding.wrong.what,
        instead: finding.wrong.instead,
    }
}

/// Findings in the order of the file, cut at a bounded number.
fn problems(file: &str, mut findings: Vec<Finding>) -> Problems {
    findings.sort_by_key(|finding| finding.at);
    if let Some(rest) = findings.get(MOST_PROBLEMS) {
        let what = format!("{} more problems are not shown", findings.len() - MOST_PROBLEMS);
        let last = Finding::at(rest.at, "(file)".into(), Wrong::new(what, "correct the ones above first"));
        findings.truncate(MOST_PROBLEMS);
        findings.push(last);
    }
    let error = |finding| problem(file, Severity::Error, finding);
    Problems(findings.into_iter().map(error).collect())
}

/// Reads a file that may be missing, endless or not text.
fn read_file(path: &Path) -> Result<String, Finding> {
    let fail = |at, what: String, instead: &str| Finding::at(at, "(file)".into(), Wrong::new(what, instead));
    let unreadable = |error: std::io::Error| {
        let instead = match error.kind() {
            std::io::ErrorKind::NotFound => "name an existing file; start from conf/quickstart.yaml",
            std::io::ErrorKind::PermissionDenied => "make it readable for the user millrace runs as",
            std::io::ErrorKind::IsADirectory => "name a file in it",
            _ => "name a readable file",
        };
        fail(Position::START, format!("cannot read the file: {error}"), instead)
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    let most = read::MAX_BYTES as u64 + 1;
    file.take(most).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > read::MAX_BYTES {
        return Err(read::too_large());
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
        fail(
            Position { line, column },
            format!("byte 0x{:02x} is not UTF-8", error.as_bytes()[valid]),
            "save the file as UTF-8",
        )
    })
}
