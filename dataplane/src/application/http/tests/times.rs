//! Deadlines: what is waited for, from when on, and what happens when it does not come.

use super::super::super::Stream;
use super::*;

/// A connection on which time passes when the test says so.
struct Talk {
    http: Http,
    mock: Mock,
    state: FlowState,
    counters: AppCounters,
}

impl Talk {
    fn new() -> Talk {
        let spec = HttpSpec {
            max_body: 1 << 20,
            head_timeout: Duration::from_secs(1),
            body_timeout: Duration::from_secs(2),
            keep_alive_timeout: Duration::from_secs(3),
            ..hello()
        };
        let http = Http::new(&spec).unwrap();
        Talk {
            http,
            mock: Mock::new(64 * 1024, 4096),
            state: FlowState::New,
            counters: AppCounters::default(),
        }
    }

    /// Says something; the seconds that what follows may take, and what came back.
    fn say(&mut self, bytes: &[u8]) -> (Option<u64>, String) {
        assert_eq!(self.mock.arrive(bytes), bytes.len());
        self.http.on_tcp(&mut self.state, &mut self.mock, &mut self.counters);
        self.heard()
    }

    /// The time is over.
    fn late(&mut self) -> (Option<u64>, String) {
        // The engine forgets a deadline before it says so.
        self.mock.deadline = None;
        self.http.on_deadline(&mut self.state, &mut self.mock, &mut self.counters);
        self.heard()
    }

