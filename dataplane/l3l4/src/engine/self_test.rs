//! A handshake made and answered before an engine is given out: does the SYN-ACK carry the number we chose?

use super::L3l4;
use crate::builder::{BuildError, Builder, Limits, Link, SynCookies};
use crate::callbacks::{Callbacks, CloseReason, TxMeta, Verdict};
use crate::compose::Segment;
use crate::conn::Conn;
use crate::datagram::Datagram;
use crate::device::TxChecksum;
use crate::isn::Isn;
use crate::key::{Addr, FlowId, FlowKey, Protocol};
use crate::packet::{RxChecksum, be32, flags};
use crate::reply;

struct Probe(Option<Vec<u8>>);

impl Callbacks for Probe {
    type Buffer = Vec<u8>;

    fn l3_tx_buffer(&mut self) -> Option<Vec<u8>> {
        Some(vec![0; 1500])
    }

    fn l3_tx_buffer_mut<'b>(&self, buffer: &'b mut Vec<u8>) -> &'b mut [u8] {
        buffer
    }

    fn l3_tx(&mut self, buffer: Vec<u8>, _: &TxMeta) {
        self.0 = Some(buffer);
    }

    fn l4_verdict(&mut self, _: &FlowKey) -> Verdict {
        Verdict::Accept(0)
    }

    fn l4_opened(&mut self, _: FlowId, _: &FlowKey, _: u64) {}
    fn l4_rx(&mut self, _: &mut Conn<'_>) {}
    fn l4_datagram(&mut self, _: &mut Datagram<'_>) {}
    fn l4_closed(&mut self, _: FlowId, _: &FlowKey, _: u64, _: CloseReason) {}
}

/// Runs one handshake through a small engine with the secret of `builder`.
pub(crate) fn self_test(builder: &Builder) -> Result<(), BuildError> {
    let small = Builder {
        links: vec![Link { mtu: 1500, tx_checksum: TxChecksum::None }],
        tcp_buffer_size: 4096,
        syn_cookies: SynCookies::Off,
        limits: Limits {
            flows: 1,
            live: 1,
            udp_flows: 0,
            half_open: 1,
            half_open_per_source: 0,
            ..builder.limits
        },
        ..builder.clone()
    };
    let mut engine: L3l4<Vec<u8>> = L3l4::new(&small);
    let (peer, us) = (Addr::v4([192, 0, 2, 1]), Addr::v4([192, 0, 2, 2]));
    // `reply` writes from `local` to `remote`; the packet comes from the peer.
    let outward = FlowKey {
        remote: us,
        local: peer,
        remote_port: 7,
        local_port: 40_000,
        protocol: Protocol::TCP,
        link: 0,
    };
    let inward = FlowKey { remote: peer, local: us, remote_port: 40_000, local_port: 7, ..outward };
    let mut syn = [0u8; 40];
    let numbers = Segment { seq: 1, control: flags::SYN, window: 4096, ..Segment::default() };
    reply::segment(&mut syn, &outward, &numbers);
    let mut probe = Probe(None);
    let wanted = {
        let mut key = [0; 16];
        key.copy_from_slice(&builder.secret[..16]);
        Isn::new(key).number(&inward, builder.start)
    };
    let fed = engine.l3_rx(&mut probe, builder.start, &mut syn, 0, RxChecksum::GOOD);
    engine.turn(&mut probe, builder.start);
    match (fed, probe.0) {
        (Ok(()), Some(packet)) if be32(&packet, 24) == wanted => Ok(()),
        (_, Some(packet)) => Err(BuildError::SelfTest(be32(&packet, 24))),
        (_, None) => Err(BuildError::SelfTest(0)),
    }
}
