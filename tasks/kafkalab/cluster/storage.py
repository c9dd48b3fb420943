"""Formatting a node's storage without starting a JVM for each node.

`kafka.tools.StorageTool format` writes two files: `meta.properties` (cluster id, node id and, from
3.7, a random directory id) and `bootstrap.checkpoint` (the feature levels that the version starts
with). The second is the same for every node and cluster of a version, so the tool runs once per
version, on a scratch folder in the cache; a node gets a copy of the checkpoint and the same
`meta.properties` with ids of its own. Writing the files is what the tool does too; a broker
refuses storage whose ids do not match its configuration.

Measured on 2 cores: the tool takes 1.5 s of CPU per node.
"""

from __future__ import annotations

import base64
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from kafkalab.cluster import kafka, topology
from kafkalab.model.cluster import ClusterSpec
from kafkalab.model.errors import InfrastructureError
from kafkalab.runtime import java, paths

META = "meta.properties"
_FORMAT_S = 90.0


def new_id() -> str:
    """A random id as Kafka writes them: 22 characters of URL-safe base64, no `-` first."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode("ascii").rstrip("=")
        if not text.startswith("-"):  # Kafka avoids these too: they look like an option
            return text


def template(version: str, classpath: Sequence[Path]) -> Path:
    """Folder with the files of a formatted node of that version; made once per version.

    Raises:
        InfrastructureError: Kafka's own tool refuses; its words are in the message.
    """
    folder = paths.cache() / "formatted" / version
    if (folder / META).is_file():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f".{version}.lock", timeout=_FORMAT_S):
        if not (folder / META).is_file():
            _format(version, classpath, folder)
    return folder


def write(source: Path, data: Path, cluster_id: str, node_id: int) -> None:
    """Lay out a node's storage from a template.

    Args:
        source: what `template` returned.
        data: the node's log directory; made here.
        cluster_id: of the cluster, see `new_id`.
        node_id: of the node.
    """
    data.mkdir(parents=True)
    for file in source.iterdir():
        if file.name != META:
            shutil.copyfile(file, data / file.name)
    own = {"cluster.id": cluster_id, "node.id": str(node_id), "directory.id": new_id()}
    lines = []
    for line in (source / META).read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition("=")
        if line and not line.startswith("#"):
            lines.append(f"{key}={own.get(key, value)}\n")
    (data / META).write_text("".join(lines), encoding="utf-8")


def _format(version: str, classpath: Sequence[Path], folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=".format-", dir=folder.parent) as name:
        scratch = Path(name)
        # Nothing listens here: the tool only checks that the configuration is one.
        bind = {"CLIENT": "127.0.0.1:1", "BROKER": "127.0.0.1:2", "CONTROLLER": "127.0.0.1:3"}
        node = topology.NodePlan(
            "b1", 1, topology.listeners(bind, bind), data=str(scratch / "data")
        )
        properties = scratch / "server.properties"
        properties.write_text(
            topology.server_properties(ClusterSpec(version, nodes=1), node, [node]),
            encoding="utf-8",
        )
        command = java.java_command(
            classpath,
            kafka.FORMAT_MAIN,
            *("format", "--cluster-id", new_id(), "--config", str(properties)),
            jvm=(*kafka.jvm_options(128), "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"),
        )
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_FORMAT_S,
            check=False,
        )
        if done.returncode != 0 or not (scratch / "data" / META).is_file():
            words = (done.stdout + done.stderr).strip()[-2000:]
            raise InfrastructureError(
                f"expected Kafka {version} to format its storage, its tool exited with "
                f"{done.returncode}: {words}"
            )
        (scratch / "data").rename(folder)
