//! What is said of a body: its length on the wire and decoded, and a hash to compare it by.
//!
//! Invariant: nothing decoded is longer than the limit.

use std::borrow::Cow;
use std::fmt::Write;

use events::{Decoded, Message, decode};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Of one message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct BodyFacts {
    /// Bytes as they were sent, chunked coding taken off.
    pub(super) wire: u64,
    /// Bytes with content codings taken off; `null` where there are none.
    pub(super) decoded: Option<u64>,
    /// Of what was kept, decoded.
    pub(super) sha256: String,
    /// Why it is not all there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trouble: Option<String>,
}

impl BodyFacts {
    /// For people: `-`, `120`, `120 -> 512`, with an exclamation mark where something is wrong.
    pub(super) fn text(&self) -> String {
        let mut text = match (self.wire, self.decoded) {
            (0, _) => "-".to_owned(),
            (wire, None) => wire.to_string(),
            (wire, Some(decoded)) => format!("{wire} -> {decoded}"),
        };
        if self.trouble.is_some() {
            text.push('!');
        }
        text
    }
}

/// Of a message with this payload; and its body, decoded.
pub(super) fn facts<'a>(message: &Message, payload: &'a [u8], limit: usize) -> (BodyFacts, Cow<'a, [u8]>) {
    let mut trouble = match message {
        Message { body_missing: 1.., .. } => Some(format!("{} bytes were never seen", message.body_missing)),
        Message { body_left_out: 1.., .. } => {
            Some(format!("{} bytes are beyond the limit", message.body_left_out))
        }
        Message { complete: false, .. } => Some("the message has no end".to_owned()),
        _ => None,
    };
    let (decoded, body) = match decode(&message.header_list("content-encoding"), payload, limit) {
        Decoded::Plain => (None, Cow::Borrowed(payload)),
        Decoded::Body(body) => {
            trouble = trouble.or_else(|| body.trouble.as_ref().map(events::Trouble::text));
            // A coding that is not known leaves nothing to count.
            let known = !matches!(body.trouble, Some(events::Trouble::Unknown(_)));
            (known.then_some(body.bytes.len() as u64), Cow::Owned(body.bytes))
        }
    };
    (BodyFacts { wire: message.body_length, decoded, sha256: sha256(&body), trouble }, body)
}

/// In hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
