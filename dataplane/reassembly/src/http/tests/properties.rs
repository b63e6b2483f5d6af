//! What holds for any bytes, cuts and gaps.

use super::*;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Requests and responses, each as the framer is to tell it: head, body, trailers.
fn request() -> impl Strategy<Value = String> {
    select(vec![
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\nGET /old HTTP/1.0\n\n",
        "POST / HTTP/1.1\r\nContent-Length: 7\r\n\r\nGET / H",
        "PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n11\r\n0123456789abcdef0\r\n0\r\nA: b\r\n\r\n",
        "PUT /c HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n\r\n\r\n0\r\n\r\n",
    ])
    .prop_map(str::to_owned)
}

/// What goes both ways for one request: it, and interim responses and the final one.
fn exchange() -> impl Strategy<Value = (String, String)> {
    let interim = prop::collection::vec(Just("HTTP/1.1 100 Continue\r\n\r\n".to_owned()), 0..2);
    (request(), interim, response()).prop_map(|(request, interim, last)| {
        let head = last.find("\r\n\r\n").unwrap() + 4;
        let last = if request.starts_with("HEAD") { &last[..head] } else { &last };
        (request, interim.concat() + last)
    })
}

fn response() -> impl Strategy<Value = String> {
    select(vec![
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/",
        "HTTP/1.1 204\r\n\r\n",
        "HTTP/1.0 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\nX: y\r\n folded\r\n\r\na\r\n0123456789\r\n0\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    ])
    .prop_map(str::to_owned)
}

/// Cut at these places, sorted or not.
fn cut<'b>(bytes: &'b [u8], cuts: &[Index]) -> Vec<&'b [u8]> {
    cut_at(bytes, cuts.iter().map(|cut| cut.index(bytes.len() + 1)))
}

fn cut_at(bytes: &[u8], cuts: impl IntoIterator<Item = usize>) -> Vec<&[u8]> {
    let mut at: Vec<_> = cuts.into_iter().chain([0, bytes.len()]).collect();
    at.sort_unstable();
    at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).filter(|piece| !piece.is_empty()).collect()
}

/// What is told, less what depends on when bytes come.
fn told(bench: &Bench) -> Vec<Told> {
    let mut told = bench.sink.told.clone();
    for end in told.iter_mut().filter_map(|told| told.end.as_mut()) {
        (end.begin, end.time) = (0, 0);
        end.request = end.request.map(|_| RequestTimes { begin: 0, end: 0 });
    }
    told
}

