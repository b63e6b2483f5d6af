"""What cannot be started says why, where and what to do instead; and touches nothing."""

import json
import os
import socket
import stat
import subprocess
import unittest

import clients
import net
from appliance import MILLCTL, MILLRACE, ROOT, Appliance, run_dir
from rig import ECHO, V4, eventually, finish, merged, web

GOOD = {
    "workers": [1],
    "ports": [{"name": "lan", "device": "net_af_packet0,iface=mill", "addresses": [f"{V4}/24"]}],
    "services": [ECHO, web()],
}

# A file, the key it must name, and a word of the remedy.
BAD = {
    "unknown key": ("workers: [1]\nservice: []\nports:\n  - {name: a, device: net_null0, addresses: [10.0.0.2/24]}\n", "service", "services"),
    "unknown driver": ("workers: [1]\nports:\n  - {name: a, device: net_nonsense0, addresses: [10.0.0.2/24]}\n", "device", "net_tap"),
    "no ports": ("workers: [1]\nports: []\n", "ports", "port"),
    "wrong type": ("workers: [1]\nports: 5\n", "ports", "list"),
    "not an address": ('workers: [1]\nports:\n  - {name: a, device: net_null0, addresses: [10.0.0]}\n', "addresses", "10."),
    "no prefix length": ('workers: [1]\nports:\n  - {name: a, device: net_null0, addresses: [10.0.0.2]}\n', "addresses", "/"),
    "two devices": ('workers: [1]\nports:\n  - {name: a, device: net_null0, pci: "0000:3b:00.0", addresses: [10.0.0.2/24]}\n', "ports[0]", "one"),
    "a port number too big": ('workers: [1]\nports:\n  - {name: a, device: net_null0, addresses: [10.0.0.2/24]}\nservices:\n  - {name: s, match: {port: 70000}, action: drop}\n', "port", "65535"),
    "unknown action": ('workers: [1]\nports:\n  - {name: a, device: net_null0, addresses: [10.0.0.2/24]}\nservices:\n  - {name: s, match: {port: 7}, action: dropp}\n', "action", "drop"),
    "no application": ('workers: [1]\nports:\n  - {name: a, device: net_null0, addresses: [10.0.0.2/24]}\nservices:\n  - {name: s, match: {port: 7}, action: terminate}\n', "application", "echo"),
    "the same name twice": ('workers: [1]\nports:\n  - {name: a, device: net_null0, addresses: [10.0.0.2/24]}\n  - {name: a, device: net_null1, addresses: [10.0.1.2/24]}\n', "name", "a"),
    "a CPU that is not there": ('workers: [4000]\nports:\n  - {name: a, device: net_null0, addresses: [10.0.0.2/24]}\n', "workers", "CPU"),
    "not YAML": ("workers: [1\n", "", ""),
    "MTU too small": ('workers: [1]\nports:\n  - {name: a, device: net_null0, addresses: ["fd00::2/64"], mtu: 1000}\n', "mtu", "1280"),
    "mempool too small": ('workers: [1]\nmempool: {mbufs: 10}\nports:\n  - {name: a, device: net_null0, addresses: [10.0.0.2/24]}\n', "mempool.mbufs", "512"),
}  # fmt: skip


