"""Stands in for `python -m kafkalab` under `KAFKALAB_STEP_COMMAND`: obeys the contract of a step.

STUB_RED    JSON: "step", "role.step" or "step/cell" → exit code, or "hang"
STUB_CALLS  file to which every call is appended, one JSON list of arguments a line
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

BUCKET = "kafkalab"
PREFIX = "runs/stub"
VERDICTS = {0: "pass", 1: "fail", 3: "unknown"}
PINNED = {
    "correctness": ("C01", "C02", "C03", "C13"),
    "backpressure": ("B01", "B04"),
    "memory": ("M01",),
    "benchmark": ("P02", "P03", "P04"),
    "compat": ("A01",),
}


def write_run(arguments: argparse.Namespace) -> None:
    """A smoke run, narrowed by the parameters, as the real `plan` would write it."""
    import boto3

    asked = json.loads(arguments.params)
    cells = {f"{step}/pinned": names for step, names in PINNED.items()}
    cells |= {"compat/oldest": ("A01",), "compat/newest": ("A01",)}
    planned = {
        key: [
            {"scenario": s, "clients": ["confluent-kafka@2.16.1"], "broker": "kafka@3.9.2"}
            for s in names
            if not asked["scenarios"] or s in asked["scenarios"]
        ]
        for key, names in cells.items()
        if not asked["brokers"] or key.split("/")[1] in asked["brokers"]
    }
    run = {
        "run_id": arguments.run_id,
        "workflow": arguments.workflow,
        "prefix": f"{PREFIX}/",
        "seed": asked["seed"] or 7,
        "engine": asked["engine"],
        "subjects": ["confluent-kafka@2.16.1"],
        "cells": {key: group for key, group in planned.items() if group},
        "brokers": {},
    }
    store = boto3.client("s3", endpoint_url=os.environ["KAFKALAB_S3_ENDPOINT"])
    store.put_object(Bucket=BUCKET, Key=f"{PREFIX}/run.json", Body=json.dumps(run).encode())


def main() -> int:
    """One step."""
    parser = argparse.ArgumentParser()
    parser.add_argument("step")
    for name in ("run", "attempt", "cell", "role", "workflow", "run-id", "params"):
        parser.add_argument(f"--{name}", default="")
    arguments, _ = parser.parse_known_args()
    with Path(os.environ["STUB_CALLS"]).open("a", encoding="utf-8") as calls:
        calls.write(json.dumps([os.environ.get("KAFKALAB_RUN_ID"), *sys.argv[1:]]) + "\n")
    if arguments.step == "plan":
        write_run(arguments)
    red = json.loads(os.environ.get("STUB_RED", "{}"))
    where = f"{arguments.step}/{arguments.cell}" if arguments.cell else arguments.step
    code = red.get(where, red.get(f"{arguments.role}.{arguments.step}", 0))
    sys.stderr.write(f"{where}: progress\n")
    if code == "hang":
        time.sleep(600)
    if code:
        sys.stderr.write(f"repeat: kafkalab replay {PREFIX} --cell {arguments.cell}\n")
    if code != 2:
        manifest = f"s3://{BUCKET}/{PREFIX}/{arguments.step}/attempt=1/manifest.json"
        sys.stdout.write(json.dumps({"manifest": manifest, "verdict": VERDICTS[code]}) + "\n")
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
