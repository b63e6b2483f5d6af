//! A client that sends bytes, reads what comes back, and closes.

use super::World;
use core::time::Duration;
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp::State;

pub struct Transfer {
    pub handle: SocketHandle,
    pub out: Vec<u8>,
    pub sent: usize,
    pub back: Vec<u8>,
    closed: bool,
}

impl Transfer {
    pub fn new(handle: SocketHandle, out: Vec<u8>) -> Self {
        Self { handle, out, sent: 0, back: vec![], closed: false }
    }

    /// Writes and reads what can be; true when both directions are closed.
    pub fn pump(&mut self, world: &mut World) -> bool {
        let socket = world.socket(self.handle);
        if socket.may_send() && self.sent < self.out.len() {
            self.sent += socket.send_slice(&self.out[self.sent..]).unwrap();
        }
        while socket.can_recv() {
            self.back.extend(socket.recv(|part| (part.len(), part.to_vec())).unwrap());
        }
        if !self.closed && socket.may_send() && self.sent == self.out.len() {
            socket.close();
            self.closed = true;
        }
        self.closed && matches!(socket.state(), State::Closed | State::TimeWait)
    }
}

/// Runs transfers to their end.
pub fn run(world: &mut World, transfers: &mut [Transfer], limit: Duration, what: &str) {
    world.run(limit, what, |world| {
        let mut all = true;
        for transfer in transfers.iter_mut() {
            all &= transfer.pump(world);
        }
        all
    });
}
