"""Reloads of services and upstream groups while clients ask: no request fails, and the new words hold."""

import time

import clients
from load import Load, errors, shares
from proxied import FRONT, SERVERS, ProxyCase, front, group, server
from rig import web
from servers import Nginx

RELOADS = 30


class Reload(ProxyCase):
    upstreams = [group("web", ("a", SERVERS[0], 80), ("b", SERVERS[1], 80))]
    services = [front(upstream="web")]

    @classmethod
    def start_servers(cls):
        for n, name in enumerate("abcd"):
            nginx = Nginx(cls.up, name, (SERVERS[n], 80)).start()
            cls.addClassCleanup(nginx.stop)

    def tearDown(self):
        self.apply()

    def test_many_reloads_under_load(self):
        """Weights, servers, groups, services and health checks change; kept connections and new ones go on."""
        variants = [
            {"upstreams": [group("web", server("a", SERVERS[0], weight=n + 1), ("c", SERVERS[2], 80))]}
            for n in range(3)
        ]
        checked = {"health_check": {"interval": "100ms", "timeout": "100ms"}}
        variants += [
            {"upstreams": [group("web", ("b", SERVERS[1], 80), balance="least_connections", **checked)]},
            {"upstreams": [*self.upstreams, group("more", ("d", SERVERS[3], 80))],
             "services": [front("more", 81, upstream="more"), *self.services]},
            {"upstreams": [group("other", ("d", SERVERS[3], 80))], "services": [front(upstream="other")]},
            {"services": [*self.services, web("local", 8080)]},
            {},
        ]  # fmt: skip
        with Load(FRONT, count=3) as load, Load(FRONT, count=3, keep=True) as kept:
            load.wait_for(100)
            for n in range(RELOADS):
                self.apply(**variants[n % len(variants)])
                load.wait_for(20)
                kept.wait_for(20)
        self.reported()
        self.assertEqual(self.refusals(), {})
        self.assertEqual(errors(load.requests), [])
        self.assertEqual(errors(kept.requests), [])
        self.assertEqual(set(shares(load.requests)), set("abcd"))

    def test_a_server_that_is_taken_out_keeps_its_sessions(self):
        with Load(FRONT, count=4, keep=True) as kept:
            kept.wait_for(40)
            self.assertEqual(set(shares(kept.requests)), {"a", "b"})
            self.apply(upstreams=[group("web", ("a", SERVERS[0], 80))])
            changed = time.monotonic()
            kept.wait_for(100)
            self.assertIn("b", shares(kept.since(changed)))
            with Load(FRONT, count=2) as load:
                load.wait_for(50)
            self.assertEqual(set(shares(load.requests)), {"a"})
        self.assertEqual(errors(kept.requests) + errors(load.requests), [])

    def test_new_weights_hold(self):
        self.apply(upstreams=[group("web", server("a", SERVERS[0], weight=3), ("b", SERVERS[1], 80))])
        with Load(FRONT) as load:
            load.wait_for(400)
        counts = shares(load.requests)
        self.assertAlmostEqual(counts["a"] / counts["b"], 3, delta=0.3)
        self.apply(upstreams=[group("web", server("a", SERVERS[0], weight=0), ("b", SERVERS[1], 80))])
        with Load(FRONT) as load:
            load.wait_for(50)
        self.assertEqual(set(shares(load.requests)), {"b"})

    def test_from_a_proxy_to_an_answer_of_ours_and_back(self):
        self.apply(services=[web(body="ours\n")])
        self.assertEqual(clients.curl(f"http://{FRONT}/").stdout, "ours\n")
        self.apply()
        self.assertIn(clients.curl(f"http://{FRONT}/").stdout, ("a /\n", "b /\n"))

    def test_a_word_of_an_operator_outlives_a_reload(self):
        self.appliance.ctl("upstream", "drain", "web/a")
        try:
            self.apply(upstreams=[group("web", server("a", SERVERS[0], weight=5), ("b", SERVERS[1], 80))])
            self.assertEqual(self.server_row("web/a")["admin"], "draining")
            with Load(FRONT) as load:
                load.wait_for(100)
            self.assertEqual((set(shares(load.requests)), errors(load.requests)), ({"b"}, []))
        finally:
            self.appliance.ctl("upstream", "enable", "web/a")

    def test_a_bad_upstream_changes_nothing(self):
        self.appliance.write({**self.appliance.config, "services": [front(upstream="wep")]})
        done = self.appliance.ctl("reload", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("wep", done.stdout + done.stderr)
        self.assertIn(clients.curl(f"http://{FRONT}/").stdout, ("a /\n", "b /\n"))
