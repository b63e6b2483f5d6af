"""The daemon: its socket, its endpoint, a second start, its end; and the tools around it."""

import json
import os
import signal
import socket
import stat
import subprocess
import time
import unittest

import clients
import net
from appliance import MILLCTL, MILLRACE, ROOT, Appliance, run_dir
from rig import SMALL, V4, eventually, finish, merged


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

    def start(self, *options, **extra):
        appliance = Appliance(self.far, merged(SMALL, extra), "daemon")
        self.addCleanup(appliance.kill)
        return appliance.start(*options)

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
        again = Appliance(self.far, merged(SMALL, {"admin": {"socket": str(first.socket)}}), "again")
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

    def test_a_reload_that_hangs(self):
        """On a file that does not answer: a FIFO that nobody writes to."""
        appliance = self.start("--reload-limit", "2")
        text = appliance.conf.read_text()
        appliance.conf.unlink()
        os.mkfifo(appliance.conf)
        began = time.monotonic()
        command = [MILLCTL, "reload", "--json", "--socket", str(appliance.socket)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reload:
            # Operators and clients are answered meanwhile.
            for what in ("workers", "flows", "config"):
                appliance.show(what)
            self.assertEqual(appliance.http("/readyz")[0], 200)
            with self.near.entered():
                self.assertEqual(clients.curl(f"http://{V4}/").stdout, "hello\n")
            self.assertIsNone(reload.poll(), "it waits for the file")
            done = json.loads(reload.communicate(timeout=15)[0])
        took = time.monotonic() - began
        self.assertTrue(1.9 < took < 10, f"{took} s")
        self.assertFalse(done["succeeded"], done)
        self.assertIn("could not be read within 2 seconds: nothing was changed", done["problems"][0])
        # The next one does not wait behind it, however many there are.
        began = time.monotonic()
        for _ in range(8):
            done = json.loads(appliance.ctl("reload", "--json", check=False).stdout)
            self.assertIn("an earlier reload still waits", done["problems"][0])
        self.assertLess(time.monotonic() - began, 2)
        appliance.show("flows")
        self.assertEqual(appliance.metric("millrace_config_reloads_total", result="failure"), 9)
        # Once the file answers, it is read again.
        fifo = appliance.conf.rename(appliance.conf.with_suffix(".fifo"))
        fifo.write_text("")
        appliance.write(json.loads(text))
        self.assertTrue(self.reloaded(appliance)["succeeded"])
        # And one that hangs at the end does not keep the daemon.
        appliance.conf.unlink()
        os.mkfifo(appliance.conf)
        appliance.signal(signal.SIGHUP)
        # A second request waits in line behind the first: by then that one reads.
        waits = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(waits.wait)
        self.addCleanup(waits.kill)
        time.sleep(0.3)
        began = time.monotonic()
        finish(appliance)
        self.assertLess(time.monotonic() - began, 10)

    def reloaded(self, appliance):
        """The outcome of a reload once none is waiting any more."""

        def settled():
            done = json.loads(appliance.ctl("reload", "--json", check=False).stdout)
            return done if "still waits" not in "".join(done["problems"]) else None

        return eventually(settled, "the earlier reload ends")

    def test_a_warning_is_marked_once(self):
        appliance = self.start(services=[])
        [line] = [line for line in appliance.log_text().splitlines() if "there is no service" in line]
        self.assertIn(" WARN ", line)
        self.assertNotIn("warning:", line)
        done = appliance.ctl("reload").stdout
        self.assertIn("warning: services: there is no service", done)
        lines = [line for line in appliance.log_text().splitlines() if "there is no service" in line]
        self.assertEqual(len(lines), 2, lines)
        self.assertNotIn("warning:", lines[1])
        finish(appliance)

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

    def test_doctor_sees_relative_directories(self):
        """From where it was called, the configuration being named from there too."""
        place = run_dir() / "doctor"
        (place / "conf/www").mkdir(parents=True)
        text = (ROOT / "conf/examples/http-directory.yaml").read_text()
        self.assertIn("directory: /srv/www", text)
        (place / "conf/m.yaml").write_text(text.replace("directory: /srv/www", "directory: www"))
        for cwd, name in ((place, "conf/m.yaml"), (place / "conf", "m.yaml"), (place / "conf/www", "../m.yaml")):
            with self.subTest(name):
                done = net.run(MILLRACE, "doctor", name, "--json", check=False, cwd=cwd)
                checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
                [served] = [check for name, check in checks.items() if name.startswith("directory ")]
                self.assertEqual(served["status"], "pass", served)
        (place / "conf/www").rmdir()
        done = net.run(MILLRACE, "doctor", "conf/m.yaml", check=False, cwd=place)
        self.assertEqual(done.returncode, 1)
        self.assertIn("mkdir -p conf/www", done.stdout)

    def test_schema(self):
        self.assertIn("properties", json.loads(net.run(MILLRACE, "schema").stdout))
