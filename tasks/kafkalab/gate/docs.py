"""Makes the Data Docs open without a network.

Great Expectations' pages take Bootstrap, jQuery, bootstrap-table, Font Awesome and Vega from five
content networks, and the tables of the index are drawn by them: without a network there is no
index at all. Copying those libraries would be 1.5 MB a run. So the links are taken out, and one
small style sheet and one small script are put in, which draw what these pages really use.
"""

from __future__ import annotations

import re
import shutil
from functools import cache
from pathlib import Path

SITE = "gate"
INDEX = "index.html"

_ASSETS = Path(__file__).parent / "data_docs"
_REMOTE = re.compile(
    r"<script\s+src=\"https?://[^>]*></script>"
    r"|<link\s[^>]*href=\"https?://[^>]*>"
    r"|<img\s[^>]*src=\"https?://[^>]*>"
    r"|<footer>.*?</footer>",
    re.DOTALL,
)
_REMOTE_STYLE = re.compile(r"url\(\s*['\"]?https?://[^)]*\)")
_HEAD = re.compile(r"</head>")


def make_offline(folder: Path) -> None:
    """Rewrite every page of a Data Docs folder in place."""
    for page in folder.rglob("*.html"):
        page.write_text(offline(page.read_text(encoding="utf-8")), encoding="utf-8")
    for unused in ("images", "fonts"):
        shutil.rmtree(folder / "static" / unused, ignore_errors=True)


def offline(html: str) -> str:
    """The page without remote parts, with the lab's own style and script in its head."""
    local = _REMOTE_STYLE.sub("none", _REMOTE.sub("", html))
    return _HEAD.sub(lambda _: f"{_inline()}</head>", local, count=1)


@cache
def _inline() -> str:
    style = (_ASSETS / "offline.css").read_text(encoding="utf-8")
    script = (_ASSETS / "offline.js").read_text(encoding="utf-8")
    return f"<style>\n{style}</style>\n<script>\n{script}</script>\n"
