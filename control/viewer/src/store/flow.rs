//! A connection, with what is kept of its two streams.
//!
//! Invariant: pieces are in the order in which they came; per direction that is the order of the stream, and what was
//! evicted from its front is counted.

use std::collections::VecDeque;
use std::sync::Arc;

use hyper::body::Bytes;

use super::exchange::Origin;
use crate::event::{self, Close, Common, Direction, Gap, Open};

/// A part of a stream.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) direction: Direction,
    pub(crate) offset: u64,
    /// Nanoseconds since 1970.
    pub(crate) time: u64,
    pub(crate) kind: PieceKind,
}

/// What a part of a stream is.
#[derive(Debug, Clone)]
pub(crate) enum PieceKind {
    /// Bytes.
    Data(Bytes),
    /// So many bytes that were never seen, and why they are given up.
    Gap(u64, String),
}

impl Piece {
    /// Bytes of the stream that it stands for.
    pub(crate) fn length(&self) -> u64 {
        match &self.kind {
            PieceKind::Data(bytes) => bytes.len() as u64,
            PieceKind::Gap(length, _) => *length,
        }
    }
}

/// Sums of one direction.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Side {
    /// Bytes that came as `tcp.data`.
    pub(crate) bytes: u64,
    pub(crate) gaps: u64,
    /// Bytes missing.
    pub(crate) missing: u64,
    /// Bytes at the front of the stream that are no longer kept, missing ones included.
    pub(crate) evicted: u64,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) run: String,
    /// Its id in that run.
    pub(crate) name: String,
    origin: Arc<Origin>,
    pub(crate) id: u64,
    pub(crate) ingress: String,
    pub(crate) vlan: u16,
    pub(crate) worker: u32,
    /// Times of the first and the last event, in nanoseconds since 1970.
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// `None`: its `flow.open` was not received.
    pub(crate) midstream: Option<bool>,
    pub(crate) close: Option<Box<Close>>,
    /// Events kept of it.
    pub(super) entries: usize,
    /// Exchanges seen, evicted ones included.
    pub(crate) exchanges: u64,
    pub(crate) sides: [Side; 2],
    pub(crate) pieces: VecDeque<Piece>,
    /// Pieces evicted: the number of the first one kept.
    pub(crate) first_piece: u64,
}

impl Flow {
    pub(super) fn new(id: u64, common: &Common) -> Self {
        let origin = Origin {
            flow: id,
            service: common.service.clone(),
            action: common.action.clone(),
            client: common.client,
            server: common.server,
        };
        Self {
            run: common.run.clone(),
            name: common.flow.clone(),
            origin: Arc::new(origin),
            id,
            ingress: common.ingress.clone(),
            vlan: common.vlan,
            worker: common.worker,
            first: common.time,
            last: common.time,
            midstream: None,
            close: None,
            entries: 0,
            exchanges: 0,
            sides: [Side::default(); 2],
            pieces: VecDeque::new(),
            first_piece: 0,
        }
    }

    pub(super) fn key(&self) -> (String, String) {
        (self.run.clone(), self.name.clone())
    }

    pub(crate) fn origin(&self) -> Arc<Origin> {
        Arc::clone(&self.origin)
    }

    pub(super) fn open(&mut self, open: Open, time: u64) {
        self.midstream = Some(open.midstream);
        self.first = self.first.min(time);
    }

    pub(super) fn data(&mut self, at: event::Piece, bytes: Bytes, time: u64) {
        self.sides[at.direction.index()].bytes += bytes.len() as u64;
        let kind = PieceKind::Data(bytes);
        self.pieces.push_back(Piece { direction: at.direction, offset: at.offset, time, kind });
    }

    pub(super) fn gap(&mut self, gap: Gap, time: u64) {
        let side = &mut self.sides[gap.direction.index()];
        side.gaps += 1;
        side.missing = side.missing.saturating_add(gap.length);
        let kind = PieceKind::Gap(gap.length, gap.cause);
        self.pieces.push_back(Piece { direction: gap.direction, offset: gap.offset, time, kind });
    }

    pub(super) fn evict_piece(&mut self) {
        if let Some(piece) = self.pieces.pop_front() {
            self.first_piece += 1;
            let side = &mut self.sides[piece.direction.index()];
            side.evicted = side.evicted.saturating_add(piece.length());
        }
    }
}
