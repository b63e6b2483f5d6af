//! Why a packet went nowhere: the engine's part of the closed list of drop reasons.
//!
//! Invariant: every packet given to the engine is either delivered or counted under exactly one of these.

/// Makes a closed list of drop reasons, `enum DropReason`, of lines `Variant = "name", "meaning";`. The layers above
/// the engine make theirs with it, so that all reasons look alike to whoever counts and shows them.
#[macro_export]
macro_rules! drop_reasons {
    ($($variant:ident = $name:literal, $help:literal;)*) => {
        /// Why a packet went nowhere.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum DropReason { $(#[doc = $help] $variant),* }

        impl DropReason {
            /// Every reason, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name used in metrics and listings.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// One line of what it means.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help),* }
            }

            /// Its number, from 0.
            #[must_use]
            pub const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

drop_reasons! {
    IpTruncated = "ip_truncated", "the packet is shorter than its IP header or total length says";
    IpVersion = "ip_version", "the IP version is neither 4 nor 6, or the header length is impossible";
    IpChecksum = "ip_checksum", "the IPv4 header checksum is wrong";
    IpOptions = "ip_options", "malformed IPv4 options, or a source route";
    IpFragment = "ip_fragment", "a fragment where none can be reassembled";
    Ipv6Extension = "ipv6_extension", "an IPv6 extension header that is malformed, out of place or not allowed, or too many of them";
    Martian = "martian", "a source or destination address that no packet from a network may carry";
    Protocol = "protocol", "an IP protocol that nothing here serves";
    TcpTruncated = "tcp_truncated", "the segment is shorter than its TCP header";
    TcpChecksum = "tcp_checksum", "the TCP checksum is wrong";
    TcpFlags = "tcp_flags", "a combination of TCP flags that no TCP sends";
    TcpOptions = "tcp_options", "malformed TCP options";
    TcpTinyMss = "tcp_tiny_mss", "a SYN that asks for segments smaller than the configured minimum";
    PortZero = "port_zero", "source or destination port 0";
    TcpNoFlow = "tcp_no_flow", "a segment other than a SYN that belongs to no flow";
    TcpRst = "tcp_rst_no_flow", "an RST that belongs to no flow";
    TcpOutOfWindow = "tcp_out_of_window", "an RST outside the window, or an ACK of data never sent or long since acknowledged (RFC 5961)";
    TcpChallenged = "tcp_challenged", "a SYN or inexact RST inside a connection: answered with a challenge ACK (RFC 5961)";
    TcpTimeWait = "tcp_time_wait", "a segment for a connection in TIME-WAIT";
    TcpClosing = "tcp_closing", "a segment for a connection that has just been closed";
    UdpTruncated = "udp_truncated", "the datagram is shorter than its UDP header or length says";
    UdpChecksum = "udp_checksum", "the UDP checksum is wrong, or missing over IPv6";
    NotOurAddress = "not_our_address", "the destination address is not one of ours";
    NoService = "no_service", "no service matches";
    ServiceDrop = "service_drop", "the service that matches says drop";
    ServiceReject = "service_reject", "the service that matches says reject";
    FlowLimit = "flow_limit", "the flow table is full";
    LiveLimit = "live_limit", "as many connections as may be have a stack, and none of those looked at can sleep";
    HalfOpenLimit = "half_open_limit", "too many connections are being opened";
    Draining = "draining", "a new flow while the appliance is shutting down";
    NoBuffer = "no_buffer", "no transmit buffer was left, so the packet was not processed";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_numbers_run() {
        let names: std::collections::HashSet<_> = DropReason::ALL.iter().map(|r| r.name()).collect();
        assert_eq!(names.len(), DropReason::ALL.len());
        assert!(DropReason::ALL.iter().enumerate().all(|(i, r)| r.index() == i));
    }
}
