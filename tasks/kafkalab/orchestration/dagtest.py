"""The child process of `dagrun`: loads one DAG file, runs `DAG.test()`, writes JSON lines.

Its own lines are objects with a key `kafkalab`; Airflow's log lines are JSON too (json_logs). It
never runs anything when the parameters do not fit, and after SIGINT nothing but teardowns.
"""

from __future__ import annotations

import json
import signal
import sys
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.listeners import hookimpl
from airflow.sdk.listener import get_listener_manager

from kafkalab.model.errors import UsageError
from kafkalab.orchestration import request, step


def _say(kind: str, **fields: Any) -> None:
    sys.stdout.write(json.dumps({"kafkalab": kind, **fields}) + "\n")
    sys.stdout.flush()


class TaskEvents:
    """An Airflow listener that tells when tasks start and end."""

    @hookimpl  # type: ignore[untyped-decorator]
    def on_task_instance_running(self, task_instance: Any) -> None:
        """A task starts."""
        _say("started", task=task_instance.task_id, cell=_cell(task_instance))

    @hookimpl  # type: ignore[untyped-decorator]
    def on_task_instance_success(self, task_instance: Any) -> None:
        """A task succeeded."""
        _ended(task_instance, "success", "")

    @hookimpl  # type: ignore[untyped-decorator]
    def on_task_instance_skipped(self, task_instance: Any) -> None:
        """A task skipped itself."""
        _ended(task_instance, "skipped", "")

    @hookimpl  # type: ignore[untyped-decorator]
    def on_task_instance_failed(self, task_instance: Any, error: Any) -> None:
        """A task failed."""
        _ended(task_instance, "failed", str(error))


def _ended(task_instance: Any, state: str, text: str) -> None:
    _say("ended", task=task_instance.task_id, cell=_cell(task_instance), state=state, text=text)


def _cell(task_instance: Any) -> str:
    return str(getattr(task_instance.task, "cell", "") or "")


def _result(run: Any) -> dict[str, Any]:
    """State of the run and of all its tasks, with what the steps said."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        pushed = session.scalars(
            select(XComModel).where(XComModel.run_id == run.run_id, XComModel.key == step.RESULT)
        ).all()
        said = {(x.task_id, x.map_index): XComModel.deserialize_value(x) for x in pushed}
        ends = [_end(ti, said) for ti in run.get_task_instances(session=session)]
    return {"run_id": run.run_id, "state": str(run.state), "tasks": ends}


def _end(ti: Any, said: dict[tuple[str, int], dict[str, Any]]) -> dict[str, Any]:
    own = said.get((ti.task_id, ti.map_index), {})
    kept: dict[str, Any] = {
        key: own[key] for key in ("manifest", "verdict", "exit_code") if key in own
    }
    return {
        "task": ti.task_id,
        "map_index": ti.map_index,
        "state": str(ti.state),
        "seconds": ti.duration or 0.0,
        **kept,
    }


def main(dag_file: str, options: dict[str, Any], texts: dict[str, list[str]]) -> int:
    """Run the DAG of this file; 2 when it cannot be run as asked."""
    bag = DagBag(dag_file)
    if not bag.dags:
        _say("refused", text=f"{dag_file}: {'; '.join(bag.import_errors.values()) or 'no DAG'}")
        return 2
    dag = next(iter(bag.dags.values()))
    try:
        conf = request.conf(dag.params, options, texts)
    except UsageError as error:
        _say("refused", text=str(error))
        return 2
    signal.signal(signal.SIGINT, lambda *_: step.stop())
    get_listener_manager().add_listener(TaskEvents())
    _say("result", **_result(dag.test(run_conf=conf)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])))
