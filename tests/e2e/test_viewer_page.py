"""millrace-viewer in a browser: events pushed to it appear, are found, opened, followed, and what is lost is told.

Pictures for the documents: MR_E2E_PICTURES=docs/images tests/e2e/run viewer_page
"""

import contextlib
import gzip
import os
import pathlib
import re
import shutil
import tempfile
import time
import unittest

import events
import scenery
from appliance import ROOT, run_dir
from browser import Browser
from selenium.common.exceptions import StaleElementReferenceException
from viewing import Viewer

HOST = [("Host", "shop.example")]


class PageCase(unittest.TestCase):
    options = []
    endpoint = None
    # What is there when the page is.
    ready = ("grid", "Exchanges")

    @classmethod
    def setUpClass(cls):
        cls.downloads = pathlib.Path(tempfile.mkdtemp(prefix="browser-", dir=run_dir()))
        cls.addClassCleanup(shutil.rmtree, cls.downloads, ignore_errors=True)
        cls.browser = Browser(cls.downloads)
        cls.addClassCleanup(cls.browser.quit)

    def setUp(self):
        self.viewer = Viewer(*self.options, endpoint=self.endpoint)
        self.addCleanup(self.viewer.kill)
        self.worker = events.Worker(self.viewer.socket)
        self.browser.open("about:blank")
        self.browser.driver.delete_all_cookies()
        self.browser.errors()
        self.browser.open(self.viewer.page)
        self.browser.driver.execute_script("sessionStorage.clear(); localStorage.clear()")
        self.find(*self.ready)

    def tearDown(self):
        # Nothing of the page was refused by its own policy, and nothing of it failed. A filter that is wrong is told
        # by a status, which the console repeats.
        told = ["400 (Bad Request)", "401 (Unauthorized)"] + (["ERR_CONNECTION_REFUSED"] if self.viewer.process.poll() is not None else [])
        errors = [error for error in self.browser.errors() if not any(part in error for part in told)]
        self.assertEqual(errors, [])

    def find(self, *arguments, **more):
        return self.browser.find(*arguments, **more)

    def rows(self, name="Exchanges"):
        """The rows that are drawn, without the head."""
        grid = self.find("grid", name)
        return [row for row in self.browser.all("row", within=grid) if row.get_attribute("aria-rowindex") != "1"]

    def eventually(self, probe, what, seconds=10):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            # What is looked at may be drawn anew meanwhile.
            with contextlib.suppress(StaleElementReferenceException):
                if probe():
                    return
            time.sleep(0.05)
        self.fail(f"not so after {seconds} s: {what}")

    def exchange(self, target, status=200, reason="OK", body=b"", headers=()):
        flow = events.Flow(self.worker).open()
        flow.request("GET", target, HOST, data=True)
        flow.response(status, reason, headers, body, data=True)
        return flow


