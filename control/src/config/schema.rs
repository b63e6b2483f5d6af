//! The JSON Schema of the configuration (draft 2020-12), for editors.
//!
//! Invariant: made from the model alone. It accepts everything the decoder accepts; what only makes sense together
//! is checked by `millrace check`, not by the schema.

use serde_json::{Map, Value as Json, json};

use super::model::Config;
use super::spec::{Field, Rule, Section, Shape};
use super::value::Value;

/// The JSON Schema of a configuration file.
#[must_use]
pub fn schema() -> Json {
    let mut schema = of(&Config::shape(&Rule::default()));
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "Millrace configuration".into();
    schema
}

fn of(shape: &Shape) -> Json {
    match shape {
        Shape::Plain { schema, .. } => schema.clone(),
        Shape::Section(section) => of_section(section),
        Shape::Table => json!({ "type": ["object", "null"], "additionalProperties": { "type": "string" } }),
        Shape::List { item, rule } => {
            let mut list = json!({ "type": "array", "items": of(item) });
            if let Some((least, most)) = rule.items {
                list["minItems"] = least.into();
                list["maxItems"] = most.into();
            }
            if rule.or_one { json!({ "anyOf": [of(item), list] }) } else { list }
        }
        Shape::Union(arms) => json!({ "anyOf": arms.iter().map(of).collect::<Vec<_>>() }),
    }
}

fn of_section(section: &Section) -> Json {
    let properties: Map<String, Json> =
        section.fields.iter().map(|field| (field.key.to_owned(), of_field(field))).collect();
    let required: Vec<&str> = section.fields.iter().filter(|f| f.required).map(|f| f.key).collect();
    // `key:` with every child commented out is an empty mapping.
    let kind = if required.is_empty() { json!(["object", "null"]) } else { json!("object") };
    json!({
        "type": kind,
        "description": section.doc,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn of_field(field: &Field) -> Json {
    let mut schema = of(&field.shape);
    schema["description"] = field.doc.as_str().into();
    schema["x-reload"] = if field.live { "live" } else { "restart" }.into();
    if let Some(default) = field.default.as_ref().filter(|default| !default.is_null()) {
        schema["default"] = default.clone();
    }
    schema
}
