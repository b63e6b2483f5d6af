"""A good file on a machine where it cannot be: it says what and how to mend it, and nothing is left behind."""

import json
import os
import socket
import subprocess
import unittest

import clients
import net
from appliance import MILLRACE, Appliance, run_dir
from rig import SMALL, V4, finish


class CannotStart(unittest.TestCase):
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
        self.start_fails(SMALL, "mill")

    def test_capture_file_that_is_not_there(self):
        port = {**SMALL["ports"][0], "device": "net_pcap0,rx_pcap=/nonexistent.pcap"}
        self.start_fails({**SMALL, "ports": [port]}, "net_pcap0")

    def test_tap_name_in_use(self):
        self.far.ip("link", "add", "mill", "type", "veth", "peer", "name", "other")
        port = {**SMALL["ports"][0], "device": "net_tap0,iface=mill"}
        self.start_fails({**SMALL, "ports": [port]}, "mill")

    def test_tap_of_another_millrace(self):
        port = {**SMALL["ports"][0], "device": "net_tap0,iface=mill", "kernel_addresses": ["10.66.0.1/24"]}
        first = Appliance(self.far, {**SMALL, "ports": [port]}, "first")
        self.addCleanup(first.kill)
        first.start()
        self.start_fails({**SMALL, "ports": [port], "metrics": {"listen": "127.0.0.1:9465"}}, "mill")
        with self.far.entered():
            self.assertEqual(clients.curl(f"http://{V4}/").stdout, "hello\n", "the first one is not disturbed")
        finish(first)

    def test_largest_mtus(self):
        """What `check` takes for the largest MTU of a driver, the driver takes too."""
        net.link(self.far, self.far)
        for device, largest in (("net_tap0,iface=tap", 1504), ("net_af_packet0,iface=mill", 1500)):
            with self.subTest(device):
                port = {**SMALL["ports"][0], "device": device, "mtu": largest}
                appliance = Appliance(self.far, {**SMALL, "ports": [port]}, "mtu")
                self.addCleanup(appliance.kill)
                appliance.start()
                self.assertEqual(appliance.show("ports")[0]["mtu"], largest)
                finish(appliance)
                appliance.write({**appliance.config, "ports": [{**port, "mtu": largest + 1}]})
                done = net.run(MILLRACE, "check", str(appliance.conf), check=False)
                self.assertEqual(done.returncode, 2)
                self.assertIn(f"ports[0].mtu: {largest + 1} is more than", done.stdout)

    def test_metrics_address_in_use(self):
        with self.far.entered():
            listener = socket.create_server(("127.0.0.1", 9464))
        self.addCleanup(listener.close)
        port = {**SMALL["ports"][0], "device": "net_tap0,iface=mill"}
        self.start_fails({**SMALL, "ports": [port]}, "9464")

    def test_without_rights(self):
        """As a user who may not make interfaces."""
        path = run_dir() / "rights.yaml"
        port = {**SMALL["ports"][0], "device": "net_tap0,iface=mill"}
        directory = run_dir() / "rights"
        directory.mkdir()
        os.chmod(run_dir(), 0o755)
        os.chmod(directory, 0o777)
        config = {**SMALL, "ports": [port], "admin": {"socket": str(directory / "admin.sock")}}
        path.write_text(json.dumps(config))
        command = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", MILLRACE, "run", str(path)]
        reachable = net.run(*command[:-3], "test", "-x", MILLRACE, check=False)
        if reachable.returncode != 0:
            self.skipTest(f"an ordinary user cannot reach {MILLRACE}")
        done = self.far.run(*command, check=False, timeout=30)
        said = done.stdout + done.stderr
        self.assertEqual(done.returncode, 1, said)
        for word in ("port `lan`", "no permission", "fix: run as root", "CAP_NET_ADMIN"):
            self.assertIn(word, said)
        self.assertNotIn("TAP", said, "before DPDK is started")
        # A port that needs no rights, but a socket where only root may make one.
        port = {**SMALL["ports"][0], "device": "net_null0"}
        path.write_text(json.dumps({**config, "ports": [port], "admin": {"socket": "/run/millrace-e2e/admin.sock"}}))
        done = self.far.run(*command, check=False, timeout=30)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("cannot create /run/millrace-e2e: Permission denied", done.stderr)
        self.assertIn("fix: run as root", done.stderr)
