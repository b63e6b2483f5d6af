#!/usr/bin/python3
"""Churn for some minutes, and then everything back where it was.

    tests/e2e/soak.py MINUTES

Clients of every kind come and go: transfers that are verified, aborts, requests by the ten thousand, idle ones that
fall asleep, ones that do not read, datagrams, handshakes that are never completed. A short round of the same first
brings the appliance to the size it needs; what is measured then is the baseline. At the end flows, packet buffers,
memory and descriptors must be back at it, every flow opened must have been closed, and every packet and packet buffer
be accounted for. Exit code 1 if anything is not, or if any client was served wrongly.
"""

import contextlib
import os
import pathlib
import random
import shutil
import socket
import struct
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
os.environ["MR_E2E_RUN"] = str(os.getpid())
sys.dont_write_bytecode = True
import clients  # noqa: E402
import net  # noqa: E402
import rig  # noqa: E402
from appliance import run_dir  # noqa: E402
from rig import CHARGEN, DISCARD, ECHO, V4, V6, ApplianceCase, eventually, web  # noqa: E402

WARM_UP_SECONDS = 30
# Longest time for all flows to be gone: UDP idle, TIME-WAIT and half-open timeouts below, and some.
REST_SECONDS = 60
# Resident memory may end above the baseline by this part and this many bytes: how many connections are open at the
# same time is chance, and a connection's memory is kept for the next one.
RSS_PART, RSS_BYTES = 0.05, 8 << 20
MBUFS = 8192
# Buffers that a worker at rest may hold: what is left of 32 taken at once, and its engine's reserve.
STOCK = 33


class Soak(ApplianceCase):
    """The appliance; here it is no test case, only something that can be set up and torn down."""

    services = [ECHO, DISCARD, CHARGEN, web()]
    extra = {
        "tcp": {"time_wait": "2s", "halfopen_idle_timeout": "10s", "sleep_after": "1s", "fin_wait_timeout": "10s"},
        "udp": {"idle_timeout": "5s"},
        "mempool": {"mbufs": MBUFS},
    }


class Churn:
    """Clients, each kind in a thread of its own, until the time is over."""

    def __init__(self, seconds, seed):
        self.end = time.monotonic() + seconds
        self.seed = seed
        self.done = {}
        self.wrong = []

    def run(self):
        kinds = [
            self.transfers, self.transfers, self.aborts, self.requests, self.naps, self.slow_reader, self.datagrams,
            self.downloads, self.half_open,
        ]
        threads = [
            threading.Thread(target=self.repeat, args=(kind, self.seed * 100 + number), daemon=True)
            for number, kind in enumerate(kinds)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(self.end - time.monotonic() + 90)
            if thread.is_alive():
                self.wrong.append(f"a client hangs: {thread.name}")
        return self

    def repeat(self, kind, seed):
        chance = random.Random(seed)
        while time.monotonic() < self.end and len(self.wrong) < 10:
            try:
                kind(chance)
            except (OSError, AssertionError) as error:
                self.wrong.append(f"{kind.__name__}: {error!r}")
            self.done[kind.__name__] = self.done.get(kind.__name__, 0) + 1

    def transfers(self, chance):
        """Bytes there and back, compared."""
        size = chance.choice([0, 1, 1000, 20_000, 300_000])
        sent, received = clients.echo(chance.choice([V4, V6]), 7, size, seed=chance.random())
        assert sent == received, f"{sent} sent, {received} received"

    def aborts(self, chance):
        """RST in the middle of something."""
        with clients.connect(chance.choice([V4, V6]), chance.choice([7, 9, 19, 80])) as connection:
            connection.settimeout(10)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with contextlib.suppress(OSError):
                connection.sendall(b"x" * chance.randrange(1, 5000))

    def requests(self, chance):
        """HTTP by h2load."""
        count, parallel = chance.choice([(1000, 1), (2000, 50)])
        done = net.run("h2load", "--h1", "-n", str(count), "-c", str(parallel), "-t", "1", f"http://{V4}/", timeout=60)
        assert f"{count} succeeded" in done.stdout, done.stdout

    def naps(self, chance):
        """Connections that say something, fall asleep, and say something again."""
        with contextlib.ExitStack() as stack:
            sockets = [stack.enter_context(clients.connect(chance.choice([V4, V6]), 7)) for _ in range(50)]
            for word in (b"one", b"two"):
                for connection in sockets:
                    connection.sendall(word)
                    assert clients.receive_exactly(connection, len(word)) == word
                time.sleep(chance.choice([0, 1.5]))

    def slow_reader(self, chance):
        """Asks for more than it reads, then reads it all or leaves."""
        with clients.connect(V4, 19) as connection:
            connection.settimeout(20)
            time.sleep(chance.random())
            for _ in range(chance.choice([1, 100])):
                assert connection.recv(65536)

    def downloads(self, chance):
        """A connection for each request, closed by either side."""
        close = b"Connection: close\r\n" if chance.random() < 0.5 else b""
        with clients.connect(chance.choice([V4, V6]), 80) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + close + b"\r\n")
            answer = connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200 "), answer

    def datagrams(self, chance):
        """Many UDP flows."""
        for _ in range(50):
            data = chance.randbytes(chance.randrange(0, 1400))
            # One may be lost where a queue overflows.
            answer = clients.datagram(chance.choice([V4, V6]), 7, data)
            assert answer in (data, None), answer
        time.sleep(0.1)

    def half_open(self, chance):
        """Connections whose client gives up before it is served."""
        for _ in range(20):
            with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as connection:
                connection.setblocking(False)
                connection.connect_ex((V4, chance.choice([7, 80])))
        time.sleep(0.2)


