"""A history as text that a person can read, one line a command's rows of one partition."""

from __future__ import annotations

import json
from typing import Any

from .frame import EVENT, NO_OFFSET, NO_VALUE, NONE, OPS, PROBLEMS, TYPES, Frame


def lines(frame: Frame) -> list[str]:
    """Index, milliseconds, client, what happened; records as value@offset."""
    columns = {name: column.tolist() for name, column in frame.columns.items()}
    out: list[str] = []
    before: tuple[Any, ...] = ()
    for n in range(len(frame)):
        row = {name: column[n] for name, column in columns.items()}
        same = (row["process"], row["type"], row["op"], row["op_id"])
        if same == before and row["type"] != EVENT:
            out[-1] += _what(frame, row)
            continue
        before = same
        kind = "" if row["type"] == EVENT else f" #{row['op_id']} {TYPES[row['type']]}"
        who = frame.words["process"][row["process"]]
        out.append(f"{n:5} {row['time'] / 1e6:12.3f} {who:10} {OPS[row['op']]}{kind}")
        out[-1] += _what(frame, row)
    return out


def _what(frame: Frame, row: dict[str, Any]) -> str:
    text = ""
    if row["topic"] != NONE:
        part = "-" if row["part"] == NONE else row["part"]
        text += f" {frame.words['topic'][row['topic']]}/{part}"
    if row["value"] != NO_VALUE:
        text += f" {row['value']}"
    if row["off"] != NO_OFFSET:
        text += f"@{row['off']}"
    if row["itopic"] != NONE and (row["itopic"], row["ipart"]) != (row["topic"], row["part"]):
        text += f"<{frame.words['topic'][row['itopic']]}/{row['ipart']}"
    if row["problem"] != NONE:
        text += f"!{PROBLEMS[row['problem']]}"
    if row["took"] != NONE:
        text += f" taken={row['took'] / 1e6:.3f}"
    if row["gen"] != NONE:
        text += f" gen={row['gen']}"
    for kind in ("error", "detail"):
        if row[kind] != NONE:
            text += f" {_short(frame.words[kind][row[kind]])}"
    return text


def _short(text: str) -> str:
    """JSON without its quotes."""
    if not text.startswith("{"):
        return text
    return json.dumps(json.loads(text)).replace('"', "")
