//! The engine against another TCP (smoltcp) over a link whose faults are the input: what each side reads is what the
//! other wrote, and the transfer ends.
//!
//! Invariant: two bytes of the input say what happens to all packets of one step, one for each direction. After the
//! last byte the link is good, so that whatever happened before, both sides come to an end.

use core::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use l3l4::{CloseReason, Limits};
use smoltcp::wire::IpAddress;

use crate::common::link::{Faults, Rng};
use crate::common::transfer::Transfer;
use crate::common::{World, app, builder};

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
}

/// No timeout of ours ends a connection, however bad the link.
const DAY: Duration = Duration::from_secs(86_400);

/// A setup, then two bytes a step.
pub fn run(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let Ok(setup) = Setup::arbitrary(&mut input) else { return };
    let buffers = [4096, 20_000, 65_536, 100_000];
    let windows = [2000, 9000, 30_000, 65_535];
    let service = [app::ECHO, app::DISCARD, app::FLOOD, app::SHOUT][usize::from(setup.service) % 4];
    let builder = builder()
        .limits(Limits { flows: 8, udp_flows: 1, half_open: 4, ..Limits::default() })
        .tcp_buffer_size(buffers[usize::from(setup.buffer) % 4])
        .direct(setup.buffer & 4 == 0)
        .syn_cookies(if setup.cookies { l3l4::SynCookies::Always } else { l3l4::SynCookies::Auto })
        .tcp_idle_timeout(DAY)
        .tcp_halfopen_idle_timeout(DAY)
        .tcp_user_timeout(DAY)
        .tcp_fin_wait_timeout(DAY)
        .tcp_synack_retries(255);
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
    // A cookie is believed for a minute only, and by the segment right behind the SYN only: where that is late or
    // lost, the next is answered with an RST, as RFC 4987 has it.
    let is_refused = |world: &World| setup.cookies && world.engine.counters().rst_sent > 0;
    world.run(DAY, "a transfer", |world| {
        world.up.faults = faults(&mut input);
        world.down.faults = faults(&mut input);
        transfer.pump(world) || is_refused(world)
    });
    if is_refused(&world) {
        return;
    }
    let flood: Vec<u8> = (0..world.app.flood).map(app::pattern).collect();
    let (id, _) = world.app.opened[0];
    let got = world.app.got.get(&id).map_or(&[][..], Vec::as_slice);
    match service {
        app::ECHO => assert!(transfer.back == transfer.out, "echo"),
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
            world.up.faults = faults(&mut input);
            world.down.faults = faults(&mut input);
            world.app.reason(id).is_some()
        });
        // A client that has forgotten the connection answers our FIN, come again, with an RST.
        let reason = world.app.reason(id);
        assert!(matches!(reason, Some(CloseReason::Finished | CloseReason::PeerReset)), "{reason:?}");
    }
}

#[allow(clippy::needless_update, reason = "kinds of faults that are added stay off here")]
fn faults(input: &mut Unstructured<'_>) -> Faults {
    let byte = if input.is_empty() { 0 } else { u8::arbitrary(input).unwrap_or(0) };
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
