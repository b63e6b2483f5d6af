"""One running millrace: started on a configuration, asked through millctl and its metrics, stopped by its pid."""

import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import time

import net

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("MILLRACE_BIN_DIR") or ROOT / "target" / "release")
MILLRACE = str(BIN / "millrace")
MILLCTL = str(BIN / "millctl")
METRICS = ("127.0.0.1", 9464)

# Longest time from start to ready, from SIGTERM to the end beyond the drain time, and for counters to come to rest.
START_SECONDS = 30
STOP_SECONDS = 20
REST_SECONDS = 5


def run_dir():
    """Where configurations, sockets and logs of this run are."""
    path = pathlib.Path(f"/tmp/{net.PREFIX}{net.run_id()}")
    path.mkdir(mode=0o700, exist_ok=True)
    return path


class Appliance:
    """A millrace in a namespace."""

    _count = 0
    # The one made last, for whoever reports a failure.
    latest = None

    def __init__(self, namespace, config, name=None):
        Appliance._count += 1
        Appliance.latest = self
        self.name = f"{name or 'appliance'}-{os.getpid()}-{Appliance._count}"
        self.namespace = namespace
        self.process = None
        directory = run_dir()
        self.conf = directory / f"{self.name}.yaml"
        self.socket = directory / f"{self.name}.sock"
        self.log = directory / f"{self.name}.log"
        if isinstance(config, str):
            # A whole file of its own, but for what a Millrace of this machine may be using.
            own = f"\neal: {{file_prefix: {self.name}}}\nadmin: {{socket: {self.socket}}}\n"
            self.conf.write_text(config + own)
            return
        self.config = dict(config)
        self.config.setdefault("eal", {})
        self.config["eal"] = {"memory_mb": 256, "file_prefix": self.name, **self.config["eal"]}
        self.config.setdefault("metrics", {"listen": "%s:%d" % METRICS})
        self.config.setdefault("admin", {"socket": str(self.socket)})
        # So that the kernel client on the same two cores is not starved.
        self.config.setdefault("idle", {"mode": "adaptive"})
        self.write(self.config)

    def write(self, config):
        """Writes the configuration file (JSON is YAML)."""
        self.conf.write_text(json.dumps(config, indent=2) + "\n")

    def start(self, *options):
        """Starts and waits until it is ready; `options` are those of `millrace run`."""
        command = ["ip", "netns", "exec", self.namespace.name, MILLRACE, "run", str(self.conf), *options]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"millrace ended with {self.process.returncode}:\n{self.log_text()}")
            try:
                if self.http("/readyz")[0] == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"not ready after {START_SECONDS} s:\n{self.log_text()}")

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def http(self, path, method="GET"):
        """Asks the metrics endpoint; returns status and body."""
        with self.namespace.entered():
            connection = http.client.HTTPConnection(*METRICS, timeout=10)
            try:
                connection.request(method, path)
                answer = connection.getresponse()
                return answer.status, answer.read().decode()
            finally:
                connection.close()

    def metrics(self):
        """All samples: {name: [(labels, value)]}."""
        status, text = self.http("/metrics")
        assert status == 200, text
        samples = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, labels, value = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line).groups()
                pairs = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels or ""))
                samples.setdefault(name, []).append((pairs, float(value)))
        return samples

    def metric(self, name, **labels):
        """The sum of the samples of one metric whose labels are as given."""
        samples = self.metrics().get(name)
        assert samples is not None, f"no metric {name}"
        return sum(value for pairs, value in samples if labels.items() <= pairs.items())

    def ctl(self, *arguments, check=True):
        return net.run(MILLCTL, *arguments, "--socket", str(self.socket), check=check, timeout=30)

    def show(self, what, *arguments):
        """What `millctl show` tells, as JSON."""
        return json.loads(self.ctl("show", what, "--json", *arguments).stdout)

    def drops(self):
        """Drops by reason (those that are not 0), with packets received and delivered."""
        shown = self.show("drops")
        reasons = {row["reason"]: row["packets"] for row in shown["reasons"] if row["packets"]}
        return reasons, shown["received"], shown["delivered"]

    def service(self, name, counter):
        """A counter of one service's application."""
        for row in self.show("services"):
            if row["service"] == name:
                return row["counters"][counter]
        raise AssertionError(f"no service {name}")

    def at_rest(self):
        """Waits until no packet is under way, then checks that each one received was delivered or dropped by name.

        Returns drops by reason."""
        deadline = time.monotonic() + REST_SECONDS
        before = None
        while True:
            now = self.drops()
            reasons, received, delivered = now
            lost = received - delivered - sum(reasons.values())
            if now == before and lost == 0:
                return reasons
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"received {received} = delivered {delivered} + dropped {sum(reasons.values())} + {lost}: {reasons}"
                )
            before = now
            # Longer than the workers take to report anew.
            time.sleep(0.25)

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, seconds=STOP_SECONDS):
        """SIGTERM; returns the exit code and all it printed."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def wait(self, seconds=STOP_SECONDS):
        """Waits for its end; returns the exit code and all it printed."""
        try:
            code = self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"still running after {seconds} s:\n{self.log_text()}") from None
        return code, self.log_text()

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