fn run<'b>(client: impl IntoIterator<Item = &'b [u8]>, server: impl IntoIterator<Item = &'b [u8]>) -> Bench {
    let mut bench = Bench::default();
    for bytes in client {
        bench.client(bytes);
    }
    for bytes in server {
        bench.server(bytes);
    }
    bench.close();
    bench
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cut_gives_the_same_messages(
        exchanges in prop::collection::vec(exchange(), 0..6),
        cuts in prop::collection::vec(any::<Index>(), 0..12),
    ) {
        let (requests, responses): (Vec<_>, Vec<_>) = exchanges.into_iter().unzip();
        let (client, server) = (requests.concat().into_bytes(), responses.concat().into_bytes());
        let whole = run([&client[..]], [&server[..]]);
        let many = run(cut(&client, &cuts), cut(&server, &cuts));
        let single = run(client.chunks(1), server.chunks(1));
        prop_assert_eq!(told(&many), told(&whole));
        prop_assert_eq!(told(&single), told(&whole));
        prop_assert_eq!(many.counters(), whole.counters());
        prop_assert_eq!(single.counters(), whole.counters());
        prop_assert_eq!(whole.counters().requests, requests.len() as u64);
        prop_assert_eq!(whole.counters().responses, requests.len() as u64);
        for message in whole.messages() {
            let close = message.framing == Framing::Close;
            prop_assert!(message.complete && !message.resync && !close, "{:?}", message);
            prop_assert_eq!(message.request.is_some(), message.direction == Server);
        }
    }

    #[test]
    fn any_cut_gives_the_same_messages_up_to_where_they_cease_to_be_readable(
        pieces in prop::collection::vec(request(), 1..5),
        (at, byte) in (any::<Index>(), any::<u8>()),
        cuts in prop::collection::vec(any::<Index>(), 0..12),
    ) {
        let mut bytes = pieces.concat().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let readable = |bench: &Bench| {
            let told = told(bench).into_iter();
            told.take_while(|told| !told.message().resync).collect::<Vec<_>>()
        };
        let whole = run([&bytes[..]], []);
        for other in [run(cut(&bytes, &cuts), []), run(bytes.chunks(1), [])] {
            prop_assert_eq!(readable(&other), readable(&whole));
            prop_assert_eq!(other.counters().unreadable > 0, whole.counters().unreadable > 0);
        }
    }

    #[test]
    fn anything_may_come(
        segments in prop::collection::vec(
            (any::<bool>(), prop_oneof![
                request().prop_map(String::into_bytes),
                response().prop_map(String::into_bytes),
                prop::collection::vec(any::<u8>(), 1..60),
                prop::collection::vec(select(b"GET / HTTP/1.0\r\n\r\nA:b".to_vec()), 1..60),
            ], any::<Index>(), 0u64..40),
            0..30,
        ),
        midstream in any::<bool>(),
        aborts in any::<bool>(),
    ) {
        let mut bench = if midstream { Bench::midstream() } else { Bench::default() };
        for (from_client, bytes, keep, gap) in segments {
            let direction = if from_client { Client } else { Server };
            bench.data(direction, &bytes[..=keep.index(bytes.len())]);
            if gap > 30 {
                bench.gap(direction, gap - 30);
            }
        }
        if aborts {
            bench.abort();
        }
        bench.close();
        let (counters, messages) = (bench.counters(), bench.messages());
        let incomplete = messages.iter().filter(|message| !message.complete).count();
        prop_assert_eq!(counters.incomplete, incomplete as u64);
        prop_assert_eq!(counters.requests + counters.responses + counters.interim, messages.len() as u64);
        let resyncs = messages.iter().filter(|message| message.resync).count();
        prop_assert_eq!(counters.resyncs, resyncs as u64);
        prop_assert_eq!(counters.upgrades, messages.iter().filter(|message| message.upgrade).count() as u64);
    }

    #[test]
    fn a_gap_costs_one_message_at_most(
        count in 3usize..8,
        kind in request(),
        start in any::<Index>(),
        length in 1usize..60,
        cuts in prop::collection::vec(any::<Index>(), 0..5),
    ) {
        // A body that looks like the beginning of a head may hide the next one, if that comes in pieces.
        let kind = kind.strip_suffix("GET / H").map_or(kind.clone(), |head| format!("{head}a body."));
        // One more at the end, so that there is something to find.
        let bytes = [kind.repeat(count), GET.to_owned()].concat().into_bytes();
        let length = length.min(kind.len());
        let start = start.index(count * kind.len() - length + 1);
        let (before, rest) = bytes.split_at(start);
        let mut bench = Bench::default();
        for piece in cut(before, &cuts) {
            bench.client(piece);
        }
        bench.gap(Client, length as u64);
        // A message whose body does not end in a line is found at the beginning of a segment only.
        let rest = &rest[length..];
        let begins = (1..=count).map(|n| n * kind.len()).filter_map(|begin| begin.checked_sub(start + length));
        for piece in cut_at(rest, cuts.iter().map(|cut| cut.index(rest.len() + 1)).chain(begins)) {
            bench.client(piece);
        }
        bench.close();
        let whole = run([&bytes[..]], []);
        let (counters, messages) = (bench.counters(), bench.messages());
        // A gap of at most one message's length touches two at most.
        let complete = messages.iter().filter(|message| message.complete).count();
        prop_assert!(complete + 2 > count && messages.len() <= count + 1, "{:?}", messages);
        prop_assert!(counters.lost_in_gaps <= 1 && counters.unreadable == 0);
        prop_assert!(messages.iter().map(|message| message.missing).sum::<u64>() <= length as u64);
        prop_assert!(messages.iter().filter(|message| message.resync).count() <= 1);
        // What is complete is where and as long as it would be without the gap.
        let expected = whole.messages();
        for message in messages.iter().filter(|message| message.complete) {
            let same = expected.iter().find(|other| other.offset == message.offset).unwrap();
            prop_assert_eq!((message.body_length, message.head_length), (same.body_length, same.head_length));
        }
        for told in &bench.sink.told {
            prop_assert_eq!(told.body.len() as u64, told.message().body_length);
        }
    }
}
