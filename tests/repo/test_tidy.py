"""The tree as designed: where files lie, what they may hold, and that the docs are true."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest
import yaml

from . import rules_code, rules_imports

FILES = {
    "pyproject.toml", "README.md", "Makefile", "CHANGELOG.md", "CONTRIBUTING.md",
    "requirements.lock", ".pre-commit-config.yaml",
}  # fmt: skip
FILES_ALLOWED = FILES | {".gitignore", ".gitattributes", ".dockerignore", "LICENSE"}
FOLDERS = {"dags", "plugins", "tasks", "expectations", "docker", "docs", "tests", ".ci"}
PACKAGES = {
    "model", "runtime", "scenarios", "checkers", "measure", "clients", "cluster", "faults",
    "workloads", "artifacts", "gate", "report", "notify", "steps", "orchestration", "cli",
    "imports",
}  # fmt: skip
TESTS = {
    "unit", "histories", "contract", "dags", "defects", "expectations", "plugins", "system", "repo",
    "bench", "mutation", "simulation",
}  # fmt: skip
DOCS = tuple(
    f"docs/{name}.md"
    for name in (
        "driver-contract", "reading-a-verdict", "adding-a-client", "adding-a-broker",
        "adding-a-scenario", "adding-a-fault",
    )
)  # fmt: skip

LOCKS = ("*.lock", "*requirements*.txt", "*package-lock.json", "*go.sum", "*go.mod", "*.npmrc")
ADDRESS = re.compile(r"[a-z+]+://|--(?:extra-)?index-url|\bfile:|\b\d{1,3}(?:\.\d{1,3}){3}:\d+")
# written so that this file does not find itself
MACHINE = re.compile(
    "|".join(("/work" + r"/(?:main|shared|\.)", "/tmp" + "/boot", "/home" + r"/\w"))
)

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
TARGET = re.compile(r"^([A-Za-z][\w-]*)\s*:(?!=)", re.MULTILINE)
MAKE = re.compile(r"(?:^|[`$;&|] ?)make ([a-z][\w-]*)", re.MULTILINE)


def top_level_is_as_designed(tree):
    for path in tree.paths:
        first, _, rest = path.partition("/")
        if first not in (FOLDERS if rest else FILES_ALLOWED):
            yield f"{path}: not in the layout of the top level"
    for name in sorted((FILES | FOLDERS) - {p.split("/")[0] for p in tree.paths}):
        yield f"{name}: missing at the top level"


def packages_are_as_designed(tree):
    for path in tree.paths:
        parts = path.split("/")
        if parts[0] == "tasks" and (parts[1:2] != ["kafkalab"] or _stray(parts, 3, PACKAGES)):
            yield f"{path}: not a package of the lab"
        if parts[0] == "tests" and _stray(parts, 2, TESTS):
            yield f"{path}: not a folder of tests"
        if parts[0] == "drivers":
            yield f"{path}: a driver lives in docker/clients/<name>/"


def nothing_shadows_the_docker_sdk(tree):
    for path in tree.paths:
        if path == "docker/__init__.py" or path.startswith("tests/docker/"):
            yield f"{path}: shadows the docker SDK"
        if path.startswith("tests/") and path.endswith("/__init__.py"):
            yield f"{path}: tests are no packages (pytest runs in importlib mode)"


def unit_tests_mirror_the_code(tree):
    """tests/unit/<package>/ exists only for packages that exist."""
    for path in tree.paths:
        parts = path.split("/")
        if parts[:2] == ["tests", "unit"] and len(parts) > 3 and parts[2] not in PACKAGES:
            yield f"{path}: mirrors no package"


def locks_hold_no_addresses(tree):
    for source in tree.sources(*LOCKS):
        for number, line in enumerate(source.text.splitlines(), 1):
            if ADDRESS.search(line):
                yield f"{source.path}:{number}: holds an address: {line.strip()[:60]}"


def nothing_names_the_machine_it_was_made_on(tree):
    for source in tree.sources("*"):
        for number, line in enumerate(source.text.splitlines(), 1):
            if MACHINE.search(line):
                yield f"{source.path}:{number}: a path of one machine: {line.strip()[:60]}"


def scenarios_say_why(tree):
    for source in tree.sources("tasks/kafkalab/scenarios/catalogue/*.yaml"):
        raw = yaml.safe_load(source.text)
        if not isinstance(raw, dict) or len(str(raw.get("why", ""))) < 40:
            yield f"{source.path}: no `why`: what broke in the wild, or would?"
        elif raw.get("id") != source.stem:
            yield f"{source.path}: its id is {raw.get('id')}, its name says {source.stem}"


def links_in_prose_lead_somewhere(tree):
    for source in tree.sources("*.md"):
        folder = PurePosixPath(source.path).parent
        for target in LINK.findall(FENCE.sub("", source.text)):
            if "://" in target or target.startswith(("#", "mailto:")):
                continue
            path = (tree.root / folder / target.split("#")[0]).resolve()
            if not path.exists():
                yield f"{source.path}: link to {target}, which does not exist"


def make_targets_in_prose_exist(tree):
    makefiles = [s.text for s in tree.sources("Makefile")]
    targets = {name for text in makefiles for name in TARGET.findall(text)}
    for source in tree.sources("*.md"):
        for name in MAKE.findall(source.text):
            if name not in targets:
                yield f"{source.path}: `make {name}`, which the Makefile does not have"


def promised_docs_exist(tree):
    for path in DOCS:
        if path not in tree.paths:
            yield f"{path}: missing"


def _stray(parts: list[str], depth: int, known: set[str]) -> bool:
    return len(parts) > depth and parts[depth - 1] not in known


RULES = (
    top_level_is_as_designed,
    packages_are_as_designed,
    nothing_shadows_the_docker_sdk,
    unit_tests_mirror_the_code,
    locks_hold_no_addresses,
    nothing_names_the_machine_it_was_made_on,
    scenarios_say_why,
    links_in_prose_lead_somewhere,
    make_targets_in_prose_exist,
    promised_docs_exist,
)

CATALOGUE = "tasks/kafkalab/scenarios/catalogue"
WHY = "why: a broker once kept four thousand of five thousand records"
PLANTED = [
    (top_level_is_as_designed, {"utils.py": ""}, "utils.py"),
    (top_level_is_as_designed, {"drivers/a.py": ""}, "drivers/a.py"),
    (top_level_is_as_designed, {"README.md": ""}, "Makefile"),
    (packages_are_as_designed, {"tasks/kafkalab/utils/a.py": ""}, "tasks/kafkalab/utils/a.py"),
    (packages_are_as_designed, {"tasks/other/a.py": ""}, "tasks/other/a.py"),
    (packages_are_as_designed, {"tests/misc/test_a.py": ""}, "tests/misc/test_a.py"),
    (packages_are_as_designed, {"drivers/a.py": ""}, "drivers/a.py"),
    (nothing_shadows_the_docker_sdk, {"docker/__init__.py": ""}, "docker/__init__.py"),
    (nothing_shadows_the_docker_sdk, {"tests/docker/test_a.py": ""}, "tests/docker/test_a.py"),
    (nothing_shadows_the_docker_sdk, {"tests/unit/__init__.py": ""}, "tests/unit/__init__.py"),
    (unit_tests_mirror_the_code, {"tests/unit/utils/test_a.py": ""}, "tests/unit/utils/test_a.py"),
    (locks_hold_no_addresses, {"requirements.lock": "--index-url x"}, "requirements.lock:1"),
    (locks_hold_no_addresses, {"a/package-lock.json": '"resolved": "https://x"'}, "a/package"),
    (locks_hold_no_addresses, {"requirements.lock": "a @ file:///x"}, "requirements.lock:1"),
    (locks_hold_no_addresses, {"a/.npmrc": "proxy=10.1.2.3:80"}, "a/.npmrc:1"),
    (nothing_names_the_machine_it_was_made_on, {"a.md": "see /work" + "/main/x"}, "a.md:1"),
    (nothing_names_the_machine_it_was_made_on, {"a.py": "'/home" + "/ann/x'"}, "a.py:1"),
    (scenarios_say_why, {f"{CATALOGUE}/C01.yaml": "id: C01\nwhy: because"}, CATALOGUE),
    (scenarios_say_why, {f"{CATALOGUE}/C01.yaml": "- a list"}, CATALOGUE),
    (scenarios_say_why, {f"{CATALOGUE}/C01.yaml": f"id: C02\n{WHY}"}, CATALOGUE),
    (links_in_prose_lead_somewhere, {"docs/a.md": "[b](b.md#c)"}, "docs/a.md"),
    (links_in_prose_lead_somewhere, {"a.md": "[b](docs/missing/)"}, "a.md"),
    (make_targets_in_prose_exist, {"Makefile": "run:\n", "README.md": "`make test`"}, "README.md"),
    (promised_docs_exist, {"README.md": ""}, "docs/reading-a-verdict.md"),
]

INNOCENT = {
    **dict.fromkeys(FILES, ""),
    **{f"{folder}/README.md": "" for folder in FOLDERS - {"tasks", "tests"}},
    **dict.fromkeys(DOCS, ""),
    "Makefile": "X := 1\nrun: setup\nsetup:\n",
    "README.md": "`make run`, [docs](docs/driver-contract.md), [x](https://example.org), [y](#z)\n",
    "requirements.lock": "numpy==2.0.1 \\\n    --hash=sha256:00\n",
    "tasks/kafkalab/model/x.py": "",
    "tasks/kafkalab/__main__.py": "",
    "tests/unit/model/test_x.py": "",
    f"{CATALOGUE}/C01.yaml": f"id: C01\n{WHY}",
}


# the rules of this file, and those that are read from the code: rule, what it must and must not see
FAMILIES = (
    (RULES, PLANTED, INNOCENT),
    *(
        (
            family.RULES,
            [(r, {path: text}, path) for r, path, text in family.PLANTED],
            family.INNOCENT,
        )
        for family in (rules_code, rules_imports)
    ),
)
EVERY_RULE = [(rule, innocent) for rules, _, innocent in FAMILIES for rule in rules]
EVERY_PLANTED = [planted for _, family, _ in FAMILIES for planted in family]


@pytest.mark.parametrize("rule", [rule for rule, _ in EVERY_RULE])
def test_tree_keeps(rule, tree):
    found = list(rule(tree))
    assert not found, "\n".join(["", *found])


@pytest.mark.parametrize(("rule", "files", "found"), EVERY_PLANTED)
def test_rule_sees(rule, files, found, plant):
    assert [v for v in rule(plant(files)) if v.startswith(found)]


@pytest.mark.parametrize(("rule", "innocent"), EVERY_RULE)
def test_rule_lets_pass(rule, innocent, plant):
    assert list(rule(plant(innocent))) == []


def test_every_rule_is_shown_to_fail():
    assert {rule for rule, _, _ in EVERY_PLANTED} == {rule for rule, _ in EVERY_RULE}


@pytest.mark.parametrize(
    "listed", [rules_code.LONGER, rules_code.MAY_SLEEP], ids=["longer", "may-sleep"]
)
def test_exceptions_name_files_that_exist_and_say_why(listed, tree):
    assert set(listed) <= set(tree.paths)
    assert all(len(why) > 20 for why in listed.values())


def test_who_no_longer_sleeps_is_taken_off_the_list(tree):
    allowed = dict(rules_code.MAY_SLEEP)
    rules_code.MAY_SLEEP.clear()
    try:
        sleepers = {violation.split(":")[0] for violation in rules_code.nobody_sleeps(tree)}
    finally:
        rules_code.MAY_SLEEP.update(allowed)
    assert set(allowed) <= sleepers