class Page(PageCase):
    def test_an_exchange_appears_as_it_happens(self):
        self.assertEqual(self.rows(), [])
        flow = events.Flow(self.worker).open()
        flow.request("POST", "/orders", HOST, b"a=1")
        row = self.find("row", text="/orders")
        self.assertIn("POST", row.text)
        self.assertIn("…", row.text)
        flow.response(503, "Service Unavailable")
        row = self.find("row", text="503")
        self.assertIn("/orders", row.text)
        self.assertEqual(len(self.rows()), 1)

    def test_the_filter_finds_and_says_what_is_wrong(self):
        self.exchange("/apples")
        self.exchange("/pears", 404, "Not Found")
        self.find("row", text="/pears")
        box = self.find("searchbox", "Filter")
        box.send_keys("~c 4xx")
        self.eventually(lambda: len(self.rows()) == 1, "one row is left")
        self.assertIn("/pears", self.rows()[0].text)
        # It holds for what comes, too.
        self.exchange("/plums", 410, "Gone")
        self.exchange("/grapes")
        self.find("row", text="/plums")
        self.assertEqual(len(self.rows()), 2)
        box.send_keys(" & ~zz")
        alert = self.find("alert", text="At character 10")
        self.assertIn("no such operator", alert.text)
        self.assertEqual(box.get_attribute("aria-invalid"), "true")
        box.clear()
        box.send_keys("grapes")
        self.eventually(lambda: [row.text for row in self.rows() if "/grapes" in row.text], "the filter is in force")
        self.eventually(lambda: not self.browser.all("alert"), "the mistake is gone")

    def test_a_body_is_decoded_and_stays_inert(self):
        page = b"<script>document.title='taken over'</script><img src=x onerror=\"document.title='taken over'\">"
        target = "/<img/src=x/onerror=document.title='t'>"
        self.exchange(target, body=gzip.compress(page), headers=[("Content-Encoding", "gzip"), ("Content-Type", "text/html"), ("X-Evil", "<b onclick=1>")])
        self.find("row", text="onerror").click()
        detail = self.find("complementary", "Exchange")
        self.find("tab", "Response", within=detail).click()
        self.eventually(lambda: page.decode() in detail.text, "the body is shown as text")
        self.assertIn("gzip", detail.text)
        self.find("tab", "Hex", within=detail).click()
        self.eventually(lambda: "00000000  3c 73 63 72 69 70 74 3e" in detail.text, "the body is shown in hexadecimal")
        self.find("checkbox", within=detail).click()
        self.eventually(lambda: "00000000  1f 8b" in detail.text, "the body is shown as it was sent")
        self.assertEqual(self.browser.driver.title, "Millrace viewer")

    def test_bodies_that_are_json_or_images(self):
        self.exchange("/data", body=b'{"wheels":[1,2],"on":true}', headers=[("Content-Type", "application/json")])
        self.exchange("/picture", body=scenery.PNG, headers=[("Content-Type", "image/png")])
        self.find("row", text="/data").click()
        self.eventually(lambda: '"wheels": [\n    1,' in self.find("complementary").text, "the JSON is indented")
        self.find("row", text="/picture").click()
        self.eventually(lambda: "96 × 64" in self.find("complementary").text, "the image is shown")

    def test_credentials_are_masked_until_they_are_asked_for(self):
        flow = events.Flow(self.worker).open()
        flow.request("GET", "/private", [*HOST, ("Cookie", "session=hunter2")], data=True)
        self.find("row", text="/private").click()
        detail = self.find("complementary", "Exchange")
        self.find("tab", "Request", within=detail).click()
        self.eventually(lambda: "session=••••••" in detail.text, "the cookie is masked")
        self.find("tab", "Stream", within=detail).click()
        self.eventually(lambda: "Cookie: ***" in detail.text, "the stream is masked")
        self.assertNotIn("hunter2", self.browser.driver.page_source)
        self.find("button", "Reveal credentials", within=detail).click()
        self.eventually(lambda: "session=hunter2" in detail.text, "the stream is revealed")
        self.find("button", "Hide credentials", within=detail).click()
        self.eventually(lambda: "hunter2" not in detail.text, "it is masked again")

    def test_a_gap_is_marked_in_the_stream(self):
        flow = events.Flow(self.worker).open()
        flow.request("GET", "/lossy", HOST, data=True)
        flow.data("server", b"HTTP/1.1 200 OK\r\n\r\nthe beginning")
        flow.gap("server", 1448)
        flow.data("server", b"the end")
        self.find("row", text="/lossy").click()
        self.find("tab", "Stream").click()
        stream = self.find("log")
        gap = self.find("note", text="gap: 1,448 bytes missing", within=stream)
        self.assertIn("server", gap.text)
        text = stream.text
        self.assertLess(text.index("the beginning"), text.index("gap:"))
        self.assertLess(text.index("gap:"), text.index("the end"))
        # As long as it is open, what comes is added.
        flow.data("server", b"and an afterthought")
        self.eventually(lambda: "and an afterthought" in self.find("log").text, "the stream goes on")
        self.find("link", "Save pcap", within=stream).click()
        file = self.downloads / "flow-1.pcap"
        self.eventually(file.exists, "the capture file is saved")
        self.assertEqual(file.read_bytes()[:4], bytes.fromhex("4d3cb2a1"))

    def test_the_badge_of_losses_is_there_only_when_something_was_lost(self):
        self.exchange("/one")
        self.find("row", text="/one")
        self.assertEqual(self.browser.all("button", "dropped"), [])
        self.worker.lose(37)
        self.exchange("/two")
        badge = self.find("button", "37 events dropped")
        badge.click()
        why = self.find("dialog", "Dropped events")
        self.assertIn("5f0c2a9b", why.text)
        self.assertIn("37", why.text)

    def test_pause_keeps_what_comes_waiting(self):
        self.exchange("/before")
        self.find("row", text="/before")
        self.find("button", "Pause").click()
        for number in range(3):
            self.exchange(f"/while/{number}")
        self.find("button", text="3 waiting")
        self.assertEqual(len(self.rows()), 1)
        self.browser.press("p")
        self.find("row", text="/while/2")
        self.assertEqual(len(self.rows()), 4)

    def test_the_keyboard_is_enough(self):
        for number in range(3):
            self.exchange(f"/key/{number}")
        self.find("row", text="/key/2")
        self.browser.press("j")
        detail = self.find("complementary", "Exchange")
        self.eventually(lambda: "/key/2" in detail.text, "the newest is open")
        self.browser.press("j", "j")
        self.eventually(lambda: "/key/0" in self.find("complementary").text, "the oldest is open")
        self.browser.press("k")
        self.eventually(lambda: "/key/1" in self.find("complementary").text, "the middle one is open")
        self.browser.press("\ue00c")
        self.eventually(lambda: not self.browser.all("complementary"), "Escape closes")
        self.browser.press("/", "k", "e", "y", ".", "1")
        self.eventually(lambda: len(self.rows()) == 1, "the filter has the focus")
        self.browser.press("\ue00c", "?")
        self.find("dialog", "Help")

    def test_flows_lead_to_their_exchanges(self):
        flow = self.exchange("/one")
        self.exchange("/other")
        flow.close("reset")
        self.find("tab", "Flows").click()
        row = self.find("row", text="reset")
        row.click()
        detail = self.find("complementary", "Flow")
        self.find("tab", "Facts", within=detail).click()
        self.eventually(lambda: "612 µs" in detail.text, "the handshake's time is shown")
        self.find("button", "Show its exchanges", within=detail).click()
        self.eventually(lambda: len(self.rows()) == 1, "only its exchange is listed")
        self.assertIn("/one", self.rows()[0].text)

    def test_a_viewer_that_ends_is_told(self):
        self.find("grid", "Exchanges")
        self.eventually(lambda: "Live" in self.browser.driver.page_source, "it is live")
        self.viewer.stop()
        self.eventually(lambda: "Connection lost" in self.browser.driver.page_source, "the end is told")
        self.browser.errors()


