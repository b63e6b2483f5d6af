//! A mapping whose keys are the operator's own: HTTP header fields.
//!
//! Invariant: keys are unique (the reader saw to it) and values are text.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::decoder::Decoder;
use super::node::{Node, Yaml};
use super::spec::{Rule, Shape};
use super::value::Value;

impl Value for BTreeMap<String, String> {
    const EMPTY_ALLOWED: bool = true;

    fn decode(node: &Node, _rule: &Rule, cx: &mut Decoder<'_>) -> Self {
        let entries = match &node.yaml {
            Yaml::Map(entries) => entries.as_slice(),
            Yaml::Null => &[],
            _ => {
                cx.mismatch(node, "a mapping", "write `{Name: value}`");
                &[]
            }
        };
        entries
            .iter()
            .map(|entry| {
                let value = cx.within(&entry.key, |cx| String::decode(&entry.node, &Rule::default(), cx));
                (entry.key.clone(), value)
            })
            .collect()
    }

    fn placeholder() -> Self {
        Self::new()
    }

    fn to_json(&self) -> Json {
        self.iter()
            .map(|(key, value)| (key.clone(), Json::from(value.as_str())))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    fn shape(_rule: &Rule) -> Shape {
        Shape::Table
    }
}
