"""Numbers, units and foreign strings as a person should read them.

Strings on the page come from clients, brokers and webhooks. Markup is escaped by the template; here
go the characters that escaping leaves in place and that still deceive or break a page: control
characters, lone surrogates and direction overrides.
"""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

_KEPT = frozenset("\n\t")
_BAD_CATEGORIES = frozenset({"Cc", "Cf", "Cs"})
_MEBIBYTE = 2**20


def clean(text: str) -> str:
    """The text with every control, format and surrogate character replaced by U+FFFD."""
    return "".join(
        "\ufffd" if unicodedata.category(c) in _BAD_CATEGORIES and c not in _KEPT else c
        for c in text
    )


def shorten(text: str, length: int) -> str:
    """At most `length` characters; says how many were left out."""
    if len(text) <= length:
        return text
    return f"{text[:length]} … ({len(text) - length:,} more characters)"


def number(value: float) -> str:
    """Three to four significant digits, thousands separated: 141,176 · 12.5 · 0.00321."""
    if math.isnan(value) or math.isinf(value):
        return str(value)
    size = abs(value)
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    if size >= 0.01:
        return f"{value:,.3g}"
    return f"{value:.2e}"


def quantity(value: float, unit: str) -> str:
    """A number with its unit; bytes become MiB, because a person compares those."""
    if unit in ("bytes", "bytes/s"):
        return f"{number(value / _MEBIBYTE)} {unit.replace('bytes', 'MiB')}"
    return number(value) if unit in ("", "ratio") else f"{number(value)} {unit}"


def change(value: float, baseline: float) -> str:
    """Relative change against the baseline, signed: "−15.2 %"."""
    if not baseline or math.isnan(value):
        return ""
    percent = 100 * (value - baseline) / abs(baseline)
    return f"{percent:+.1f} %".replace("-", "−")


def seconds(value: float) -> str:
    """A duration: "12.3 s", "4 min 05 s", "2 h 03 min"."""
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def utc(text: str) -> str:
    """An ISO 8601 time as "2026-03-11 02:00:07 UTC"; anything else as it is."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return text
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if time.tzinfo else text


@dataclass(frozen=True)
class Link:
    """Where an artifact is: its full address, and a link that works beside the stored page."""

    text: str
    href: str = ""  # "" when a browser could not follow it

    @property
    def name(self) -> str:
        """The last part of the address: what a crowded table shows."""
        return self.text.rstrip("/").rpartition("/")[2]


def artifact(address: str, prefix: str) -> Link:
    """Link to an artifact of the run whose page is `<prefix>/report/index.html`.

    A browser cannot follow `s3://`, so what lies in the run's own folder is linked relatively: that
    works in a bucket browser and in a downloaded copy. A scheme other than http(s) is never linked.
    """
    if not address:
        return Link("")
    folder = prefix.strip("/") + "/"
    _, found, inside = address.partition(folder)
    if folder != "/" and found and ".." not in inside.split("/"):
        return Link(address, "../" + quote(inside, safe="/=@+~"))
    return Link(address, address if address.startswith(("https://", "http://")) else "")
