//! The reference documents: every key with its type, default and meaning.
//!
//! Invariant: made from the model alone; `conf/reference.yaml` and the key tables of `docs/configuration.md` are
//! compared with this output by a test.

use std::fmt::Write;

use serde_json::Value as Json;

use super::model::Config;
use super::show::inline;
use super::spec::{Field, Rule, Section, Shape};
use super::value::Value;

/// Columns of a comment line in `conf/reference.yaml`.
const WIDTH: usize = 100;

fn root() -> Section {
    match Config::shape(&Rule::default()) {
        Shape::Section(section) => section,
        _ => Section { doc: String::new(), fields: Vec::new() },
    }
}

/// The key tables of `docs/configuration.md`, one for each top-level key.
#[must_use]
pub fn key_table() -> String {
    let mut text = String::new();
    for field in root().fields {
        let _ = write!(text, "### `{}`\n\n{}\n\n", field.key, field.doc);
        text.push_str("| key | type | default | change | meaning |\n|---|---|---|---|---|\n");
        rows(&mut text, &field, field.key, field.live);
        text.push('\n');
    }
    text
}

fn rows(text: &mut String, field: &Field, path: &str, live: bool) {
    let live = live || field.live;
    if !matches!(field.shape, Shape::Section(_)) {
        let change = if live { "reload" } else { "restart" };
        let kind = field.shape.kind();
        let _ = writeln!(text, "| `{path}` | {kind} | {} | {change} | {} |", default_text(field), field.doc);
    }
    if let Some((section, in_list)) = field.shape.section() {
        let path = if in_list { format!("{path}[]") } else { path.to_owned() };
        for inner in &section.fields {
            rows(text, inner, &format!("{path}.{}", inner.key), live);
        }
    }
}

fn default_text(field: &Field) -> String {
    match &field.default {
        None => "required".into(),
        Some(Json::Null) => "not set".into(),
        Some(Json::String(text)) if text.is_empty() => "empty".into(),
        Some(value) => format!("`{}`", inline(value)),
    }
}

/// `conf/reference.yaml`: a valid configuration with every key, each explained.
#[must_use]
pub fn reference_yaml() -> String {
    let mut text = String::from(
        "# Every key of a Millrace configuration, with its default or an example.\n\
         # Made by `millrace schema --reference`. Most files need only workers, ports and services:\n\
         # see quickstart.yaml.\n",
    );
    section(&mut text, &root(), "", "", false);
    text
}

/// Writes a mapping's keys; `first` is what the first key's line starts with instead of `indent`.
fn section(text: &mut String, section: &Section, indent: &str, first: &str, live: bool) {
    let mut lead = first;
    for (index, field) in section.fields.iter().enumerate() {
        if indent.is_empty() || index > 0 {
            text.push('\n');
        }
        let live = live || field.live;
        comment(text, field, indent, live);
        let start = if lead.is_empty() { indent } else { lead };
        let block = text.len();
        let _ = match expanded(&field.shape) {
            Some((inner, false)) => {
                let _ = writeln!(text, "{start}{}:", field.key);
                self::section(text, inner, &format!("{indent}  "), "", live);
                Ok(())
            }
            Some((inner, true)) => {
                let _ = writeln!(text, "{start}{}:", field.key);
                self::section(text, inner, &format!("{indent}    "), &format!("{indent}  - "), live);
                Ok(())
            }
            None => {
                let value = match (field.example, &field.default) {
                    (Some(example), _) => example.to_owned(),
                    (None, Some(default)) => inline(default),
                    (None, None) => String::new(),
                };
                writeln!(text, "{start}{}: {value}", field.key)
            }
        };
        // A key that excludes another one is a comment, and all that is below it.
        if field.alternative {
            let excluded = comment_out(&text.split_off(block), indent);
            text.push_str(&excluded);
        }
        lead = "";
    }
}

/// Makes comments of the lines that are none yet.
fn comment_out(block: &str, indent: &str) -> String {
    let line = |line: &str| match line.strip_prefix(indent) {
        Some(rest) if !rest.trim_start().starts_with('#') => format!("{indent}# {rest}\n"),
        _ => format!("{line}\n"),
    };
    block.lines().map(line).collect()
}

/// The mapping to write out below a key. A choice between a word and a small mapping is written as the word.
fn expanded(shape: &Shape) -> Option<(&Section, bool)> {
    let (section, in_list) = shape.section()?;
    let nested = section.fields.iter().any(|field| matches!(field.shape, Shape::Section(_)));
    (!matches!(shape, Shape::Union(_)) || nested).then_some((section, in_list))
}

fn comment(text: &mut String, field: &Field, indent: &str, live: bool) {
    for line in wrap(&field.doc, WIDTH - indent.len()) {
        let _ = writeln!(text, "{indent}# {line}");
    }
    if !matches!(field.shape, Shape::Section(_)) {
        let default = match default_text(field).as_str() {
            "required" => "Required".to_owned(),
            other => format!("Default {other}"),
        };
        let change = if live { "a reload applies a change" } else { "a change needs a restart" };
        let facts = format!("{default}; {}; {change}.", field.shape.kind());
        for line in wrap(&facts, WIDTH - indent.len()) {
            let _ = writeln!(text, "{indent}# {line}");
        }
    }
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
