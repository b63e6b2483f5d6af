//! The framer from outside: what is told for what is fed.

mod exchanges;
mod framing;
mod gaps;
mod limits;
mod properties;
mod resync;

use super::*;
use crate::Direction::{self, Client, Server};

/// A message as it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    head: Vec<u8>,
    /// Missing bytes are `?`, up to some.
    body: Vec<u8>,
    trailers: Vec<u8>,
    /// As it was at its end, if that came.
    end: Option<Message>,
}

impl Told {
    fn message(&self) -> Message {
        self.end.unwrap()
    }

    fn first_line(&self) -> &str {
        let end = self.head.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap();
        std::str::from_utf8(&self.head[..end]).unwrap()
    }
}

/// Keeps what is told, and sees to it that it fits together.
#[derive(Debug, Default)]
struct Recorder {
    told: Vec<Told>,
    /// Indices of the messages under way.
    open: [Option<usize>; 2],
    /// In the order of ends.
    ended: Vec<usize>,
    body: [u64; 2],
    missing: [u64; 2],
}

impl Recorder {
    fn current(&mut self, message: &Message) -> &mut Told {
        let d = message.direction.index();
        assert_eq!((message.body_length, message.missing), (self.body[d], self.missing[d]));
        &mut self.told[self.open[d].expect("nothing is under way")]
    }
}

impl Sink for Recorder {
    fn head(&mut self, message: &Message, head: &[u8]) {
        let d = message.direction.index();
        assert_eq!(self.open[d], None, "one is under way");
        assert_eq!(head.len(), message.head_length as usize);
        assert!(!message.complete);
        (self.open[d], self.body[d], self.missing[d]) = (Some(self.told.len()), 0, 0);
        self.told.push(Told { head: head.to_vec(), body: vec![], trailers: vec![], end: None });
        self.current(message);
    }

    fn body(&mut self, message: &Message, bytes: &[u8]) {
        assert!(!bytes.is_empty());
        self.current(message).body.extend(bytes);
        self.body[message.direction.index()] += bytes.len() as u64;
    }

    fn missing(&mut self, message: &Message, length: u64) {
        assert!(length > 0);
        self.current(message).body.extend(std::iter::repeat_n(b'?', length.min(1000) as usize));
        self.body[message.direction.index()] += length;
        self.missing[message.direction.index()] += length;
    }

    fn trailers(&mut self, message: &Message, bytes: &[u8]) {
        let told = self.current(message);
        assert!(told.trailers.is_empty() && !bytes.is_empty());
        told.trailers.extend(bytes);
    }

    fn end(&mut self, message: &Message) {
        self.current(message).end = Some(*message);
        if message.framing == Framing::Length {
            let short = message.declared.unwrap() - message.body_length;
            assert_eq!(message.complete, short == 0);
        }
        self.ended.extend(self.open[message.direction.index()].take());
    }
}

/// A connection under test.
#[derive(Debug, Default)]
struct Bench {
    framer: Framer,
    shared: Shared,
    sink: Recorder,
    now: u64,
    at: [u64; 2],
}

impl Bench {
    fn limited(limits: Limits) -> Self {
        Self { shared: Shared::new(limits), ..Self::default() }
    }

    fn midstream() -> Self {
        Self { framer: Framer::midstream(), ..Self::default() }
    }

    /// One segment; time goes on by one with each.
    fn data(&mut self, direction: Direction, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = bytes.as_ref();
        let at = self.at[direction.index()];
        self.framer.data(&mut self.shared, self.now, direction, at, bytes, &mut self.sink);
        self.at[direction.index()] += bytes.len() as u64;
        self.now += 1;
        self
    }

    fn client(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.data(Client, bytes)
    }

    fn server(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.data(Server, bytes)
    }

    fn gap(&mut self, direction: Direction, length: u64) -> &mut Self {
        let at = self.at[direction.index()];
        self.framer.gap(&mut self.shared, self.now, direction, at, length, &mut self.sink);
        self.at[direction.index()] += length;
        self.now += 1;
        self
    }

    fn end(&mut self, direction: Direction) -> &mut Self {
        self.framer.end(&mut self.shared, self.now, direction, &mut self.sink);
        self
    }

    fn abort(&mut self) -> &mut Self {
        self.framer.abort(&mut self.shared, self.now, &mut self.sink);
        self
    }

    /// Both ends, and nothing held behind them.
    fn close(&mut self) -> &mut Self {
        self.end(Client).end(Server);
        self.framer.release(&mut self.shared);
        assert_eq!(self.shared.held(), 0);
        assert_eq!(self.sink.open, [None, None]);
        self
    }

    fn counters(&self) -> Counters {
        self.shared.counters
    }

    fn messages(&self) -> Vec<Message> {
        self.sink.told.iter().map(Told::message).collect()
    }

    /// The one that was told last.
    fn last(&self) -> &Told {
        self.sink.told.last().expect("nothing was told")
    }

    /// First lines of all.
    fn lines(&self) -> Vec<&str> {
        self.sink.told.iter().map(Told::first_line).collect()
    }
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn a_connection_that_waits_costs_little() {
    assert!(size_of::<Framer>() <= 200, "{}", size_of::<Framer>());
}
