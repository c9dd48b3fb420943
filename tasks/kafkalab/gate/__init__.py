"""The gate: data quality first, then claims, then envelopes; the only user of Great Expectations.

`judge_run` is the way in. Nothing here imports Great Expectations at module level (5.5 s).
"""

from kafkalab.gate.judge import judge_run

__all__ = ["judge_run"]
