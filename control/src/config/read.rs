//! Text to marked tree.
//!
//! Invariant: what comes out is one mapping at the top with unique keys, no aliases, no tags, no deeper than
//! [`MAX_DEPTH`]; its size is bounded by the text's, which is bounded by [`MAX_BYTES`]. Nothing here recurses.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use super::decoder::Finding;
use super::node::{Entry, Node, Yaml, shorten};
use super::problem::{Position, Wrong};

/// The largest file that is read.
pub(crate) const MAX_BYTES: usize = 1 << 20;
/// The deepest nesting of lists and mappings; the format itself needs 8.
const MAX_DEPTH: usize = 32;

/// A collection being filled.
struct Open {
    at: Position,
    what: Filling,
}

enum Filling {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        /// The line of each key so far, so that a huge mapping is read in linear time.
        seen: HashMap<String, usize>,
        key: Option<(String, Position)>,
    },
}

/// Parses `text`; duplicate keys are findings (the first one counts), anything worse ends the reading.
pub(crate) fn read(text: &str, findings: &mut Vec<Finding>) -> Option<Node> {
    match build(text, findings) {
        Ok(node) => Some(node),
        Err(finding) => {
            findings.push(finding);
            None
        }
    }
}

fn build(text: &str, findings: &mut Vec<Finding>) -> Result<Node, Finding> {
    if text.len() > MAX_BYTES {
        return Err(too_large());
    }
    if let Some(at) = control_character(text) {
        return Err(stop(
            at,
            "a control character is not allowed in YAML",
            "remove it, or write it as an escape like \"\\x07\" in double quotes",
        ));
    }
    let mut open: Vec<Open> = Vec::new();
    let mut root: Option<Node> = None;
    for event in Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text)) {
        let (event, span) = event.map_err(|error| syntax(text, *error.marker(), error.info()))?;
        let at = position(span.start);
        let (anchor, tag) = match &event {
            Event::Alias(_) => (1, false),
            Event::Scalar(_, _, anchor, tag) => (*anchor, tag.is_some()),
            Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag) => (*anchor, tag.is_some()),
            _ => (0, false),
        };
        if anchor != 0 {
            return Err(anchored(at));
        }
        if tag {
            return Err(stop(
                at,
                "tags (`!name`) are not supported",
                "remove the tag; put text that starts with `!` in quotes",
            ));
        }
        let done = match event {
            Event::DocumentStart(_) if root.is_some() => {
                return Err(stop(
                    at,
                    "a second document starts here",
                    "keep one document: remove the `---` line",
                ));
            }
            Event::Scalar(text, style, ..) => Node { at, yaml: scalar(&text, style) },
            Event::SequenceStart(..) => {
                open.push(Open { at, what: Filling::List(Vec::new()) });
                check_depth(&open)?;
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open {
                    at,
                    what: Filling::Map { entries: Vec::new(), seen: HashMap::new(), key: None },
                });
                check_depth(&open)?;
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(full) => close(full),
                None => continue,
            },
            _ => continue,
        };
        match open.last() {
            Some(_) => place(&mut open, done, findings)?,
            None => root = Some(done),
        }
    }
    finish(root)
}

/// The document as a whole must be a mapping with something in it.
fn finish(root: Option<Node>) -> Result<Node, Finding> {
    let example = "start from conf/quickstart.yaml, or write at least `workers:`, `ports:` and `services:`";
    match root {
        Some(node) => match &node.yaml {
            Yaml::Map(_) => Ok(node),
            Yaml::Null => Err(stop(Position::START, "the file is empty", example)),
            _ => Err(stop(
                node.at,
                format!("the file must be a mapping of keys, found {}", node.describe()),
                example,
            )),
        },
        None => Err(stop(Position::START, "the file is empty", example)),
    }
}

/// Puts a finished value into the collection it stands in.
fn place(open: &mut [Open], node: Node, findings: &mut Vec<Finding>) -> Result<(), Finding> {
    let Some((parent, above)) = open.split_last_mut() else {
        return Ok(());
    };
    match &mut parent.what {
        Filling::List(items) => items.push(node),
        Filling::Map { entries, seen, key } => match key.take() {
            None => match node.yaml {
                Yaml::Scalar { text, .. } => *key = Some((text, node.at)),
                _ => {
                    return Err(stop(
                        node.at,
                        format!("a key must be a word, found {}", node.describe()),
                        "write `key: value`; put text that starts with `{` or `[` in quotes",
                    ));
                }
            },
            Some((key, key_at)) => match seen.get(&key) {
                Some(first) => findings.push(Finding::at(
                    key_at,
                    path(above, &key),
                    Wrong::new(
                        format!("the key `{}` is given twice, first on line {}", shorten(&key), first),
                        "keep one of the two",
                    ),
                )),
                None => {
                    seen.insert(key.clone(), key_at.line);
                    entries.push(Entry { key, key_at, node });
                }
            },
        },
    }
    Ok(())
}

