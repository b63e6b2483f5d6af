"""The smallest pools a configuration may ask for, under load: slower, never wrong."""

import contextlib
import hashlib
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading
import time

import clients
from appliance import run_dir
from rig import DISCARD, ECHO, V4, V6, ApplianceCase, web

DOWNLOADS = 100
SIZE = 1 << 20


class TinyMempool(ApplianceCase):
    """Two workers and one queue, so that packets also wait in rings between them."""

    workers = [0, 1]
    port = {"rx_queues": 1, "rx_descriptors": 64, "tx_descriptors": 64}
    extra = {"mempool": {"mbufs": 512, "cache": 0}}

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="www-", dir=run_dir())
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        cls.digest = hashlib.sha256(clients.payload(SIZE)).hexdigest()
        with open(os.path.join(cls.directory, "file.bin"), "wb") as file:
            file.write(clients.payload(SIZE))
        cls.services = [ECHO, DISCARD, web(directory=cls.directory)]
        super().setUpClass()

    def download(self, address, digests):
        try:
            with clients.connect(address, 80, timeout=90) as connection:
                connection.sendall(b"GET /file.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                head = b""
                while b"\r\n\r\n" not in head:
                    data = connection.recv(65536)
                    if not data:
                        raise OSError("ended in the header")
                    head += data
                digest = hashlib.sha256(head.partition(b"\r\n\r\n")[2])
                clients.receive_all(connection, digest)
                digests.append(digest.hexdigest())
        except OSError as error:
            digests.append(str(error))

    @contextlib.contextmanager
    def slow_worker(self, cpu):
        """The worker of this CPU gets next to no time: what is handed to it waits, and keeps its buffers."""
        threads = pathlib.Path(f"/proc/{self.appliance.process.pid}/task").iterdir()
        [thread] = [
            int(t.name) for t in threads if os.sched_getaffinity(int(t.name)) == {cpu} and "work" in (t / "comm").read_text()
        ]
        policy = os.sched_getscheduler(thread)
        spin = ["/usr/bin/python3", "-c", "while True: pass"]
        spinning = subprocess.Popen(spin, preexec_fn=lambda: os.sched_setaffinity(0, {cpu}))
        os.sched_setscheduler(thread, os.SCHED_IDLE, os.sched_param(0))
        try:
            yield
        finally:
            os.sched_setscheduler(thread, policy, os.sched_param(0))
            spinning.kill()
            spinning.wait()

    def starved(self):
        return self.appliance.metric("millrace_worker_tx_nobuf_total")

    def test_100_downloads_at_once(self):
        digests = []
        threads = [
            threading.Thread(target=self.download, args=(V4 if n % 2 else V6, digests), daemon=True)
            for n in range(DOWNLOADS)
        ]
        for thread in threads:
            thread.start()
        with self.slow_worker(1), contextlib.ExitStack() as stack:
            # Datagrams of many flows, half of them for the slow worker.
            sockets = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(64)]
            for _ in range(50):
                for s in sockets:
                    s.sendto(b"x" * 100, (V4, 9))
                if self.starved():
                    break
                time.sleep(0.05)
        for thread in threads:
            thread.join(120)
        self.assertEqual(len(digests), DOWNLOADS)
        self.assertEqual([d for d in digests if d != self.digest], [])
        self.assertGreater(self.eventually(self.starved, "tx_nobuf rises"), 0)
        # It is all given back, and served from again.
        self.eventually(
            lambda: all(pool["in_use"] < 256 for pool in self.appliance.show("mempools")), "buffers come back"
        )
        sent, received = clients.echo(V4, 7, 1 << 20)
        self.assertEqual(sent, received)
