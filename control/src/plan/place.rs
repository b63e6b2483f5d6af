//! Where in the file a problem lies that shows only after the file was read.
//!
//! Invariant: a place is a hint for the reader: the line of the nearest key found in the text, or the first line.

use crate::config::{Loaded, Problem, Severity};

/// The line of a top-level key, from 1.
pub(super) fn key(loaded: &Loaded, key: &str) -> usize {
    line_of(loaded.text.lines().enumerate(), |line| is_key(line, key))
}

/// The line that names an item of a top-level list, from 1.
pub(super) fn item(loaded: &Loaded, list: &str, name: &str) -> usize {
    let inside = loaded.text.lines().enumerate().skip_while(|(_, line)| !is_key(line, list));
    let named = |line: &str| {
        let values = line.split("name:").skip(1);
        values.map(value).any(|value| value == name)
    };
    line_of(inside, named)
}

/// A problem at a line.
pub(super) fn problem(loaded: &Loaded, line: usize, path: &str, what: String, instead: String) -> Problem {
    Problem {
        severity: Severity::Error,
        file: loaded.source.display().to_string(),
        line,
        column: 1,
        path: path.to_owned(),
        what,
        instead,
    }
}

fn line_of<'a>(mut lines: impl Iterator<Item = (usize, &'a str)>, fits: impl Fn(&str) -> bool) -> usize {
    lines.find(|(_, line)| fits(line)).map_or(1, |(index, _)| index + 1)
}

fn is_key(line: &str, key: &str) -> bool {
    line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(':'))
}

/// The scalar at the start of a text, without quotes.
fn value(text: &str) -> &str {
    let text = text.trim_start().trim_start_matches(['"', '\'']);
    text.split(['"', '\'', ',', '}', '#', ' ']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    #[test]
    fn lines_are_found_in_block_and_flow_style() {
        let text = "workers: [1]\nports:\n  - {device: net_null0, name: web, addresses: [10.0.0.1/24]}\n\
                    services:\n  - name: \"echo\"  # seven\n    match: {port: 7}\n    action: drop\n  \
                    - {name: web, match: {}, action: drop}\n";
        let loaded = parse("t", text).unwrap();
        assert_eq!(key(&loaded, "services"), 4);
        assert_eq!(item(&loaded, "services", "echo"), 5);
        assert_eq!(item(&loaded, "services", "web"), 8, "not the port of that name");
        assert_eq!(item(&loaded, "services", "none"), 1);
    }
}
