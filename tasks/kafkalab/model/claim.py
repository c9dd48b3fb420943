"""The claims that can be judged today: name → what must not be found.

Names are those of Jepsen's Kafka workload where it has one (https://github.com/jepsen-io/redpanda).
The text is what the report shows beside a red claim; the full argument stands in the checker.
"""

from __future__ import annotations

from types import MappingProxyType

CLAIMS = MappingProxyType(
    {
        # log
        "lost-write": "acknowledged, later offsets of its partition were read, it never was",
        "unseen": "acknowledged, and not read by the end",
        "G1a": "a record was read whose send, or transaction, had failed for certain",
        "duplicate": "one value at several offsets",
        "delivered-twice": "one offset delivered again without an allowed reason",
        "inconsistent-offsets": "one offset, several values",
        "corrupt-value": "the checksum of a delivered value does not match",
        "null-becomes-empty": "null and empty bytes were exchanged in key, value or headers",
        "changed-content": "key, value or headers of a record are not those that were sent",
        "wrong-topic": "a value in a topic or partition that it was not sent to",
        # order
        "poll-skip": "a record that can be read was left out between two polls of one client",
        "int-poll-skip": "the same within one poll",
        "nonmonotonic-poll": "a poll gave an offset at or below what an earlier one gave",
        "int-nonmonotonic-poll": "the same within one poll",
        "nonmonotonic-send": "a later send of one producer lies below an earlier one",
        "int-nonmonotonic-send": "the same within one command",
        "int-send-skip": "others' records lie within one command's: reported, and legal",
        # transactions
        "precommitted-read": "a record was read before its transaction was asked to commit",
        "torn-transaction": "a part of a transaction was read, another was passed over",
        "zombie-write": "a write was accepted after another producer had fenced its sender",
        "control-batch-leak": "a commit or abort marker was given out as data",
        "G0": "transactions that lie in each other: reported, and legal",
        "G0-process": "the same with the order of each client: reported, and legal",
        "G0-realtime": "the same with real time: reported, and legal",
        "G1c": "transactions that read each other",
        "G1c-process": "a client was given what it wrote later",
        "G1c-realtime": "somebody was given what was written later",
        # commit
        "commit-ahead": "committed beyond what was delivered",
        "commit-behind": "after a clean close, not at the next offset",
        "commit-regression": "a committed offset went backwards",
        "commit-lost": "a commit was acknowledged and is not found",
        # group
        "double-owner": "two members owned a partition at one time in one generation",
        "consumed-after-revoke": "a member was given records of a partition that it had given up",
        "skipped-past-commit": "a new owner starts beyond what its predecessors were given",
        "reread-below-commit": "a new owner starts below the last successful commit",
        "orphan-partition": "no member owned a partition after the group had converged",
        "needless-move": "a cooperative rebalance moved a partition that it could have left",
        "rounds-to-converge": "a group took more rebalances to converge than the bound",
        "unshared-group": "a member of a group was given no partition though another had two",
        "paused-lost": "a partition that a rebalance left alone was no longer paused",
        "paused-kept": "a partition that was taken and given anew was still paused",
        "zombie-member": "put out of the group, and still consuming",
        # liveness
        "startup": "a client was not usable within the bound",
        "stall": "records were available and none was delivered for the bound",
        "hung-close": "a client did not close within the bound",
        "deadlock": "no progress and no CPU for the bound, with operations in flight",
        "unrecovered": "no progress within the bound after a fault was healed",
        "slow-watermark": "acknowledged with acks=all, and not readable within the bound",
        "starved-partition": "a partition got far less than its fair share of deliveries",
        # resource
        "leak": "memory grows on the plateau, by a robust slope with its confidence",
        # server
        "crash": "a process under test ended by itself",
        "error-in-log": "a broker logged an error that is not on the allow list",
        # performance: judged by the paired comparison, see measure/paired.py
        "regression": "a metric is worse than the baseline build by more than its bound",
    }
)
