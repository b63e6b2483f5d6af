//! The kinds of values a key can have, and how each is read, written and described.
//!
//! Invariant: `decode(to_json(v)) == v` for every value: what is shown as the effective configuration can be fed
//! back in.

use std::str::FromStr;

use serde_json::{Value as Json, json};

use super::decoder::{Decoder, list, nearest};
use super::node::{Node, Yaml, is_number, shorten};
use super::problem::Wrong;
use super::spec::{Rule, Shape};

/// A type that can stand in a configuration.
pub(crate) trait Value: Sized {
    /// Whether `key:` with nothing after it means an empty mapping.
    const EMPTY_ALLOWED: bool = false;

    /// Reads the value; on a problem reports it and gives a placeholder.
    fn decode(node: &Node, rule: &Rule, cx: &mut Decoder<'_>) -> Self;
    /// Something to go on with after a problem; never part of a configuration that is handed out.
    fn placeholder() -> Self;
    /// The value as it would be written in YAML (JSON is YAML).
    fn to_json(&self) -> Json;
    /// What values there are.
    fn shape(rule: &Rule) -> Shape;
}

/// A type that is one of a few words.
pub(crate) trait Choice: Copy + 'static {
    const WORDS: &'static [(&'static str, Self)];
    /// Words that are known but not available.
    const REFUSED: &'static [&'static str];
    /// What to write instead of them.
    const REMEDY: &'static str;
}

pub(crate) fn decode_choice<T: Choice>(node: &Node, cx: &mut Decoder<'_>) -> T {
    let words: Vec<&str> = T::WORDS.iter().map(|(word, _)| *word).collect();
    let instead = format!("write one of {}", list(&words));
    if let Yaml::Scalar { text, .. } = &node.yaml {
        if let Some((_, value)) = T::WORDS.iter().find(|(word, _)| word == text) {
            return *value;
        }
        let (what, instead) = if T::REFUSED.contains(&text.as_str()) {
            (format!("`{text}` is not supported in this version"), T::REMEDY.to_owned())
        } else if let Some(word) = nearest(text, words.iter().copied()) {
            (
                format!("unknown word `{}`", shorten(text)),
                format!("write `{word}`; the words are {}", list(&words)),
            )
        } else {
            (format!("unknown word `{}`", shorten(text)), instead)
        };
        cx.report(node.at, Wrong::new(what, instead));
    } else {
        cx.mismatch(node, "a word", instead);
    }
    T::WORDS[0].1
}

