"""Two workers: both legs of a session live on one of them, however the ports spread packets."""

import asyncio
import contextlib

import clients
from proxied import ANY, ANY6, FRONT, FRONT6, SERVERS, SERVERS6, ProxyCase, front, group
from servers import Nginx

FLOWS = 10_000
AT_ONCE = 100
REQUEST = b"GET /%d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


async def ask(address, port, number, semaphore):
    async with semaphore:
        reader, writer = await asyncio.wait_for(asyncio.open_connection(address, port), 30)
        writer.write(REQUEST % number)
        answer = await asyncio.wait_for(reader.read(), 30)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        return answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b" /%d\n" % number)


async def ask_many(ends, count):
    semaphore = asyncio.Semaphore(AT_ONCE)
    return sum(await asyncio.gather(*(ask(*ends[n % len(ends)], n, semaphore) for n in range(count))))


class TwoWorkers(ProxyCase):
    """What both ways of spreading must do."""

    workers = [0, 1]
    back = {"any_ip": True}
    upstreams = [
        group("web", *((f"s{n}", address, 80) for n, address in enumerate(SERVERS))),
        group("web6", *((f"s{n}", address, 80) for n, address in enumerate(SERVERS6))),
    ]
    services = [
        front("own", 80, upstream="web", match={"destination": ["0.0.0.0/0"]}),
        front("own6", 80, upstream="web6", match={"destination": ["::/0"]}),
        front("client", 81, upstream="web", source="client", match={"destination": ["0.0.0.0/0"]}),
        front("client6", 81, upstream="web6", source="client", match={"destination": ["::/0"]}),
        front("original", 82, source="client"),
    ]

    @classmethod
    def start_servers(cls):
        cls.nginx = Nginx(cls.up, "web", *((address, port) for address in SERVERS + SERVERS6 for port in (80, 82)))
        cls.nginx.start()
        cls.addClassCleanup(cls.nginx.stop)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        clients.many_files()

    def check(self, ends, count):
        self.reported()
        before = self.proxied("sessions_total")
        served = asyncio.run(ask_many(ends, count))
        self.assertEqual(served, count)
        self.eventually(lambda: self.proxied("sessions_total") >= before + count, f"{count} sessions")
        self.assertEqual(self.proxied("sessions_total"), before + count)
        self.eventually(lambda: self.proxied("sessions") == 0, "all sessions have ended")
        # What would tell that a leg's packets went astray.
        self.assertEqual(self.appliance.metric("millrace_proxy_stray_answers_total"), 0)

    def apart(self):
        return self.appliance.metric("millrace_proxy_legs_apart_total")

    def test_10000_flows(self):
        self.reported()
        apart = self.apart()
        self.check([(FRONT, 80), (FRONT6, 80), (ANY, 80), (ANY6, 80)], FLOWS)
        self.assertEqual(self.apart(), apart, "answers come to whom they are for")
        shares = [row["delivered"] for row in self.appliance.show("workers")]
        for share in shares:
            self.assertGreater(share, sum(shares) // 10, f"both do their share: {shares}")

    def test_transparent_flows(self):
        self.check([(FRONT, 81), (FRONT6, 81)], FLOWS // 5)

    def test_original_destinations(self):
        """Both legs have the same ends, so both are brought to the same worker."""
        self.reported()
        apart = self.apart()
        self.check([(address, 82) for address in (*SERVERS, *SERVERS6)], FLOWS // 5)
        self.assertEqual(self.apart(), apart)

    def test_both_legs_live_on_one_worker(self):
        with contextlib.ExitStack() as stack:
            for n in range(80):
                connection = stack.enter_context(clients.connect((FRONT, FRONT6)[n % 2], 80 + n // 2 % 2))
                connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                self.assertIn(b" 200 OK", connection.recv(65536))
            # Those of other tests may be closing still.
            sessions = [row for row in self.sessions() if row["phase"] == "relaying"]
            self.assertEqual(len(sessions), 80)
            flows = self.appliance.show("flows", "--state", "established")["flows"]
            owned = {(row["worker"], row["id"], row["remote_port"]) for row in flows}
            legs = {
                (row["worker"], leg["id"], leg["remote_port"])
                for row in sessions
                for leg in (row["client"], row["upstream_leg"])
            }
            self.assertEqual((len(legs), legs - owned), (160, set()))
            for row in sessions:
                if row["service"].startswith("own"):
                    homes = {leg["home"] for leg in (row["client"], row["upstream_leg"])}
                    self.assertLessEqual(homes, {None, row["worker"]}, "where the port brings them")
            self.assertEqual({row["worker"] for row in sessions}, {0, 1}, "both have some")

    def test_long_ones_side_by_side(self):
        """Kept connections with many requests each."""
        for address in (FRONT, f"[{FRONT6}]"):
            done = clients.curl(f"http://{address}/[1-2000]").stdout.splitlines()
            self.assertEqual(done, [f"web /{n}" for n in range(1, 2001)])


class TwoQueues(TwoWorkers):
    """Each port has a queue for each worker, and the kernel spreads flows over them as it likes."""

    qpairs = 2


class OneQueue(TwoWorkers):
    """Each port has one queue: the worker that reads it hands over what is not its own."""

    port = {"rx_queues": 1}
    back = {"any_ip": True, "rx_queues": 1}

    def test_steering(self):
        self.assertEqual([port["steering"] for port in self.appliance.show("ports")], ["software", "software"])


# Not itself a set of tests.
del TwoWorkers
