//! The engine against another TCP (smoltcp) over a link whose faults are the input: what each side reads is what the
//! other wrote, and the transfer ends.
//!
//! Silent connections may be probed, and the server at the far end of a relay may get something before the client's bytes.
//!
//! Invariant: two bytes of the input say what happens to all packets of one step, one for each direction. After the
//! last byte the link is good, so that whatever happened before, both sides come to an end.

use core::cell::Cell;
use core::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use l3l4::{CloseReason, Limits, TooBig};
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::wire::IpAddress;

use crate::common::link::{Faults, Rng};
use crate::common::transfer::Transfer;
use crate::common::{SERVER, World, app, builder, wire};

#[derive(Arbitrary, Debug)]
struct Setup {
    seed: u8,
    out: u16,
    flood: u16,
    service: u8,
    buffer: u8,
    window: u8,
    v6: bool,
    cookies: bool,
    starve: u8,
    /// After how many seconds silent connections are probed; 0 for never.
    keepalive: u8,
    /// Bytes that a relay's server gets first.
    early: u16,
}

/// No timeout of ours ends a connection, however bad the link.
const DAY: Duration = Duration::from_secs(86_400);

/// So many in a row are hardly lost on a link that does not lose everything.
const PROBES: u8 = 100;
/// The peer answers one a second.
const INTERVAL: Duration = Duration::from_secs(2);

/// A setup, then two bytes a step.
pub fn run(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let Ok(setup) = Setup::arbitrary(&mut input) else { return };
    let buffers = [4096, 20_000, 65_536, 100_000];
    let windows = [2000, 9000, 30_000, 65_535];
    let service =
        [app::ECHO, app::DISCARD, app::FLOOD, app::SHOUT, app::PROXY][usize::from(setup.service) % 5];
    let after = Duration::from_secs(u64::from(setup.keepalive.div_ceil(8)));
    let builder = builder()
        .limits(Limits { flows: 8, udp_flows: 1, half_open: 4, ..Limits::default() })
        .tcp_buffer_size(buffers[usize::from(setup.buffer) % 4])
        .direct(setup.buffer & 4 == 0)
        .syn_cookies(if setup.cookies { l3l4::SynCookies::Always } else { l3l4::SynCookies::Auto })
        .tcp_idle_timeout(DAY)
        .tcp_halfopen_idle_timeout(DAY)
        .tcp_user_timeout(DAY)
        .tcp_fin_wait_timeout(DAY)
        .tcp_synack_retries(255)
        .tcp_keepalive((setup.keepalive > 0).then_some(after))
        .tcp_keepalive_interval(INTERVAL)
        .tcp_keepalive_probes(PROBES);
    let mut world = World::new(builder);
    world.app.flood = usize::from(setup.flood);
    world.app.starve = u64::from(setup.starve % 8) * 50;
    let to = if setup.v6 { IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 2) } else { IpAddress::v4(10, 0, 0, 2) };
    let handle = world.connect_with(to, service, windows[usize::from(setup.window) % 4]);
    // smoltcp forgets its timer where it runs out against a closed window; the engine mends that for its side.
    world.socket(handle).set_keep_alive(Some(smoltcp::time::Duration::from_secs(20)));
    // The flood's application reads nothing.
    let len = if service == app::FLOOD { 0 } else { usize::from(setup.out) };
    let out = Rng(u64::from(setup.seed)).bytes(len);
    let mut transfer = Transfer::new(handle, out);
    world.app.early = Rng(u64::from(setup.seed) + 1000).bytes(usize::from(setup.early) % 5000);
    let server = (service == app::PROXY).then(|| Server::new(&mut world));
    // A cookie is believed for a minute only, and by the segment right behind the SYN only: where that is late or
    // lost, the next is answered with an RST, as RFC 4987 has it.
    // And a server that cannot be reached within seconds is not waited for, nor one that reads nothing for a minute:
    // after a timeout smoltcp takes no acknowledgment of what it sent before, and may stand still for ever.
    // A peer that answers no probe is gone, but not on a good link.
    let good_since = Cell::new(u64::MAX);
    let is_refused = |world: &World| {
        let unheard = world.app.closed.iter().any(|(_, reason)| *reason == CloseReason::KeepAlive);
        let probes = world.engine.counters().keepalives_sent;
        assert!(!unheard || setup.keepalive > 0 && probes >= u64::from(PROBES), "{probes} probes");
        let good = Duration::from_micros(world.now.saturating_sub(good_since.get()));
        assert!(!unheard || good < after + INTERVAL * u32::from(PROBES), "a peer that is there is heard");
        setup.cookies && world.engine.counters().rst_sent > 0
            || unheard
            || world.app.closed.iter().any(|(_, reason)| {
                service == app::PROXY && matches!(reason, CloseReason::Unanswered | CloseReason::SlowReader)
            })
    };
    world.run(DAY, "a transfer", |world| {
        good_since.set(good_since.get().min(if input.is_empty() { world.now } else { u64::MAX }));
        meddle(world, &mut input);
        if let Some(server) = &server {
            server.pump(world);
        }
        transfer.pump(world) || is_refused(world)
    });
    if is_refused(&world) {
        return;
    }
    let flood: Vec<u8> = (0..world.app.flood).map(app::pattern).collect();
    let (id, _) = world.app.opened[0];
    let got = world.app.got.get(&id).map_or(&[][..], Vec::as_slice);
    match service {
        // The server at the other end of the relay is an echo.
        app::ECHO => assert!(transfer.back == transfer.out, "echo"),
        app::PROXY => {
            let (early, rest) = transfer.back.split_at(world.app.early.len().min(transfer.back.len()));
            assert!(early == world.app.early && rest == transfer.out, "relay");
        }
        app::DISCARD => assert!(got == transfer.out, "discard"),
        app::FLOOD => assert!(
            transfer.back == flood,
            "flood: {} of {} bytes, {:?}, {:?}",
            transfer.back.len(),
            flood.len(),
            world.app.reason(id),
            world.engine.counters()
        ),
        _ => assert!(got == transfer.out && transfer.back == [b'!'; 1000], "shout"),
    }
    if service != app::FLOOD {
        // The flood's application takes nothing, so its connection waits for that.
        world.run(DAY, "the engine's side", |world| {
            meddle(world, &mut input);
            if let Some(server) = &server {
                server.pump(world);
            }
            world.app.reason(id).is_some() || is_refused(world)
        });
        if is_refused(&world) {
            return;
        }
        // A client that has forgotten the connection answers our FIN, come again, with an RST.
        let reason = world.app.reason(id);
        assert!(matches!(reason, Some(CloseReason::Finished | CloseReason::PeerReset)), "{reason:?}");
    }
}

