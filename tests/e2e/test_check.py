"""`millrace check`: a file that is refused says where, what is wrong and what to write instead."""

import unittest

import net
from appliance import MILLRACE, ROOT, run_dir


def file(port="addresses: [10.0.0.2/24]", top="", service=None):
    """A small configuration with something in it changed."""
    text = f"workers: [1]\n{top}ports:\n  - name: a\n    device: net_null0\n    {port}\n"
    return text + (f"services:\n  - {service}\n" if service else "")


# A file, what the line must say of where, and a word of what to write instead.
BAD = {
    "no YAML": ("workers: [1\n", "", ""),
    "nothing": ("", "", ""),
    "no ports": ("workers: [1]\nports: []\n", "ports", "1 to"),
    "ports that are no list": ("workers: [1]\nports: 5\n", "ports", "list"),
    "a CPU that is not there": (file().replace("[1]", "[4000]"), "workers", "CPU"),
    "the same CPU twice": (file().replace("[1]", "[1, 1]"), "workers", "own"),
    "an unknown key": (file(top="service: []\n"), "service", "services"),
    "a key twice": (file(top="workers: [0]\n"), "workers", ""),
    "an unknown driver": (file().replace("net_null0", "net_nonsense0"), "ports[0].device", "net_tap"),
    "no address": (file(port="addresses: [10.0.0]"), "ports[0].addresses[0]", "/"),
    "no prefix length": (file(port="addresses: [10.0.0.2]"), "ports[0].addresses[0]", "/24"),
    "two devices": (file(port='pci: "0000:3b:00.0"'), "ports[0]", "one"),
    "a VLAN that cannot be": (file(port="vlans: [{id: 5000}]"), "ports[0].vlans[0].id", "4094"),
    "an MTU too small for IPv6": (file(port='addresses: ["fd00::2/64"]\n    mtu: 1000'), "ports[0].mtu", "1280"),
    "an MTU too large for the driver": (
        file(port="mtu: 9000").replace("net_null0", '"net_tap0,iface=a"'), "ports[0].mtu", "1504"
    ),
    "a tap that nobody can name": (
        file(port="kernel_addresses: [10.0.0.1/24]").replace("net_null0", "net_tap0"), "ports[0].device", "iface="
    ),
    "an interface name that cannot be": (
        file().replace("net_null0", '"net_tap0,iface=a/b"'), "ports[0].device", "iface=mill0"
    ),
    "a socket path that is too long": (file(top=f"admin: {{socket: /{'s' * 108}}}\n"), "admin.socket", "shorter"),
    "a group that is not there": (file(top="admin: {group: nobodys}\n"), "admin.group", "groupadd"),
    "a pool too small": (file(top="mempool: {mbufs: 10}\n"), "mempool.mbufs", "512"),
    "a time without a unit that is one": (file(top="udp: {idle_timeout: 5 parsecs}\n"), "udp.idle_timeout", "5"),
    "a port number that cannot be": (
        file(service="{name: s, match: {port: 70000}, action: drop}"), "services[0].match.port", "65535"
    ),
    "an unknown action": (file(service="{name: s, match: {port: 7}, action: dropp}"), "services[0].action", "drop"),
    "no application": (file(service="{name: s, match: {port: 7}, action: terminate}"), "services[0]", "application"),
    "a service on a port that is not there": (
        file(service="{name: s, match: {ingress: b}, action: drop}"), "services[0].match.ingress", "a"
    ),
    "the same name twice": (
        file(service="{name: s, match: {port: 1}, action: drop}\n  - {name: s, match: {port: 2}, action: drop}"),
        "services[1].name", "name",
    ),
    "two bodies": (
        file(service="{name: s, match: {port: 80}, action: terminate, application: {http: {body: x, directory: /}}}"),
        "services[0].application.http", "one",
    ),
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
                self.assertIn(remedy, place.split(": ", 2)[2])

    def test_all_problems_at_once(self):
        _, done = self.check(file(port="addresses: [10.0.0]\n    mtu: 1"))
        self.assertGreaterEqual(len((done.stdout + done.stderr).strip().splitlines()), 2)

    def test_a_file_that_is_not_there(self):
        done = net.run(MILLRACE, "check", "/nonexistent.yaml", check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("/nonexistent.yaml", done.stdout + done.stderr)

    def test_memory_that_is_not_there(self):
        """A warning for the file, which may be another machine's; a failure of this machine."""
        path, done = self.check(file(top="eal: {memory_mb: 1048576}\n"))
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertRegex(done.stdout, r":2:18: warning: eal\.memory_mb: 1048576 MiB are more than this machine has")
        done = net.run(MILLRACE, "doctor", str(path), check=False)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"(?m)^FAIL +memory ")

    def test_a_link_out_of_a_directory(self):
        """Found by the check as a start would find it, at the same place."""
        www = run_dir() / "linked"
        www.mkdir()
        (www / "index.html").write_text("hello")
        (www / "passwd").symlink_to("/etc/passwd")
        http = f"{{http: {{directory: {www}}}}}"
        service = f"{{name: s, match: {{protocol: tcp}}, action: terminate, application: {http}}}"
        path, done = self.check(file(service=service).replace("net_null0", '"net_tap0,iface=mr-linked"'))
        self.assertEqual(done.returncode, 2)
        column = f"  - {service}".index(str(www)) + 1
        place = f"{path}:7:{column}: services[0].application.http.directory: "
        self.assertTrue(done.stdout.startswith(place), done.stdout)
        self.assertIn("outside of the directory: copy the file or remove the link", done.stdout)
        started = net.run(MILLRACE, "run", str(path), check=False)
        self.assertEqual((started.returncode, started.stderr.splitlines()[-1]), (2, done.stdout.strip()))

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
