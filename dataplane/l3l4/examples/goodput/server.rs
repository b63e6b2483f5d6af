//! The sender under test: an engine whose connections send for as long as there is room.

use l3l4::{
    Builder, Callbacks, CloseReason, CongestionControl, Conn, Datagram, FlowId, FlowKey, Instant, L3l4,
    Limits, RxChecksum, TxChecksum, TxMeta, Verdict,
};

pub(crate) struct App {
    pub(crate) out: Vec<Vec<u8>>,
}

impl Callbacks for App {
    type Buffer = Vec<u8>;

    fn l3_tx_buffer(&mut self) -> Option<Vec<u8>> {
        Some(vec![0; 1500])
    }

    fn l3_tx_buffer_mut<'b>(&self, buffer: &'b mut Vec<u8>) -> &'b mut [u8] {
        buffer
    }

    fn l3_tx(&mut self, mut buffer: Vec<u8>, meta: &TxMeta) {
        buffer.truncate(meta.len);
        self.out.push(buffer);
    }

    fn l4_verdict(&mut self, _: &FlowKey) -> Verdict {
        Verdict::Accept(0)
    }

    fn l4_opened(&mut self, _: FlowId, _: &FlowKey, _: u64) {}

    fn l4_rx(&mut self, conn: &mut Conn<'_>) {
        conn.take(conn.pending());
        while conn.room() > 0 {
            conn.send_with(|part| part.len());
        }
    }

    fn l4_datagram(&mut self, _: &mut Datagram<'_>) {}
    fn l4_closed(&mut self, _: FlowId, _: &FlowKey, _: u64, _: CloseReason) {}
}

pub(crate) struct Server {
    pub(crate) engine: L3l4<Vec<u8>>,
    pub(crate) app: App,
}

impl Server {
    /// With the defaults for what is not said.
    pub(crate) fn new(
        window: Option<usize>,
        congestion: Option<CongestionControl>,
        checksum: TxChecksum,
    ) -> Self {
        let limits = Limits { flows: 64, udp_flows: 0, half_open: 64, ..Limits::default() };
        let mut builder = Builder::new([9; 32]).limits(limits).tx_checksum(checksum);
        if let Some(window) = window {
            builder = builder.tcp_buffer_size(window);
        }
        if let Some(congestion) = congestion {
            builder = builder.congestion(congestion);
        }
        let engine = builder.build().unwrap_or_else(|error| panic!("{error}"));
        Self { engine, app: App { out: vec![] } }
    }

    /// Takes in a packet.
    pub(crate) fn give(&mut self, now: u64, packet: &mut [u8]) {
        let _ = self.engine.l3_rx(&mut self.app, Instant::from_micros(now), packet, 0, RxChecksum::GOOD);
    }

    /// Lets it send; returns what it sent, and when it wants to be called next.
    pub(crate) fn turn(&mut self, now: u64) -> (Vec<Vec<u8>>, Option<u64>) {
        let next = self.engine.l4_poll(&mut self.app, Instant::from_micros(now));
        (std::mem::take(&mut self.app.out), next.map(Instant::micros))
    }
}
