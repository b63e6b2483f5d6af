//! Flows as applications see them.
//!
//! Invariant: nothing is kept here; each call goes straight to the flow at hand.

use crate::application::{Reply, Stream};
use l3l4::{Conn, Datagram};
use std::time::Duration;

/// A connection as applications see it.
pub(super) struct TcpStream<'a, 'c>(pub(super) &'a mut Conn<'c>);

impl Stream for TcpStream<'_, '_> {
    fn data(&mut self) -> &[u8] {
        self.0.data()
    }
    fn pending(&self) -> usize {
        self.0.pending()
    }
    fn copy(&mut self, into: &mut [u8]) -> usize {
        self.0.copy(into)
    }
    fn take(&mut self, n: usize) {
        self.0.take(n);
    }
    fn at_end(&self) -> bool {
        self.0.at_end()
    }
    fn peer_closed(&self) -> bool {
        self.0.peer_closed()
    }
    fn full(&self) -> bool {
        self.0.full()
    }
    fn send(&mut self, bytes: &[u8]) -> usize {
        self.0.send(bytes)
    }
    fn send_with(&mut self, fill: &mut dyn FnMut(&mut [u8]) -> usize) -> usize {
        self.0.send_with(fill)
    }
    fn room(&self) -> usize {
        self.0.room()
    }
    fn close(&mut self) {
        self.0.close();
    }
    fn abort(&mut self) {
        self.0.abort();
    }
    fn set_deadline(&mut self, after: Option<Duration>) {
        self.0.set_deadline(after);
    }
}

/// The answer to a datagram as applications see it.
pub(super) struct UdpReply<'a, 'd>(pub(super) &'a mut Datagram<'d>);

impl Reply for UdpReply<'_, '_> {
    fn reply(&mut self, bytes: &[u8]) -> bool {
        self.0.reply(bytes)
    }
    fn max_len(&self) -> usize {
        self.0.max_len()
    }
}
