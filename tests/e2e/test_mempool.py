"""The smallest pools a configuration may ask for, under load: slower, never wrong."""

import hashlib
import os
import shutil
import tempfile
import threading

import clients
from appliance import run_dir
from rig import ECHO, V4, V6, ApplianceCase, web

DOWNLOADS = 100
SIZE = 1 << 20


class TinyMempool(ApplianceCase):
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
        os.chmod(cls.directory, 0o755)
        cls.services = [ECHO, web(directory=cls.directory)]
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

    def test_100_downloads_at_once(self):
        digests = []
        threads = [
            threading.Thread(target=self.download, args=(V4 if n % 2 else V6, digests), daemon=True)
            for n in range(DOWNLOADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        self.assertEqual(len(digests), DOWNLOADS)
        wrong = [d for d in digests if d != self.digest]
        self.assertEqual(wrong, [])
        starved = self.eventually(lambda: self.appliance.metric("millrace_worker_tx_nobuf_total"), "tx_nobuf rises")
        self.assertGreater(starved, 0)
        # It is all given back, and served from again.
        self.eventually(
            lambda: all(pool["in_use"] < 128 for pool in self.appliance.show("mempools")), "buffers come back"
        )
        sent, received = clients.echo(V4, 7, 1 << 20)
        self.assertEqual(sent, received)
