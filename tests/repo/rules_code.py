"""What the linters do not know: sizes, waiting, swallowed errors, registries, DAGs, plugins."""

from __future__ import annotations

import ast

CODE = ("tasks/*.py", "dags/*.py", "plugins/*.py", "docker/*.py")
FUNCTION_LINES_MAX, MODULE_LINES_MAX, DAG_LINES_MAX, PLUGIN_LINES_MAX = 60, 300, 100, 60

# path → why this file may be longer than MODULE_LINES_MAX
LONGER: dict[str, str] = {}

# path → why it may sleep: never in place of readiness, which is polled against a deadline
_PERIOD = "the pause between two looks at a condition; nothing announces that it came true"
MAY_SLEEP: dict[str, str] = {
    f"tasks/kafkalab/{path}": _PERIOD
    for path in (
        "cluster/docker_guard.py",  # a lease that was not renewed
        "cluster/readiness.py",  # a broker that does not answer yet; ends at its deadline
        "runtime/guard.py",  # a guard that has not said that it is ready
        "runtime/guard_process.py",  # processes that were told to end; ends at its grace
        "runtime/lease.py",  # another run that holds this host
        "runtime/reaper.py",  # processes that were told to end; ends at its grace
    )
}

# names that hold a registry, wherever they stand
REGISTRIES = {
    "CHECKERS", "CLAIMS", "ENGINES", "FAULTS", "FLAVOURS", "LINKS", "ROLES", "STEPS", "SUITES",
    "WORKLOADS",
}  # fmt: skip


def functions_stay_readable(tree):
    """Length from `def` to the end, without the docstring."""
    for source in tree.sources(*CODE):
        for node in ast.walk(source.syntax):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if ast.get_docstring(node, clean=False) is not None:
                text = node.body[0]
                length -= (text.end_lineno or text.lineno) - text.lineno + 1
            if length > FUNCTION_LINES_MAX:
                yield f"{source.path}:{node.lineno}: {node.name} has {length} lines"


def modules_stay_readable(tree):
    limits = {"dags": DAG_LINES_MAX, "plugins": PLUGIN_LINES_MAX}
    for source in tree.sources(*CODE):
        lines = len(source.text.splitlines())
        limit = limits.get(source.path.split("/")[0], MODULE_LINES_MAX)
        if lines > limit and source.path not in LONGER:
            yield f"{source.path}: {lines} lines, at most {limit}"


def nobody_sleeps(tree):
    for source in tree.sources("tasks/*.py", "dags/*.py", "plugins/*.py"):
        if source.path in MAY_SLEEP:
            continue
        for node in ast.walk(source.syntax):
            if isinstance(node, ast.Call) and _name(node.func) in ("time.sleep", "asyncio.sleep"):
                yield f"{source.path}:{node.lineno}: sleeps; poll a condition with a deadline"
            from_clock = isinstance(node, ast.ImportFrom) and node.module in ("time", "asyncio")
            if from_clock and "sleep" in {alias.name for alias in node.names}:
                yield f"{source.path}:{node.lineno}: imports sleep by itself"


def broad_excepts_give_a_reason(tree):
    """A comment with words, on the `except` line or the one below it; a noqa code is no reason."""
    for source in tree.sources(*CODE):
        for node in ast.walk(source.syntax):
            if not isinstance(node, ast.ExceptHandler):
                continue
            broad = node.type is None or _name(node.type) in ("Exception", "BaseException")
            broad &= not _raises_again(node)  # cleaning up and passing the error on hides nothing
            empty = all(isinstance(s, ast.Pass) for s in node.body)
            if (broad or empty) and not _reason(source, node):
                kind = "broad" if broad else "empty"
                yield f"{source.path}:{node.lineno}: {kind} except without a reason beside it"


def registries_are_literal(tree):
    """Read top to bottom: a dict or tuple written out, no comprehension, no later additions."""
    for source in tree.sources("tasks/*.py"):
        for node in source.syntax.body:
            for name, value in _assigned(node):
                if name in REGISTRIES and not _literal(value):
                    yield f"{source.path}:{node.lineno}: {name} is not a literal"
        for node in ast.walk(source.syntax):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Subscript) and _last(target.value) in REGISTRIES:
                        yield f"{source.path}:{node.lineno}: a registry is added to at run time"


def dag_files_are_pages(tree):
    """A docstring, the DAG named like the file, and no helper functions."""
    for source in tree.sources("dags/*.py"):
        if not ast.get_docstring(source.syntax):
            yield f"{source.path}: no docstring; it is the DAG's doc_md"
        ids = set(_dag_ids(source.syntax))
        if ids != {source.stem}:
            yield f"{source.path}: the DAG's id should be {source.stem}, found {sorted(ids)}"
        for node in source.syntax.body:
            helper = isinstance(node, ast.FunctionDef) and not node.decorator_list
            if helper or isinstance(node, ast.ClassDef):
                yield f"{source.path}:{node.lineno}: helper {node.name} belongs to orchestration"


