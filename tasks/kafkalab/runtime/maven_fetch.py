"""The slow half of `maven`: build the dependency tree with jgo and download what is missing.

Apart because importing jgo costs 0.4 s, which a remembered answer need not pay.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests
from jgo.maven import Artifact, MavenContext, PythonResolver, compare_versions
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_exponential

from kafkalab.model.errors import InfrastructureError, UsageError

_TIMEOUT_S = 20  # without a byte
_DOWNLOADS = 8  # at a time: Kafka is 60 small files, and each costs two round trips
_CARRIES_ALL = "jar-with-dependencies"
_AT_RUN_TIME = (None, "", "compile", "runtime")
_RETRY = retry(
    retry=retry_if_exception_type((requests.ConnectionError, requests.Timeout)),
    stop=stop_after_attempt(3),
    wait=wait_exponential(multiplier=0.3, max=3),
    reraise=True,
)
_MISSING = 404
_FAULTY = 500  # and above: the server's fault, worth another try


class _MissingError(Exception):
    """The repository answered that it has no such file.

    Not a RuntimeError or OSError: jgo swallows those while it walks the tree, and would return a
    classpath with a hole in it.
    """

    def __init__(self, artifact: Artifact) -> None:
        super().__init__(str(artifact))
        self.artifact = artifact


class _Resolver(PythonResolver):  # type: ignore[misc]  # jgo is untyped here
    """jgo's resolver with downloads that appear under their final name complete or not at all."""

    def download(self, artifact: Artifact) -> Path:
        """Fetch one file into the repository folder; raises `_MissingError` on 404."""
        folder = artifact.context.repo_cache / artifact.component.path_prefix
        folder.mkdir(parents=True, exist_ok=True)
        (base,) = artifact.context.remote_repos.values()
        url = f"{base}/{artifact.component.path_prefix.as_posix()}/{artifact.filename}"
        handle, name = tempfile.mkstemp(prefix=".download-", dir=folder)
        os.close(handle)
        scratch = Path(name)
        try:
            digest = _download(url, scratch)
            if digest is None:
                raise _MissingError(artifact)
            _compare(url, digest)
            scratch.chmod(0o644)
            return scratch.replace(folder / artifact.cached_filename)
        except requests.RequestException as error:
            raise _unreachable(url, error) from error
        finally:
            scratch.unlink(missing_ok=True)


def fetch(coordinates: Sequence[str], repository: Path, remote: str | None) -> list[Path]:
    """Download artifacts and what they need at run time into the folder `repository`.

    Args:
        coordinates: `group:artifact:version[:classifier]`.
        repository: local repository, laid out as Maven does.
        remote: address of the repository to fetch from; None: Maven Central.

    Raises:
        UsageError: malformed coordinates, or an artifact that the repository does not have.
        InfrastructureError: the repository cannot be reached or sends damaged files.
    """
    logging.getLogger("jgo").setLevel(logging.ERROR)  # what it warns of is raised here
    context = MavenContext(
        resolver=_Resolver(),
        repo_cache=repository,
        remote_repos={"central": remote} if remote else None,
        timeout=_TIMEOUT_S,
    )
    for text in coordinates:
        if not re.fullmatch(r"[\w.-]+:[\w.-]+:[\w.+-]+(:[\w.-]+)?", text):
            raise UsageError(
                f"'{text}' names no Maven artifact: expected group:artifact:version, for example "
                "org.apache.kafka:kafka_2.13:3.9.2."
            )
    wanted = [context.create_dependency(text) for text in coordinates]
    try:
        artifacts = [d.artifact for d in _dependencies(context, wanted)]
        with ThreadPoolExecutor(_DOWNLOADS) as pool:
            return list(pool.map(Artifact.resolve, artifacts))
    except _MissingError as error:
        raise _missing(error.artifact, wanted) from error
    except (requests.RequestException, RuntimeError, ValueError, KeyError, OSError) as error:
        raise InfrastructureError(
            f"expected to resolve {', '.join(coordinates)}, found: {error}. "
            f"Check the network and the folder {repository}; removing that folder fetches all anew."
        ) from error


def _dependencies(context: MavenContext, wanted: list[Any]) -> list[Any]:
    """The artifacts asked for, then everything that they need at run time."""
    alone = [d for d in wanted if d.artifact.classifier == _CARRIES_ALL]
    rest = [d for d in wanted if d.artifact.classifier != _CARRIES_ALL]
    for dependency in rest:
        # First, so that a version that does not exist is told from a dependency that is missing.
        dependency.artifact.component.pom()
    if not rest:
        return alone
    inputs, transitive = context.resolver.resolve(rest)
    needed = [d for d in transitive if d.scope in _AT_RUN_TIME and not d.optional]
    return [*alone, *inputs, *needed]


@_RETRY
def _download(url: str, target: Path) -> str | None:
    """Stream to `target`; its SHA-1, or None when the server has no such file."""
    digest = hashlib.sha1(usedforsecurity=False)
    with requests.get(url, stream=True, timeout=_TIMEOUT_S) as response, target.open("wb") as file:
        if response.status_code == _MISSING:
            return None
        _check(response)
        for chunk in response.iter_content(chunk_size=1 << 18):
            file.write(chunk)
            digest.update(chunk)
    return digest.hexdigest()


@_RETRY
def _compare(url: str, digest: str) -> None:
    response = requests.get(f"{url}.sha1", timeout=_TIMEOUT_S)
    if response.status_code == _MISSING:
        return  # a repository need not publish checksums
    _check(response)
    expected = response.text.split()[0] if response.text.strip() else ""
    if expected.lower() != digest:
        raise InfrastructureError(
            f"{url}: expected SHA-1 {expected}, the download has {digest}. It was thrown away; "
            "try again, and if it stays so the repository or a proxy in between is damaged."
        )


def _check(response: requests.Response) -> None:
    if response.status_code >= _FAULTY:
        raise requests.ConnectionError(f"{response.status_code} {response.reason}")
    response.raise_for_status()


def _unreachable(url: str, error: Exception) -> InfrastructureError:
    return InfrastructureError(
        f"expected to fetch {url}, the repository cannot be reached ({error}). Check the network "
        f"or proxy, or name a mirror in KAFKALAB_MAVEN; a version that was fetched before works "
        f"without network."
    )


def _missing(artifact: Artifact, wanted: Sequence[Any]) -> UsageError:
    """What to say of a file that the repository does not have."""
    asked = next((d for d in wanted if d.artifact.component == artifact.component), None)
    component = (asked or wanted[0]).artifact.component
    name = f"{component.groupId}:{component.artifactId}"
    component.project.update()
    nearest = _nearest(component.version, [c.version for c in component.project.versions()])
    others = (
        f"The nearest are {', '.join(nearest)}." if nearest else "It has no version of it at all."
    )
    if asked is None:
        return UsageError(
            f"{name}:{component.version} cannot be used: it needs {artifact}, which the repository "
            f"does not have. {others}"
        )
    return UsageError(f"{name} has no version {component.version} in the repository. {others}")


def _nearest(version: str, known: Sequence[str], count: int = 4) -> list[str]:
    """Released versions around one that does not exist, in order."""
    released = [v for v in known if re.fullmatch(r"[\d.]+", v) and v != version]
    below = [v for v in released if compare_versions(v, version) < 0]
    above = [v for v in released if compare_versions(v, version) > 0]
    half = count // 2
    low = below[-max(half, count - len(above)) :]
    return low + above[: count - len(low)]
