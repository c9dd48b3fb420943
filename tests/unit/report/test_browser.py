"""The page in a real browser: drawn at 1280 and 420 px, light and dark, and asking for nothing.

Chromium's own log is the witness: a policy violation, a script error or a request that was refused
is a line of its console. Where a page is measured, its policy is taken out and a script put in.
"""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from PIL import Image

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(BROWSER is None, reason="needs a browser: apt-get install chromium"),
]
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--enable-logging=stderr", "--v=0", "--proxy-server=127.0.0.1:9",
)  # fmt: skip
MEASURE = "<script>document.title = document.documentElement.scrollWidth + ' px'</script></body>"


def browse(tmp_path, page, *flags):
    file = tmp_path / "index.html"
    file.write_text(page, encoding="utf-8")
    return subprocess.run(
        [BROWSER, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *flags, file.as_uri()],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )


@pytest.mark.parametrize("width", [1280, 420])
@pytest.mark.parametrize(("scheme", "setting", "paper"), [("light", 1, 255), ("dark", 0, 20)])
def test_page_is_drawn_as_the_reader_prefers(pages, tmp_path, width, scheme, setting, paper):
    shot = tmp_path / "page.png"
    prefers = f"--blink-settings=preferredColorScheme={setting}"
    browse(tmp_path, pages["red"], f"--screenshot={shot}", f"--window-size={width},1600", prefers)
    with Image.open(shot) as image:
        assert image.size == (width, 1600)
        assert image.getpixel((1, 1))[0] == paper
        assert len(image.convert("RGB").getcolors(1_000_000)) > 100  # text and colours, not blank


@pytest.mark.parametrize("width", [1280, 420])
@pytest.mark.parametrize("name", ["red", "unknown", "hostile"])
def test_page_is_never_wider_than_its_window(pages, tmp_path, name, width):
    page = pages[name].replace("Content-Security-Policy", "x-off")
    page = page.replace("<details>", "<details open>")
    size = f"--window-size={width},1600"
    dom = browse(tmp_path, page.replace("</body>", MEASURE), "--dump-dom", size).stdout
    (measured,) = re.findall(r"<title>(\d+) px</title>", dom)
    assert int(measured) <= max(width, 500)  # a window is never narrower than 500 px when dumped


@pytest.mark.parametrize("name", ["green", "red", "unknown", "hostile"])
def test_console_stays_silent(pages, tmp_path, name):
    done = browse(tmp_path, pages[name], "--dump-dom")
    assert "</footer>" in done.stdout
    assert not re.findall(r".*CONSOLE.*", done.stderr)


def test_the_witness_sees_a_script_and_a_request(pages, tmp_path):
    planted = pages["red"].replace(
        "</footer>", '<script>alert(1)</script><img src="http://127.0.0.1:9/x.png"></footer>'
    )
    log = browse(tmp_path, planted, "--dump-dom").stderr
    assert len(re.findall(r"CONSOLE.*Content Security Policy", log)) >= 2
