//! The configuration in force, as YAML that says where each value came from.
//!
//! Invariant: what is shown reads back as the same configuration.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::Value as Json;

use super::Loaded;
use super::model::Config;
use super::node::is_number;
use super::spec::{Rule, Section, Shape};
use super::value::Value;

/// The whole configuration, each value marked `# file` or `# default`.
#[must_use]
pub fn effective_yaml(loaded: &Loaded) -> String {
    let mut page = Page { text: String::new(), given: &loaded.given };
    if let Shape::Section(section) = Config::shape(&Rule::default()) {
        page.section(&section, &loaded.config.to_json(), "", "", "");
    }
    page.text
}

struct Page<'a> {
    text: String,
    given: &'a BTreeSet<String>,
}

impl Page<'_> {
    /// Writes a mapping; `first` is what its first line starts with instead of `indent` (a list's dash).
    fn section(&mut self, section: &Section, value: &Json, path: &str, indent: &str, first: &str) {
        let mut lead = first;
        for field in &section.fields {
            let value = &value[field.key];
            let path = if path.is_empty() { field.key.to_owned() } else { format!("{path}.{}", field.key) };
            if value.is_null() {
                continue;
            }
            let start = if lead.is_empty() { indent } else { lead };
            match (field.shape.section(), value) {
                (Some((inner, false)), Json::Object(_)) => {
                    self.line(&format!("{start}{}:", field.key));
                    self.section(inner, value, &path, &format!("{indent}  "), "");
                }
                (Some((inner, true)), Json::Array(items)) if !items.is_empty() => {
                    self.line(&format!("{start}{}:", field.key));
                    for (index, item) in items.iter().enumerate() {
                        let path = format!("{path}[{index}]");
                        self.section(inner, item, &path, &format!("{indent}    "), &format!("{indent}  - "));
                    }
                }
                _ => {
                    let mark = if self.given.contains(&path) { "file" } else { "default" };
                    self.line(&format!("{start}{}: {}  # {mark}", field.key, inline(value)));
                }
            }
            lead = "";
        }
    }

    fn line(&mut self, line: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{line}");
    }
}

/// A value on one line, in YAML's flow style.
pub(crate) fn inline(value: &Json) -> String {
    match value {
        Json::String(text) if is_plain(text) => text.clone(),
        Json::Array(items) => {
            let items: Vec<_> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Json::Object(entries) => {
            let entries: Vec<_> = entries
                .iter()
                .map(|(key, value)| format!("{}: {}", inline(&key.as_str().into()), inline(value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
        // JSON's quoting is YAML's double quoting, but for DEL and C1 controls, which YAML wants escaped.
        Json::String(_) => escape(&value.to_string()),
        other => other.to_string(),
    }
}

fn escape(quoted: &str) -> String {
    quoted.chars().fold(String::new(), |mut text, c| {
        if c.is_control() || matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}') {
            let _ = write!(text, "\\u{:04x}", u32::from(c));
        } else {
            text.push(c);
        }
        text
    })
}

/// Whether a text needs no quotes anywhere, for any YAML reader.
fn is_plain(text: &str) -> bool {
    let start = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/');
    let inner = text.chars().all(|c| c.is_ascii_alphanumeric() || "_./-".contains(c));
    let word =
        matches!(text.to_ascii_lowercase().as_str(), "true" | "false" | "null" | "yes" | "no" | "y" | "n");
    start && inner && !word && !is_number(text)
}
