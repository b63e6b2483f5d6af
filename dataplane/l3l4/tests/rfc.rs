//! Requirements of the RFCs that no other test is about; `docs/rfc.md` lists them all.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use common::app::{ECHO, MANUAL};
use common::wire::{ACK, FIN, PSH, RST, SYN, got, seg, udp};
use common::{World, builder};
use l3l4::{CloseReason, DropReason};

/// SYN with a maximum segment size of 1460.
const MSS_1460: [u8; 4] = [2, 4, 5, 0xb4];

/// RFC 9293 MUST-66: a peer that closed our window may still end the connection.
#[test]
fn a_reset_is_obeyed_at_a_closed_window() {
    let mut world = World::new(builder().tcp_buffer_size(2048));
    let (ours, theirs) = world.handshake(&seg(MANUAL, SYN, 1000, 0));
    let id = world.app.last_id();
    let out = world.exchange(seg(MANUAL, ACK, theirs, ours).data(&[1; 1024]).build());
    assert_eq!(got(&out[0]).window, 1024);
    let out = world.exchange(seg(MANUAL, ACK, theirs + 1024, ours).data(&[1; 1024]).build());
    assert_eq!(got(&out[0]).window, 0);
    // One that is not exact asks for a challenge ACK where it lies in the window; here there is none to lie in.
    world.exchange(seg(MANUAL, RST, theirs + 2049, 0).build());
    assert_eq!(world.state(id), "ESTABLISHED");
    world.exchange(seg(MANUAL, RST, theirs + 2048, 0).build());
    assert_eq!(world.app.reason(id), Some(CloseReason::PeerReset));
}

/// RFC 9293 SHLD-2.
#[test]
fn a_reset_may_carry_data() {
    let mut world = World::new(builder());
    let (_, theirs) = world.handshake(&seg(MANUAL, SYN, 1000, 0));
    let id = world.app.last_id();
    world.exchange(seg(MANUAL, RST, theirs, 0).data(b"why").build());
    assert_eq!(world.app.reason(id), Some(CloseReason::PeerReset));
}

/// RFC 9293 MUST-5, MUST-6, MUST-64: options in any segment, known or not, at any alignment.
#[test]
fn options_on_data_are_read_over() {
    let mut world = World::new(builder());
    let (ours, theirs) = world.handshake(&seg(MANUAL, SYN, 1000, 0));
    let timestamp = [1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 0];
    let unknown = [253, 5, 1, 2, 3, 1, 1, 0];
    world.exchange(seg(MANUAL, ACK, theirs, ours).options(&timestamp).data(b"one").build());
    let out = world.exchange(seg(MANUAL, ACK, theirs + 3, ours).options(&unknown).data(b"two").build());
    assert_eq!(got(&out[0]).ack, theirs + 6);
    // RFC 9293 MUST-7: a length that cannot be is survived, here by dropping the segment under its name.
    let bad = seg(MANUAL, ACK, theirs + 6, ours).options(&[2, 0, 0, 0]).data(b"three").build();
    assert_eq!(world.give(bad), Err(DropReason::TcpOptions));
    assert_eq!(world.state(world.app.last_id()), "ESTABLISHED");
}

/// RFC 9293 MUST-14, MUST-65, MUST-67, MUST-69: the MSS option stands in the SYN-ACK alone, says what the link
/// carries, and what follows it is zero.
#[test]
fn our_mss_is_offered_once() {
    for (ends, wanted) in [(("10.0.0.1", "10.0.0.2"), 1460u16), (("fd00::1", "fd00::2"), 1440)] {
        let mut world = World::new(builder());
        let syn = seg(MANUAL, SYN, 1000, 0).ends(ends.0, ends.1).options(&MSS_1460);
        let answer = got(&world.exchange(syn.build())[0]);
        let [high, low] = wanted.to_be_bytes();
        assert_eq!(answer.options[..4], [2, 4, high, low]);
        assert!(answer.options[4..].iter().all(|byte| *byte == 0), "{:?}", answer.options);
        let (ours, theirs) = (answer.seq.wrapping_add(1), 1001);
        world.exchange(seg(MANUAL, ACK, theirs, ours).ends(ends.0, ends.1).build());
        world.engine.l4_tx(world.app.last_id(), b"data").unwrap();
        world.turn();
        assert_eq!(got(&world.app.take_out()[0]).options, Vec::<u8>::new());
    }
}

/// RFC 9293 MUST-15, MUST-16: segments are no longer than the peer takes; 536 bytes where it does not say.
#[test]
fn segments_keep_to_the_peers_mss() {
    for (options, wanted) in [(&[][..], 536), (&[2, 4, 2, 0x58], 600), (&[2, 4, 0xff, 0xff], 1460)] {
        let mut world = World::new(builder());
        world.handshake(&seg(MANUAL, SYN, 1000, 0).options(options));
        world.engine.l4_tx(world.app.last_id(), &[7; 4000]).unwrap();
        world.turn();
        assert_eq!(got(&world.app.take_out()[0]).data.len(), wanted, "{options:?}");
    }
}

