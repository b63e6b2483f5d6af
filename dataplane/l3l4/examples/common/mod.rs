//! The echo application both examples run.

use l3l4::{Callbacks, CloseReason, Conn, Counters, Datagram, DropReason, FlowId, FlowKey, TxMeta, Verdict};

/// Echoes whatever comes, and hands each packet to `out`.
pub(crate) struct Echo<F> {
    pub(crate) mtu: usize,
    pub(crate) pool: Vec<Vec<u8>>,
    pub(crate) out: F,
}

impl<F: FnMut(&[u8])> Callbacks for Echo<F> {
    type Buffer = Vec<u8>;

    fn l3_tx_buffer(&mut self) -> Option<Vec<u8>> {
        Some(self.pool.pop().unwrap_or_else(|| vec![0; self.mtu]))
    }

    fn l3_tx_buffer_mut<'b>(&self, buffer: &'b mut Vec<u8>) -> &'b mut [u8] {
        buffer
    }

    fn l3_tx(&mut self, buffer: Vec<u8>, meta: &TxMeta) {
        (self.out)(&buffer[..meta.len]);
        self.pool.push(buffer);
    }

    fn l4_verdict(&mut self, _: &FlowKey) -> Verdict {
        Verdict::Accept(0)
    }

    fn l4_opened(&mut self, id: FlowId, key: &FlowKey, _: u64) {
        println!("{id} opened: {key}");
    }

    fn l4_rx(&mut self, conn: &mut Conn<'_>) {
        let mut bytes = [0; 16 * 1024];
        loop {
            let n = bytes.len().min(conn.room());
            let n = conn.copy(&mut bytes[..n]);
            if n == 0 {
                break;
            }
            conn.send(&bytes[..n]);
            conn.take(n);
        }
        if conn.at_end() {
            conn.close();
        }
    }

    fn l4_datagram(&mut self, datagram: &mut Datagram<'_>) {
        datagram.reply(datagram.data());
    }

    fn l4_closed(&mut self, id: FlowId, _: &FlowKey, _: u64, reason: CloseReason) {
        println!("{id} closed: {}", reason.name());
    }
}

pub(crate) fn print(counters: &Counters) {
    println!("delivered {}, dropped {}", counters.delivered, counters.dropped_total());
    for reason in DropReason::ALL.iter().filter(|r| counters.dropped[r.index()] > 0) {
        println!("  {} {}: {}", counters.dropped[reason.index()], reason.name(), reason.help());
    }
    println!(
        "sent {} packets, {} of them again; {} bytes in, {} bytes out over TCP",
        counters.tx_packets, counters.tcp_retransmits, counters.tcp_bytes_in, counters.tcp_bytes_out
    );
}
