"""The argument of the module's docstring, as a small exhaustive search."""

from __future__ import annotations

import pytest

from kafkalab.orchestration.pools import HOST, NEXT, PARALLELISM_MIN, POOLS, QUEUE

CHAINS = 3
# What a run does, task by task: (pool, waits for the host's lock?, gives it back?)
TASKS = [
    task
    for chain in range(CHAINS)
    for task in (
        (QUEUE if chain == 0 else NEXT, True, False),
        ("default_pool", False, False),
        (HOST, False, False),
        (HOST, False, True),
    )
]


def stuck(pool_of_next: str, keeps_lock: bool, runs: int, slots: int) -> bool:
    """Whether some order of starts and ends of tasks leaves nobody able to go on."""
    start = (tuple((0, False) for _ in range(runs)), None)  # (next task, does it run?), holder
    seen, todo = {start}, [start]
    while todo:
        state = todo.pop()
        following = _moves(state, pool_of_next, keeps_lock, slots)
        if not following and any(at < len(TASKS) for at, _ in state[0]):
            return True
        todo += [s for s in following if s not in seen]
        seen |= set(following)
    return False


def _moves(state, pool_of_next, keeps_lock, slots):
    runs, holder = state
    pools = [pool_of_next if p == NEXT else p for p, _, _ in TASKS]
    busy = [pools[at] for at, runs_ in runs if runs_]
    moves = []
    for index, (at, active) in enumerate(runs):
        if at == len(TASKS):
            continue
        _, waits, frees = TASKS[at]
        changed = list(runs)
        if not active:
            if len(busy) < slots and (pools[at] == "default_pool" or pools[at] not in busy):
                changed[index] = (at, True)
                moves.append((tuple(changed), holder))
        elif not waits or holder in (None, index):
            changed[index] = (at + 1, False)
            last = at + 1 == len(TASKS)
            after = index if waits else holder
            moves.append((tuple(changed), None if frees and (last or not keeps_lock) else after))
    return moves


@pytest.mark.parametrize("keeps_lock", [True, False])
def test_no_order_of_events_leaves_runs_waiting_for_each_other(keeps_lock: bool) -> None:
    assert not stuck(NEXT, keeps_lock, runs=3, slots=PARALLELISM_MIN)


@pytest.mark.parametrize(
    ("pool_of_next", "keeps_lock", "slots"),
    [(QUEUE, True, PARALLELISM_MIN), (HOST, False, PARALLELISM_MIN), (NEXT, False, 1)],
)
def test_the_search_finds_the_deadlocks_of_other_designs(
    pool_of_next: str, keeps_lock: bool, slots: int
) -> None:
    assert stuck(pool_of_next, keeps_lock, runs=3, slots=slots)


def test_every_pool_has_one_slot() -> None:
    assert {slots for slots, _ in POOLS.values()} == {1}
