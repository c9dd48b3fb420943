"""What can be left out of a list so that a property still holds: delta debugging.

After A. Zeller and R. Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE
Transactions on Software Engineering 28(2), 2002: leave out chunks, large ones first, and halve them
when none can be left out any more. Kept from it are the complements, where a chunk is left out; the
tests of one chunk alone are made only for halves, where both are the same: what proves a finding
is spread over a history, so that one piece alone seldom shows it and each such test is lost. A pass
goes on behind a chunk that was left out, instead of starting again.

The result is 1-minimal: no single element of it can be left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence


def ddmin(elements: Sequence[int], holds: Callable[[Sequence[int]], bool]) -> tuple[int, ...]:
    """The elements that are needed.

    Args:
        elements: in an order in which neighbours belong together.
        holds: whether the property holds with these elements alone; true for all of them.
    """
    kept = tuple(elements)
    if not kept or holds(()):
        return ()
    size = (len(kept) + 1) // 2
    while True:
        before = len(kept)
        kept = _swept(kept, size, holds)
        if size > 1:
            size = min(size // 2 + size % 2 if size > 2 else 1, max(1, len(kept) // 2))
        elif len(kept) == before:
            return kept


def _swept(
    kept: tuple[int, ...], size: int, holds: Callable[[Sequence[int]], bool]
) -> tuple[int, ...]:
    """One pass: each chunk of that size is left out if it can be."""
    at = 0
    while at < len(kept):
        rest = kept[:at] + kept[at + size :]
        if rest and holds(rest):
            kept = rest
        else:
            at += size
    return kept
