"""A broker fails and returns: the one fault that a workload has today.

What is done: a broker is killed (SIGKILL) and, at the end of the block, started again on its data.
Seen from outside: its process is gone, or the host raises; and at the end the metadata shows every
broker again, or this raises. Between the two the history has the rows `fault`, injected and healed,
by which claims tell a fault's time from a client's own, and the series has the marks that the
report draws. It is healed after an error in between too. Nothing is left but the log's own trace.

Plan, ledger and other faults: docs/adding-a-fault.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from kafkalab.model.errors import InfrastructureError
from kafkalab.workloads.lab import Lab

RETURN_S = 60.0  # a broker that was killed looks through its log before it serves


@contextmanager
def broker_down(lab: Lab, broker: str) -> Iterator[None]:
    """Kill a broker; start it again when the block ends, and wait until metadata shows it.

    Raises:
        InfrastructureError: it did not go, or did not come back within RETURN_S.
    """
    fault = f"kill-{broker}"
    lab.mark(f"fault: {broker} is killed")
    lab.note_fault(fault, "injected")
    try:
        lab.host.kill_broker(broker)
        yield
    finally:
        lab.host.restart_broker(broker)
        _wait_until_back(lab, broker)
    lab.note_fault(fault, "healed")
    lab.mark(f"heal: {broker} is back")


def _wait_until_back(lab: Lab, broker: str) -> None:
    wanted = sorted(lab.host.brokers().values())
    for attempt in Retrying(
        retry=retry_if_exception_type(InfrastructureError),
        stop=stop_after_delay(RETURN_S),
        wait=wait_fixed(0.25),
        reraise=True,
    ):
        with attempt:
            shown, _controller = lab.admin.describe_cluster()
            if sorted(shown) != wanted:
                raise InfrastructureError(
                    f"expected brokers {wanted} in the metadata within {RETURN_S:g} s after "
                    f"{broker} was started again, found {sorted(shown)}."
                )