def plugins_are_flat_and_prefixed(tree):
    for path in tree.paths:
        if path.startswith("plugins/") and path.endswith(".py"):
            rest = path.removeprefix("plugins/")
            if "/" in rest or not rest.startswith("kafkalab_"):
                yield f"{path}: Airflow runs it under its bare stem: plugins/kafkalab_*.py only"


def _name(node: ast.AST) -> str:
    return ast.unparse(node)


def _last(node: ast.AST) -> str:
    return _name(node).split(".")[-1]


def _reason(source, handler: ast.ExceptHandler) -> bool:
    for number in (handler.lineno, handler.lineno + 1):
        _, found, comment = source.line(number).partition("#")
        words = [w for w in comment.split() if w.isalpha() and w != "noqa"]
        if found and len(words) >= 3:
            return True
    return False


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _assigned(node: ast.stmt):
    if isinstance(node, ast.Assign):
        yield from ((t.id, node.value) for t in node.targets if isinstance(t, ast.Name))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
        yield node.target.id, node.value


def _literal(value: ast.expr) -> bool:
    if isinstance(value, ast.Call) and _last(value.func) in ("MappingProxyType", "frozenset"):
        value = value.args[0]
    if isinstance(value, ast.Dict):
        return all(isinstance(key, ast.Constant | ast.Attribute) for key in value.keys)
    return isinstance(value, ast.Tuple | ast.Set)


def _dag_ids(module: ast.Module):
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and _last(node.func) in ("DAG", "dag"):
            named = [k.value for k in node.keywords if k.arg == "dag_id"]
            for value in [*named, *node.args[:1]]:
                yield value.value if isinstance(value, ast.Constant) else _name(value)


RULES = (
    functions_stay_readable,
    modules_stay_readable,
    nobody_sleeps,
    broad_excepts_give_a_reason,
    registries_are_literal,
    dag_files_are_pages,
    plugins_are_flat_and_prefixed,
)

LONG = "    x = 1\n" * 60
PLANTED = [
    (functions_stay_readable, "tasks/kafkalab/x.py", f"def f():\n{LONG}"),
    (functions_stay_readable, "docker/clients/x/driver.py", f"class A:\n  async def f():\n{LONG}"),
    (modules_stay_readable, "tasks/kafkalab/x.py", "x = 1\n" * 301),
    (modules_stay_readable, "dags/x.py", "x = 1\n" * 101),
    (modules_stay_readable, "plugins/kafkalab_x.py", "x = 1\n" * 61),
    (nobody_sleeps, "tasks/kafkalab/x.py", "import time\ntime.sleep(1)"),
    (nobody_sleeps, "tasks/kafkalab/x.py", "from time import sleep"),
    (broad_excepts_give_a_reason, "tasks/kafkalab/x.py", "try:\n    f()\nexcept:\n    g()"),
    (
        broad_excepts_give_a_reason,
        "tasks/kafkalab/x.py",
        "try:\n    f()\nexcept Exception as e:  # noqa: BLE001\n    g()",
    ),
    (broad_excepts_give_a_reason, "dags/x.py", "try:\n    f()\nexcept KeyError:\n    pass"),
    (registries_are_literal, "tasks/kafkalab/x.py", "FAULTS = {f.name: f for f in scan()}"),
    (registries_are_literal, "tasks/kafkalab/x.py", "STEPS: dict[str, str] = {**OTHER}"),
    (registries_are_literal, "tasks/kafkalab/x.py", "def f():\n    a.FAULTS['kill'] = g"),
    (dag_files_are_pages, "dags/kafka_x.py", '"""Why."""\nDAG("kafka_y")'),
    (dag_files_are_pages, "dags/kafka_x.py", 'DAG(dag_id="kafka_x")'),
    (dag_files_are_pages, "dags/kafka_x.py", '"""W."""\nDAG("kafka_x")\ndef helper(): ...'),
    (plugins_are_flat_and_prefixed, "plugins/webhook.py", ""),
    (plugins_are_flat_and_prefixed, "plugins/kafkalab_a/kafkalab_b.py", ""),
]

INNOCENT = {
    "tasks/kafkalab/x.py": (
        "try:\n    f()\nexcept BaseException:\n    g()\n    raise\n"
        "try:\n    f()\nexcept Exception:  # noqa: BLE001 - a crash is a finding\n    g()\n"
        "try:\n    f()\nexcept KeyError:\n    pass  # it was gone before we came\n"
        "FAULTS = {'kill': 'kafkalab.faults.kill'}\n"
        f"def f():\n    '''{LONG}'''\n    lock.wait(timeout=1)\n"
    ),
    "dags/kafka_x.py": '"""Why."""\nwith DAG(dag_id="kafka_x"):\n    pass\n',
    "plugins/kafkalab_x.py": "x = 1",
}
