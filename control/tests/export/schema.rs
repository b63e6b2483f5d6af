//! The JSON of each topic against the tables of docs/events.md: neither can change without the other.

use std::collections::BTreeMap;

use control::export::encode;
use dataplane::event::{Message, Part, Topic};
use reassembly::{Cause, End};
use serde_json::Value as Json;

use crate::records::{Client, Server, assembler, event, message, piece, summary};

/// A key as the document has it.
#[derive(Debug, Clone)]
struct Key {
    kind: String,
    meaning: String,
}

type Keys = BTreeMap<String, Key>;

/// The tables of a section: under the name in their first cell (`key`, or `key of ...`).
fn tables(section: &str) -> BTreeMap<String, Keys> {
    let mut tables = BTreeMap::<_, Keys>::new();
    let mut name = String::new();
    for line in section.lines() {
        let Some(line) = line.strip_prefix('|') else {
            name.clear();
            continue;
        };
        let cells: Vec<&str> = line.trim_end_matches('|').splitn(3, '|').map(str::trim).collect();
        let [first, kind, meaning] = cells[..] else { continue };
        if first.starts_with('-') {
            continue;
        }
        if name.is_empty() {
            name = first.to_owned();
            continue;
        }
        for key in first.split(", ") {
            let key = key.trim_matches('`').to_owned();
            let value = Key { kind: kind.to_owned(), meaning: meaning.to_owned() };
            assert!(
                tables.entry(name.clone()).or_default().insert(key.clone(), value).is_none(),
                "{key} twice"
            );
        }
    }
    tables
}

/// The sections of the document by their title.
fn document() -> BTreeMap<String, BTreeMap<String, Keys>> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/events.md")).unwrap();
    let sections = text.split("\n## ").skip(1);
    sections
        .map(|section| {
            let (title, rest) = section.split_once('\n').unwrap();
            (title.to_owned(), tables(rest))
        })
        .collect()
}

/// The keys of an object that the document shows as an example.
fn example(key: &Key) -> Vec<String> {
    let example = key.meaning.split('`').find(|text| text.starts_with('{')).unwrap_or_default();
    // What is inside of an object inside is another table's.
    let flat = example.replace("{...}", "0");
    let pieces: Vec<&str> = flat.split('"').collect();
    pieces.windows(2).filter(|pair| pair[1].starts_with(':')).map(|pair| pair[0].to_owned()).collect()
}