/// `a`, `b` or `c`.
fn one_of(words: &[String]) -> String {
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

pub(crate) fn choice_shape<T: Choice>() -> Shape {
    let words: Vec<&str> = T::WORDS.iter().map(|(word, _)| *word).collect();
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    Shape::Plain { kind: one_of(&quoted), schema: json!({ "enum": words }) }
}

/// Reads a scalar through `FromStr`, whatever its quoting.
pub(crate) fn decode_text<T: FromStr<Err = Wrong>>(
    node: &Node,
    kind: &str,
    cx: &mut Decoder<'_>,
) -> Option<T> {
    let Yaml::Scalar { text, .. } = &node.yaml else {
        cx.mismatch(node, kind, format!("write {kind}"));
        return None;
    };
    match text.parse() {
        Ok(value) => Some(value),
        Err(wrong) => {
            cx.report(node.at, wrong);
            None
        }
    }
}

/// Whether `value` is within the rule; says what is wrong in the words of `show`.
pub(crate) fn check_range(value: u64, rule: &Rule, show: impl Fn(u64) -> String) -> Result<(), Wrong> {
    match rule.range {
        Some((least, most)) if value < least || value > most => Err(Wrong::new(
            format!("{} is out of range", show(value)),
            format!("write {} to {}", show(least), show(most)),
        )),
        _ => Ok(()),
    }
}

macro_rules! integers {
    ($($ty:ty),+) => {$(
        impl Value for $ty {
            fn decode(node: &Node, rule: &Rule, cx: &mut Decoder<'_>) -> Self {
                let (least, most) = rule.range.unwrap_or((0, <$ty>::MAX as u64));
                let instead = format!("write a whole number, {least} to {most}");
                let Yaml::Scalar { text, plain } = &node.yaml else {
                    cx.mismatch(node, "a whole number", instead);
                    return 0;
                };
                let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                if digits && !plain {
                    cx.mismatch(node, "a whole number", "remove the quotes");
                    return 0;
                }
                if digits && text.len() > 1 && text.starts_with('0') {
                    let instead = format!("remove the leading zero: {}", text.trim_start_matches('0'));
                    cx.mismatch(node, "a whole number", instead);
                    return 0;
                }
                let number = text.parse::<i128>().ok().filter(|_| *plain);
                match number {
                    Some(number) => {
                        let fits = u64::try_from(number)
                            .ok()
                            .filter(|n| (least..=most).contains(n))
                            .and_then(|n| <$ty>::try_from(n).ok());
                        fits.unwrap_or_else(|| {
                            let what = format!("{number} is out of range");
                            cx.report(node.at, Wrong::new(what, instead));
                            0
                        })
                    }
                    None => {
                        cx.mismatch(node, "a whole number", instead);
                        0
                    }
                }
            }

            fn placeholder() -> Self {
                0
            }

            fn to_json(&self) -> Json {
                (*self).into()
            }

            fn shape(rule: &Rule) -> Shape {
                let (least, most) = rule.range.unwrap_or((0, <$ty>::MAX as u64));
                Shape::Plain {
                    kind: format!("number {least} to {most}"),
                    schema: json!({ "type": "integer", "minimum": least, "maximum": most }),
                }
            }
        }
    )+};
}

integers!(u16, u32, u64);

impl Value for bool {
    fn decode(node: &Node, _rule: &Rule, cx: &mut Decoder<'_>) -> Self {
        let Yaml::Scalar { text, plain } = &node.yaml else {
            cx.mismatch(node, "true or false", "write `true` or `false`");
            return false;
        };
        let instead = match (text.to_ascii_lowercase().as_str(), plain) {
            ("true", true) if text == "true" => return true,
            ("false", true) if text == "false" => return false,
            ("true" | "false", false) => "remove the quotes",
            ("true" | "yes" | "on" | "1", _) => "write `true`",
            ("false" | "no" | "off" | "0", _) => "write `false`",
            _ => "write `true` or `false`",
        };
        cx.mismatch(node, "true or false", instead);
        false
    }

    fn placeholder() -> Self {
        false
    }

    fn to_json(&self) -> Json {
        (*self).into()
    }

    fn shape(_rule: &Rule) -> Shape {
        Shape::Plain { kind: "`true` or `false`".into(), schema: json!({ "type": "boolean" }) }
    }
}

impl Value for String {
    fn decode(node: &Node, rule: &Rule, cx: &mut Decoder<'_>) -> Self {
        match &node.yaml {
            Yaml::Scalar { text, plain }
                if !plain || !(is_number(text) || matches!(text.as_str(), "true" | "false")) =>
            {
                if let Err(wrong) = check_range(text.len() as u64, rule, |n| format!("a text of {n} bytes")) {
                    cx.report(node.at, wrong);
                }
                text.clone()
            }
            Yaml::Scalar { text, .. } => {
                cx.mismatch(node, "text", format!("put it in quotes: \"{text}\""));
                String::new()
            }
            _ => {
                cx.mismatch(node, "text", "write one word, or text in quotes");
                String::new()
            }
        }
    }

    fn placeholder() -> Self {
        Self::new()
    }

    fn to_json(&self) -> Json {
        self.as_str().into()
    }

    fn shape(rule: &Rule) -> Shape {
        let mut schema = json!({ "type": "string" });
        if let Some((least, most)) = rule.range {
            schema["minLength"] = least.into();
            schema["maxLength"] = most.into();
        }
        Shape::Plain { kind: "text".into(), schema }
    }
}

impl<T: Value> Value for Option<T> {
    const EMPTY_ALLOWED: bool = T::EMPTY_ALLOWED;

    fn decode(node: &Node, rule: &Rule, cx: &mut Decoder<'_>) -> Self {
        Some(T::decode(node, rule, cx))
    }

    fn placeholder() -> Self {
        None
    }

    fn to_json(&self) -> Json {
        self.as_ref().map_or(Json::Null, Value::to_json)
    }

    fn shape(rule: &Rule) -> Shape {
        T::shape(rule)
    }
}

impl<T: Value> Value for Vec<T> {
    fn decode(node: &Node, rule: &Rule, cx: &mut Decoder<'_>) -> Self {
        let one = Rule { range: rule.range, ..Rule::default() };
        let items: &[Node] = match &node.yaml {
            Yaml::List(items) => items,
            Yaml::Scalar { .. } | Yaml::Map(_) if rule.or_one => std::slice::from_ref(node),
            _ => {
                cx.mismatch(node, "a list", "write `[a, b]`, or one `- item` line each");
                return Vec::new();
            }
        };
        let (least, most) = rule.items.unwrap_or((0, usize::MAX));
        if !(least..=most).contains(&items.len()) {
            let what = format!("the list has {} items", items.len());
            cx.report(node.at, Wrong::new(what, format!("write {least} to {most} items")));
        }
        let item =
            |(index, item): (usize, &Node)| cx.within(&format!("[{index}]"), |cx| T::decode(item, &one, cx));
        items.iter().take(most).enumerate().map(item).collect()
    }

    fn placeholder() -> Self {
        Self::new()
    }

    fn to_json(&self) -> Json {
        self.iter().map(Value::to_json).collect()
    }

    fn shape(rule: &Rule) -> Shape {
        let one = Rule { range: rule.range, ..Rule::default() };
        Shape::List { item: Box::new(T::shape(&one)), rule: rule.clone() }
    }
}
