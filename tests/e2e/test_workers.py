"""Two workers: each flow has one owner, whether the port spreads flows over queues or the workers do it."""

import asyncio
import struct

import clients
from rig import ECHO, V4, V6, ApplianceCase, web

FLOWS = 10_000
AT_ONCE = 200


async def echo_once(address, number, semaphore):
    async with semaphore:
        reader, writer = await asyncio.wait_for(asyncio.open_connection(address, 7), 30)
        message = struct.pack("!Q", number) * 4
        writer.write(message)
        answer = await asyncio.wait_for(reader.readexactly(len(message)), 30)
        writer.close()
        await writer.wait_closed()
        return answer == message


async def echo_many(addresses, count):
    semaphore = asyncio.Semaphore(AT_ONCE)
    jobs = [echo_once(addresses[n % len(addresses)], n, semaphore) for n in range(count)]
    return sum(await asyncio.gather(*jobs))


class TwoWorkers(ApplianceCase):
    """What both ways of spreading must do."""

    workers = [0, 1]
    services = [ECHO, web()]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        clients.many_files()

    def opened(self):
        return self.appliance.metric("millrace_flows_opened_total", protocol="tcp")

    def test_10000_flows(self):
        before, bytes_before = self.opened(), self.appliance.service("echo", "tcp_bytes_in")
        delivered = [row["delivered"] for row in self.appliance.show("workers")]
        addresses = [V4, V6, "10.66.0.50", "fd00:66::50"]
        served = asyncio.run(echo_many(addresses, FLOWS))
        self.assertEqual(served, FLOWS)
        self.eventually(lambda: self.opened() >= before + FLOWS, f"{FLOWS} flows opened")
        self.appliance.at_rest()
        self.assertEqual(self.opened() - before, FLOWS, "each flow is opened once, on one worker")
        self.assertEqual(self.appliance.service("echo", "tcp_bytes_in") - bytes_before, FLOWS * 32)
        rows = self.appliance.show("workers")
        shares = [row["delivered"] - was for row, was in zip(rows, delivered)]
        self.assertEqual(len(shares), 2)
        for share in shares:
            self.assertGreater(share, sum(shares) // 10, f"both do their share: {shares}")
        self.check_steering()

    def test_one_flow_lives_on_one_worker(self):
        connections = [clients.connect(V4, 7) for _ in range(40)]
        try:
            for connection in connections:
                connection.sendall(b"x" * 10_000)
                self.assertEqual(len(clients.receive_exactly(connection, 10_000)), 10_000)
            rows = self.appliance.show("flows", "--protocol", "tcp")["flows"]
            mine = {c.getsockname()[1] for c in connections}
            owners = {}
            for row in rows:
                if row["remote_port"] in mine:
                    owners.setdefault(row["remote_port"], []).append(row["worker"])
            self.assertEqual(len(owners), 40)
            self.assertTrue(all(len(workers) == 1 for workers in owners.values()), owners)
            self.assertEqual({workers[0] for workers in owners.values()}, {0, 1}, "both have some")
        finally:
            for connection in connections:
                connection.close()

    def test_transfers_side_by_side(self):
        for address in (V4, V6):
            for size in (1, 100_000, 16 << 20):
                sent, received = clients.echo(address, 7, size)
                self.assertEqual(sent, received)

    def test_udp_from_many_ports(self):
        for number in range(200):
            message = b"datagram %d" % number
            self.assertEqual(clients.datagram(V4 if number % 2 else V6, 7, message), message)


class TwoQueues(TwoWorkers):
    """The port has a queue for each worker, the kernel spreads flows over them: workers do not meet."""

    qpairs = 2

    def check_steering(self):
        ports = self.appliance.show("ports")
        self.assertEqual([port["steering"] for port in ports], ["queue"])
        for row in self.appliance.show("workers"):
            self.assertEqual((row["steered_out"], row["steered_in"]), (0, 0), row)
            worker = str(row["worker"])
            self.assertEqual(self.appliance.metric("millrace_worker_passed_on_total", worker=worker), 0, row)
            self.assertGreater(row["delivered"], FLOWS // 10, "each serves flows by itself")
        self.assertNotIn("steer_full", self.appliance.drops()[0], "no ring was ever full")


class OneQueue(TwoWorkers):
    """The port has one queue: the worker that reads it hands over what is not its own."""

    qpairs = 1
    port = {"rx_queues": 1}

    def check_steering(self):
        ports = self.appliance.show("ports")
        self.assertEqual([port["steering"] for port in ports], ["software"])

        def balanced():
            rows = self.appliance.show("workers")
            out, came = sum(r["steered_out"] for r in rows), sum(r["steered_in"] for r in rows)
            return out if out == came else None

        steered = self.eventually(balanced, "what is handed over arrives")
        self.assertGreater(steered, FLOWS, "about half of all packets belong to the other worker")


# Not itself a set of tests.
del TwoWorkers
