"""The lab's images: what goes into each, and how they are built without a registry or buildx.

Each recipe packs a context from what the host resolves (packages by uv, jars from Maven, the JRE of
the Python environment) beside the folder's Dockerfile; `docker build` then needs no network. The
base image is a build argument, so the same Dockerfiles build on Docker Hub's images, a company's,
or one made from Debian packages (`docker_base`). An image of a broker or client is tagged
`<version>-local`, and `local` for the pinned one.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from kafkalab.cluster import docker_api, kafka
from kafkalab.cluster.docker_context import Entry, pack, site
from kafkalab.model.errors import InfrastructureError, UsageError
from kafkalab.runtime import java, maven, paths, pins

if TYPE_CHECKING:
    import docker

VARIABLE = "KAFKALAB_BASE_IMAGE"
_BUILD_S = 1800
_LOG_LINES = 25
_NO_BASE = (
    f"\nWhere the base image cannot be pulled, make one (`python -m kafkalab.cluster.docker_base`) "
    f"and name it in {VARIABLE}."
)


@dataclass(frozen=True)
class Recipe:
    """How one image is made."""

    folder: str  # of its Dockerfile, under docker/
    context: Callable[[str], list[Entry]]  # version → what else the context holds
    subject: str = ""  # "kafka": a row of versions.toml whose versions it is built for; empty: none
    travels: bool = False  # its context is a build of the process engine, see `clients.images`


@dataclass(frozen=True)
class Built:
    """An image that was built."""

    name: str
    reference: str
    seconds: float
    size_bytes: int


def reference(name: str, version: str = "") -> str:
    """The tag of an image of this lab: `kafkalab/broker-kafka:3.9.2-local`.

    Args:
        name: a key of [images] in versions.toml.
        version: of the broker or client inside; empty: the pinned one, or an image without
            versions.

    Raises:
        UsageError: there is no such image.
    """
    images = pins.load().images
    if name not in images:
        raise UsageError(f"no image '{name}': known are {', '.join(sorted(images))}.")
    if not version:
        return images[name]
    repository, _, tag = images[name].rpartition(":")
    return f"{repository}:{version}-{tag}"


def name_of(image: str) -> str:
    """What `build` calls an image: `broker-kafka@3.9.2`; the reference itself if unknown."""
    repository, _, tag = image.rpartition(":")
    for name, own in pins.load().images.items():
        own_repository, _, own_tag = own.rpartition(":")
        if repository == own_repository:
            version = tag.removesuffix(own_tag).rstrip("-")
            return f"{name}@{version}" if version else name
    return image


# (client, version) → (path on this host, place in the context): what `clients.images.parts` gives.
Parts = Callable[[str, str], list[tuple[Path, str]]]


def build(
    names: Sequence[str], base_image: str | None, progress: Callable[[str], None], parts: Parts
) -> list[Built]:
    """Build images; what has not changed comes from Docker's cache.

    Args:
        names: images as in versions.toml, `NAME` or `NAME@VERSION`; empty: all, brokers and clients
            in every version that has a role.
        base_image: replaces the base of every Dockerfile; None: what KAFKALAB_BASE_IMAGE says, else
            the Dockerfile's own default.
        progress: is called with one line per image.
        parts: what images of clients hold whose builds travel (Node, Go).

    Raises:
        UsageError: an unknown image.
        InfrastructureError: no daemon, or a build failed; the end of its log is in the message.
    """
    base = base_image or os.environ.get(VARIABLE)
    wanted = _expanded(names)
    client = docker_api.connect(timeout_s=_BUILD_S)  # before anything is fetched for it
    built = []
    try:
        for name, version in wanted:
            began = time.monotonic()
            size = _build_one(client, name, version, base, parts)
            seconds = time.monotonic() - began
            built.append(Built(name, reference(name, version), seconds, size))
            progress(f"{reference(name, version)}: {size / 1e6:.0f} MB in {seconds:.0f} s")
    finally:
        client.close()
    return built


def _expanded(names: Sequence[str]) -> list[tuple[str, str]]:
    """Images and versions to build: `broker-kafka` stands for every version that has a role."""
    found = []
    for text in names or list(recipes()):
        name, _, version = text.partition("@")
        if name not in recipes():
            raise UsageError(f"no image '{name}': known are {', '.join(recipes())}.")
        subject = recipes()[name].subject
        if not subject:
            found.append((name, ""))
        else:
            roles = _versions(subject)
            found += [
                (name, v)
                for v in ([roles.get(version, version)] if version else sorted({*roles.values()}))
            ]
    return found


def _versions(subject: str) -> dict[str, str]:
    loaded = pins.load()
    row = loaded.brokers.get(subject) or loaded.clients[subject]
    return {role: row[role] for role in ("oldest", "pinned", "newest") if role in row}


def _build_one(
    client: docker.DockerClient, name: str, version: str, base: str | None, parts: Parts
) -> int:
    """Build one image and return its size in bytes."""
    from docker.errors import APIError, BuildError

    recipe = recipes()[name]
    folder = paths.root() / "docker" / recipe.folder
    entries = [Entry(file, file.name) for file in sorted(folder.iterdir()) if file.is_file()]
    if recipe.travels:
        entries += [Entry(path, target) for path, target in parts(recipe.subject, version)]
    else:
        entries += recipe.context(version)
    scratch = paths.cache() / "images"
    scratch.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryFile(dir=scratch) as stream:
            pack(entries, stream)
            stream.seek(0)
            image, _ = client.images.build(
                fileobj=stream,
                custom_context=True,
                tag=reference(name, version),
                buildargs={"BASE_IMAGE": base} if base else {},
                network_mode="none",  # the context holds everything
                rm=True,
                forcerm=True,
            )
        if version and version == _versions(recipe.subject).get("pinned"):
            image.tag(reference(name))
        return int(image.attrs["Size"])
    except BuildError as error:
        lines = [str(part.get("stream") or part.get("error") or "") for part in error.build_log]
        tail = "\n".join("".join(lines).splitlines()[-_LOG_LINES:])
        raise InfrastructureError(
            f"the image {name} does not build: {error}\n{tail}{'' if base else _NO_BASE}"
        ) from error
    except APIError as error:
        raise InfrastructureError(f"the image {name} does not build: {error}{_NO_BASE}") from error


def _jre() -> list[Entry]:
    return [Entry(java.java_binary().resolve().parents[1], "jre")]


def _jars(coordinates: Sequence[str], target: str) -> list[Entry]:
    return [Entry(jar, f"{target}/{jar.name}") for jar in maven.resolve(coordinates)]


def _packages(folder: Path) -> list[Entry]:
    return [Entry(site((folder / "requirements.txt").read_text(encoding="utf-8")), "site")]


def _project(*folders: str) -> list[Entry]:
    return [Entry(paths.root() / name, f"app/{name}") for name in folders]


def _step(_version: str) -> list[Entry]:
    project = _project("tasks/kafkalab", "expectations", "docker", "requirements.lock")
    return _packages(paths.root() / "docker/step") + project


def _airflow(_version: str) -> list[Entry]:
    project = _project("tasks/kafkalab", "dags", "plugins", "docker/versions.toml")
    return _packages(paths.root() / "docker/airflow") + project


def _s3(_version: str) -> list[Entry]:
    return _jre() + _jars([pins.load().artifacts["s3proxy"]], "s3proxy")


def _broker_kafka(version: str) -> list[Entry]:
    return _jre() + _jars(kafka.coordinates(version), "kafka")


def _client_python(name: str, version: str) -> list[Entry]:
    source = _source(name)
    row = pins.load().clients[name]
    beside = row.get("beside", {}).get(version, ())
    needs = [*pins.load().needs(source / "requirements.txt"), *beside]
    packages = site("\n".join([f"{row['package']}=={version}", *needs, ""]), locked=False)
    return [Entry(packages, "site"), Entry(source.parent / "kit-python", "kit")]


def _client_java(name: str, version: str) -> list[Entry]:
    # Compiled against the pinned version whatever runs: one set of classes for all, as on the host.
    source, row = _source(name), pins.load().clients[name]
    libraries = pins.load().needs(source / "libraries.txt")
    pinned = maven.resolve([f"{row['package']}:{row['pinned']}", *libraries])
    jars = _jars([f"{row['package']}:{version}", *libraries], "libs")
    return [*_jre(), *jars, Entry(maven.compile_java(source, pinned), "classes")]


def _nothing(_version: str) -> list[Entry]:
    return []


def _source(name: str) -> Path:
    return paths.root() / "docker" / "clients" / name


def _client(name: str) -> Recipe:
    folder, runtime = f"clients/{name}", pins.load().clients[name]["runtime"]
    own = {"python": _client_python, "java": _client_java}
    if runtime in own:
        return Recipe(folder, partial(own[runtime], name), name)
    return Recipe(folder, _nothing, name, travels=True)


@cache
def recipes() -> dict[str, Recipe]:
    """Every image of the lab, in the order in which all are built."""
    return {
        "step": Recipe("step", _step),
        "broker-kafka": Recipe("brokers/kafka", _broker_kafka, "kafka"),
        **{f"client-{name}": _client(name) for name in pins.load().clients},
        "s3": Recipe("s3", _s3),
        "airflow": Recipe("airflow", _airflow),
    }
