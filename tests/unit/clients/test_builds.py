"""A build is named by all that goes in, made once, and counts only when its driver loads."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from kafkalab.clients import builds
from kafkalab.clients.builds import FOLDER, PYTHON, Builder, Made, Order
from kafkalab.clients.sources import Source
from kafkalab.model.errors import BuildError, UsageError
from kafkalab.model.subject import Subject
from kafkalab.runtime import paths

HELLO = """
import json, os, sys, time
print(json.dumps({"type": "hello", "t": time.monotonic_ns(), "contract": CONTRACT, "driver": "x",
    "client": {"name": "x", "version": "1", "library": "x"}, "runtime": {"name": "p",
    "version": "1"}, "pid": os.getpid(), "wall_ns": 0, "capabilities": ["produce"]}), flush=True)
sys.stdin.read()
"""


class Workshop:
    """A builder of fake clients; counts what it made."""

    def __init__(self) -> None:
        self.made = 0
        self.runtime = "runtime 1"
        self.outside = ()

    def builder(self) -> Builder:
        return Builder(lambda _: self.runtime, self.make, lambda _: ["0.9", "1.0", "1.1"])

    def make(self, order, folder, log):
        self.made += 1
        builds.copy_sources(order, folder)
        if order.source.release not in ("", "1.0", "1.1"):
            raise builds.absent(order, self.builder(), log)
        return Made((PYTHON, f"{FOLDER}/driver.py"), self.outside)


@pytest.fixture
def workshop(tmp_path, monkeypatch):
    monkeypatch.setenv("KAFKALAB_CACHE", str(tmp_path / "cache"))
    return Workshop()


@pytest.fixture
def order(tmp_path):
    driver = tmp_path / "driver"
    driver.mkdir()
    (driver / "driver.py").write_text(HELLO.replace("CONTRACT", "1"))
    return Order(Subject("x", "1.0"), "x", Source("1.0"), driver, "1.0")


def _left():
    return [path.name for path in (paths.cache() / "builds").iterdir() if path.is_dir()]


def test_it_is_built_once_and_knows_its_capabilities(workshop, order):
    first = builds.launch(order, workshop.builder())
    assert first.argv[0] == sys.executable
    assert first.capabilities == {"produce"}
    assert builds.launch(order, workshop.builder()) == first
    assert workshop.made == 1
    (found,) = builds.current(order)
    assert (found.subject, found.hello["client"]["version"]) == ("x@1.0", "1")
    assert "pid" not in found.hello
    (order.driver / "driver.py").write_text(HELLO.replace("CONTRACT", "1") + "\n# edited")
    assert builds.current(order) == []


def test_whatever_goes_in_makes_another_build(workshop, order, tmp_path):
    kit = tmp_path / "kit"
    kit.mkdir()
    orders = [
        order,
        replace(order, source=Source("1.1")),
        replace(order, needs=("y==1",)),
        replace(order, extra=("z@1",)),
        replace(order, package="x2"),
    ]
    launches = [builds.launch(each, workshop.builder()).argv for each in orders]
    (kit / "shared.py").write_text("1")
    launches.append(builds.launch(replace(order, kit=kit), workshop.builder()).argv)
    (kit / "shared.py").write_text("2")
    launches.append(builds.launch(replace(order, kit=kit), workshop.builder()).argv)
    (order.driver / "driver.py").write_text(HELLO.replace("CONTRACT", "1") + "\n# edited")
    launches.append(builds.launch(order, workshop.builder()).argv)
    workshop.runtime = "runtime 2"
    launches.append(builds.launch(order, workshop.builder()).argv)
    assert len(set(launches)) == len(launches) == workshop.made


def test_a_part_of_it_that_was_removed_is_made_again(workshop, order, tmp_path):
    part = tmp_path / "part"
    part.touch()
    workshop.outside = (str(part),)
    builds.launch(order, workshop.builder())
    part.unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workshop, "outside", ())
        builds.launch(order, workshop.builder())
    assert workshop.made == 2


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise SystemExit('needs libfoo')", "needs libfoo"),
        (HELLO.replace("CONTRACT", "7"), "speaks contract version 7, this lab speaks 1"),
        ("print('no json')", "is no event"),
    ],
)
def test_one_that_does_not_load_is_not_built(workshop, order, body, words):
    (order.driver / "driver.py").write_text(body)
    with pytest.raises(BuildError, match=r"cannot build x@1\.0: it installs, but") as raised:
        builds.launch(order, workshop.builder())
    assert words in str(raised.value)
    assert words in raised.value.log
    assert _left() == []


def test_a_version_that_does_not_exist_names_its_neighbours(workshop, order):
    wrong = replace(order, source=Source("1.0.5"), subject=Subject("x", "1.0.5"))
    with pytest.raises(UsageError, match=r"x has no version 1.0.5: the nearest are 0.9, 1.0, 1.1"):
        builds.launch(wrong, workshop.builder())
    assert _left() == []


def test_one_that_exists_and_does_not_install_is_no_usage_error(workshop, order):
    broken = replace(order, source=Source("0.9"), subject=Subject("x", "0.9"))
    with pytest.raises(BuildError, match=r"cannot build x@0.9: expected it to install"):
        builds.launch(broken, workshop.builder())
