//! Frames from a capture file and back into one, byte for byte.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::path::PathBuf;

use arrayvec::ArrayVec;
use common::{eal, pool, unique};
use dpdk_ffi::mbuf::Mbuf;
use dpdk_ffi::port::{Port, PortOptions};

/// A directory of this test process, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let dir = std::env::temp_dir().join(unique(&format!("dpdk-ffi-pcap-{}-", std::process::id())));
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A classic little-endian capture of Ethernet frames.
fn capture(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65535, 1] {
        bytes.extend(word.to_le_bytes());
    }
    for frame in frames {
        let len = u32::try_from(frame.len()).unwrap();
        for word in [0, 0, len, len] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(frame);
    }
    bytes
}

/// The frames of such a capture.
fn frames(capture: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = &capture[24..];
    let mut frames = Vec::new();
    while let [header @ .., _] = rest.get(..17).unwrap_or_default() {
        let len = u32::from_le_bytes(header[8..12].try_into().unwrap()) as usize;
        frames.push(rest[16..16 + len].to_vec());
        rest = &rest[16 + len..];
    }
    frames
}

fn sample() -> Vec<Vec<u8>> {
    (0..40_u8).map(|i| (0..60 + u16::from(i) * 30).map(|j| i ^ j.to_le_bytes()[0]).collect()).collect()
}

#[test]
fn frames_survive_the_way_from_file_to_file() {
    let scratch = Scratch::new();
    let (from, to) = (scratch.0.join("in.pcap"), scratch.0.join("out.pcap"));
    fs::write(&from, capture(&sample())).unwrap();
    let device = format!("net_pcap40,rx_pcap={},tx_pcap={}", from.display(), to.display());
    let id = eal().attach_vdev(&device).unwrap();
    let pool = pool(255);
    let mut port = Port::configure(eal(), id, &PortOptions::default(), std::slice::from_ref(&pool))
        .unwrap()
        .start()
        .unwrap();
    let (mut rx, mut tx) = (port.take_rx_queue(0).unwrap(), port.take_tx_queue(0).unwrap());

    let mut burst = ArrayVec::<Mbuf, 32>::new();
    let mut seen = Vec::new();
    while rx.rx_burst(&mut burst) > 0 {
        seen.extend(burst.iter().map(|mbuf| mbuf.data().to_vec()));
        // Every frame gets a tag in front on its way out.
        burst.iter_mut().for_each(|mbuf| mbuf.prepend(4).unwrap().copy_from_slice(b"tag:"));
        let n = burst.len();
        assert_eq!(tx.tx_prepare(&mut burst), n);
        assert_eq!((tx.tx_burst(&mut burst), burst.len()), (n, 0));
    }
    assert_eq!(seen, sample());
    let stats = port.stats().unwrap();
    assert_eq!((stats.ipackets, stats.opackets), (40, 40));
    assert_eq!(stats.ibytes, sample().iter().map(|f| f.len() as u64).sum());
    assert_eq!(pool.in_use(), 0);
    drop((port, rx, tx));
    let tagged: Vec<Vec<u8>> = sample().into_iter().map(|f| [b"tag:".to_vec(), f].concat()).collect();
    assert_eq!(frames(&fs::read(&to).unwrap()), tagged);
}

#[test]
fn long_frames_come_in_segments_and_can_be_joined() {
    let scratch = Scratch::new();
    let from = scratch.0.join("long.pcap");
    let frame: Vec<u8> = (0..3000_u16).map(|i| i.to_le_bytes()[0]).collect();
    fs::write(&from, capture(&[frame.clone(), frame.clone()])).unwrap();
    let id = eal().attach_vdev(&format!("net_pcap41,rx_pcap={}", from.display())).unwrap();
    let pool = pool(15);
    let mut port = Port::configure(eal(), id, &PortOptions::default(), std::slice::from_ref(&pool))
        .unwrap()
        .start()
        .unwrap();
    let mut rx = port.take_rx_queue(0).unwrap();
    let mut burst = ArrayVec::<Mbuf, 8>::new();
    assert_eq!(rx.rx_burst(&mut burst), 2);
    assert_eq!(pool.in_use(), 4);
    let mut mbuf = burst.pop().unwrap();
    assert_eq!((mbuf.segments(), mbuf.pkt_len(), mbuf.len()), (2, 3000, 2048));
    assert!(!mbuf.is_contiguous() && !mbuf.set_len(10), "a chain's length is not the first segment's");
    assert!(!mbuf.linearize(), "3000 bytes do not fit one buffer");
    assert_eq!(mbuf.data(), &frame[..2048]);
    assert!(mbuf.tailroom() >= 2048 - 952, "that of the last segment; the first has none");
    assert!(!mbuf.trim(953), "the last segment has 952");
    assert!(mbuf.trim(952) && mbuf.adj(2000));
    mbuf.append(4).unwrap().copy_from_slice(b"tail");
    assert_eq!((mbuf.segments(), mbuf.pkt_len(), mbuf.len()), (2, 52, 48));
    assert!(mbuf.linearize() && mbuf.is_contiguous());
    assert_eq!(mbuf.data(), [&frame[2000..2048], b"tail"].concat());
    let mut other = burst.pop().unwrap();
    assert!(other.trim(900) && other.linearize(), "2100 bytes fit when the headroom gives way");
    assert_eq!((other.data(), other.headroom(), other.tailroom()), (&frame[..2100], 76, 0));
    drop((mbuf, other));
    assert_eq!(pool.in_use(), 0);
}
