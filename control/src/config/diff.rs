//! What changed between two configurations, and whether a reload is enough.
//!
//! Invariant: a key is reloadable only if the model marks it live; everything else is said to need a restart, never
//! silently ignored.

use serde::Serialize;
use serde_json::Value as Json;

use super::Loaded;
use super::model::Config;
use super::spec::{Rule, Section, Shape};
use super::value::Value;

/// The keys that changed. Items of lists go by their name: `ports[lan].mtu`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Diff {
    /// Applied by a reload.
    pub reloadable: Vec<String>,
    /// Applied by a restart only.
    pub needs_restart: Vec<String>,
}

impl Diff {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.reloadable.is_empty() && self.needs_restart.is_empty()
    }
}

/// Compares the configuration in force with one that was read. What only follows another key is not named.
#[must_use]
pub fn diff(old: &Config, new: &Loaded) -> Diff {
    let mut diff = Diff::default();
    let mut old = old.clone();
    let mut now = new.config.limits.clone();
    for (key, value) in old.limits.derived() {
        if !new.given.contains(&format!("limits.{key}")) && *old.limits.derived_mut(key) == value {
            // Nobody wrote it: it moved with `limits.flows`, which is named.
            *old.limits.derived_mut(key) = *now.derived_mut(key);
        }
    }
    if let Shape::Section(section) = Config::shape(&Rule::default()) {
        sections(&section, &old.to_json(), &new.config.to_json(), "", false, &mut diff);
    }
    diff
}

fn sections(section: &Section, old: &Json, new: &Json, path: &str, live: bool, diff: &mut Diff) {
    for field in &section.fields {
        let (old, new) = (&old[field.key], &new[field.key]);
        if old == new {
            continue;
        }
        let path = if path.is_empty() { field.key.to_owned() } else { format!("{path}.{}", field.key) };
        let live = live || field.live;
        match (field.shape.section(), old, new) {
            (Some((inner, false)), Json::Object(_), Json::Object(_)) => {
                sections(inner, old, new, &path, live, diff)
            }
            (Some((inner, true)), Json::Array(old), Json::Array(new)) => {
                lists(inner, old, new, &path, live, diff)
            }
            _ => note(path, live, diff),
        }
    }
}

/// Compares lists of mappings by name, so that one inserted item is one change.
fn lists(inner: &Section, old: &[Json], new: &[Json], path: &str, live: bool, diff: &mut Diff) {
    let find = |items: &'_ [Json], name: &str| items.iter().position(|item| identity(item) == name);
    for item in old {
        let name = identity(item);
        let at = format!("{path}[{name}]");
        match find(new, &name) {
            Some(index) => sections(inner, item, &new[index], &at, live, diff),
            None => note(at, live, diff),
        }
    }
    let added = new.iter().map(identity).filter(|name| find(old, name).is_none());
    added.for_each(|name| note(format!("{path}[{name}]"), live, diff));
    let kept = |items: &[Json], other: &[Json]| -> Vec<String> {
        items.iter().map(identity).filter(|name| find(other, name).is_some()).collect()
    };
    if kept(old, new) != kept(new, old) {
        note(format!("{path} (order)"), live, diff);
    }
}

/// What an item of a list goes by.
fn identity(item: &Json) -> String {
    match (&item["name"], &item["id"]) {
        (Json::String(name), _) => name.clone(),
        (_, id) => id.to_string(),
    }
}

fn note(path: String, live: bool, diff: &mut Diff) {
    if live { &mut diff.reloadable } else { &mut diff.needs_restart }.push(path);
}
