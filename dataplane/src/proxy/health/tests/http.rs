//! The status is read from any pieces, and nothing else is taken for one.

use proptest::prelude::*;

use super::super::{HttpProgress, HttpStatus};

/// The verdict, which is the same in one piece and byte by byte.
fn verdict(bytes: &[u8]) -> HttpProgress {
    let whole = HttpStatus::new().push(bytes);
    let mut reader = HttpStatus::default();
    let single = bytes.iter().fold(HttpProgress::Pending, |_, byte| reader.push(&[*byte]));
    assert_eq!(single, whole);
    if whole != HttpProgress::Pending {
        assert_eq!(reader.push(b"HTTP/1.1 999 "), whole, "it stands");
    }
    whole
}

#[test]
fn statuses_of_responses() {
    for (text, status) in [
        ("HTTP/1.1 200 OK\r\nServer: x\r\n", 200),
        ("HTTP/1.0 503 ", 503),
        ("HTTP/1.1 404\r", 404),
        ("HTTP/1.1 204\n", 204),
        ("HTTP/1.9 999 what", 999),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", 101),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", 200),
        ("HTTP/1.1 103 Early\r\nLink: <x>\r\nA: b\r\n\r\nHTTP/1.1 103\n\nHTTP/1.1 500 no\r\n", 500),
    ] {
        assert_eq!(verdict(text.as_bytes()), HttpProgress::Status(status), "{text:?}");
        // Known with the byte behind it, and not before.
        let digits = text.rfind(&status.to_string()).unwrap() + 3;
        assert_eq!(verdict(&text.as_bytes()[..digits]), HttpProgress::Pending, "{text:?}");
        assert_eq!(verdict(&text.as_bytes()[..=digits]), HttpProgress::Status(status), "{text:?}");
    }
}

#[test]
fn anything_else_is_refused_with_the_first_wrong_byte() {
    for text in [
        "h",
        "\r",
        "S",
        "HTTP/2",
        "HTTP/1.x",
        "HTTP/1.12",
        "HTTP/1.1  ",
        "HTTP/1.1 0",
        "HTTP/1.1 2x",
        "HTTP/1.1 20 ",
        "HTTP/1.1 2000",
        "HTTP/1.1 200\t",
        "HTTP/1.1 100 Continue\r\n\r\n\r",
    ] {
        assert_eq!(verdict(&text.as_bytes()[..text.len() - 1]), HttpProgress::Pending, "{text:?}");
        assert_eq!(verdict(text.as_bytes()), HttpProgress::Invalid, "{text:?}");
    }
}

#[test]
fn interim_responses_have_an_end() {
    let endless = [&b"HTTP/1.1 102 Processing\r\n"[..], &[b'x'; 10_000]].concat();
    assert_eq!(verdict(&endless[..8192]), HttpProgress::Pending);
    assert_eq!(verdict(&endless), HttpProgress::Invalid);
    let many = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(1000);
    assert_eq!(verdict(&many), HttpProgress::Invalid);
}

proptest! {
    #[test]
    fn pieces_do_not_matter(
        begin in prop::sample::select(vec!["", "HTTP/1.1 ", "HTTP/1.1 100 x\r\n\r\n", "HTTP/1.1 20"]),
        rest in "[HTP/1. 0-9\r\nx]{0,40}",
        cuts in prop::collection::vec(0..60usize, 0..5),
    ) {
        let bytes = [begin, &rest].concat().into_bytes();
        let expected = verdict(&bytes);
        let mut reader = HttpStatus::new();
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).chain([0, bytes.len()]).collect();
        cuts.sort_unstable();
        let last = cuts.windows(2).map(|pair| reader.push(&bytes[pair[0]..pair[1]])).last();
        prop_assert_eq!(last, Some(expected));
    }
}
