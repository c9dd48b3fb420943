"""Who may import whom: DESIGN's arrows, third parties in their place, costly imports late.

Read from the syntax, so an import inside a function counts as much as one at the top, except where
the rule is about time: then only what runs on import counts.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from fnmatch import fnmatch

LAB = "tasks/kafkalab/*.py"

# package → the packages of kafkalab that it may import, beside itself and `model`
ARROWS = {
    "model": set(),
    "runtime": set(),
    "cluster": {"runtime"},
    "clients": {"runtime"},
    "artifacts": {"runtime"},
    "gate": set(),
    "faults": set(),
    "scenarios": set(),
    "checkers": set(),
    "measure": set(),
    "imports": {"checkers"},
    "report": set(),
    "workloads": {"clients", "faults", "checkers", "measure"},
    "steps": {
        "workloads", "cluster", "gate", "artifacts", "report", "scenarios", "clients", "runtime",
        "measure",  # a step measures the host that it runs on
        "notify",  # publish tells the commit
    },
    "orchestration": {"scenarios", "runtime"},
    "notify": {"runtime"},
    "dags": {"orchestration", "notify", "report"},
    "plugins": {"orchestration", "notify", "report"},
}  # fmt: skip

# third-party package → where it may be imported at all
CONFINED = {
    "airflow": (
        "tasks/kafkalab/orchestration/*", "tasks/kafkalab/notify/airflow_app.py",
        "dags/*", "plugins/*",
    ),
    "great_expectations": ("tasks/kafkalab/gate/*",),
    "docker": ("tasks/kafkalab/cluster/*",),
    "boto3": ("tasks/kafkalab/artifacts/*",),
    "botocore": ("tasks/kafkalab/artifacts/*",),
    "confluent_kafka": ("docker/clients/confluent-kafka/*",),
    "kafka": ("docker/clients/kafka-python/*",),
    "aiokafka": ("docker/clients/aiokafka/*",),
    "driverkit": ("docker/clients/*",),
}  # fmt: skip

# a second and more on import: paid where it is used, not by whoever imports the module
COSTLY = {"great_expectations", "matplotlib", "pandas", "scipy"}

# what the kit of the drivers in Python may import beside itself and the standard library
KIT = "docker/clients/kit-python/*.py"
KIT_NEEDS = {"driverkit", "hdrh", "numpy", "zlib_ng"}

# what a pure package would need in order to know a clock, a file, a socket or a log; the folder
# that a query engine spills to (tempfile) is no input and stays allowed, and so does the path of a
# history, which it reads where it lies
IMPURE = {"logging", "os", "pathlib", "shutil", "socket", "subprocess", "time"}
PURE = {"model": set(), "checkers": {"pathlib"}, "measure": set()}


def imports(node: ast.AST, path: str) -> Iterator[tuple[str, int]]:
    """(dotted module, line) of every import below a node; a relative one is made absolute."""
    for child in ast.walk(node):
        if isinstance(child, ast.Import):
            yield from ((alias.name, child.lineno) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            module = child.module or ""
            if child.level:
                folder = path.removeprefix("tasks/").split("/")[: -child.level]
                module = ".".join([*folder, *filter(None, [module])])
            yield from ((f"{module}.{alias.name}", child.lineno) for alias in child.names)


def on_import(module: ast.Module) -> Iterator[ast.stmt]:
    """Statements that run when the module is imported."""
    waiting: list[ast.stmt] = list(module.body)
    while waiting:
        statement = waiting.pop(0)
        if isinstance(statement, ast.Import | ast.ImportFrom):
            yield statement
        elif isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test):
            waiting += statement.orelse
        elif not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            for field in ("body", "orelse", "finalbody"):
                waiting += getattr(statement, field, [])
            for handler in getattr(statement, "handlers", []):
                waiting += handler.body


def top(module: str) -> str:
    return module.split(".", maxsplit=1)[0]


def arrows_point_one_way(tree):
    for source in tree.sources(LAB, "dags/*.py", "plugins/*.py"):
        owner = source.package or source.path.split("/")[0]
        if owner in ("tasks", "cli"):  # the command line composes everything
            continue
        allowed = ARROWS.get(owner, set()) | {owner, "model"}
        for module, line in imports(source.syntax, source.path):
            parts = module.split(".")
            if parts[0] == "kafkalab" and len(parts) > 2 and parts[1] not in allowed:
                yield f"{source.path}:{line}: {owner} may not import kafkalab.{parts[1]}"


def third_parties_stay_confined(tree):
    for source in tree.sources(LAB, "dags/*.py", "plugins/*.py", "docker/*.py"):
        for module, line in imports(source.syntax, source.path):
            places = CONFINED.get(top(module))
            if places and not any(fnmatch(source.path, place) for place in places):
                yield f"{source.path}:{line}: {top(module)} belongs to {', '.join(places)}"


def model_is_standard_library_only(tree):
    for source in tree.sources("tasks/kafkalab/model/*.py"):
        for module, line in imports(source.syntax, source.path):
            if top(module) not in sys.stdlib_module_names and top(module) != "kafkalab":
                yield f"{source.path}:{line}: model may not import {top(module)}"


def drivers_stand_alone(tree):
    """They run where the lab is not installed; what they share knows no client."""
    for source in tree.sources("docker/clients/*.py"):
        kit = fnmatch(source.path, KIT)
        for module, line in imports(source.syntax, source.path):
            name = top(module)
            if name == "kafkalab":
                yield f"{source.path}:{line}: a driver runs without the lab, it imports {module}"
            elif kit and name not in sys.stdlib_module_names and name not in KIT_NEEDS:
                yield f"{source.path}:{line}: the kit may not import {name}"


def costly_imports_wait(tree):
    for source in tree.sources(LAB, "dags/*.py", "plugins/*.py"):
        for statement in on_import(source.syntax):
            for module, line in imports(statement, source.path):
                if top(module) in COSTLY:
                    yield f"{source.path}:{line}: import {top(module)} where it is used"


def pure_packages_know_no_world(tree):
    for source in tree.sources(*(f"tasks/kafkalab/{package}/*.py" for package in PURE)):
        for module, line in imports(source.syntax, source.path):
            if top(module) in IMPURE - PURE[source.package]:
                yield f"{source.path}:{line}: {source.package} is pure, it may not import {module}"


RULES = (
    arrows_point_one_way,
    third_parties_stay_confined,
    model_is_standard_library_only,
    drivers_stand_alone,
    costly_imports_wait,
    pure_packages_know_no_world,
)

PLANTED = [
    (arrows_point_one_way, "tasks/kafkalab/gate/x.py", "from kafkalab.cluster import engine"),
    (arrows_point_one_way, "tasks/kafkalab/gate/x.py", "from ..cluster import engine"),
    (arrows_point_one_way, "tasks/kafkalab/gate/x.py", "def f():\n    import kafkalab.cluster.a"),
    (arrows_point_one_way, "tasks/kafkalab/runtime/x.py", "from kafkalab.clients.a import b"),
    (arrows_point_one_way, "tasks/kafkalab/newcomer/x.py", "from kafkalab.steps import a"),
    (arrows_point_one_way, "dags/x.py", "from kafkalab.steps.plan import run"),
    (arrows_point_one_way, "plugins/kafkalab_x.py", "import kafkalab.artifacts.store"),
    (third_parties_stay_confined, "tasks/kafkalab/steps/x.py", "import boto3"),
    (third_parties_stay_confined, "tasks/kafkalab/steps/x.py", "from botocore.config import C"),
    (third_parties_stay_confined, "tasks/kafkalab/clients/x.py", "import docker.errors"),
    (third_parties_stay_confined, "tasks/kafkalab/notify/chat.py", "from airflow.sdk import DAG"),
    (third_parties_stay_confined, "dags/x.py", "def f():\n    import confluent_kafka"),
    (third_parties_stay_confined, "tasks/kafkalab/steps/x.py", "import great_expectations as gx"),
    (
        third_parties_stay_confined,
        "docker/clients/kit-python/driverkit/x.py",
        "from confluent_kafka import Producer",
    ),
    (third_parties_stay_confined, "docker/clients/aiokafka/x.py", "import confluent_kafka"),
    (third_parties_stay_confined, "tasks/kafkalab/clients/x.py", "import driverkit"),
    (drivers_stand_alone, "docker/clients/aiokafka/x.py", "from kafkalab.model import run"),
    (drivers_stand_alone, "docker/clients/kit-python/driverkit/x.py", "import consumer"),
    (model_is_standard_library_only, "tasks/kafkalab/model/x.py", "import numpy"),
    (costly_imports_wait, "tasks/kafkalab/report/x.py", "import matplotlib.figure"),
    (
        costly_imports_wait,
        "tasks/kafkalab/gate/x.py",
        "try:\n    import great_expectations\nexcept E: 0",
    ),
    (costly_imports_wait, "tasks/kafkalab/gate/x.py", "class A:\n    import pandas"),
    (pure_packages_know_no_world, "tasks/kafkalab/checkers/x.py", "def f():\n    import time"),
]

INNOCENT = {
    "tasks/kafkalab/__main__.py": "from kafkalab.steps import plan",
    "tasks/kafkalab/gate/x.py": (
        "from typing import TYPE_CHECKING\n"
        "from kafkalab.model.gate import GateResult\n"
        "from . import suites\n"
        "if TYPE_CHECKING:\n    import pandas\n"
        "def f():\n    import great_expectations\n"
    ),
    "tasks/kafkalab/model/x.py": "import kafkalab.model.run\nfrom enum import Enum",
    "tasks/kafkalab/cluster/x.py": "import docker_like\nfrom kafkalab.runtime import java",
    "docker/clients/aiokafka/x.py": "import aiokafka\nfrom driverkit import main\nimport consumer",
    "docker/clients/kit-python/driverkit/x.py": "import json\nfrom hdrh.histogram import A",
    "dags/x.py": "from airflow.sdk import DAG\nfrom kafkalab.orchestration import chain",
}
