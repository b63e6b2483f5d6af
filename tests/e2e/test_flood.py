"""Floods: what is bounded stays bounded, and honest clients are served."""

import random
import socket

import clients
from rig import ECHO, V4, V6, ApplianceCase, web
from wire import ARP, IP, TCP, Ether, ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6, Wire

SENDERS = 10_000
NEIGHBOURS = 256


class NeighbourFlood(ApplianceCase):
    """Ten thousand stations that are none."""

    prefixes = (16, 64)
    port = {"any_ip": False}
    extra = {"limits": {"neighbours": NEIGHBOURS}}

    def setUp(self):
        self.mac = self.far.mac("mill")

    def station(self, number):
        return f"02:00:{number >> 24 & 255:02x}:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"

    def flood(self, frames):
        with Wire("client") as wire:
            for number, frame in enumerate(frames):
                wire.send(frame)
                if number % 500 == 0:
                    # Honest clients come in between.
                    self.honest()

    def honest(self):
        self.assertEqual(clients.curl(f"http://{V4}/").stdout, "hello\n")

    def check_bounded(self):
        listing = self.appliance.show("neighbours")
        self.assertLessEqual(len(listing["neighbours"]), listing["capacity"])
        self.assertLess(listing["capacity"], SENDERS // 2)
        self.assertGreater(self.appliance.metric("millrace_neighbour_events_total", event="refused")
                           + self.appliance.metric("millrace_neighbour_events_total", event="evicted"), 0)  # fmt: skip
        self.honest()
        self.assertEqual(clients.curl("-g", f"http://[{V6}]/").stdout, "hello\n")
        sent, received = clients.echo(V4, 7, 1 << 20)
        self.assertEqual(sent, received)

    def test_arp(self):
        template = bytes(Ether(dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, pdst=V4))

        def frame(number):
            mac = bytes.fromhex(self.station(number).replace(":", ""))
            address = bytes([10, 66, 1 + number // 250, 1 + number % 250])
            return template[:6] + mac + template[12:22] + mac + address + template[32:]

        self.flood(frame(number) for number in range(SENDERS))
        self.check_bounded()

    def test_neighbour_solicitations(self):
        template = self.solicitation

        self.flood(template(number) for number in range(SENDERS // 4))
        self.check_bounded()

    def solicitation(self, number):
        mac = self.station(number)
        message = ICMPv6ND_NS(tgt=V6) / ICMPv6NDOptSrcLLAddr(lladdr=mac)
        return Ether(src=mac, dst=self.mac) / IPv6(src=f"fd00:66::5:{number:x}", dst=V6, hlim=255) / message


def syns(mac, number, random_source):
    """Frames of SYNs that nobody will follow up."""
    generator = random.Random(7)
    for sequence in range(number):
        source = random_source(generator)
        segment = TCP(sport=generator.randrange(1024, 65535), dport=80, flags="S", seq=sequence)
        yield Ether(src="02:00:00:00:00:77", dst=mac) / IP(src=source, dst=V4) / segment


def anybody(generator):
    return f"10.66.0.{generator.randrange(100, 250)}"


class SynFlood(ApplianceCase):
    """Handshakes that nobody finishes: cookies keep the door open."""

    extra = {"limits": {"half_open": 128, "flows": 1024}, "tcp": {"synack_retries": 1}}

    def cookies(self, event):
        return self.appliance.metric("millrace_syn_cookies_total", event=event)

    def test_clients_are_served_all_the_while(self):
        with Wire("client") as wire:
            for number, frame in enumerate(syns(self.far.mac("mill"), 3000, anybody)):
                wire.send(frame)
                if number >= 1000 and number % 250 == 0:
                    self.assertEqual(clients.curl("--max-time", "5", f"http://{V4}/").stdout, "hello\n")
        self.eventually(lambda: self.cookies("sent") > 2500, "the flood is answered by cookies")
        # Not all of them: now and then some of the flood's handshakes are given up, and there is room.
        self.assertGreater(self.cookies("accepted"), 0)
        for row in self.appliance.show("workers"):
            self.assertLessEqual(row["half_open"], 64)
        sent, received = clients.echo(V4, 7, 1 << 20)
        self.assertEqual(sent, received, "a flow opened by a cookie carries data like any other")

    def test_one_source_has_its_share(self):
        # By now the flood of the other test may still be there; its flows end after a few seconds.
        self.eventually(lambda: all(row["half_open"] == 0 for row in self.appliance.show("workers")), "all gone", 30)
        before = self.cookies("sent")
        with Wire("client") as wire:
            for frame in syns(self.far.mac("mill"), 60, lambda _: "10.66.0.77"):
                wire.send(frame)
        self.eventually(lambda: sum(row["half_open"] for row in self.appliance.show("workers")) == 60, "below its share")
        self.assertEqual(self.cookies("sent"), before)


class SynFloodWithoutCookies(ApplianceCase):
    extra = {
        "limits": {"half_open": 128, "flows": 1024},
        "tcp": {"synack_retries": 1, "syn_cookies": "off"},
    }

    def test_half_open_flows_are_bounded(self):
        with Wire("client") as wire:
            for frame in syns(self.far.mac("mill"), 3000, anybody):
                wire.send(frame)
        self.eventually(
            lambda: self.appliance.drops()[0].get("half_open_limit", 0) > 1000, "what is too much is refused by name"
        )
        for row in self.appliance.show("workers"):
            self.assertLessEqual(row["half_open"], 128)
        # They go away by themselves, and then there is room again.
        self.eventually(
            lambda: clients.curl("--max-time", "2", f"http://{V4}/", check=False).stdout == "hello\n",
            "an honest client is served again",
            60,
        )


class Direct(ApplianceCase):
    """Far more connections than stacks, none of which is needed."""

    extra = {"limits": {"live": 16, "flows": 4096}}

    def test_short_exchanges_need_no_stack(self):
        self.converse(200)
        self.assertEqual(self.appliance.metric("millrace_tcp_woken_total"), 0)

    def converse(self, count):
        connections = [socket.create_connection((V4, 7), timeout=10) for _ in range(count)]
        self.eventually(
            lambda: sum(row["asleep"] for row in self.appliance.show("workers")) == count, "everybody is asleep"
        )
        flows = self.appliance.show("flows")["flows"]
        self.assertEqual({(flow["state"], flow["asleep"]) for flow in flows}, {("ESTABLISHED", True)})
        for round_number in range(3):
            for number, connection in enumerate(connections):
                word = f"{round_number} {number}".encode() * 100
                connection.sendall(word)
                answer = b""
                while len(answer) < len(word):
                    answer += connection.recv(65536)
                self.assertEqual(answer, word)
        for connection in connections:
            connection.shutdown(socket.SHUT_WR)
            self.assertEqual(connection.recv(1), b"")
            connection.close()
        self.eventually(lambda: not self.appliance.show("flows")["flows"], "all closed")


class Sleep(Direct):
    """The same where every connection that speaks has a stack, which those take from others that sleep."""

    extra = {"limits": {"live": 16, "flows": 4096}, "tcp": {"sleep_after": "1s", "direct": False}}

    def test_short_exchanges_need_no_stack(self):
        self.converse(200)
        # The first and the last of a round may still be awake in the next.
        for metric in ("millrace_tcp_woken_total", "millrace_tcp_slept_total"):
            self.eventually(lambda metric=metric: self.appliance.metric(metric) > 500, metric)


class FlowLimit(ApplianceCase):
    services = [ECHO]
    extra = {"limits": {"flows": 64, "half_open": 64}, "udp": {"idle_timeout": "5s"}}

    def test_flow_table_is_bounded(self):
        answered = sum(clients.datagram(V4, 7, b"x", timeout=0.05) == b"x" for _ in range(80))
        self.assertGreaterEqual(answered, 16)
        self.assertLessEqual(answered, 64)
        self.eventually(
            lambda: self.appliance.drops()[0].get("flow_limit", 0) == 80 - answered, "the others are refused by name"
        )
        self.eventually(lambda: clients.datagram(V4, 7, b"y", timeout=0.2) == b"y", "old flows make room", 15)
