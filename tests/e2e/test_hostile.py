"""Malformed and hostile packets: each is dropped under exactly its reason, and honest clients are served on."""

import clients
from drops import ExactDrops
from rig import ECHO, STRANGER, STRANGER6, STRANGER_MAC, V4, V6, ApplianceCase, web
from wire import (
    ARP,
    ICMP,
    IP,
    TCP,
    UDP,
    Dot1Q,
    Ether,
    ICMPv6EchoRequest,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    Raw,
)


def v4(**fields):
    return IP(**{"src": STRANGER, "dst": V4, **fields})


def v6(**fields):
    return IPv6(**{"src": STRANGER6, "dst": V6, **fields})


def tcp(flags="S", **fields):
    return TCP(**{"sport": 4000, "dport": 80, "flags": flags, "seq": 1000, **fields})


def udp(**fields):
    return UDP(**{"sport": 4000, "dport": 7, **fields})


def cut(packet, length):
    """The first bytes of a packet."""
    return Raw(bytes(packet)[:length])


def options(raw):
    """Bytes in the place of TCP options, padded to whole words."""
    segment = bytearray(bytes(TCP(sport=4000, dport=80, flags="S", seq=1)))
    padded = raw + b"\0" * (-len(raw) % 4)
    segment[12] = (5 + len(padded) // 4) << 4
    return Raw(with_tcp_checksum(bytes(segment) + padded))


def with_tcp_checksum(segment):
    """Fills in the checksum that scapy would have computed for options it knows."""
    from scapy.layers.inet import in4_chksum

    zeroed = segment[:16] + b"\0\0" + segment[18:]
    total = in4_chksum(6, v4(), zeroed)
    return zeroed[:16] + total.to_bytes(2, "big") + zeroed[18:]


# What is sent (from the IP header on), by the reason it must be dropped under.
IP_PACKETS = {
    "ip_truncated": {
        "total length beyond the frame": v4(len=2000) / udp() / b"short",
        "total length below the header": v4(len=12) / udp() / b"x",
        "header cut off": cut(v4() / udp(), 12),
        "IPv6 payload length beyond the frame": v6(plen=1000) / udp() / b"short",
    },
    "ip_version": {
        "header length of four words": v4(ihl=4) / udp() / b"x",
        "version 5": v4(version=5) / udp() / b"x",
    },
    "ip_checksum": {"wrong header checksum": v4(chksum=0xDEAD) / udp() / b"x"},
    "ip_options": {
        "loose source route": v4(options=b"\x83\x07\x04\x0a\x00\x00\x01\x00") / udp() / b"x",
        "strict source route": v4(options=b"\x89\x07\x04\x0a\x00\x00\x01\x00") / udp() / b"x",
        "option beyond the header": v4(options=b"\x07\x28\x04\x00") / udp() / b"x",
    },
    "martian": {
        "from loopback": v4(src="127.0.0.1") / udp() / b"x",
        "from this network": v4(src="0.1.2.3") / udp() / b"x",
        "from multicast": v4(src="224.0.0.1") / udp() / b"x",
        "from reserved": v4(src="240.0.0.1") / udp() / b"x",
        "from broadcast": v4(src="255.255.255.255") / udp() / b"x",
        "to loopback": v4(dst="127.0.0.1") / udp() / b"x",
        "land attack": v4(src=V4) / tcp(sport=80),
        "from the unspecified IPv6 address": v6(src="::") / udp() / b"x",
        "from IPv6 loopback": v6(src="::1") / udp() / b"x",
        "from a mapped address": v6(src="::ffff:10.66.0.50") / udp() / b"x",
        "from IPv6 multicast": v6(src="ff02::1") / udp() / b"x",
        "land attack over IPv6": v6(src=V6) / tcp(sport=80),
    },
    "protocol": {"unknown protocol": v4(proto=99) / b"what is this", "unknown IPv6 protocol": v6(nh=99) / b"x"},
    "tcp_truncated": {
        "cut TCP header": v4(proto=6) / cut(tcp(), 12),
        "data offset of four words": v4() / tcp(dataofs=4),
        "data offset beyond the segment": v4() / tcp(dataofs=15),
    },
    "tcp_checksum": {
        "wrong TCP checksum": v4() / tcp(chksum=0xDEAD),
        "wrong TCP checksum over IPv6": v6() / tcp(chksum=0xDEAD),
    },
    "tcp_flags": {
        "SYN and FIN": v4() / tcp("SF"),
        "SYN and RST": v4() / tcp("SR"),
        "FIN and RST": v4() / tcp("FR"),
        "no flags": v4() / tcp(""),
        "all flags": v4() / tcp("FSRPAU"),
    },
    "tcp_options": {
        "option of no length": v4(proto=6) / options(b"\x02\x00\x00\x00"),
        "MSS of three bytes": v4(proto=6) / options(b"\x02\x03\x05\x00"),
        "option beyond the header": v4(proto=6) / options(b"\x08\x28\x00\x00"),
    },
    "tcp_tiny_mss": {"MSS of 1": v4() / tcp(options=[("MSS", 1)]), "MSS of 0": v4() / tcp(options=[("MSS", 0)])},
    "port_zero": {
        "from TCP port 0": v4() / tcp(sport=0),
        "to TCP port 0": v4() / tcp(dport=0),
        "to UDP port 0": v4() / udp(dport=0) / b"x",
    },
    "tcp_no_flow": {"stray ACK": v4() / tcp("A", ack=77), "stray FIN": v4() / tcp("FA", ack=77)},
    "tcp_rst_no_flow": {"stray RST": v4() / tcp("R")},
    "udp_truncated": {
        "UDP length beyond the packet": v4() / udp(len=100) / b"x",
        "UDP length below its header": v4() / udp(len=4) / b"x",
        "cut UDP header": v4(proto=17) / cut(udp(), 5),
    },
    "udp_checksum": {
        "wrong UDP checksum": v4() / udp(chksum=0xDEAD) / b"x",
        "no checksum over IPv6": v6() / udp(chksum=0) / b"x",
    },
    "udp_loop_port": {
        "from one echo service to another": v4() / udp(sport=7) / b"x",
        "from chargen to echo over IPv6": v6() / udp(sport=19) / b"x",
    },
    "icmp_malformed": {
        "wrong ICMP checksum": v4() / ICMP(chksum=0xDEAD) / b"x",
        "wrong ICMPv6 checksum": v6() / ICMPv6EchoRequest(cksum=0xDEAD),
        "cut ICMP header": v4(proto=1) / cut(ICMP(), 4),
    },
    "icmp_type": {"timestamp request": v4() / ICMP(type=13), "unasked echo reply": v4() / ICMP(type=0)},
    "icmp_error": {"unasked unreachable": v4() / ICMP(type=3, code=1) / IP(src=V4, dst=STRANGER) / udp()},
    "icmp_not_ours": {"echo request to somebody else": v4(dst="10.66.0.99") / ICMP()},
    "not_our_address": {"datagram to somebody else": v4(dst="10.66.0.99") / udp() / b"x"},
    "no_service": {"port without a service": v4() / udp(dport=4444) / b"x"},
    "ipv6_extension": {
        "routing header type 0": v6() / IPv6ExtHdrRouting(type=0, addresses=["fd00:66::99"]) / udp() / b"x",
        "hop-by-hop option that asks to be dropped":
            v6(nh=0) / Raw(b"\x11\0\x80\x04\0\0\0\0" + bytes(udp() / b"x")),
        "hop-by-hop out of place": v6() / IPv6ExtHdrDestOpt() / IPv6ExtHdrHopByHop() / udp() / b"x",
        "extension header beyond the packet": v6(nh=60) / Raw(b"\x11\xff\0\0\0\0\0\0"),
        "a long chain of headers": v6() / Raw(b""),
        "nothing behind the headers": v6(nh=59),
    },
}  # fmt: skip
chain = v6()
for _ in range(12):
    chain = chain / IPv6ExtHdrDestOpt()
IP_PACKETS["ipv6_extension"]["a long chain of headers"] = chain / udp() / b"x"


class Hostile(ExactDrops, ApplianceCase):
    services = [ECHO, web()]
    port = {"any_ip": False}
    extra = {"limits": {"fragment_timeout": "1s", "rst_per_second": 1000, "icmp_per_second": 1000}}

    @classmethod
    def connect(cls):
        super().connect()
        cls.quiet(cls.near)
        cls.near.ip("neighbour", "add", V4, "lladdr", cls.far.mac("mill"), "dev", "client", "nud", "permanent")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.open_wire()

    def tearDown(self):
        done = clients.curl(f"http://{V4}/")
        self.assertEqual(done.stdout, "hello\n", "an honest client is still served")

    # Below IP.

    def test_ethertype_nobody_serves(self):
        self.expect("ethertype", self.frame(b"\0" * 46, type=0x88CC))

    def test_vlan_the_port_is_not_on(self):
        self.expect("vlan_unknown", self.frame(Dot1Q(vlan=99) / v4() / udp() / b"x"))

    def test_tag_within_a_tag(self):
        self.expect("vlan_unknown", self.frame(Dot1Q(vlan=99) / Dot1Q(vlan=5) / v4() / udp() / b"x"))

    def test_frame_for_another_station(self):
        self.expect("not_our_mac", self.frame(v4() / udp() / b"x", dst="02:00:00:00:00:99"))

    def test_datagram_to_everybody(self):
        self.expect("broadcast", self.frame(v4(dst="10.66.0.255") / udp() / b"x", dst="ff:ff:ff:ff:ff:ff"))

    # Neighbours.

    def arp(self, **fields):
        wish = {"op": 1, "hwsrc": STRANGER_MAC, "psrc": STRANGER, "pdst": V4, **fields}
        return self.frame(ARP(**wish), dst="ff:ff:ff:ff:ff:ff")

    def test_arp_sender_that_is_not_the_frames(self):
        self.expect("arp_sender", self.arp(hwsrc="02:00:00:00:00:51"))

    def test_arp_sender_that_is_a_group(self):
        self.expect("arp_sender", self.arp(psrc="224.0.0.1"))

    def test_arp_from_outside_the_subnet(self):
        self.expect("arp_off_link", self.arp(psrc="192.0.2.1"))

    def test_arp_not_for_ethernet(self):
        self.expect("arp_malformed", self.arp(hwtype=6))

    def test_arp_truncated(self):
        self.expect("arp_malformed", self.frame(Raw(bytes(ARP(pdst=V4))[:20]), type=0x0806))

    def test_arp_for_somebody_else(self):
        self.expect("arp_other", self.arp(pdst="10.66.0.99"))

    def test_arp_that_claims_our_address(self):
        self.expect("address_conflict", self.arp(psrc=V4, pdst=STRANGER))

    def solicitation(self, hops=255, target=V6, **fields):
        message = ICMPv6ND_NS(tgt=target, **fields) / ICMPv6NDOptSrcLLAddr(lladdr=STRANGER_MAC)
        return self.frame(v6(hlim=hops) / message)

    def test_solicitation_that_came_through_a_router(self):
        self.expect("ndp_malformed", self.solicitation(hops=64))

    def test_solicitation_with_a_wrong_checksum(self):
        self.expect("ndp_malformed", self.solicitation(cksum=0xDEAD))

    def test_solicitation_for_somebody_else(self):
        self.expect("ndp_other", self.solicitation(target="fd00:66::99"))

    def test_router_advertisement(self):
        packet = v6(src="fe80::50", hlim=255) / ICMPv6ND_RA()
        self.expect("ndp_router", self.frame(packet))

    # Fragments (of IPv4: see test_fragments.py).

    def test_ipv6_fragments_that_overlap(self):
        pieces = [IPv6ExtHdrFragment(offset=offset, m=1, id=12, nh=17) / Raw(b"o" * 80) for offset in (0, 4)]
        self.expect("fragment_overlap", *(self.frame(v6() / piece) for piece in pieces))

    # TCP.

    def test_stray_ack_is_answered_with_a_reset(self):
        self.expect("tcp_no_flow", self.frame(v4() / tcp("A", sport=4001, ack=4242)))
        reset = self.wire.wait_for(lambda f: TCP in f and f[TCP].dport == 4001 and "R" in f[TCP].flags)
        self.assertIsNotNone(reset)
        self.assertEqual(reset[TCP].seq, 4242)

    def test_reset_is_never_answered(self):
        self.expect("tcp_rst_no_flow", self.frame(v4() / tcp("R", sport=4002)))
        self.assertIsNone(self.wire.wait_for(lambda f: TCP in f and f[TCP].dport == 4002, seconds=0.3))


def _ip_test(reason, packet):
    kind = {4: 0x0800, 5: 0x0800, 6: 0x86DD}[bytes(packet)[0] >> 4]
    return lambda self: self.expect(reason, self.frame(packet, type=kind))


for _reason, _packets in IP_PACKETS.items():
    for _what, _packet in _packets.items():
        setattr(Hostile, f"test_{_reason}: {_what}", _ip_test(_reason, _packet))
