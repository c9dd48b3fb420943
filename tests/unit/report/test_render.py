"""The page: verdict first, complete, self-contained, small, and deaf to what it shows."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from kafkalab.model.verdict import Outcome
from kafkalab.report import render as render_module


class Elements(HTMLParser):
    """Tags, attributes and text of a page, as a browser would see them."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data):
        self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="session")
def parsed(pages):
    return {name: Elements(page) for name, page in pages.items()}


@pytest.mark.parametrize(
    ("name", "word"), [("green", "✓ PASS"), ("red", "✗ FAIL"), ("unknown", "? UNKNOWN")]
)
def test_verdict_is_the_first_word_on_the_page(pages, name, word):
    body = Elements(pages[name][pages[name].index("<body>") :])
    assert body.words.startswith(word)


def test_red_page_names_value_bound_baseline_evidence_why_and_command(samples, parsed):
    words = parsed["red"].words
    for finding in samples["red"].gate.failures:
        for part in (finding.summary, finding.bound, finding.why, finding.replay, finding.evidence):
            assert part in words
    assert "98,117 records/s" in words
    assert samples["red"].envelopes[0].runs[0] in words
    links = {value for _, name, value in parsed["red"].attributes if name == "href"}
    assert "../correctness/attempt=2/C13/commit-ahead.parquet" in links


def test_a_timeline_stands_below_its_claim_line_by_line(pages, parsed):
    assert "timeline of finding 1" in parsed["red"].words
    lines = pages["red"].splitlines()
    (proof,) = [line for line in lines if "row_seen" in line]
    assert proof.startswith("<strong>&gt;  9219.8 ms")
    assert any(line.startswith("   9214.4 ms") and line.endswith("kill") for line in lines)


def test_what_was_run_is_told(samples, parsed):
    words = parsed["green"].words
    for part in ("4f2a9c1e77d0b1f3", "1741658407", "linux-x86_64-2c-24g", "kafka@3.9.2 (pinned)"):
        assert part in words
    assert samples["green"].repeat in words


def test_first_run_of_a_lane_says_how_to_accept_its_proposal(samples, parsed):
    assert "No baseline yet." in parsed["unknown"].words
    assert "kafkalab baseline --run runs/" in parsed["unknown"].words
    assert "trigger the DAG kafka_baseline" in parsed["unknown"].words
    assert "No baseline yet." not in parsed["green"].words


def test_skipped_things_say_what_they_need(parsed):
    assert "a KDC: apt-get install krb5-kdc" in parsed["green"].words


@pytest.mark.parametrize("name", ["green", "red", "unknown", "large", "hostile"])
def test_page_fetches_nothing_and_runs_nothing(parsed, name):
    elements = parsed[name]
    assert not {"script", "img", "iframe", "object", "embed", "base", "form"} & {*elements.tags}
    for tag, attribute, value in elements.attributes:
        assert not attribute.startswith("on")
        if attribute in ("href", "src", "xlink:href", "action"):
            assert value.startswith(("#", "../", "data:,")), (tag, value)
    css = " ".join(v for _, a, v in elements.attributes if a == "style") + elements.words
    assert "@import" not in css
    assert "url(http" not in css


def test_pages_forbid_scripts_and_requests_themselves(parsed):
    policy = [v for tag, a, v in parsed["red"].attributes if tag == "meta" and a == "content"]
    assert any(v.startswith("default-src 'none';") for v in policy)


def test_every_link_inside_the_page_has_a_target_and_ids_are_unique(parsed):
    for name, elements in parsed.items():
        ids = [value for _, attribute, value in elements.attributes if attribute == "id"]
        assert len(ids) == len(set(ids)), name
        targets = [v[1:] for t, a, v in elements.attributes if a == "href" and v[:1] == "#"]
        assert set(targets) <= set(ids), name


def test_hostile_text_is_shown_and_not_obeyed(parsed):
    words = parsed["hostile"].words
    assert "<script>alert(1)</script>" in words
    assert "{{7*7}}" in words
    assert "\x1b" not in words
    assert "\u202e" not in words


def test_twenty_cells_fit_into_three_megabytes(samples, pages):
    assert len(samples["large"].cells) == 20
    assert len(pages["large"].encode()) < 3_000_000
    assert pages["large"].count("<svg") > 60


def test_a_page_too_large_keeps_the_plots_of_red_cells(samples, monkeypatch):
    made = samples["large"]
    red = replace(made.cells[-1], outcome=Outcome.FAIL)
    monkeypatch.setattr(render_module, "PLOT_BYTES_MAX", 150_000)
    few = (made.cells[0], red)
    page = replace(made, cells=few, run=replace(made.run, cells={}), gate=replace(made.gate)).html()
    first, last = page.split(f'id="cell-1-{red.cell.replace("@", "-")}')
    assert "Left out to keep this page small" in first
    assert "<svg" in last


def test_a_cell_without_series_says_nothing_of_plots(pages):
    assert "Over time" not in pages["unknown"]
