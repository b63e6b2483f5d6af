//! What is known about a key besides its type: default, limits, whether a reload applies it, an example.
//!
//! Invariant: [`section!`](super::section) is the only place a key is written down. The struct, its defaults, the
//! decoder, the JSON Schema, the reference documents and the reload decision are all made from that one line.

use std::ops::RangeInclusive;

use serde_json::Value as Json;

use super::value::Value;

/// The limits of a value, in its base unit (bytes for sizes, microseconds for durations).
#[derive(Debug, Clone, Default)]
pub(crate) struct Rule {
    pub(crate) range: Option<(u64, u64)>,
    /// A single value may stand for a list of one.
    pub(crate) or_one: bool,
    /// How many items a list may have.
    pub(crate) items: Option<(usize, usize)>,
}

/// Everything about a key of type `T` but its name and description.
pub(crate) struct Spec<T> {
    pub(crate) default: Option<T>,
    pub(crate) rule: Rule,
    pub(crate) live: bool,
    pub(crate) example: Option<&'static str>,
    /// What the reference shows instead of the example.
    pub(crate) shown: Option<&'static str>,
    pub(crate) alternative: bool,
}

/// A key that must be given; `example` is YAML for messages and for the reference.
pub(crate) fn required<T>(example: &'static str) -> Spec<T> {
    Spec { example: Some(example), ..plain(None) }
}

/// A key with a default.
pub(crate) fn default<T>(value: T) -> Spec<T> {
    plain(Some(value))
}

fn plain<T>(default: Option<T>) -> Spec<T> {
    Spec { default, rule: Rule::default(), live: false, example: None, shown: None, alternative: false }
}

impl<T> Spec<T> {
    /// Limits, in the base unit of the type.
    pub(crate) fn range(mut self, range: RangeInclusive<u64>) -> Self {
        self.rule.range = Some((*range.start(), *range.end()));
        self
    }

    /// A single value may stand for a list of one.
    pub(crate) fn or_one(mut self) -> Self {
        self.rule.or_one = true;
        self
    }

    /// How many items the list may have.
    pub(crate) fn items(mut self, range: RangeInclusive<usize>) -> Self {
        self.rule.items = Some((*range.start(), *range.end()));
        self
    }

    /// A reload applies a change of this key; without it, a change needs a restart.
    pub(crate) fn live(mut self) -> Self {
        self.live = true;
        self
    }

    /// What the reference shows instead of the default.
    pub(crate) fn example(mut self, yaml: &'static str) -> Self {
        self.example = Some(yaml);
        self
    }

    /// What the reference shows where the example alone would not fit the rest of it.
    pub(crate) fn shown(mut self, yaml: &'static str) -> Self {
        self.shown = Some(yaml);
        self
    }

    /// This key excludes another one: the reference shows it as a comment.
    pub(crate) fn alternative(mut self) -> Self {
        self.alternative = true;
        self
    }
}

/// A key as the schema, the documents and the comparison see it.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) key: &'static str,
    pub(crate) doc: String,
    pub(crate) default: Option<Json>,
    pub(crate) required: bool,
    pub(crate) example: Option<&'static str>,
    pub(crate) alternative: bool,
    pub(crate) live: bool,
    pub(crate) shape: Shape,
}

impl Field {
    pub(crate) fn new<T: Value>(key: &'static str, doc: &[&str], spec: Spec<T>) -> Self {
        Self {
            key,
            doc: paragraph(doc),
            default: spec.default.as_ref().map(Value::to_json),
            required: spec.default.is_none(),
            example: spec.shown.or(spec.example),
            alternative: spec.alternative,
            live: spec.live,
            shape: T::shape(&spec.rule),
        }
    }
}

/// A mapping with known keys.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    pub(crate) doc: String,
    pub(crate) fields: Vec<Field>,
}

/// What values a type takes.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    /// One scalar: its name for people, and its JSON Schema.
    Plain {
        kind: String,
        schema: Json,
    },
    Section(Section),
    List {
        item: Box<Shape>,
        rule: Rule,
    },
    /// Words and values of any name, like HTTP headers.
    Table,
    /// Any of these.
    Union(Vec<Shape>),
}

impl Shape {
    /// The name for people, used in the key table.
    pub(crate) fn kind(&self) -> String {
        match self {
            Self::Plain { kind, .. } => kind.clone(),
            Self::Section(_) => "mapping".into(),
            Self::Table => "mapping of text to text".into(),
            Self::List { item, rule } if rule.or_one => format!("{}, or a list of them", item.kind()),
            Self::List { item, .. } => format!("list, each: {}", item.kind()),
            Self::Union(arms) => {
                let kinds: Vec<_> = arms.iter().map(Self::kind).collect();
                kinds.join(" or ")
            }
        }
    }

    /// The mapping inside, if there is one, and whether it is an item of a list.
    pub(crate) fn section(&self) -> Option<(&Section, bool)> {
        match self {
            Self::Section(section) => Some((section, false)),
            Self::List { item, .. } => item.section().map(|(section, _)| (section, true)),
            Self::Union(arms) => arms.iter().find_map(Self::section),
            Self::Plain { .. } | Self::Table => None,
        }
    }
}

/// Doc comment lines as one paragraph.
pub(crate) fn paragraph(lines: &[&str]) -> String {
    let trimmed: Vec<_> = lines.iter().map(|line| line.trim()).collect();
    trimmed.join(" ").trim().to_owned()
}
