//! What a record says, before and after its way through the ring.
//!
//! Invariant: what is written reads back the same (a property test compares).

use core::net::SocketAddr;
use reassembly::{Cause, Direction, Summary};

/// How the flow came to be observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Followed passively.
    Monitor = 0,
    /// Terminated by an application.
    Terminate = 1,
    /// The client leg of a proxied session.
    Proxy = 2,
}

impl Origin {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Monitor, Self::Terminate, Self::Proxy];

    /// The name of the action in events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Monitor => "monitor",
            Self::Terminate => "terminate",
            Self::Proxy => "proxy",
        }
    }
}

/// Whose record it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Unique on its worker.
    pub id: u64,
    /// The side that sent the SYN.
    pub client: SocketAddr,
    /// The side that answered.
    pub server: SocketAddr,
    /// Number of the service.
    pub service: u16,
    /// Number of the port it was seen on.
    pub ingress: u16,
    /// VLAN id; 0 for untagged.
    pub vlan: u16,
    /// How it came to be observed.
    pub origin: Origin,
}

/// What ends the body of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None = 0,
    /// `Content-Length`.
    Length = 1,
    /// The chunked coding.
    Chunked = 2,
    /// The end of the stream.
    Close = 3,
}

impl Framing {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::None, Self::Length, Self::Chunked, Self::Close];

    /// Its name in events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Length => "length",
            Self::Chunked => "chunked",
            Self::Close => "close",
        }
    }
}

/// What is known of a message of HTTP when its record is written; see the schema in `docs/events.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// The client for requests, the server for responses.
    pub direction: Direction,
    /// Number of the request in its connection.
    pub exchange: u32,
    /// Where in the stream the message begins.
    pub offset: u64,
    /// Time of its first byte, nanoseconds since 1970.
    pub begin: u64,
    /// What ends the body.
    pub framing: Framing,
    /// Bytes of the head.
    pub head_length: u32,
    /// Bytes of the body so far, those missing included.
    pub body_length: u64,
    /// Bytes of the body that found no room in the ring.
    pub body_lost: u64,
    /// Bytes of the body that were never seen.
    pub body_missing: u64,
    /// It came to its end.
    pub complete: bool,
    /// The first one after bytes that could not be read.
    pub resync: bool,
    /// The connection leaves HTTP behind it.
    pub upgrade: bool,
    /// Begin and end of the request that a response answers, nanoseconds since 1970.
    pub request: Option<(u64, u64)>,
}

/// What happened. Parts of a message come in the order head, body and holes, trailers, end; nothing else of the same
/// direction of a flow comes between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// An event: the flow is seen for the first time.
    Open {
        /// Without its SYN.
        midstream: bool,
    },
    /// An event: bytes of a stream; they are the payload.
    Data {
        /// Who sent them.
        direction: Direction,
        /// Of the first.
        offset: u64,
    },
    /// An event: bytes that were never seen.
    Gap {
        /// Who sent them.
        direction: Direction,
        /// Of the first.
        offset: u64,
        /// How many.
        length: u64,
        /// Why they are given up.
        cause: Cause,
    },
    /// An event: a whole message; the payload is its head and then its body, of which the message says how long they are.
    Whole(Message),
    /// Begin of a message; the payload is its head. What the message says of its body is not known yet.
    Head(Message),
    /// Bytes of the body, which are the payload.
    Body(Direction),
    /// So many bytes of the body were never seen.
    Hole(Direction, u64),
    /// The trailer section, which is the payload.
    Trailers(Direction),
    /// An event: the message that began with the last head of this direction is over.
    End(Message),
    /// An event: the flow is over.
    Close(Summary),
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Whose.
    pub flow: Flow,
    /// Nanoseconds since 1970, of the packet that caused it.
    pub time: u64,
    /// Number of the event on its worker, from 1; 0 where the record completes none.
    pub sequence: u64,
    /// Events of the worker that the ring had no room for, up to here.
    pub dropped: u64,
    /// What happened.
    pub part: Part,
}