class Check(unittest.TestCase):
    """`millrace check`."""

    def check(self, text):
        path = run_dir() / "check.yaml"
        path.write_text(text)
        return path, net.run(MILLRACE, "check", str(path), check=False)

    def test_bad_files(self):
        for what, (text, key, remedy) in BAD.items():
            with self.subTest(what):
                path, done = self.check(text)
                said = done.stdout + done.stderr
                self.assertEqual(done.returncode, 2, said)
                lines = [line for line in said.splitlines() if line.startswith(f"{path}:")]
                self.assertTrue(lines, f"no line that says where: {said}")
                place = lines[0][len(str(path)) :]
                self.assertRegex(place, r"^:\d+:\d+: .*\S: .*\S")
                self.assertIn(key, place)
                self.assertIn(remedy, place)

    def test_all_problems_at_once(self):
        text = "workers: [1]\nports:\n  - {name: a, device: net_null0, addresses: [10.0.0], mtu: 1}\n"
        _, done = self.check(text)
        self.assertGreaterEqual(len((done.stdout + done.stderr).strip().splitlines()), 2)

    def test_a_file_that_is_not_there(self):
        done = net.run(MILLRACE, "check", "/nonexistent.yaml", check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("/nonexistent.yaml", done.stdout + done.stderr)

    def test_files_that_come_with_it(self):
        for file in sorted(ROOT.glob("conf/*.yaml")) + sorted(ROOT.glob("conf/examples/*.yaml")):
            with self.subTest(file.name):
                done = net.run(MILLRACE, "check", "--any-host", str(file), check=False)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_run_refuses_it_too(self):
        path = run_dir() / "check.yaml"
        path.write_text("workers: []\n")
        done = net.run(MILLRACE, "run", str(path), check=False)
        self.assertEqual(done.returncode, 2)


class CannotStart(unittest.TestCase):
    """A good file on a machine where it cannot be."""

    def setUp(self):
        self.far = net.Namespace(f"{self._testMethodName[-12:].strip('_')}-mill")
        self.addCleanup(self.far.delete)

    def start_fails(self, config, *words):
        appliance = Appliance(self.far, config, "fails")
        self.addCleanup(appliance.kill)
        try:
            done = self.far.run(MILLRACE, "run", str(appliance.conf), check=False, timeout=10)
        except subprocess.TimeoutExpired:
            raise AssertionError("it started, or hangs") from None
        said = done.stdout + done.stderr
        self.assertEqual(done.returncode, 1, said)
        for word in ("fix", *words):
            self.assertIn(word, said)
        self.assertNotIn("panicked", said)
        self.assertFalse(appliance.socket.exists(), "nothing is left behind")
        return said

    def test_interface_that_is_not_there(self):
        self.start_fails(GOOD, "mill")

    def test_capture_file_that_is_not_there(self):
        port = {**GOOD["ports"][0], "device": "net_pcap0,rx_pcap=/nonexistent.pcap"}
        self.start_fails({**GOOD, "ports": [port]}, "net_pcap0")

    def test_tap_name_in_use(self):
        self.far.ip("link", "add", "mill", "type", "veth", "peer", "name", "other")
        port = {**GOOD["ports"][0], "device": "net_tap0,iface=mill"}
        self.start_fails({**GOOD, "ports": [port]}, "mill")

    def test_tap_of_another_millrace(self):
        port = {**GOOD["ports"][0], "device": "net_tap0,iface=mill", "kernel_addresses": ["10.66.0.1/24"]}
        first = Appliance(self.far, {**GOOD, "ports": [port]}, "first")
        self.addCleanup(first.kill)
        first.start()
        self.start_fails({**GOOD, "ports": [port], "metrics": {"listen": "127.0.0.1:9465"}}, "mill")
        with self.far.entered():
            self.assertEqual(clients.curl(f"http://{V4}/").stdout, "hello\n", "the first one is not disturbed")
        finish(first)

    def test_metrics_address_in_use(self):
        with self.far.entered():
            listener = socket.create_server(("127.0.0.1", 9464))
        self.addCleanup(listener.close)
        port = {**GOOD["ports"][0], "device": "net_tap0,iface=mill"}
        self.start_fails({**GOOD, "ports": [port]}, "9464")

    def test_without_rights(self):
        """As a user who may not make interfaces."""
        path = run_dir() / "rights.yaml"
        port = {**GOOD["ports"][0], "device": "net_tap0,iface=mill"}
        directory = run_dir() / "rights"
        directory.mkdir()
        os.chmod(run_dir(), 0o755)
        os.chmod(directory, 0o777)
        config = {**GOOD, "ports": [port], "admin": {"socket": str(directory / "admin.sock")}}
        path.write_text(json.dumps(config))
        command = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", MILLRACE, "run", str(path)]
        reachable = net.run(*command[:-3], "test", "-x", MILLRACE, check=False)
        if reachable.returncode != 0:
            self.skipTest(f"an ordinary user cannot reach {MILLRACE}")
        done = self.far.run(*command, check=False, timeout=30)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("fix", done.stdout + done.stderr)


class Daemon(unittest.TestCase):
    """One that runs: its socket, its endpoint, a second start, its end."""

    @classmethod
    def setUpClass(cls):
        cls.far = net.Namespace("daemon-mill")
        cls.addClassCleanup(cls.far.delete)
        cls.near = net.Namespace("daemon-client")
        cls.addClassCleanup(cls.near.delete)
        net.link(cls.far, cls.near)
        cls.near.ip("address", "add", "10.66.0.1/24", "dev", "client")

    def start(self, **extra):
        appliance = Appliance(self.far, merged(GOOD, extra), "daemon")
        self.addCleanup(appliance.kill)
        return appliance.start()

    def test_second_start(self):
        first = self.start()
        done = self.far.run(MILLRACE, "run", str(first.conf), check=False, timeout=30)
        said = done.stdout + done.stderr
        self.assertEqual(done.returncode, 1, said)
        self.assertIn("fix", said)
        self.assertIn(str(first.socket), said)
        with self.near.entered():
            self.assertEqual(clients.curl(f"http://{V4}/").stdout, "hello\n", "the first one is not disturbed")
        first.show("workers")
        finish(first)
        self.assertFalse(first.socket.exists(), "the socket is gone")

    def test_start_after_a_crash(self):
        first = self.start()
        first.process.kill()
        first.process.wait()
        self.assertTrue(first.socket.exists(), "a killed daemon leaves its socket")
        again = Appliance(self.far, merged(GOOD, {"admin": {"socket": str(first.socket)}}), "again")
        again.socket = first.socket
        self.addCleanup(again.kill)
        again.start()
        again.show("workers")
        finish(again)

    def test_admin_socket(self):
        appliance = self.start()
        mode = stat.S_IMODE(appliance.socket.stat().st_mode)
        self.assertEqual(oct(mode), oct(0o660))
        for bad in (b"nonsense\n", b"{}\n", b'{"version":1,"request":"explode"}\n', b"\xff\xfe\n", b"x" * 100_000 + b"\n"):
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(5)
                s.connect(str(appliance.socket))
                try:
                    s.sendall(bad)
                    self.assertIn(b"error", s.recv(65536))
                except (BrokenPipeError, ConnectionResetError):
                    self.assertGreater(len(bad), 16 * 1024, "only what is too long may be cut off")
        for what in ("workers", "ports", "flows", "neighbours", "mempools", "services", "drops", "config"):
            with self.subTest(what):
                self.assertTrue(appliance.ctl("show", what).stdout.strip())
                appliance.show(what)
        done = net.run(MILLCTL, "show", "workers", "--socket", "/nonexistent.sock", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("/nonexistent.sock", done.stderr)
        finish(appliance)

    def test_metrics_endpoint(self):
        appliance = self.start()
        self.assertEqual(appliance.http("/healthz")[0], 200)
        self.assertEqual(appliance.http("/readyz")[0], 200)
        status, text = appliance.http("/metrics")
        self.assertEqual(status, 200)
        for line in text.splitlines():
            self.assertRegex(line, r"^(# (HELP|TYPE) millrace_\w+ .*|millrace_\w+(\{.*\})? \S+)$")
        self.assertEqual(appliance.http("/nothing")[0], 404)
        self.assertEqual(appliance.http("/metrics", "POST")[0], 405)
        documented = (ROOT / "docs/metrics.md").read_text()
        for name in appliance.metrics():
            base = name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
            self.assertIn(base, documented)
        finish(appliance)

    def test_sigterm_drains(self):
        """A transfer that runs ends whole; new connections are refused meanwhile; the daemon ends when it is done."""
        appliance = self.start(shutdown={"drain": "30s"})
        size = 48 << 20
        with self.near.entered(), clients.connect(V4, 7) as connection:
            sender = clients.Sender(connection, clients.chunks(size))
            sender.start()
            first = clients.receive_exactly(connection, 1 << 20)
            appliance.signal(15)
            self.assertRefused()
            rest = clients.receive_all(connection)
            self.assertEqual(len(first) + rest, size)
            sender.finish()
        code, text = appliance.wait()
        self.assertEqual(code, 0, text)
        self.assertNotIn("resetting", text)
        self.assertRegex(text, r"(?m)^packet buffers +(\d+) allocated, \1 freed$")

    def assertRefused(self):
        def refused():
            try:
                clients.connect(V4, 80, timeout=1).close()
            except (ConnectionRefusedError, TimeoutError):
                return True
            return False

        eventually(refused, "no new connection while draining")

    def test_drain_has_an_end(self):
        """A client that never closes does not keep the daemon longer than the drain time."""
        appliance = self.start(shutdown={"drain": "1s"})
        with self.near.entered(), clients.connect(V4, 7) as connection:
            connection.sendall(b"still here")
            clients.receive_exactly(connection, 10)
            code, text = appliance.stop(seconds=10)
            self.assertEqual(code, 0, text)
            with self.assertRaises(ConnectionResetError):
                connection.recv(1)
        self.assertRegex(text, r"(?m)^packet buffers +(\d+) allocated, \1 freed$")

    def test_sigint_ends_it_too(self):
        appliance = self.start()
        appliance.signal(2)
        self.assertEqual(appliance.process.wait(15), 0)

    def test_many_starts(self):
        for _ in range(3):
            finish(self.start())


class Tools(unittest.TestCase):
    def test_millctl_needs_no_dpdk(self):
        text = subprocess.run(["readelf", "-d", MILLCTL], capture_output=True, text=True, check=True).stdout
        self.assertIn("NEEDED", text)
        self.assertNotIn("librte_", text)

    def test_help_and_version(self):
        for tool in (MILLRACE, MILLCTL):
            self.assertIn("Usage", net.run(tool, "--help").stdout)
            self.assertRegex(net.run(tool, "--version").stdout, r"\d+\.\d+\.\d+")
            self.assertEqual(net.run(tool, "explode", check=False).returncode, 2)

    def test_doctor(self):
        done = net.run(MILLRACE, "doctor", str(ROOT / "conf/quickstart.yaml"), check=False)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        self.assertRegex(done.stdout, r"(?i)pass|ok")
        self.assertRegex(done.stdout, r"(?i)hugepages")

    def test_schema(self):
        self.assertIn("properties", json.loads(net.run(MILLRACE, "schema").stdout))