class Token(PageCase):
    ready = ("textbox", "Token")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        file = cls.downloads / "token"
        file.write_text("a-token-of-the-test\n")
        cls.options = ["--token-file", str(file)]

    def test_nothing_is_shown_without_the_token(self):
        self.exchange("/secret")
        box = self.find("textbox", "Token")
        self.assertNotIn("/secret", self.browser.driver.page_source)
        box.send_keys("not-the-token")
        self.find("button", "Open").click()
        self.find("alert", text="not the token")
        box.clear()
        box.send_keys("a-token-of-the-test")
        self.find("button", "Open").click()
        self.find("row", text="/secret")
        # The cookie lets in what the page opens, and scripts do not see it.
        self.assertEqual(self.browser.driver.execute_script("return document.cookie"), "")

    def test_the_address_may_bring_the_token(self):
        self.exchange("/secret")
        self.browser.open("about:blank")
        self.browser.open(self.viewer.url + "#token=a-token-of-the-test")
        self.find("row", text="/secret")
        self.assertNotIn("token", self.browser.driver.current_url)


class Many(PageCase):
    options = ["--events", "300000", "--bytes", "512M"]

    def test_a_hundred_thousand_exchanges(self):
        flow = events.Flow(self.worker).open()
        for number in range(100_000):
            flow.request("GET", f"/item/{number}", HOST)
            flow.exchange += 1
        self.viewer.received(100_001, seconds=120)
        self.find("row", text="/item/99999", seconds=20)
        self.assertEqual(self.viewer.json("/api/state")["store"]["exchanges"], 100_000)
        # Few of them are drawn, and any of them is found.
        self.assertLess(len(self.rows()), 100)
        began = time.monotonic()
        self.find("searchbox", "Filter").send_keys("item/4242$")
        self.eventually(lambda: "/item/4242\n" in self.find("grid").text, "it is found")
        # The server needs some hundredths of a second, the browser less: the rest is the driver's.
        self.assertLess(time.monotonic() - began, 5)
        self.assertEqual(len(self.rows()), 1)
        self.browser.press("\ue00c")
        self.find("searchbox", "Filter").clear()
        self.find("searchbox", "Filter").send_keys(" ")
        self.find("row", text="/item/99999")
        # Scrolling goes as far back as there is anything.
        scroll = "const box = document.querySelector('.scroller'); box.scrollTop = box.scrollHeight"
        listed = lambda: int(re.search(r"([\d,]+) listed", self.find("contentinfo").text).group(1).replace(",", ""))
        self.assertLess(listed(), 2000)
        for _ in range(30):
            self.browser.driver.execute_script(scroll)
            time.sleep(0.2)
            if listed() >= 4000:
                break
        self.assertGreaterEqual(listed(), 4000)
        self.browser.driver.execute_script("document.querySelector('.scroller').scrollTop = 28 * 3500")
        self.find("row", text="/item/96490")


