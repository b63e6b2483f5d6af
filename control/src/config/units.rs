//! Sizes and durations: numbers with a unit.
//!
//! Invariant: a value is kept in its base unit (bytes, microseconds) and shown in the largest unit that holds it
//! without a fraction, so that what is shown reads back as the same value.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::decoder::Decoder;
use super::node::{Node, Yaml, shorten};
use super::problem::Wrong;
use super::spec::{Rule, Shape};
use super::value::{Value, check_range};

const SIZES: &[(&str, u64)] = &[("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
const TIMES: &[(&str, u64)] =
    &[("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1)];

/// A number of bytes. Written as plain bytes or with `B`, `KiB`, `MiB`, `GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

impl Size {
    /// A size from bytes.
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The size in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write a number of bytes, or one with B, KiB, MiB or GiB like 16MiB".to_owned();
        parse(text, SIZES, 1).map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&show(self.0, SIZES))
    }
}

/// Microseconds, the base unit of durations in limits.
pub(crate) const fn micros(n: u64) -> u64 {
    n
}

/// Seconds, in microseconds.
pub(crate) const fn seconds(n: u64) -> u64 {
    n * 1_000_000
}

/// Milliseconds, in microseconds.
pub(crate) const fn millis(n: u64) -> u64 {
    n * 1_000
}

/// Kibibytes, in bytes.
pub(crate) const fn kib(n: u64) -> u64 {
    n << 10
}

/// Mebibytes, in bytes.
pub(crate) const fn mib(n: u64) -> u64 {
    n << 20
}

fn show(value: u64, units: &[(&str, u64)]) -> String {
    let whole = units.iter().find(|(_, factor)| value >= *factor && value.is_multiple_of(*factor));
    match (whole, units.last()) {
        (Some((unit, factor)), _) => format!("{}{unit}", value / factor),
        (None, Some((unit, _))) => format!("{value}{unit}"),
        (None, None) => value.to_string(),
    }
}

/// `12`, `12s`, `12 s`; a number without a unit counts in `plain`.
fn parse(text: &str, units: &[(&str, u64)], plain: u64) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let factor = match unit.trim_start() {
        "" => plain,
        unit => units.iter().find(|(name, _)| *name == unit)?.1,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

/// The remedy for a text that is nearly right.
fn remedy(text: &str, units: &[(&str, u64)], example: &str) -> String {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let meant = match unit.trim().to_ascii_lowercase().as_str() {
        "k" | "kb" | "kib" | "ki" => "KiB",
        "m" | "mb" | "mib" | "mi" if units == SIZES => "MiB",
        "g" | "gb" | "gib" | "gi" => "GiB",
        "sec" | "secs" | "second" | "seconds" => "s",
        "min" | "mins" | "minute" | "minutes" => "m",
        "hr" | "hour" | "hours" => "h",
        "msec" | "millis" => "ms",
        "usec" | "µs" | "micros" => "us",
        _ => "",
    };
    if !digits.is_empty() && units.iter().any(|(name, _)| *name == meant) {
        return format!("write `{digits}{meant}`");
    }
    let names: Vec<_> = units.iter().rev().map(|(name, _)| *name).collect();
    format!("write a whole number with a unit ({}), for example `{example}`", names.join(", "))
}

fn decode(
    node: &Node,
    rule: &Rule,
    cx: &mut Decoder<'_>,
    units: &[(&str, u64)],
    plain: u64,
    (kind, example): (&str, &str),
) -> Option<u64> {
    let Yaml::Scalar { text, .. } = &node.yaml else {
        cx.mismatch(node, kind, remedy("", units, example));
        return None;
    };
    let Some(value) = parse(text, units, plain) else {
        let what = format!("`{}` is not {kind}", shorten(text));
        cx.report(node.at, Wrong::new(what, remedy(text, units, example)));
        return None;
    };
    match check_range(value, rule, |n| show(n, units)) {
        Ok(()) => Some(value),
        Err(wrong) => {
            cx.report(node.at, wrong);
            None
        }
    }
}

fn shape(rule: &Rule, units: &[(&str, u64)], plain: u64, kind: &str, base: &str) -> Shape {
    let (least, most) = rule.range.unwrap_or((0, u64::MAX));
    let names: Vec<_> = units.iter().map(|(name, _)| *name).collect();
    Shape::Plain {
        kind: format!("{kind} {} to {}", show(least, units), show(most, units)),
        schema: json!({
            "anyOf": [
                { "type": "integer", "minimum": least.div_ceil(plain), "maximum": most / plain },
                { "type": "string", "pattern": format!("^[0-9]+ ?({})$", names.join("|")) },
            ],
            "x-unit": base,
            "x-minimum": show(least, units),
            "x-maximum": show(most, units),
        }),
    }
}

impl Value for Size {
    fn decode(node: &Node, rule: &Rule, cx: &mut Decoder<'_>) -> Self {
        Self(decode(node, rule, cx, SIZES, 1, ("a size", "64KiB")).unwrap_or(0))
    }

    fn placeholder() -> Self {
        Self(0)
    }

    fn to_json(&self) -> Json {
        self.to_string().into()
    }

    fn shape(rule: &Rule) -> Shape {
        shape(rule, SIZES, 1, "size", "bytes")
    }
}

impl Value for Duration {
    fn decode(node: &Node, rule: &Rule, cx: &mut Decoder<'_>) -> Self {
        let micros = decode(node, rule, cx, TIMES, 1_000_000, ("a duration", "30s"));
        Self::from_micros(micros.unwrap_or(0))
    }

    fn placeholder() -> Self {
        Self::ZERO
    }

    fn to_json(&self) -> Json {
        show(u64::try_from(self.as_micros()).unwrap_or(u64::MAX), TIMES).into()
    }

    fn shape(rule: &Rule) -> Shape {
        shape(rule, TIMES, 1_000_000, "duration", "seconds")
    }
}
