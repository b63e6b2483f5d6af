//! The YAML document as a tree that remembers where each key and value stood.
//!
//! Invariant: a position never points past the place the text came from, so that a problem found long after
//! parsing can still be shown at its true line and column.

use super::problem::Position;

/// A value and where it starts.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) at: Position,
    pub(crate) yaml: Yaml,
}

/// What a value is. Scalars keep their text: `0660` must stay `0660` until it is known to be a file mode.
#[derive(Debug, Clone)]
pub(crate) enum Yaml {
    /// Nothing, `~` or `null`.
    Null,
    /// A scalar; `plain` when it was written without quotes and not as a block.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a mapping.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_at: Position,
    pub(crate) node: Node,
}

impl Node {
    /// What a reader would call this value, for "expected ..., found ...".
    pub(crate) fn describe(&self) -> String {
        match &self.yaml {
            Yaml::Null => "nothing".into(),
            Yaml::List(_) => "a list".into(),
            Yaml::Map(_) => "a mapping".into(),
            Yaml::Scalar { text, plain: true } => match text.as_str() {
                "true" | "false" => format!("`{text}`"),
                _ if is_number(text) => format!("the number {text}"),
                _ => format!("`{}`", shorten(text)),
            },
            Yaml::Scalar { text, .. } => format!("the text \"{}\"", shorten(text)),
        }
    }

    /// Where `path` stands: a scalar at its value, a list or mapping at its key. A path that is not in the file
    /// (a default, a missing key) stands at its nearest ancestor that is.
    pub(crate) fn locate(&self, path: &str) -> Position {
        let mut here = self;
        let mut at = self.at;
        for step in steps(path) {
            match (&here.yaml, step) {
                (Yaml::Map(entries), Step::Key(key)) => {
                    let Some(entry) = entries.iter().find(|e| e.key == key) else {
                        return at;
                    };
                    here = &entry.node;
                    at = match here.yaml {
                        Yaml::Scalar { .. } => here.at,
                        _ => entry.key_at,
                    };
                }
                (Yaml::List(items), Step::Index(index)) => {
                    let Some(item) = items.get(index) else {
                        return at;
                    };
                    here = item;
                    at = item.at;
                }
                // A single value standing for a list of one.
                (_, Step::Index(0)) => {}
                _ => return at,
            }
        }
        at
    }
}

enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// Cuts `ports[0].mtu` into its steps.
fn steps(path: &str) -> impl Iterator<Item = Step<'_>> {
    path.split('.').filter(|s| !s.is_empty()).flat_map(|part| {
        let (key, rest) = part.split_at(part.find('[').unwrap_or(part.len()));
        let indices = rest.split(['[', ']']).filter_map(|digits| digits.parse().ok().map(Step::Index));
        (!key.is_empty()).then_some(Step::Key(key)).into_iter().chain(indices)
    })
}

/// Whether YAML's core schema reads this plain scalar as a number.
pub(crate) fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') && digits.parse::<f64>().is_ok()
}

/// Long values are cut: a message must stay one line. An empty one is shown as it would be written.
pub(crate) fn shorten(text: &str) -> String {
    if text.is_empty() {
        return "\"\"".to_owned();
    }
    const LONGEST: usize = 60;
    let clean: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().count() > LONGEST { format!("{clean}...") } else { clean }
}
