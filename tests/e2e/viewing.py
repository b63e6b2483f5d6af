"""One running millrace-viewer: started on a socket of the test, asked over HTTP, stopped by its pid."""

import itertools
import json
import re
import select
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import events
from appliance import BIN, run_dir

VIEWER = str(BIN / "millrace-viewer")


class Viewer:
    """A viewer that pulls from a socket which the test pushes to."""

    numbers = itertools.count(1)

    def __init__(self, *options, listen="127.0.0.1:0", connect=True, endpoint=None):
        directory = run_dir()
        name = f"viewer-{next(Viewer.numbers)}"
        self.endpoint = endpoint or f"ipc://{directory}/{name}.ipc"
        self.log = directory / f"{name}.log"
        self.socket = events.push(self.endpoint) if connect else None
        where = ["--connect", self.endpoint] if connect else []
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [VIEWER, *where, "--listen", listen, *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log
            )
        ready, _, _ = select.select([self.process.stdout], [], [], 20)
        self.said = self.process.stdout.readline().decode() if ready else ""
        found = re.search(r"open (http://\S+)", self.said)
        if not found:
            self.process.kill()
            raise AssertionError(f"the viewer did not start: {self.said}{self.log.read_text()}")
        self.page = found.group(1)
        self.url = self.page.split("#")[0]

    def get(self, path, token=None, **query):
        """What the server answers: status, headers, body."""
        query = {name: value for name, value in query.items() if value is not None}
        url = self.url.rstrip("/") + path + ("?" + urllib.parse.urlencode(query) if query else "")
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=20) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def json(self, path, **query):
        status, _, body = self.get(path, **query)
        assert status == 200, (path, status, body)
        return json.loads(body)

    def metric(self, name):
        _, _, body = self.get("/metrics")
        for line in body.decode().splitlines():
            if line.startswith(f"millrace_viewer_{name} "):
                return int(line.split()[-1])
        raise AssertionError(f"there is no metric {name}")

    def received(self, count, seconds=60):
        """Waits until so many events were received."""
        end = time.monotonic() + seconds
        while True:
            got = sum(self.json("/api/state")["received"].values())
            if got >= count:
                return got
            assert time.monotonic() < end, f"{got} of {count} events came"
            time.sleep(0.05)

    def stop(self):
        """SIGTERM; it must end well and soon."""
        if self.socket is not None:
            self.socket.close()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(10)
        self.process.stdout.close()
        assert code == 0, f"the viewer ended with {code}: {self.log.read_text()}"

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