# Not to be counted as skipped by everyone who makes none.
if os.environ.get("MR_E2E_PICTURES"):

    class Pictures(PageCase):
        SECONDS = 75
        endpoint = "tcp://127.0.0.1:5556"

        def picture(self, name):
            from PIL import Image  # python3-pil

            path = ROOT / os.environ["MR_E2E_PICTURES"] / f"viewer-{name}.png"
            self.browser.screenshot(path)
            Image.open(path).convert("RGB").quantize(160, dither=Image.Dither.NONE).save(path, optimize=True)
            self.assertLess(path.stat().st_size, 200 << 10)

        def test_pictures(self):
            shop = scenery.Shop(self.worker)
            end = time.monotonic() + self.SECONDS
            while time.monotonic() < end:
                left = end - time.monotonic()
                for _ in range(int(3 + 3 * abs((left / 9) % 2 - 1)) + shop.random.randrange(3)):
                    shop.exchange()
                time.sleep(0.1)
            shop.lossy()
            shop.exchange(answered=False)
            time.sleep(1.5)
            self.picture("list")
            self.browser.press(*"jjjj")
            self.find("tab", "Response").click()
            time.sleep(0.5)
            self.picture("exchange")
            self.browser.press("\ue00c")
            self.find("searchbox", "Filter").send_keys("manual & ~zz")
            self.find("alert")
            self.picture("filter")
            self.find("searchbox", "Filter").clear()
            self.find("searchbox", "Filter").send_keys("manual")
            time.sleep(1)
            self.find("row", text="manual").click()
            self.find("tab", "Stream").click()
            self.find("searchbox", "Filter").clear()
            self.find("searchbox", "Filter").send_keys(" ")
            self.worker.lose(37)
            shop.exchange()
            self.find("button", "37 events dropped")
            gap = self.find("note", text="gap")
            self.browser.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", gap)
            self.browser.dark(True)
            time.sleep(0.5)
            self.picture("stream")
            self.browser.dark(False)
            self.find("tab", "Flows").click()
            self.find("searchbox", "Find flows").send_keys("198.51.100")
            time.sleep(2)
            next(row for row in self.rows("Flows") if "fin" in row.text).click()
            self.find("tab", "Facts").click()
            time.sleep(1)
            self.picture("flows")