/// An echo that the engine opens connections to.
struct Server(SocketHandle);

impl Server {
    fn new(world: &mut World) -> Self {
        let buffer = || SocketBuffer::new(vec![0; 10_000]);
        let mut socket = Socket::new(buffer(), buffer());
        socket.set_ack_delay(None);
        socket.set_keep_alive(Some(smoltcp::time::Duration::from_secs(20)));
        // Its port is not 0.
        let _ = socket.listen(SERVER);
        Self(world.sockets.add(socket))
    }

    fn pump(&self, world: &mut World) {
        let socket = world.socket(self.0);
        let mut bytes = [0; 4096];
        while socket.can_recv() && socket.can_send() {
            let room = (socket.send_capacity() - socket.send_queue()).min(bytes.len());
            let len = socket.recv_slice(&mut bytes[..room]).unwrap_or(0);
            let _ = socket.send_slice(&bytes[..len]);
        }
        if socket.state() == State::CloseWait && socket.recv_queue() == 0 {
            socket.close();
        }
    }
}

/// What the links do next. The way to the client may become narrower, and its router says so.
fn meddle(world: &mut World, input: &mut Unstructured<'_>) {
    let mut byte = || if input.is_empty() { 0 } else { u8::arbitrary(input).unwrap_or(0) };
    world.up.faults = faults(byte());
    let down = byte();
    world.down.faults = faults(down);
    if down & 16 != 0 {
        // No IPv6 link takes less.
        world.down.mtu = if world.down.mtu == 0 { 1401 } else { (world.down.mtu - 40).max(1280) };
    }
    for packet in std::mem::take(&mut world.down.refused) {
        let segment = wire::got(&packet);
        let from = usize::from(packet[0] >> 4 == 6) * 20 + 20;
        let sender = [packet[from], packet[from + 1]];
        let opened = world.app.opened.iter().find(|(_, key)| key.local_port.to_be_bytes() == sender);
        let Some(&(_, key)) = opened else { continue };
        let mtu = Some(world.down.mtu as u32);
        let now = world.time();
        for seq in [segment.seq.wrapping_sub(1 << 24), segment.seq] {
            let error = TooBig { key, seq, mtu, len: packet.len() as u16 };
            world.engine.path_mtu(&mut world.app, now, &error);
        }
    }
}

#[allow(clippy::needless_update, reason = "kinds of faults that are added stay off here")]
fn faults(byte: u8) -> Faults {
    let certain = |bit: u8| if byte & bit != 0 { 1000 } else { 0 };
    Faults {
        loss: certain(1),
        duplicate: certain(2),
        corrupt: certain(4),
        reorder: certain(8),
        delay: [0, 100, 5000, 300_000][usize::from(byte >> 6)],
        ..Faults::default()
    }
}
