//! The admin socket's messages, as the daemon and as millctl read them.
//!
//! Invariant: what is understood survives being written and read again, on one line; and millctl can show whatever
//! answer it understands, even one that no daemon gives.

use ctl::protocol::{Message, Outcome, Reply, to_line};
use ctl::{table, views};

/// One line, read both ways.
pub fn run(data: &[u8]) {
    if let Ok(message) = serde_json::from_slice::<Message>(data) {
        let line = to_line(&message).expect("a request has a line");
        assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1), "one line");
        assert_eq!(serde_json::from_slice::<Message>(&line).expect("our own line"), message);
    }
    if let Ok(reply) = serde_json::from_slice::<Reply>(data) {
        let line = to_line(&reply).expect("an answer has a line");
        assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1), "one line");
        serde_json::from_slice::<Reply>(&line).expect("our own line");
        if let Outcome::Answer(answer) = &reply.outcome {
            let _ = views::json(answer);
            for all in [false, true] {
                let _ = table::render(&views::tables(answer, all), None);
            }
        }
    }
}
