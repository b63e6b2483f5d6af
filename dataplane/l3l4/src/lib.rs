//! Packets in, data out; data in, packets out: TCP and UDP for any destination address, without sockets,
//! interfaces or a clock of its own.
//!
//! IP packets go in by [`L3l4::l3_rx`]; what they carry comes out by [`Callbacks::l4_rx`] and
//! [`Callbacks::l4_datagram`]. Data goes in through [`Conn`] or [`L3l4::l4_tx`]; packets come out by
//! [`Callbacks::l3_tx`], written straight into buffers that [`Callbacks::l3_tx_buffer`] hands out.
//! [`L3l4::l4_poll`] is called after each burst and at the time it asks for.
//!
//! ```
//! use l3l4::{Builder, Callbacks, CloseReason, Conn, Datagram, FlowId, FlowKey, Instant, RxChecksum, TxMeta, Verdict};
//!
//! struct Echo { out: Vec<Vec<u8>> }
//!
//! impl Callbacks for Echo {
//!     type Buffer = Vec<u8>;
//!     fn l3_tx_buffer(&mut self) -> Option<Vec<u8>> { Some(vec![0; 1500]) }
//!     fn l3_tx_buffer_mut<'b>(&self, buffer: &'b mut Vec<u8>) -> &'b mut [u8] { buffer }
//!     fn l3_tx(&mut self, mut buffer: Vec<u8>, meta: &TxMeta) {
//!         buffer.truncate(meta.len);
//!         self.out.push(buffer);
//!     }
//!     fn l4_verdict(&mut self, key: &FlowKey) -> Verdict {
//!         if key.local_port == 7 { Verdict::Accept(0) } else { Verdict::Reject }
//!     }
//!     fn l4_opened(&mut self, _: FlowId, _: &FlowKey, _: u64) {}
//!     fn l4_rx(&mut self, conn: &mut Conn<'_>) {
//!         let mut bytes = [0; 2048];
//!         let n = bytes.len().min(conn.room());
//!         let n = conn.copy(&mut bytes[..n]);
//!         conn.send(&bytes[..n]);
//!         conn.take(n);
//!         if conn.at_end() { conn.close(); }
//!     }
//!     fn l4_datagram(&mut self, datagram: &mut Datagram<'_>) { datagram.reply(datagram.data()); }
//!     fn l4_closed(&mut self, _: FlowId, _: &FlowKey, _: u64, _: CloseReason) {}
//! }
//!
//! let mut echo = Echo { out: Vec::new() };
//! let mut engine = Builder::new([7; 32]).build()?;
//! // A UDP datagram "hi" from 10.0.0.1:9 to 10.0.0.2:7.
//! let mut packet = *b"\x45\0\0\x1e\0\0\0\0\x40\x11\x66\xcd\x0a\0\0\x01\x0a\0\0\x02\0\x09\0\x07\0\x0a\0\0hi";
//! let now = Instant::from_millis(1);
//! assert_eq!(engine.l3_rx(&mut echo, now, &mut packet, 0, RxChecksum::default()), Ok(()));
//! engine.l4_poll(&mut echo, now);
//! assert_eq!(&echo.out[0][28..], b"hi");
//! # Ok::<(), l3l4::BuildError>(())
//! ```
//!
//! An engine belongs to one thread. Nothing in it allocates, locks, logs or reads a clock per packet; all that
//! grows has a bound in [`Limits`] and a counter in [`Counters`].
#![deny(unsafe_code)] // One module, `slots`, is allowed to; it says why.
#![warn(missing_docs)]

mod builder;
mod callbacks;
pub mod checksum;
mod compose;
mod conn;
mod cookie;
mod counters;
mod datagram;
mod device;
mod drop;
mod engine;
pub mod extension;
mod flow;
mod guard;
mod held;
mod isn;
mod key;
mod limiter;
pub mod martian;
mod pace;
pub mod packet;
mod paths;
mod plain;
mod record;
mod recovery;
mod reply;
mod slots;
mod sources;
pub mod table;
pub mod tcp_options;
mod time;
mod waits;
pub mod wheel;

pub use builder::{BuildError, Builder, Limits, Link, SynCookies};
pub use callbacks::{Callbacks, CloseReason, TxMeta, Verdict};
pub use conn::Conn;
pub use counters::Counters;
pub use datagram::Datagram;
pub use device::TxChecksum;
pub use drop::DropReason;
pub use engine::{ConnectError, DatagramError, FlowError, FlowInfo, L3l4};
pub use key::{Addr, FlowId, FlowKey, NoFlowId, Protocol};
pub use limiter::Limiter;
pub use packet::{Headers, Parsed, RxChecksum};
pub use paths::{PathMtu, TooBig};
pub use recovery::CongestionControl;
pub use reply::Unreachable;
pub use time::Instant;
