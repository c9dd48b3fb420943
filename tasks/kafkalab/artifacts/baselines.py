"""Baselines: the accepted envelope of a lane, and everything that was ever accepted before it.

The history is the log, `current.json` follows it. To accept is to create `history/<n+1>.json`,
where n is the current number, on condition that it does not exist: of several that accept at once
exactly one succeeds, and the others are told so and have written nothing. Then `current.json` is
replaced on condition that nobody else did. Whoever dies between the two has accepted all the
same: a reader who finds an entry after the current one takes it, and the next acceptance brings
`current.json` up to date. So every entry of the history was in force, in order, without gaps, and
no acceptance is lost.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from kafkalab.artifacts import keys
from kafkalab.artifacts.store import Conflict, Store, StoreError, to_json
from kafkalab.model.errors import UsageError
from kafkalab.model.run import Bound, Envelope, Lane

_FOLLOW_TRIES = 10


class Current(NamedTuple):
    """The envelope in force and the version of `current.json` (empty: not written yet)."""

    envelope: Envelope
    etag: str


def current(store: Store, lane: Lane) -> Current | None:
    """The envelope in force of a lane; None when none was ever accepted."""
    found = store.get_with_etag(keys.baseline_current(lane))
    envelope = _parse(keys.baseline_current(lane), found.data) if found else None
    number = envelope.number if envelope else 0
    while (entry := store.get_with_etag(keys.baseline_entry(lane, number + 1))) is not None:
        envelope = _parse(keys.baseline_entry(lane, number + 1), entry.data)
        number += 1
    return Current(envelope, found.etag if found else "") if envelope else None


def accept(
    store: Store, proposal: Envelope, who: str, why: str, *, number: int | None = None
) -> Envelope:
    """Put a proposed envelope in force, under the next number, which it returns.

    Args:
        store: where the baselines are.
        proposal: its lane, bounds and runs; number, acceptor and time are set here.
        who: person or job that accepts.
        why: the reason, for whoever reads the history.
        number: the one that the proposal was checked for; None: whatever comes next.

    Raises:
        UsageError: no who, no why, no bounds, or bounds that nothing or anything can meet.
        Conflict: someone else accepted an envelope for this lane at the same time, or since it
            was checked.
        StoreError: the store failed.
    """
    _check(proposal, who, why)
    lane = proposal.lane
    before = current(store, lane)
    following = before.envelope.number + 1 if before else 1
    if number not in (None, following):
        raise Conflict(
            f"baseline {lane}: expected to accept number {number}, found that {following} is next: "
            "the lane has moved on. Yours was not stored. Run the gate again, and accept what it "
            "then proposes."
        )
    accepted = replace(
        proposal,
        number=following,
        accepted_by=who.strip(),
        why=why.strip(),
        accepted_at=datetime.now(UTC).isoformat(timespec="microseconds"),
    )
    try:
        store.put_if(keys.baseline_entry(lane, following), to_json(accepted.to_dict()), None)
    except Conflict as error:
        winner = current(store, lane)
        by = f"{winner.envelope.accepted_by}: {winner.envelope.why}" if winner else "someone else"
        raise Conflict(
            f"baseline {lane}: number {following} was accepted at the same time by {by}. Yours was "
            "not stored. Look at the new baseline, and accept again if yours should replace it."
        ) from error
    _follow(store, accepted)
    return accepted


def history(store: Store, lane: Lane) -> list[Envelope]:
    """Every envelope that was ever in force, the first first."""
    entries = store.list(f"{keys.baseline_prefix(lane)}history/")
    found = [_parse(key, store.get_bytes(key)) for key in entries]
    return sorted(found, key=lambda envelope: envelope.number)


def _follow(store: Store, accepted: Envelope) -> None:
    """Bring `current.json` to an accepted envelope, unless it is there or beyond already."""
    key = keys.baseline_current(accepted.lane)

    def once() -> None:
        found = store.get_with_etag(key)
        if found is None or _parse(key, found.data).number < accepted.number:
            store.put_if(key, to_json(accepted.to_dict()), found.etag if found else None)

    Retrying(
        retry=retry_if_exception_type(Conflict),
        stop=stop_after_attempt(_FOLLOW_TRIES),
        wait=wait_random_exponential(multiplier=0.05, max=1),
        reraise=True,
    )(once)


def _parse(key: str, data: bytes) -> Envelope:
    try:
        return Envelope.from_dict(json.loads(data))
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"store: {key}: expected an accepted envelope, found something else ({error!r}). "
            "Compare it with its neighbours in the lane's history, and restore it from there."
        ) from error


def _check(proposal: Envelope, who: str, why: str) -> None:
    start = f"baseline {proposal.lane}"
    if not who.strip() or not why.strip():
        raise UsageError(f"{start}: expected who accepts it and why, found an empty text.")
    if not proposal.bounds:
        raise UsageError(
            f"{start}: expected at least one bound, found none: it would pass anything."
        )
    for bound in proposal.bounds:
        if not _is_usable(bound):
            raise UsageError(
                f"{start}: {bound.scenario} {bound.metric}: expected a finite baseline and lower ≤ "
                f"upper with at least one of them, found baseline {bound.baseline}, lower "
                f"{bound.lower}, upper {bound.upper}."
            )


def _is_usable(bound: Bound) -> bool:
    sides = [side for side in (bound.lower, bound.upper) if side is not None]
    finite = all(math.isfinite(value) for value in (bound.baseline, *sides))
    return bool(sides) and finite and sides == sorted(sides)