/// RFC 9293 MUST-60, MUST-61: nothing waits for a push, and the last segment carries it.
#[test]
fn the_last_segment_is_pushed() {
    let mut world = World::new(builder());
    world.handshake(&seg(MANUAL, SYN, 1000, 0).options(&MSS_1460));
    world.engine.l4_tx(world.app.last_id(), &[7; 2000]).unwrap();
    world.turn();
    let out = world.app.take_out();
    assert_eq!(out.len(), 2);
    assert_eq!((got(&out[0]).flags, got(&out[1]).flags), (ACK, ACK | PSH));
}

/// RFC 7323 sections 1.3 and 2.2: the window is scaled only where the peer offered it, and never in a SYN.
#[test]
fn windows_are_scaled_where_offered() {
    let mut world = World::new(builder().tcp_buffer_size(200_000));
    let answer = got(&world.exchange(seg(MANUAL, SYN, 1000, 0).build())[0]);
    assert!(!answer.options.chunks(1).any(|byte| byte == [3]), "not offered: {:?}", answer.options);
    assert_eq!(answer.window, 65_535);
    let mut world = World::new(builder().tcp_buffer_size(200_000));
    let syn = seg(MANUAL, SYN, 1000, 0).options(&[2, 4, 5, 0xb4, 1, 3, 3, 7]);
    let answer = got(&world.exchange(syn.build())[0]);
    assert!(answer.options.windows(3).any(|option| option == [3, 3, 2]), "{:?}", answer.options);
    assert_eq!(answer.window, 65_535, "not scaled in a SYN");
    let ours = answer.seq.wrapping_add(1);
    world.exchange(seg(MANUAL, ACK, 1001, ours).build());
    let out = world.exchange(seg(MANUAL, ACK, 1001, ours).data(&[1; 1000]).build());
    assert_eq!(got(&out[0]).window, ((200_000 - 1000) >> 2) as u16);
}

/// RFC 9293 MUST-37: a window may stay closed for as long as the peer answers probes.
#[test]
fn a_window_may_stay_closed() {
    let mut world = World::new(builder().tcp_slow_reader_timeout(None));
    let (ours, theirs) = world.handshake(&seg(MANUAL, SYN, 1000, 0).window(100));
    let id = world.app.last_id();
    world.engine.l4_tx(id, &[7; 300]).unwrap();
    world.turn();
    world.app.take_out();
    world.exchange(seg(MANUAL, ACK, theirs, ours + 100).window(0).build());
    let end = world.now + 3_600_000_000;
    let mut probes = 0;
    while world.now < end {
        let next = world.turn().unwrap().micros();
        for _ in world.app.take_out() {
            probes += 1;
            world.give(seg(MANUAL, ACK, theirs, ours + 100).window(0).build()).unwrap();
        }
        world.now = next.max(world.now + 1);
    }
    assert!((50..1000).contains(&probes), "{probes}");
    assert_eq!(world.state(id), "ESTABLISHED");
}

/// RFC 9293 section 3.10.7.4: a FIN on top of data is taken with it, and once only.
#[test]
fn data_and_fin_together() {
    let mut world = World::new(builder());
    let (ours, theirs) = world.handshake(&seg(MANUAL, SYN, 1000, 0));
    let id = world.app.last_id();
    for _ in 0..2 {
        let out = world.exchange(seg(MANUAL, FIN | ACK, theirs, ours).data(b"bye").build());
        assert_eq!((out.len(), got(&out[0]).ack), (1, theirs + 4));
    }
    assert_eq!(world.state(id), "CLOSE-WAIT");
    assert_eq!(world.engine.with_conn(id, |conn| conn.pending()).unwrap(), 3);
}

/// RFC 9293 MUST-58, MUST-59: what came in one turn is acknowledged together, behind the last of it in order.
#[test]
fn acknowledgments_are_aggregated() {
    let mut world = World::new(builder());
    let (ours, theirs) = world.handshake(&seg(MANUAL, SYN, 1000, 0).options(&MSS_1460));
    for n in 0..4 {
        world.give(seg(MANUAL, ACK, theirs + n * 100, ours).data(&[1; 100]).build()).unwrap();
    }
    world.turn();
    let out = world.app.take_out();
    assert_eq!((out.len(), got(&out[0]).ack), (1, theirs + 400));
}

/// RFC 8200 section 8.1, RFC 768: a checksum that comes out as zero is sent as all ones.
#[test]
fn a_udp_checksum_is_never_zero() {
    let mut world = World::new(builder());
    let sum = |packet: &[u8]| [packet[46], packet[47]];
    let question = |word: u16| udp("fd00::1", "fd00::2", 5, ECHO, &word.to_be_bytes());
    let mut packet = (0..=u16::MAX).map(question).find(|packet| sum(packet) == [0, 0]).unwrap();
    packet[46..48].fill(0xff);
    // The echo has the same words in another order, and so the same sum.
    let out = world.exchange(packet);
    assert_eq!(sum(&out[0]), [0xff, 0xff]);
}
