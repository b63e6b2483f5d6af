"""A headless Chromium, driven over WebDriver: elements are found as people find them, by role and text."""

import contextlib
import os
import pathlib
import shutil
import tempfile
import time

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

# Which elements have a role without saying so (a field for a password is taken for a text box here).
NATIVE = {
    "button": "button:not([role])", "link": "a[href]", "searchbox": "input[type=search]", "table": "table",
    "complementary": "aside", "contentinfo": "footer", "textbox": "input[type=password]", "dialog": "dialog", "checkbox": "input[type=checkbox]",
}


class Browser:
    """One window."""

    def __init__(self, downloads, size=(1400, 900), dark=False):
        # Every run has a profile of its own, which goes away with it.
        self.profile = tempfile.mkdtemp(prefix="profile-", dir=downloads)
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or "/usr/bin/chromium"
        for argument in (
            "--headless=new", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={self.profile}",
            f"--window-size={size[0]},{size[1]}", "--hide-scrollbars", "--no-first-run", "--disable-extensions",
            "--force-color-profile=srgb", "--disable-background-networking", "--no-proxy-server",
        ):
            options.add_argument(argument)
        if os.geteuid() == 0:
            options.add_argument("--no-sandbox")
        options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = shutil.which("chromedriver") or "/usr/bin/chromedriver"
        self.driver = webdriver.Chrome(service=Service(driver), options=options)
        self.driver.set_page_load_timeout(30)
        self.command("Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1, mobile=False)
        self.command("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))
        self.dark(dark)

    def command(self, name, **more):
        return self.driver.execute_cdp_cmd(name, more)

    def dark(self, dark):
        value = "dark" if dark else "light"
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": value}])

    def quit(self):
        self.driver.quit()
        shutil.rmtree(self.profile, ignore_errors=True)

    def open(self, url):
        self.driver.get(url)

    def all(self, role, name=None, text=None, within=None):
        """Elements with a role that are seen, by their label and a text in them."""
        chooser = f"[role={role}]" + (f", {NATIVE[role]}" if role in NATIVE else "")
        found = []
        for element in (within or self.driver).find_elements(By.CSS_SELECTOR, chooser):
            # What is drawn anew meanwhile is not there.
            with contextlib.suppress(StaleElementReferenceException):
                named = name is None or name in element.accessible_name
                if named and element.is_displayed() and (text is None or text in element.text):
                    found.append(element)
        return found

    def find(self, role, name=None, text=None, within=None, seconds=10):
        """The first of them, as soon as it is there."""
        end = time.monotonic() + seconds
        while True:
            found = self.all(role, name, text, within)
            if found:
                return found[0]
            if time.monotonic() > end:
                page = self.driver.find_element(By.TAG_NAME, "body").text
                raise AssertionError(f"there is no {role} {name or ''} with {text!r}; the page says:\n{page}")
            time.sleep(0.05)

    def press(self, *keys):
        ActionChains(self.driver).send_keys(*keys).perform()

    def errors(self):
        """What the console says is wrong."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]

    def screenshot(self, path):
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(path))
