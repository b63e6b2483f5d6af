"""Fragments: put together on the way in, within bounds; nothing is fragmented on the way out."""

import time

import clients
import net
from drops import ExactDrops
from rig import CHARGEN, CLIENT_V4, DISCARD, ECHO, STRANGER, STRANGER6, V4, V6, TapCase, web
from wire import IP, TCP, UDP, IPv6, IPv6ExtHdrFragment, Raw


class Fragments(TapCase):
    """From a kernel client."""

    services = [ECHO, DISCARD, CHARGEN]

    def test_datagram_in_fragments_is_received(self):
        for address in (V4, V6):
            before = self.appliance.service("discard", "udp_bytes_in")
            clients.datagram(address, 9, b"f" * 4000, timeout=0.2)
            self.eventually(
                lambda: self.appliance.service("discard", "udp_bytes_in") == before + 4000, "4000 bytes received"
            )
        self.assertGreaterEqual(self.appliance.metric("millrace_reassembled_total"), 2)

    def test_longest_datagram(self):
        for address in (V4, V6):
            before = self.appliance.service("discard", "udp_bytes_in")
            clients.datagram(address, 9, b"f" * 65_000, timeout=0.2)
            self.eventually(
                lambda: self.appliance.service("discard", "udp_bytes_in") == before + 65_000, "65,000 bytes received"
            )

    def test_answer_that_fits_comes_back(self):
        """chargen answers a long datagram with at most 512 characters."""
        for address in (V4, V6):
            self.assertIsNotNone(clients.datagram(address, 19, b"f" * 4000))

    def test_answer_that_does_not_fit_is_refused(self):
        before = self.appliance.service("echo", "udp_replies_refused")
        self.assertIsNone(clients.datagram(V4, 7, b"f" * 4000, timeout=0.5))
        self.eventually(
            lambda: self.appliance.service("echo", "udp_replies_refused") == before + 1, "the refusal is counted"
        )

    def test_fragmented_ping(self):
        """The reply would need fragments: none is sent, and the request's are counted as too long to answer."""
        for option, address in (("-4", V4), ("-6", V6)):
            self.appliance.at_rest()
            before = self.appliance.drops()[0].get("reply_too_long", 0)
            done = net.run("ping", option, "-c", "1", "-W", "1", "-s", "4000", address, check=False)
            self.assertIn("100% packet loss", done.stdout)
            self.eventually(
                lambda: self.appliance.drops()[0].get("reply_too_long", 0) == before + 3, "three fragments dropped"
            )


class HostileFragments(ExactDrops, TapCase):
    """Made by hand."""

    services = [ECHO, web()]
    port = {"any_ip": False}
    extra = {"limits": {"fragment_timeout": "1s", "fragments": 8}}

    @classmethod
    def config(cls):
        config = super().config()
        config["ports"][0]["kernel_addresses"] = [f"{CLIENT_V4}/24"]
        return config

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.quiet(cls.far)
        mac = cls.appliance_mac()
        cls.far.ip("neighbour", "replace", V4, "lladdr", mac, "dev", cls.device, "nud", "permanent")
        cls.open_wire()

    def tearDown(self):
        self.assertEqual(clients.curl(f"http://{V4}/").stdout, "hello\n", "an honest client is still served")

    def pieces(self, number, *parts, length=2000):
        """IPv4 fragments of a UDP datagram, each by (offset in eights, more to come, length)."""
        datagram = bytes(IP(src=STRANGER, dst=V4) / UDP(sport=4000, dport=7) / (b"f" * length))[20:]
        for offset, more, size in parts:
            header = IP(src=STRANGER, dst=V4, id=number, flags="MF" if more else 0, frag=offset, proto=17)
            yield self.frame(header / Raw(datagram[offset * 8 : offset * 8 + size]))

    def v4(self, payload, **fields):
        return self.frame(IP(**{"src": STRANGER, "dst": V4, **fields}) / payload)

    def v6(self, number, offset, more, payload, protocol=17):
        header = IPv6ExtHdrFragment(offset=offset, m=more, id=number, nh=protocol)
        return self.frame(IPv6(src=STRANGER6, dst=V6) / header / Raw(payload))

    def test_second_half_first(self):
        before = self.appliance.service("echo", "udp_bytes_in")
        for frame in self.pieces(1, (63, False, 2000), (0, True, 504), length=1000):
            self.wire.send(frame)
        answer = self.wire.wait_for(lambda f: UDP in f and f[UDP].sport == 7)
        self.assertIsNotNone(answer, "it is put together and echoed")
        self.assertEqual(bytes(answer[UDP].payload), b"f" * 1000)
        self.eventually(lambda: self.appliance.service("echo", "udp_bytes_in") == before + 1000, "1000 bytes counted")

    def test_lone_fragment_is_given_up(self):
        began = time.monotonic()
        self.expect("fragment_timeout", *self.pieces(10, (0, True, 800)), seconds=10)
        self.assertGreater(time.monotonic() - began, 0.9, "not before its time")

    def test_overlap(self):
        self.expect("fragment_overlap", *self.pieces(11, (0, True, 800), (50, True, 800)))

    def test_overlap_v6(self):
        self.expect("fragment_overlap", self.v6(12, 0, 1, b"o" * 80), self.v6(12, 4, 1, b"o" * 80))

    def test_not_a_multiple_of_eight(self):
        self.expect("fragment_malformed", self.v4(Raw(b"o" * 15), flags="MF", id=13, proto=17))

    def test_beyond_the_longest_packet(self):
        """The ping of death."""
        self.expect("fragment_malformed", self.v4(Raw(b"o" * 100), frag=8190, id=14, proto=1))

    def test_transport_header_cut_apart(self):
        """RFC 1858: a first fragment too short to tell the ports and flags from."""
        tcp = bytes(TCP(sport=4000, dport=80, flags="S"))
        self.expect("fragment_malformed", self.v4(Raw(tcp[:8]), flags="MF", id=15, proto=6))

    def test_more_than_one_source_may_hold(self):
        frames = [next(iter(self.pieces(100 + n, (0, True, 80)))) for n in range(12)]
        dropped = self.drops_after(frames, len(frames), 10)
        self.assertEqual(sum(dropped.values()), len(frames), "held ones are given up in the end")
        self.assertEqual(set(dropped), {"fragment_limit", "fragment_timeout"})
        self.assertGreaterEqual(dropped["fragment_limit"], 4)
