"""What comes through the proxy is what was sent: many requests, long transfers, in both families and between them."""

import hashlib
import os
import re
import subprocess

import clients
import net
from proxied import ANY, ANY6, FRONT, FRONT6, SERVERS, SERVERS6, ProxyCase, front, group
from servers import Nginx

REQUESTS = 10_000
SIZE = (1024 if os.environ.get("MR_E2E_LONG") else 256) << 20


def h2load(url):
    """What h2load makes of many requests: how many succeeded, and how many bytes came."""
    done = net.run("h2load", "--h1", "-n", str(REQUESTS), "-c", "50", "-t", "1", url).stdout
    requests = re.search(r"^requests: .*$", done, re.MULTILINE)[0]
    bytes_ = re.search(r"^traffic: \S+ \((\d+)\) total", done, re.MULTILINE)[1]
    return requests, int(bytes_)


def curl_hash(*arguments):
    """The hash of what curl prints."""
    curl = subprocess.Popen(["curl", "-sS", "--max-time", "120", *arguments], stdout=subprocess.PIPE)
    digest = hashlib.sha256()
    while data := curl.stdout.read(1 << 20):
        digest.update(data)
    curl.stdout.close()
    assert curl.wait() == 0, f"curl ended with {curl.returncode}"
    return digest.hexdigest()


class Transfer(ProxyCase):
    upstreams = [
        group("web", ("a", SERVERS[0], 80)),
        group("web6", ("a", SERVERS6[0], 80)),
    ]
    services = [
        front(upstream="web", match={"destination": ["0.0.0.0/0"]}),
        front("front6", upstream="web6", match={"destination": ["::/0"]}),
        front("to6", 86, upstream="web6"),
        front("to4", 84, upstream="web"),
    ]

    @classmethod
    def start_servers(cls):
        cls.nginx = Nginx(cls.up, "web", (SERVERS[0], 80), (SERVERS6[0], 80)).start()
        cls.addClassCleanup(cls.nginx.stop)
        digest = hashlib.sha256()
        with open(cls.nginx.files / "big", "wb") as file:
            for piece in clients.chunks(SIZE):
                digest.update(piece)
                file.write(piece)
        cls.hash = digest.hexdigest()

    def directly(self, work):
        """Does something where the servers are, without the proxy between."""
        with self.up.entered():
            return work()

    def test_10000_requests_by_h2load(self):
        for proxied, direct in ((f"http://{FRONT}/", f"http://{SERVERS[0]}/"),
                                (f"http://[{FRONT6}]/", f"http://[{SERVERS6[0]}]/")):  # fmt: skip
            with self.subTest(proxied):
                requests, bytes_ = h2load(proxied)
                self.assertIn(f" {REQUESTS} succeeded, 0 failed, 0 errored, 0 timeout", requests)
                self.assertEqual((requests, bytes_), self.directly(lambda direct=direct: h2load(direct)))

    def test_10000_requests_by_curl(self):
        """On one connection each: every answer is that of its own request."""
        for address, count in ((FRONT, REQUESTS), (ANY, 500), (f"[{FRONT6}]", 500), (f"[{ANY6}]", 500)):
            path = f"/[1-{count}]?of={count}"
            direct = self.directly(lambda path=path: curl_hash(f"http://{SERVERS[0]}{path}"))
            self.assertEqual(curl_hash(f"http://{address}{path}"), direct, address)

    def test_100_connections_by_curl(self):
        for n in range(50):
            for address in (FRONT, f"[{FRONT6}]"):
                self.assertEqual(clients.curl("-g", f"http://{address}/{n}").stdout, f"web /{n}\n")

    def download(self, url):
        self.assertEqual(curl_hash(f"{url}/files/big"), self.hash)

    def upload(self, url, name):
        clients.curl("-g", "--max-time", "120", "-T", str(self.nginx.files / "big"), f"{url}/files/{name}")
        with open(self.nginx.files / name, "rb") as file:
            self.assertEqual(hashlib.file_digest(file, "sha256").hexdigest(), self.hash)
        (self.nginx.files / name).unlink()

    def test_download(self):
        self.download(f"http://{FRONT}")

    def test_download_over_ipv6(self):
        self.download(f"http://[{FRONT6}]")

    def test_upload(self):
        self.upload(f"http://{FRONT}", "up4")

    def test_upload_over_ipv6(self):
        self.upload(f"http://[{FRONT6}]", "up6")

    def test_from_one_family_to_the_other(self):
        for url in (f"http://{FRONT}:86", f"http://[{FRONT6}]:84"):
            self.assertEqual(clients.curl("-g", f"{url}/x").stdout, "web /x\n")
            self.download(url)

    def test_both_ways_at_once(self):
        """A download beside an upload, on connections of their own."""
        url = f"http://{FRONT}/files"
        down = subprocess.Popen(["sh", "-c", f"curl -sS --max-time 120 {url}/big | sha256sum"], stdout=subprocess.PIPE)
        self.upload(f"http://{FRONT}", "beside")
        self.assertEqual(down.communicate(timeout=120)[0].split()[0].decode(), self.hash)
