"""Whatever stands in a cell, judging it neither crashes nor takes a host's memory."""

import pyarrow as pa
import pytest

from kafkalab.checkers import compose, history
from kafkalab.checkers.registry import CHECKERS
from kafkalab.model.history import COLUMNS, CheckContext

STORY = """
p0 open producer acks=-1 idempotence=true
c0 open consumer group=g offset_reset=earliest
c0 subscribe t
c0 assigned t/0 t/1 gen=1
p0 send t/0 1@0 2@1 3@2
p0 send t/1 4@0 5@1~key
c0 poll t/0 1@0 2@1 3@2
c0 commit t/0=3 t/1=2
c0 poll t/1 4@0 5@1~key
c0 revoked t/0 t/1 gen=1
c0 close
p0 close
"""
ODD = {
    "int32": (-(2**31), -5, 2**31 - 1, 70_000, None),
    "int64": (-(2**63), -(2**62), -1, 2**62, 2**63 - 1, None),
    "uint64": (2**64 - 1, 2**63, 0, None),
    "string": ("", "\0", "x" * 70_000, "send", "ok", "t/99999999999", "t/-3", "{", None),
}


@pytest.mark.parametrize(("name", "kind"), COLUMNS)
def test_no_checker_stumbles(name, kind, write):
    rows, finished_ns = write(STORY)
    table, context = history.table(rows), CheckContext(finished_ns)
    position = table.schema.get_field_index(name)
    for number, odd in enumerate(ODD[kind]):
        values = table.column(name).to_pylist()
        values[(7 * number + position) % len(values)] = odd
        changed = table.set_column(
            position, table.schema.field(name), pa.array(values, table.schema.field(name).type)
        )
        worth_rows = (0, 10**9)[number % 2]  # with a screen, and without
        for verdict in compose.judge(changed, CHECKERS, context, worth_rows=worth_rows):
            assert "crash" not in verdict.summary, (odd, verdict)
