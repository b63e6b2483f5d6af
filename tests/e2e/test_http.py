"""The HTTP responder, with curl, h2load and by hand."""

import os
import re
import shutil
import tempfile

import clients
import net
from appliance import run_dir
from rig import ECHO, V4, V6, ApplianceCase, web

BODY = "hello\n"
BIG = 300_000


class Http(ApplianceCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="www-", dir=run_dir())
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        os.makedirs(os.path.join(cls.directory, "sub"))
        cls.big = clients.payload(BIG)
        for name, content in {"index.html": b"<p>index", "sub/page.txt": b"page\n", "big.bin": cls.big}.items():
            with open(os.path.join(cls.directory, name), "wb") as file:
                file.write(content)
        for path, _, files in os.walk(cls.directory):
            os.chmod(path, 0o755)
            for name in files:
                os.chmod(os.path.join(path, name), 0o644)
        cls.services = [
            ECHO,
            web(body=BODY, headers={"X-Served-By": "millrace"}, max_body="64KiB", max_head="4KiB"),
            web("files", 8080, directory=cls.directory),
            web("teapot", 8081, status=418, body="short and stout\n"),
            web("closing", 8082, body=BODY, keep_alive=False),
        ]
        super().setUpClass()

    def status(self, *arguments):
        return clients.curl("-o", "/dev/null", "-w", "%{http_code}", *arguments).stdout

    def ask(self, request, port=80):
        return clients.parse_http(clients.raw_http(V4, request, port))

    def test_get(self):
        for url in (f"http://{V4}/", f"http://{V4}/any/path?query", f"http://[{V6}]/"):
            self.assertEqual(clients.curl("-g", url).stdout, BODY)

    def test_configured_status_and_fields(self):
        self.assertEqual(self.status(f"http://{V4}:8081/"), "418")
        head = clients.curl("-D", "-", "-o", "/dev/null", f"http://{V4}/").stdout
        self.assertRegex(head, r"(?im)^x-served-by: millrace\r?$")
        self.assertRegex(head, rf"(?im)^content-length: {len(BODY)}\r?$")

    def test_head(self):
        head = clients.curl("-I", f"http://{V4}/").stdout
        self.assertIn(" 200 ", head.splitlines()[0])
        self.assertRegex(head, rf"(?im)^content-length: {len(BODY)}\r?$")
        answer = clients.raw_http(V4, b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        self.assertTrue(answer.endswith(b"\r\n\r\n"), "no body")

    def test_keep_alive(self):
        done = clients.curl("-v", *[f"http://{V4}/{n}" for n in range(5)])
        self.assertEqual(done.stdout, BODY * 5)
        self.assertEqual(len(re.findall(r"Re-using existing connection", done.stderr)), 4, done.stderr)

    def test_no_keep_alive_where_so_configured(self):
        answer = clients.raw_http(V4, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 8082)
        [(status, fields, body)] = clients.parse_http(answer)
        self.assertEqual((status, fields["connection"].lower(), body), (200, "close", BODY.encode()))

    def test_http_1_0_closes(self):
        [(status, _, body)] = self.ask(b"GET / HTTP/1.0\r\n\r\n")
        self.assertEqual((status, body), (200, BODY.encode()))

    def test_pipelining(self):
        requests = b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(50))
        answers = self.ask(requests + b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        self.assertEqual([(status, body) for status, _, body in answers], [(200, BODY.encode())] * 51)

    def test_request_in_pieces(self):
        import time

        with clients.connect(V4, 80) as connection:
            for piece in (b"GE", b"T / HT", b"TP/1.1\r", b"\nHost: x\r\nConnec", b"tion: close\r\n", b"\r\n"):
                connection.sendall(piece)
                time.sleep(0.05)
            answer = b""
            while data := connection.recv(65536):
                answer += data
        [(status, _, body)] = clients.parse_http(answer)
        self.assertEqual((status, body), (200, BODY.encode()))

    def test_directory(self):
        base = f"http://{V4}:8080"
        self.assertEqual(clients.curl(f"{base}/sub/page.txt").stdout, "page\n")
        self.assertEqual(self.status(f"{base}/absent"), "404")
        self.assertEqual(self.status("--path-as-is", f"{base}/../../etc/passwd"), "404")
        for _ in range(3):
            request = b"GET /big.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            [(status, _, body)] = self.ask(request, 8080)
            self.assertEqual(status, 200)
            self.assertTrue(body == self.big, "the file as it is")

    def test_bodies_of_requests_are_read(self):
        for size in (0, 1, 60_000):
            done = clients.curl("-X", "POST", "--data-binary", "@-", f"http://{V4}:8082/", check=False)
            self.assertEqual(done.returncode, 0)
        request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12345"
        answers = self.ask(request + b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        self.assertEqual(len(answers), 2, "the body is not taken for a request")

    def test_bad_requests(self):
        before = self.appliance.service("web", "http_bad_requests")
        bad = {
            b"nonsense\r\n\r\n": 400,
            b"GET /\r\n\r\n": 400,
            b"GET / HTTP/1.1\r\n\r\n": 400,
            b"GET / HTTP/1.1\r\nHost: x\r\nNo colon\r\n\r\n": 400,
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: nine\r\n\r\n": 400,
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx": 400,
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n": 413,
        }
        for request, wanted in bad.items():
            with self.subTest(request):
                [(status, fields, _)] = self.ask(request)
                self.assertEqual(status, wanted)
                self.assertEqual(fields["connection"].lower(), "close")
        self.eventually(
            lambda: self.appliance.service("web", "http_bad_requests") >= before + 6, "bad requests are counted"
        )

    def test_expectations(self):
        """What cannot be done is said at once, without asking for the body; what can be done is waited for."""
        head = b"%s / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        with clients.connect(V4, 80) as connection:
            connection.sendall(head % b"POST")
            answer = b""
            while data := connection.recv(65536):
                answer += data
        [(status, fields, _)] = clients.parse_http(answer)
        self.assertEqual((status, fields["connection"].lower()), (405, "close"))
        with clients.connect(V4, 80) as connection:
            connection.sendall(head % b"GET")
            self.assertEqual(connection.recv(65536), b"HTTP/1.1 100 Continue\r\n\r\n")
            connection.sendall(b"12345")
            self.assertTrue(connection.recv(65536).startswith(b"HTTP/1.1 200 "))

    def test_head_that_is_too_long(self):
        answers = self.ask(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 10_000 + b"\r\n\r\n")
        self.assertIn(answers[0][0], (400, 413, 431))

    def test_methods_that_files_do_not_know(self):
        request = b"DELETE /index.html HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        [(status, fields, _)] = self.ask(request, 8080)
        self.assertEqual(status, 405)
        self.assertIn("GET", fields["allow"])

    def test_h2load_10000_requests(self):
        done = net.run("h2load", "--h1", "-n", "10000", "-c", "100", f"http://{V4}/", timeout=120)
        self.assertRegex(done.stdout, r"10000 succeeded, 0 failed, 0 errored, 0 timeout", done.stdout)
