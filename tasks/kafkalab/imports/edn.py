"""A reader of EDN, Clojure's data notation, for files of some 10^7 tokens.

Why a reader of our own: there is one library for Python that reads all of EDN and is looked after
(edn_format 0.8.0). It takes 0.8 ms for a line of a Jepsen history, 170 s for one of 10^5 operations
(200,000 lines, 35 MB); this one takes 6 s. The others read a part of the language (kim-edn 1.6), or
were left years ago.

What comes out: vectors, lists and sets as lists, maps as dicts, numbers as numbers, true, false and
nil as in Python. Keywords stay as they are written (`:ok`), strings keep their quotes (`"ok"`), so
that the two never meet; symbols, characters and ratios stay text. Tags are dropped, their values
kept. A map's key that is a collection becomes its text.

Source: https://github.com/edn-format/edn.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

# in this order: atoms, brackets, strings, characters, `#_`, tags, comments, and what is none of it
_WORD = re.compile(
    r"""[^\s,()\[\]{}";\\#][^\s,()\[\]{}";]*
      | \#?[\[({] | [\])}]
      | "(?:[^"\\]|\\.)*"
      | \\(?:[A-Za-z]\w*|.)
      | \#_ | \#[^\s,()\[\]{}";]+
      | ;[^\n]*
      | [^\s,]
    """,
    re.VERBOSE | re.DOTALL,
)
_PAIRS = {"[": "]", "(": ")", "{": "}", "#{": "}"}
_CLOSE = frozenset("])}")
_NAMED = {"nil": None, "true": True, "false": False}
_DIGITS = frozenset("0123456789")
_DISCARD = object()
_CHUNK = 2**20  # characters that are cut into tokens at once, to the next line with a map


class EdnError(ValueError):
    """The text is no EDN; says where."""


def forms(text: str) -> Iterator[Any]:
    """The values of a text, one after another.

    Raises:
        EdnError: it is no EDN, or it ends within a value.
    """
    outer: list[tuple[list[Any], str]] = []  # what encloses `items`, and how that was opened
    items: list[Any] = []
    count = 0
    for word in _words(text):
        first = word[0]
        if word.isdecimal():  # most are
            items.append(int(word))
        elif word in _PAIRS:
            outer.append((items, word))
            items = []
        elif first in _CLOSE:
            inner, (items, opened) = items, _opened(outer, word, count)
            items.append(_collection(inner, opened, count))
        elif first not in "#;":
            items.append(_atom(word, count))
        elif word == "#_":
            items.append(_DISCARD)
        if not outer:
            items = _kept(items)
            if items and items[0] is not _DISCARD:
                count += 1
                yield items.pop()
    for _, opened in outer:
        raise EdnError(f"after {count} values: '{opened}' is not closed by '{_PAIRS[opened]}'")


def _opened(outer: list[tuple[list[Any], str]], word: str, count: int) -> tuple[list[Any], str]:
    if not outer or _PAIRS[outer[-1][1]] != word:
        raise EdnError(f"after {count} values: '{word}' closes nothing")
    return outer.pop()


def _words(text: str) -> Iterator[str]:
    start = 0
    while start < len(text):
        end = text.find("\n{", start + _CHUNK)
        end = len(text) if end < 0 else end
        yield from _WORD.findall(text, start, end)
        start = end


def _atom(word: str, count: int) -> Any:
    if word[0] in _DIGITS or (word[0] in "+-" and word[1:2] in _DIGITS):
        try:
            return int(word)
        except ValueError:
            return _number(word)
    if word in {'"', "\\"}:
        raise EdnError(f"after {count} values: a {word} without an end")
    return _NAMED.get(word, word)


def _number(word: str) -> Any:
    for read in (int, float):
        try:
            return read(word.rstrip("NM"))
        except ValueError:
            continue
    return word  # a ratio


def _collection(items: list[Any], opened: str, count: int) -> Any:
    if _DISCARD in items:
        items = _kept(items)
        if items and items[0] is _DISCARD:
            raise EdnError(f"after {count} values: '#_' without the value that it discards")
    if opened != "{":
        return items
    if len(items) % 2:
        raise EdnError(f"after {count} values: a map has a key without a value")
    keys = [key if key.__hash__ else str(key) for key in items[::2]]
    return dict(zip(keys, items[1::2], strict=True))


def _kept(items: list[Any]) -> list[Any]:
    """Without what was discarded; of marks in a row each takes one value. Open ones stay."""
    kept: list[Any] = []
    waiting = 0
    for item in items:
        if item is _DISCARD:
            waiting += 1
        elif waiting:
            waiting -= 1
        else:
            kept.append(item)
    return [_DISCARD] * waiting + kept