fn is_a(kind: &str, value: &Json) -> bool {
    match kind {
        "number" => value.is_u64(),
        "number or null" => value.is_u64() || value.is_null(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => panic!("the document has a type {kind:?}"),
    }
}

/// An event has all keys of these tables but those of other kinds of messages, and no others.
fn check(topic: Topic, json: &Json, keys: &Keys, inner: Option<&Keys>) {
    let object = json.as_object().unwrap();
    for (name, key) in keys {
        let elsewhere = match topic {
            Topic::HttpRequest => key.meaning.contains("responses only"),
            Topic::HttpResponse => key.meaning.contains("requests only"),
            _ => false,
        };
        match object.get(name) {
            None => assert!(
                elsewhere || key.meaning.contains("where the request was seen"),
                "{topic:?} has no `{name}`"
            ),
            Some(value) => {
                assert!(!elsewhere, "{topic:?} has `{name}`");
                assert!(is_a(&key.kind, value), "{topic:?}: `{name}` is no {}: {value}", key.kind);
            }
        }
        if let (Some(Json::Object(value)), "object") = (object.get(name), key.kind.as_str()) {
            let mut wanted = example(key);
            wanted.sort();
            assert!(!wanted.is_empty(), "the document does not say what is in `{name}`");
            assert_eq!(value.keys().cloned().collect::<Vec<_>>(), wanted, "{topic:?}: keys of `{name}`");
            if let Some(inner) = inner.filter(|_| name == "sent") {
                value.values().for_each(|side| check(topic, side, inner, None));
            }
        }
    }
    let unknown: Vec<_> = object.keys().filter(|name| !keys.contains_key(*name)).collect();
    assert!(unknown.is_empty(), "{topic:?}: the document does not know {unknown:?}");
}

fn parts() -> Vec<(Part, Vec<u8>)> {
    let request = b"POST /a HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
    let response = b"HTTP/1.1 200 OK\r\nServer: y\r\n\r\n".to_vec();
    let interim = b"HTTP/1.1 100 Continue\r\n\r\n".to_vec();
    let mut parts = vec![
        (Part::Open { midstream: true }, Vec::new()),
        (Part::Data { direction: Client, offset: 1 }, b"abc".to_vec()),
        (Part::Whole(message(Client, 0, request.len(), 0)), request),
        (Part::Whole(message(Server, 0, interim.len(), 0)), interim),
        (Part::Whole(Message { upgrade: true, ..message(Server, 0, response.len(), 0) }), response.clone()),
        // Without its request.
        (Part::Whole(message(Server, 9, response.len(), 0)), response),
        // Without its head.
        (Part::End(message(Client, 10, 5, 5)), Vec::new()),
    ];
    let causes = Cause::ALL.map(|cause| Part::Gap { direction: Server, offset: 0, length: 7, cause });
    parts.extend(causes.map(|part| (part, Vec::new())));
    parts.extend(End::ALL.map(|end| (Part::Close(summary(end, end as u64 % 2)), Vec::new())));
    parts
}

#[test]
fn the_document_and_the_events_have_the_same_keys() {
    let document = document();
    let common = &document["Keys of every event"]["key"];
    assert!(common.len() > 12 && document.len() >= 7, "{document:?}");
    let mut all = assembler(1000, 1 << 20);
    let mut seen = BTreeMap::new();
    for (part, payload) in parts() {
        let event = event(&mut all, 1, part, &payload);
        let mut text = Vec::new();
        encode(&event.meta, &mut text).unwrap();
        let json: Json = serde_json::from_slice(&text).unwrap();
        let topic = event.topic;
        let (_, own) =
            document.iter().find(|(title, _)| title.split(", ").any(|t| t == topic.name())).unwrap();
        let mut keys = common.clone();
        keys.extend(own["key"].clone());
        check(topic, &json, &keys, own.get("key of `sent`"));
        let got = json.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        seen.entry(topic.name()).or_insert_with(Vec::new).extend(got);
    }
    assert_eq!(seen.len(), Topic::ALL.len(), "every topic was checked");
    for key in ["request", "upgrade", "status"] {
        assert!(seen["http.response"].contains(&key.to_owned()), "{key}");
    }
}

#[test]
fn words_of_the_document_are_those_of_the_events() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/events.md")).unwrap();
    let words = Topic::ALL.map(Topic::name).into_iter();
    let words = words.chain(Cause::ALL.map(Cause::name)).chain(End::ALL.map(End::name));
    for word in words.chain(dataplane::event::Framing::ALL.map(|framing| framing.name())) {
        assert!(text.contains(&format!("`{word}`")), "{word}");
    }
    // 64 bits, and bytes above 0x7f as characters of the same number.
    let mut all = assembler(1000, 1 << 20);
    piece(&mut all, 1, Part::Head(message(Client, 0, 1, 0)), b"GET /\xff HTTP/1.1\r\nA: \xe9\r\n\r\n");
    let event = event(&mut all, 1, Part::End(Message { begin: u64::MAX, ..message(Client, 0, 1, 0) }), b"");
    let mut json = Vec::new();
    encode(&event.meta, &mut json).unwrap();
    let json = String::from_utf8(json).unwrap();
    assert!(json.contains(r#""target":"/ÿ""#) && json.contains(r#"["A","é"]"#), "{json}");
    assert!(json.contains(r#""begin":18446744073709551615"#) && !json.contains('\n'), "{json}");
}
