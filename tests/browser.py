"""A headless Chromium for tests of pages: found, or installed where the machine allows it.

`python tests/browser.py` looks and installs ahead of the tests.
"""

import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",  # containers have little of it
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-device-scale-factor=1",
)
MISSING = "no Chromium with its chromedriver here: apt-get install chromium chromium-driver"


@dataclass(frozen=True)
class Programs:
    """Where the browser and the driver of the same version are."""

    browser: str
    driver: str


def find() -> Programs | None:
    """The browser of this machine; None where it or its driver is missing."""
    browser = next((path for name in NAMES if (path := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    return Programs(browser, driver) if browser and driver else None


def find_or_install() -> Programs | None:
    """As `find`; where there is none, root on a Debian-like system has it installed first."""
    if (found := find()) is not None:
        return found
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        return None
    quiet = ("apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120")
    for command in (("update",), ("install", "-y", "chromium", "chromium-driver")):
        try:
            subprocess.run(
                [*quiet, *command],
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=900,
                check=False,  # what counts is whether the browser is there afterwards
            )
        except subprocess.TimeoutExpired:
            return None
    return find()


@contextmanager
def open_browser(profile: Path, downloads: Path) -> Generator[webdriver.Chrome]:
    """A browser with an empty `profile` that saves into `downloads`; skips where there is none."""
    programs = find_or_install()
    if programs is None:
        pytest.skip(MISSING)
    options = webdriver.ChromeOptions()
    options.binary_location = programs.browser
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, Service(programs.driver))
    try:
        yield driver
    finally:
        driver.quit()


if __name__ == "__main__":
    print(find_or_install() or MISSING)
