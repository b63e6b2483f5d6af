"""Reload of services while they are used."""

import hashlib
import json
import signal

import clients
from rig import ECHO, V4, ApplianceCase, merged, web

SIZE = 64 << 20


class Reload(ApplianceCase):
    services = [ECHO, web()]

    def setUp(self):
        # Each test starts from the services of the class.
        self.apply(self.services)

    def version(self):
        return self.appliance.show("config")["services_version"]

    def reload(self, check=True):
        done = self.appliance.ctl("reload", "--json", check=check)
        return json.loads(done.stdout)

    def apply(self, services, **more):
        self.appliance.write(merged({**self.appliance.config, "services": services}, more))
        return self.reload()

    def test_millctl_reload_adds_a_service(self):
        done = self.apply([*self.services, web("more", 8088, body="more\n")])
        self.assertTrue(done["succeeded"], done)
        self.eventually(
            lambda: clients.curl(f"http://{V4}:8088/", "--max-time", "1", check=False).stdout == "more\n",
            "the new service answers",
        )

    def test_sighup_changes_a_service(self):
        before = self.version()
        self.appliance.write({**self.appliance.config, "services": [ECHO, web(body="changed\n")]})
        self.appliance.signal(signal.SIGHUP)
        self.eventually(lambda: self.version() > before, "a new version of the services")
        self.eventually(lambda: clients.curl(f"http://{V4}/").stdout == "changed\n", "the new body")

    def test_a_running_transfer_is_not_touched(self):
        """The echo is taken away while it runs: its flow goes on, new ones are refused."""
        with clients.connect(V4, 7) as connection:
            sender = clients.Sender(connection, clients.chunks(SIZE))
            sender.start()
            digest = hashlib.sha256()
            first = clients.receive_exactly(connection, 1 << 20)
            digest.update(first)
            done = self.apply([{"name": "none", "match": {"port": 7}, "action": "reject"}, web()])
            self.assertTrue(done["succeeded"], done)

            def refused():
                try:
                    clients.connect(V4, 7, timeout=2).close()
                except ConnectionRefusedError:
                    return True
                return False

            self.eventually(refused, "new connections are refused")
            count = len(first) + clients.receive_all(connection, digest)
            self.assertEqual((count, digest.hexdigest()), sender.finish())
            self.assertEqual(count, SIZE)

    def test_a_bad_file_changes_nothing(self):
        before = self.version()
        failed = self.appliance.metric("millrace_config_reloads_total", result="failure")
        good = self.appliance.conf.read_text()
        for bad in (good.replace('"terminate"', '"terminat"', 1), "workers: [1\n", ""):
            self.appliance.conf.write_text(bad)
            done = self.reload(check=False)
            self.assertFalse(done["succeeded"])
            self.assertTrue(done["problems"], "says why")
            self.assertIn(str(self.appliance.conf), "\n".join(done["problems"]))
        self.assertEqual(self.version(), before)
        self.assertEqual(clients.curl(f"http://{V4}/").stdout, "hello\n")
        self.eventually(
            lambda: self.appliance.metric("millrace_config_reloads_total", result="failure") == failed + 3,
            "three failed reloads are counted",
        )
        self.appliance.conf.unlink()
        self.appliance.signal(signal.SIGHUP)
        self.eventually(
            lambda: self.appliance.metric("millrace_config_reloads_total", result="failure") == failed + 4,
            "a missing file is a failed reload",
        )
        self.assertEqual(clients.curl(f"http://{V4}/").stdout, "hello\n")

    def test_what_needs_a_restart_is_named(self):
        done = self.apply([*self.services, web("two", 8089)], workers=[0], mempool={"mbufs": 4096})
        named = " ".join(done["needs_restart"])
        self.assertIn("workers", named)
        self.assertIn("mempool", named)
        self.assertEqual(clients.curl(f"http://{V4}/").stdout, "hello\n")

    def test_many_reloads_under_load(self):
        with clients.connect(V4, 7) as connection:
            sender = clients.Sender(connection, clients.chunks(SIZE))
            sender.start()
            digest = hashlib.sha256()
            digest.update(first := clients.receive_exactly(connection, 1000))
            for number in range(50):
                self.assertTrue(self.apply([ECHO, web(body=f"{number}\n")])["succeeded"])
            count = len(first) + clients.receive_all(connection, digest)
            self.assertEqual((count, digest.hexdigest()), sender.finish())
        self.eventually(lambda: clients.curl(f"http://{V4}/").stdout == "49\n", "the last body")