/// The path of `key` in the collections being filled.
fn path(above: &[Open], key: &str) -> String {
    let mut path = String::new();
    for open in above {
        match &open.what {
            Filling::List(items) => path.push_str(&format!("[{}]", items.len())),
            Filling::Map { key: Some((key, _)), .. } => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&shorten(key));
            }
            Filling::Map { key: None, .. } => {}
        }
    }
    if path.is_empty() { shorten(key) } else { format!("{path}.{}", shorten(key)) }
}

fn close(full: Open) -> Node {
    let yaml = match full.what {
        Filling::List(items) => Yaml::List(items),
        Filling::Map { entries, .. } => Yaml::Map(entries),
    };
    Node { at: full.at, yaml }
}

fn scalar(text: &str, style: ScalarStyle) -> Yaml {
    let plain = style == ScalarStyle::Plain;
    if plain && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Yaml::Null;
    }
    Yaml::Scalar { text: text.to_owned(), plain }
}

fn check_depth(open: &[Open]) -> Result<(), Finding> {
    match open.last() {
        Some(last) if open.len() > MAX_DEPTH => Err(too_deep(last.at)),
        _ => Ok(()),
    }
}

fn position(marker: Marker) -> Position {
    Position { line: marker.line().max(1), column: marker.col() + 1 }
}

fn stop(at: Position, what: impl Into<String>, instead: impl Into<String>) -> Finding {
    Finding::at(at, "(file)".into(), Wrong::new(what, instead))
}

fn too_deep(at: Position) -> Finding {
    stop(
        at,
        format!("lists and mappings are nested deeper than {MAX_DEPTH} levels"),
        "close the brackets opened before this place",
    )
}

/// Aliases are how a small file becomes a huge tree; no configuration needs them.
fn anchored(at: Position) -> Finding {
    stop(
        at,
        "anchors and aliases (`&name`, `*name`) are not supported",
        "write the value out in full; put text that starts with `&` or `*` in quotes",
    )
}

pub(crate) fn too_large() -> Finding {
    stop(
        Position::START,
        format!("the file is larger than {MAX_BYTES} bytes"),
        "check that this is the configuration; serve large bodies with `directory`",
    )
}

/// A scanner's complaint, with the usual cause (a tab) named when it is one.
fn syntax(text: &str, marker: Marker, info: &str) -> Finding {
    let mut at = position(marker);
    // In a line that begins with `%` the scanner counts bytes.
    if let Some(line) = text.lines().nth(at.line.saturating_sub(1)) {
        at.column = at.column.min(line.chars().count() + 1);
    }
    if info.contains("anchor") {
        return anchored(at);
    }
    if info.contains("recursion limit") {
        return too_deep(at);
    }
    if let Some(tab) = tab_in_indentation(text, at.line, info) {
        return stop(tab, "a tab is used for indentation, which YAML does not allow", "indent with spaces");
    }
    stop(
        at,
        format!("this is not YAML: {info}"),
        "look here and on the line before for a missing `:`, quote, bracket or a wrong indentation",
    )
}

/// The first tab in the leading blanks of the line complained about or the one before it; of the one after it too
/// if the complaint is about a tab, which may end the value of the line before.
fn tab_in_indentation(text: &str, line: usize, info: &str) -> Option<Position> {
    let first = line.saturating_sub(1).max(1);
    let last = line + usize::from(info.contains("tab"));
    text.lines().enumerate().skip(first - 1).take(last - first + 1).find_map(|(index, content)| {
        let blanks = content.len() - content.trim_start_matches([' ', '\t']).len();
        content[..blanks].find('\t').map(|column| Position { line: index + 1, column: column + 1 })
    })
}

/// YAML 1.2 chapter 5.1: of the control characters only tab, line feed and carriage return may appear.
fn control_character(text: &str) -> Option<Position> {
    text.lines().enumerate().find_map(|(index, line)| {
        line.chars()
            .position(|c| c.is_control() && !matches!(c, '\t' | '\r' | '\u{85}'))
            .map(|column| Position { line: index + 1, column: column + 1 })
    })
}
