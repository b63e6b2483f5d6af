"""From the wire to the page: nginx and curl talk, a mirror sees it, Millrace follows, the viewer shows it in a browser."""

import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

from appliance import run_dir
from browser import Browser
from mirrored import SERVER, MirrorCase, body_file
from rig import eventually
from selenium.common.exceptions import StaleElementReferenceException
from viewing import Viewer

SECOND = b"0123456789abcdef" * 256


class Shown(MirrorCase):
    observe = "all"
    consumes = False
    extra = {"export": {"high_water_mark": 200, "ring": "1MiB"}}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.viewer = Viewer("--connect", cls.endpoint, connect=False)
        cls.addClassCleanup(cls.viewer.kill)
        cls.downloads = pathlib.Path(tempfile.mkdtemp(prefix="browser-", dir=run_dir()))
        cls.addClassCleanup(shutil.rmtree, cls.downloads, ignore_errors=True)
        cls.browser = Browser(cls.downloads)
        cls.addClassCleanup(cls.browser.quit)

        def connected():
            cls.curl("@/warm-up")
            return sum(cls.viewer.json("/api/state")["received"].values())

        eventually(connected, "the viewer to be connected", 20)

    def setUp(self):
        self.browser.open("about:blank")
        self.browser.open(self.viewer.page)
        self.find("grid", "Exchanges")

    def find(self, *arguments, **more):
        return self.browser.find(*arguments, **more)

    def sees(self, probe, what):
        """`probe` is true in the end; what it looks at may be drawn anew meanwhile."""

        def seen():
            try:
                return probe()
            except StaleElementReferenceException:
                return False

        eventually(seen, what, 20)

    def rows(self):
        grid = self.find("grid", "Exchanges")
        return [row for row in self.browser.all("row", within=grid) if row.get_attribute("aria-rowindex") != "1"]

    def test_1_an_exchange_appears_is_found_and_opened(self):
        body_file(self.nginx, "poem.txt", b"the mill goes round\n")
        self.curl("@/files/poem.txt", "-H", "X-Miller: yes")
        self.find("row", text="/files/poem.txt")
        self.curl("@/files/nothing")
        self.find("row", text="404")
        self.find("searchbox", "Filter").send_keys("~c 200 & poem")
        self.sees(lambda: len(self.rows()) == 1, "one row is left")
        self.rows()[0].click()
        detail = self.find("complementary", "Exchange")
        self.find("tab", "Response", within=detail).click()
        self.sees(lambda: "the mill goes round" in self.find("complementary").text, "the body is shown")
        self.find("tab", "Request", within=detail).click()
        self.sees(lambda: "X-Miller" in self.find("complementary").text, "the request's headers are shown")
        self.assertEqual(self.browser.all("button", "dropped"), [], "nothing was dropped")

    def test_2_what_the_mirror_lacked_is_a_gap(self):
        body_file(self.nginx, "second", SECOND)
        # Three requests of one connection, half a second apart. Of the second the mirror gets nothing.
        command = ["ip", "netns", "exec", self.hub.client.name, "curl", "-sS", "--rate", "120/m"]
        for uri in ("/first", "/files/second", "/third"):
            command += ["-o", "/dev/null", f"http://{SERVER}{uri}"]
        client = subprocess.Popen(command)
        try:
            time.sleep(0.25)
            self.hub.mill.ip("link", "set", "to-mill", "down")
            time.sleep(0.5)
            self.hub.mill.ip("link", "set", "to-mill", "up")
        finally:
            self.assertEqual(client.wait(30), 0)
        eventually(lambda: self.appliance.metric("millrace_monitor_gaps_total", cause="acked") == 2, "both gaps")
        self.find("row", text="/first").click()
        self.find("tab", "Stream").click()
        gaps = [gap.text for gap in self.browser.all("note", text="bytes missing", within=self.find("log"))]
        missing = int(self.appliance.metric("millrace_monitor_gap_bytes_total"))
        self.assertGreater(missing, len(SECOND))
        shown = [int(re.search(r"([\d,]+) bytes missing", gap)[1].replace(",", "")) for gap in gaps]
        self.assertEqual((len(gaps), sum(shown)), (2, missing), gaps)
        self.assertIn("/third", self.find("log").text, "what came behind is there")

    def test_3_an_overload_is_told(self):
        many = [word for n in range(300) for word in (f"@/{n}", "-o", "/dev/null")]
        self.viewer.process.send_signal(signal.SIGSTOP)
        try:
            for _ in range(10):
                self.curl(*many)
            eventually(lambda: self.counts("produced", topic="http.response") > 3000, "all to be followed")
        finally:
            self.viewer.process.send_signal(signal.SIGCONT)
        dropped = self.counts("dropped")
        self.assertGreater(dropped, 1000)
        self.curl("@/behind")
        self.find("row", text="/behind")
        badge = self.find("button", "dropped")
        shown = int("".join(c for c in badge.accessible_name + badge.text if c.isdigit())[: len(str(dropped))])
        self.assertGreaterEqual(shown, 1000)
