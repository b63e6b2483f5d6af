//! What it all came to, printed at the end.
//!
//! Invariant: received = delivered + dropped; where that does not hold, the summary says by how much.

use std::fmt::Write;

use dataplane::appliance::Summary;
use dataplane::drop::all_reasons;
use dataplane::report::Report;
use l3l4::CloseReason;

/// The summary as text for people.
pub(super) fn text(end: &Summary) -> String {
    let sum = |number: &dyn Fn(&Report) -> u64| end.reports.iter().map(number).sum::<u64>();
    let (received, delivered) = (sum(&Report::rx_packets), sum(&Report::delivered));
    let dropped = sum(&Report::dropped);
    let mut text = format!("millrace ran for {:.1} s\n", end.elapsed.as_secs_f64());
    let mut line = |name: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name:<26}{value}");
    };
    line("packets received", received.to_string());
    line("packets delivered", delivered.to_string());
    line("packets dropped", dropped.to_string());
    for (index, (reason, _)) in all_reasons().enumerate() {
        let packets = sum(&|report| report.drops.get(index).copied().unwrap_or(0));
        if packets > 0 {
            line(&format!("  {reason}"), packets.to_string());
        }
    }
    let missing = i128::from(received) - i128::from(delivered) - i128::from(dropped);
    if missing != 0 {
        line("packets unaccounted for", missing.to_string());
    }
    line("packets sent", sum(&|report| report.ports.iter().map(|port| port.tx_packets).sum()).to_string());
    let opened = (sum(&|report| report.engine.tcp_opened), sum(&|report| report.engine.udp_opened));
    line("flows opened", format!("{} tcp, {} udp", opened.0, opened.1));
    line("flows closed", sum(&|report| report.engine.closed.iter().sum()).to_string());
    for (index, reason) in CloseReason::ALL.iter().enumerate() {
        let flows = sum(&|report| report.engine.closed.get(index).copied().unwrap_or(0));
        if flows > 0 {
            line(&format!("  {}", reason.name()), flows.to_string());
        }
    }
    let freed = end.mbufs.saturating_sub(end.mbufs_in_use);
    line("packet buffers", format!("{} allocated, {freed} freed", end.mbufs));
    if end.mbufs_in_use > 0 {
        line("packet buffers leaked", end.mbufs_in_use.to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;
    use dataplane::report::PortCounters;

    fn summary(received: u64, in_use: u64) -> Summary {
        let mut report = Report::new(1, 0);
        report.ports = vec![PortCounters { rx_packets: received, ..Default::default() }];
        report.counters.delivered = 7;
        report.drops[0] = 3;
        report.engine.tcp_opened = 2;
        report.engine.closed[1] = 2;
        Summary { reports: vec![report], mbufs_in_use: in_use, mbufs: 512, elapsed: Duration::from_secs(3) }
    }

    #[test]
    fn an_orderly_end_is_short() {
        let expected = "millrace ran for 3.0 s\n\
                        packets received          10\n\
                        packets delivered         7\n\
                        packets dropped           3\n\
                        \x20 ethernet_truncated      3\n\
                        packets sent              0\n\
                        flows opened              2 tcp, 0 udp\n\
                        flows closed              2\n\
                        \x20 peer_reset              2\n\
                        packet buffers            512 allocated, 512 freed\n";
        assert_eq!(text(&summary(10, 0)), expected);
    }

    #[test]
    fn what_does_not_add_up_is_said() {
        let text = text(&summary(12, 5));
        assert!(text.contains("packets unaccounted for   2\n"), "{text}");
        assert!(text.contains("512 allocated, 507 freed\npacket buffers leaked     5\n"), "{text}");
    }
}
