//! Tests of filters.

use std::io::Write;

use serde_json::json;

use super::*;
use crate::event::tests::{event, message};
use crate::store::{Bounds, Store};

/// Three exchanges: 1 answered with 200 in gzip, 2 with 404, 3 not answered.
fn exchanges() -> Store {
    let mut store = Store::new(Bounds { events: 100, bytes: 1 << 20 });
    let mut insert = |topic: &str, number: u64, more: serde_json::Value, body: &[u8]| {
        store.insert(event(topic, &message(number, "flow", number, more), body), 0);
    };
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(b"the secret word is xyzzy").unwrap();
    let headers = json!([["Host", "shop.example.org"], ["Content-Type", "application/json"], ["X-Id", "17"]]);
    let post = json!({"method": "POST", "target": "/cart?item=5", "headers": headers});
    insert("http.request", 1, post, b"{\"item\": 5}");
    let headers = json!([["Content-Type", "text/html"], ["Content-Encoding", "gzip"]]);
    let ok = json!({"status": 200, "reason": "OK", "direction": "server", "headers": headers});
    insert("http.response", 1, ok, &gzip.finish().unwrap());
    insert("http.request", 2, json!({"method": "GET", "target": "/missing"}), b"");
    insert("http.response", 2, json!({"status": 404, "reason": "", "direction": "server"}), b"nothing");
    insert("http.request", 3, json!({"method": "GET", "target": "/slow/(x)"}), b"");
    store
}

fn found(text: &str) -> Vec<u64> {
    let filter = Filter::parse(text).unwrap_or_else(|mistake| panic!("{text}: {mistake:?}"));
    let mut all = exchanges().exchanges(u64::MAX, 10);
    all.retain(|exchange| filter.matches(exchange, &Limits::new(1 << 20)));
    all.iter().rev().map(|exchange| exchange.id).collect()
}

#[test]
fn every_operator_finds_what_it_says() {
    for (text, expected) in [
        ("", vec![1, 2, 3]),
        ("  ", vec![1, 2, 3]),
        ("~m post", vec![1]),
        ("~u item=\\d", vec![1]),
        ("cart", vec![1]),
        ("~d shop", vec![1]),
        ("~d ^example", vec![2, 3]),
        ("~c 404", vec![2]),
        ("~c 2xx", vec![1]),
        ("~c 200-499", vec![1, 2]),
        ("~s", vec![1, 2]),
        ("~q", vec![3]),
        ("~e", vec![2]),
        ("~b xyzzy", vec![1]),
        ("~bq xyzzy", vec![]),
        ("~bq item", vec![1]),
        ("~bs nothing", vec![2]),
        ("~h x-id:.17", vec![1]),
        ("~hs x-id", vec![]),
        ("~t html", vec![1]),
        ("~tq json", vec![1]),
        ("~ts json", vec![]),
        ("~src 10.0.0.1", vec![1, 2, 3]),
        ("~src 10.0.0.2", vec![]),
        ("~dst :80", vec![1, 2, 3]),
        ("~dst 10.0.0.0/24", vec![1, 2, 3]),
        ("~f 1", vec![1, 2, 3]),
        ("~f 2", vec![]),
    ] {
        assert_eq!(found(text), expected, "{text}");
    }
}

#[test]
fn operators_bind_as_documented() {
    for (text, expected) in [
        ("!~q", vec![1, 2]),
        ("! ~q & ! ~c 404", vec![1]),
        ("!(~q | ~c 404)", vec![1]),
        ("~q | ~m GET & ~c 404", vec![2, 3]),
        ("(~q | ~m GET) & ~c 404", vec![2]),
        ("~m GET ~q", vec![3]),
        ("~m GET !~q", vec![2]),
        ("!!~q", vec![3]),
        ("~u (missing|cart)", vec![1, 2]),
        ("(~u (missing|cart))", vec![1, 2]),
        ("~u \"slow/\\(x\\)\"", vec![3]),
        ("'cart?item' | nothing", vec![]),
        ("~b \"secret word\"", vec![1]),
        ("~u x\\)", vec![3]),
    ] {
        assert_eq!(found(text), expected, "{text}");
    }
}

#[test]
fn mistakes_say_where() {
    for (text, position, length, part) in [
        ("~c 4x4", 3, 3, "404"),
        ("~m GET & ~zz", 9, 3, "no such operator"),
        ("~m GET & ", 9, 1, "missing"),
        ("(~q", 0, 1, "never closed"),
        ("~q)", 2, 1, "closes nothing"),
        ("~q | | ~s", 5, 1, "missing before"),
        ("~u \"abc", 3, 4, "never closed"),
        ("~u", 0, 2, "regular expression"),
        ("~u a[", 3, 2, "regular expression"),
        ("~src 10.0.0.x", 5, 8, "an address"),
        ("ü😀 & ~zz", 6, 3, "no such operator"),
        ("~", 0, 1, "no such operator"),
        ("~b a{1000}{1000}", 3, 13, "too much memory"),
        ("~f x", 3, 1, "number"),
    ] {
        let mistake = Filter::parse(text).unwrap_err();
        assert_eq!((mistake.position, mistake.length), (position, length), "{text}: {mistake:?}");
        assert!(mistake.message.contains(part), "{text}: {mistake:?}");
    }
}

#[test]
fn filters_are_bounded() {
    for text in ["x".repeat(MOST_BYTES + 1), "(".repeat(MOST_DEPTH + 1), "!".repeat(500), "a ".repeat(65)] {
        assert!(Filter::parse(&text).is_err(), "{text}");
    }
    assert!(Filter::parse(&"a ".repeat(64)).is_ok());
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_filter_or_a_mistake_within_it(text in ".{0,200}|[~!&|()a-z\" 0-9.:/]{0,80}") {
        if let Err(mistake) = Filter::parse(&text) {
            let units = text.encode_utf16().count();
            proptest::prop_assert!(mistake.position <= units);
            proptest::prop_assert!(mistake.position + mistake.length <= units + 1);
        }
    }
}