    fn heard(&mut self) -> (Option<u64>, String) {
        self.mock.drain(4096);
        let sent = String::from_utf8(std::mem::take(&mut self.mock.sent)).unwrap();
        (self.mock.deadline.map(|deadline| deadline.as_secs()), sent)
    }
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn assert_timed_out(talk: &mut Talk) {
    let (linger, sent) = talk.late();
    assert!(sent.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{sent}");
    assert!(sent.contains("\r\nConnection: close\r\n"), "{sent}");
    assert_eq!((talk.mock.closes, talk.mock.aborts), (1, 0));
    assert_eq!((talk.counters.http_timeouts, talk.counters.http_bad_requests), (1, 1));
    assert_eq!(talk.mock.pending(), 0, "what came is thrown away");
    // It goes on; but not for ever.
    assert_eq!(talk.say(b"X: y\r\n").0, Some(1));
    assert_eq!(linger.unwrap_or(1), 1);
    let set = talk.mock.deadlines;
    assert_eq!(talk.say(b"X: y\r\n"), (Some(1), String::new()));
    assert_eq!(talk.mock.deadlines, set, "more does not move it");
    assert_eq!(talk.late(), (None, String::new()));
    assert_eq!((talk.mock.aborts, talk.counters.http_drain_aborts), (1, 1));
    assert!(matches!(talk.state, FlowState::Done));
}

#[test]
fn whole_requests_set_no_deadline() {
    let mut talk = Talk::new();
    for _ in 0..3 {
        assert_eq!(talk.say(GET), (None, OK.to_owned()));
        assert_eq!(talk.say(b"HEAD / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n").0, None);
    }
    assert_eq!(talk.mock.deadlines, 0);
    assert!(talk.state.is_blank());
}

#[test]
fn the_time_of_a_head_begins_with_its_first_byte() {
    for pieces in
        [&[&b"G"[..], b"E", b"T / HTTP/1.1\r\nHo"][..], &[b"GET / HTTP/1.1\r\n", b"A: b\r\n", b"A: b\r\n"]]
    {
        let mut talk = Talk::new();
        for piece in pieces {
            assert_eq!(talk.say(piece), (Some(1), String::new()));
        }
        assert_eq!(talk.mock.deadlines, 1, "what trickles in does not move it");
        assert_timed_out(&mut talk);
    }
}

#[test]
fn a_head_in_time_is_answered_and_the_next_one_has_its_own_time() {
    let mut talk = Talk::new();
    assert_eq!(talk.say(b"GET / HTTP/1.1\r\nHost").0, Some(1));
    assert_eq!(talk.say(b": a\r\n\r\n"), (None, OK.to_owned()));
    assert!(talk.state.is_blank());
    // Pipelined without a pause, always cut in the middle.
    let mut set = talk.mock.deadlines;
    talk.say(b"GET / HTT");
    for _ in 0..5 {
        assert_eq!(talk.say(b"P/1.1\r\nHost: a\r\n\r\nGET / HTT"), (Some(1), OK.to_owned()));
        set += 1;
        assert_eq!(talk.mock.deadlines, set + 1, "each head has its own");
    }
}

#[test]
fn a_body_has_to_grow() {
    let mut talk = Talk::new();
    let head = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n";
    assert_eq!(talk.say(&head[..20]).0, Some(1));
    assert_eq!(talk.say(&head[20..]).0, Some(2));
    let mut left = 100_000;
    for _ in 0..3 {
        for _ in 0..2 {
            assert_eq!(talk.say(&[b'x'; 8192]), (Some(2), String::new()));
            left -= 8192;
        }
        assert_eq!(talk.late(), (Some(2), String::new()), "16 KiB are enough");
    }
    assert_eq!(talk.say(&vec![b'x'; left]).0, None);
    assert_eq!((talk.counters.http_timeouts, talk.counters.http_responses[3]), (0, 1), "405, as ever");
    assert!(talk.state.is_blank());

    assert_eq!(talk.say(head).0, Some(2));
    talk.say(&[b'x'; MIN_BODY as usize - 1]);
    assert_timed_out(&mut talk);
}

#[test]
fn a_chunked_body_has_to_grow() {
    let mut talk = Talk::new();
    talk.say(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = [b"1000\r\n".to_vec(), vec![b'x'; 0x1000], b"\r\n".to_vec()].concat();
    for _ in 0..4 {
        assert_eq!(talk.say(&chunk).0, Some(2));
    }
    assert_eq!(talk.late(), (Some(2), String::new()));
    for _ in 0..100 {
        assert_eq!(talk.say(b"1\r\nx\r\n").0, Some(2));
    }
    assert_timed_out(&mut talk);
}

#[test]
fn the_next_body_has_its_own_time() {
    let mut talk = Talk::new();
    let put = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n12";
    assert_eq!(talk.say(put).0, Some(2));
    let set = talk.mock.deadlines;
    let next = [b"34", &put[..]].concat();
    assert_eq!(talk.say(&next).0, Some(2));
    assert_eq!(talk.mock.deadlines, set + 1);
}

#[test]
fn nothing_is_waited_for_while_an_answer_waits_for_room() {
    let mut talk = Talk::new();
    talk.mock = Mock::new(4096, 20);
    assert_eq!(talk.mock.arrive(&[GET, b"GE"].concat()), GET.len() + 2);
    talk.http.on_tcp(&mut talk.state, &mut talk.mock, &mut talk.counters);
    assert_eq!((talk.mock.deadline, talk.mock.deadlines), (None, 0));
    while talk.mock.drain(20) > 0 {
        talk.http.on_tcp(&mut talk.state, &mut talk.mock, &mut talk.counters);
    }
    assert_eq!(talk.heard(), (Some(1), OK.to_owned()), "now it is");
}

#[test]
fn silence_ends_with_a_fin() {
    for requests in 0..2 {
        let mut talk = Talk::new();
        assert_eq!(talk.http.idle_timeout(), Some(Duration::from_secs(3)));
        for _ in 0..requests {
            talk.say(GET);
        }
        assert!(talk.state.is_blank());
        assert_eq!(talk.late(), (None, String::new()));
        assert_eq!((talk.mock.closes, talk.mock.aborts, talk.counters.http_idle_closes), (1, 0, 1));
        assert!(!talk.state.is_blank(), "not asked again");
        // A request that was under way is thrown away, for the client to send again.
        assert_eq!(talk.say(GET), (Some(1), String::new()));
        talk.mock.fin();
        talk.http.on_tcp(&mut talk.state, &mut talk.mock, &mut talk.counters);
        assert_eq!(talk.heard().0, None);
        assert!(matches!(talk.state, FlowState::Done));
        assert_eq!(talk.counters.http_timeouts, 0);
    }
}

#[test]
fn a_closing_answer_sets_no_deadline() {
    let mut talk = Talk::new();
    talk.say(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!((talk.mock.deadlines, talk.mock.closes), (0, 1));
    talk.mock.fin();
    talk.http.on_tcp(&mut talk.state, &mut talk.mock, &mut talk.counters);
    assert_eq!(talk.mock.deadlines, 0);
    assert!(matches!(talk.state, FlowState::Done));
}
