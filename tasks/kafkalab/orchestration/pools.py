"""Three pools with one slot each, so that runs follow one another on a host and none is cancelled.

Two runs at once on one host would measure each other. `HOST` holds every task that works the host:
one step at a time. A cluster outlives its `provision` task, so a pool alone cannot keep two
clusters apart: the run takes the host's lock in `provision`, until a `teardown` gives it back. A
`provision` waits for it in another pool, because a wait in `HOST` would hold the slot that the
`teardown` which frees the lock needs: `QUEUE` for a run's first cluster, `NEXT` for the others.

Why this cannot deadlock. Whoever holds the lock is between `provision` and `teardown`, where tasks
need `HOST` only, and no task in `HOST` waits for the lock; so the lock is always given back. If a
run keeps it from cluster to cluster, its further provisions pass through `NEXT` without waiting:
they would never get past another run's first `provision` in `QUEUE`, which waits for that very run.
If a run gives it back after each cluster, whoever waits in `NEXT` waits for a holder that needs
neither `QUEUE` nor `NEXT`. At most two tasks wait and take an executor slot meanwhile, hence
`PARALLELISM_MIN`: those two, the step that works, and one for the small tasks of the default pool.
"""

from __future__ import annotations

from types import MappingProxyType

HOST = "kafkalab_host"
QUEUE = "kafkalab_queue"
NEXT = "kafkalab_next"
POOLS = MappingProxyType(
    {
        HOST: (1, "kafkalab: the one step that works this host"),
        QUEUE: (1, "kafkalab: the one run that waits for this host"),
        NEXT: (1, "kafkalab: the one run that goes on to its next cluster"),
    }
)
PARALLELISM_MIN = 4


def create_pools() -> None:
    """Create or mend the pools in Airflow's database; needs one that is migrated."""
    from airflow.models.pool import Pool

    for name, (slots, description) in POOLS.items():
        Pool.create_or_update_pool(name, slots, description, include_deferred=True)