def measure(appliance):
    """What must come back."""
    pid = appliance.process.pid
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return {
        "flows": int(appliance.metric("millrace_flows")),
        "packet buffers free": int(appliance.metric("millrace_mempool_available")),
        "resident bytes": int(status.partition("VmRSS:")[2].split()[0]) * 1024,
        "descriptors": descriptors(pid),
        "threads": int(status.partition("Threads:")[2].split()[0]),
    }


def descriptors(pid):
    """The fewest within a second: the connection that was asked for metrics a moment ago may not be closed yet."""
    fewest = len(os.listdir(f"/proc/{pid}/fd"))
    for _ in range(10):
        time.sleep(0.1)
        fewest = min(fewest, len(os.listdir(f"/proc/{pid}/fd")))
    return fewest


def at_rest(appliance):
    """Waits until nothing is left of any client."""
    eventually(lambda: appliance.metric("millrace_flows") == 0, "all flows end", REST_SECONDS)
    eventually(lambda: measure(appliance) == measure(appliance), "numbers stand still")
    appliance.at_rest()


def compare(before, after):
    """Lines of what is not back."""
    wrong = []
    for what, value in after.items():
        least = most = before[what]
        if what == "resident bytes":
            least, most = 0, before[what] * (1 + RSS_PART) + RSS_BYTES
        if what == "packet buffers free":
            # At rest nothing but what workers keep in stock is in use.
            least, most = MBUFS - STOCK * len(Soak.workers), MBUFS
        if not least <= value <= most:
            wrong.append(f"{what}: {value}, were {before[what]}")
    return wrong


def main(minutes):
    if os.geteuid() != 0:
        sys.exit("soak: network namespaces need root: run this with sudo")
    clients.many_files()
    Soak.setUpClass()
    appliance = Soak.appliance
    warm = Churn(WARM_UP_SECONDS, 1).run()
    at_rest(appliance)
    before = measure(appliance)
    print(f"baseline after {WARM_UP_SECONDS} s of warming up: {before}", flush=True)
    churn = Churn(minutes * 60, 2).run()
    peak = measure(appliance)
    print(f"with the last clients just gone: {peak}", flush=True)
    at_rest(appliance)
    after = measure(appliance)
    print(f"after {minutes:g} min: {after}")
    for kind, count in sorted(churn.done.items()):
        print(f"  {kind:<14} {count}")
    opened = int(appliance.metric("millrace_flows_opened_total"))
    closed = int(appliance.metric("millrace_flows_closed_total"))
    packets = int(appliance.metric("millrace_port_rx_packets_total"))
    print(f"{opened} flows opened, {closed} closed; {packets} packets received, each delivered or dropped by name")
    wrong = warm.wrong + churn.wrong + compare(before, after)
    if opened != closed:
        wrong.append(f"{opened} flows opened and {closed} closed")
    text = rig.finish(appliance)
    print(next(line for line in text.splitlines() if line.startswith("packet buffers")))
    for line in wrong:
        print(f"WRONG: {line}")
    print("everything is back at its baseline" if not wrong else f"{len(wrong)} things are wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        code = main(float(sys.argv[1]) if len(sys.argv) > 1 else 3.0)
    finally:
        Soak.doClassCleanups()
        net.clean(os.getpid())
        shutil.rmtree(run_dir(), ignore_errors=True)
    sys.exit(code)
