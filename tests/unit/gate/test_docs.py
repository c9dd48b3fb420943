"""The Data Docs open without a network, and show what failed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from kafkalab.gate.docs import offline
from kafkalab.model.verdict import ClaimVerdict, Outcome

REMOTE = re.compile(r"(?:src|href)=[\"']?https?://[^\"'> ]+|url\(\s*[\"']?https?://[^)]+")


def test_links_to_content_networks_are_taken_out():
    page = (
        '<html><head><link rel="stylesheet" href="https://cdn.example/x.css"/>\n'
        '<script src="https://cdn.example/x.js" integrity="a"></script><style>a{}</style></head>'
        '<body><img\n class="a"\n src="https://cdn.example/x.png"><p>kept</p></body></html>'
    )
    made = offline(page)
    assert "cdn.example" not in made
    assert "<p>kept</p>" in made
    assert "<style>a{}</style>" in made
    assert made.count("bootstrapTable") == 1


@pytest.fixture(scope="module")
def browser():
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        pytest.skip("needs chromium: apt-get install chromium")
    return found


def _seen(browser: str, page: Path, profile: Path) -> str:
    """The page as the browser has it once its scripts have run, without any network."""
    done = subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={profile}",
            "--virtual-time-budget=3000",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def test_the_docs_of_a_red_run_are_whole_and_offline(world, tmp_path):
    world.docs = tmp_path / "docs"
    lost = ClaimVerdict("lost-write", Outcome.FAIL, 3, "3 records lost")
    stall = ClaimVerdict("stall", Outcome.PASS, 0, "none")
    world.change("C01", outcome=Outcome.FAIL, claims=(lost, stall))
    world.accept("P04", latency_ms_p99=10.0, rss_bytes_max=1e8)
    result = world.judge()
    pages = list(world.docs.rglob("*.html"))
    assert (world.docs / result.data_docs).is_file()
    assert len([p for p in pages if "validations" in p.parts]) == 8
    for page in pages:
        links = REMOTE.findall(page.read_text(encoding="utf-8"))
        assert [link for link in links if "greatexpectations.io" not in link] == []
    text = next(world.docs.glob("validations/correctness/**/*.html")).read_text(encoding="utf-8")
    assert "where claim is lost-write. The producer was told" in text
    assert world.cell("C01").cell in text
    assert sum(p.stat().st_size for p in world.docs.rglob("*") if p.is_file()) < 3_000_000


def test_a_browser_without_a_network_lists_the_results(world, tmp_path, browser):
    world.docs = tmp_path / "docs"
    result = world.judge()
    seen = _seen(browser, world.docs / result.data_docs, tmp_path / "profile")
    table = seen.partition('id="section-1-content-block-2-1-body-table"')[2]
    assert "quality" in table.partition("</table>")[0]
    assert table.partition("</table>")[0].count("clickable-row") >= 6
