//! A safe API over DPDK, and the only place in the project where foreign memory is touched.
//!
//! Ownership is in the types: [`eal::Eal`] outlives everything made from it, a [`mempool::Mempool`] outlives its
//! [`mbuf::Mbuf`]s, a port outlives its queues. Whichever handle is dropped last does the cleaning up, in the right order.
//!
//! Invariant: nothing a caller can do through this crate without `unsafe` reads or writes freed, foreign or
//! uninitialised memory; raw pointers and bare return codes never leave it.
//!
//! | module | what it holds |
//! |---|---|
//! | [`eal`] | start and stop of DPDK, threads, devices |
//! | [`mempool`], [`mbuf`] | packet memory |
//! | [`port`], [`queue`] | Ethernet devices, bursts in and out |
//! | [`rss`], [`offload`] | bit sets with names |
//! | [`ring`] | handing mbufs from thread to thread |
//! | [`clock`], [`prefetch`] | the time stamp counter, the cache |
//! | [`error`] | what failed, why, and what to do |
//!
//! ```no_run
//! use arrayvec::ArrayVec;
//! use dpdk_ffi::eal::{Eal, EalOptions};
//! use dpdk_ffi::mempool::{Mempool, MempoolOptions};
//! use dpdk_ffi::port::{Port, PortOptions, find_port};
//!
//! // A tap interface that sends everything back where it came from.
//! let eal = Eal::init(&EalOptions { vdevs: vec!["net_tap0,iface=mill0".into()], ..Default::default() })?;
//! let pool = Mempool::new(&eal, "packets", &MempoolOptions::default())?;
//! let port = Port::configure(&eal, find_port(&eal, "net_tap0")?, &PortOptions::default(), &[pool])?;
//! let mut port = port.start()?;
//! let (mut rx, mut tx) = (port.take_rx_queue(0).unwrap(), port.take_tx_queue(0).unwrap());
//! let _thread = eal.register_thread()?;
//! let mut burst = ArrayVec::<_, 32>::new();
//! loop {
//!     rx.rx_burst(&mut burst);
//!     tx.tx_burst(&mut burst);
//!     burst.clear(); // what the port did not take
//! }
//! # #[allow(unreachable_code)]
//! # Ok::<(), dpdk_ffi::Error>(())
//! ```

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod clock;
pub mod eal;
pub mod error;
pub mod mbuf;
pub mod mempool;
pub mod offload;
pub mod port;
pub mod prefetch;
pub mod queue;
pub mod ring;
pub mod rss;

mod bits;
mod burst;
mod text;

pub use eal::version;
pub use error::{Error, Result};
pub use mempool::leaked_mempools;
