"""What could not be stored: kept under `home()/spool/<key>` until `Store.flush_spool` brings it in.

Manifests come last when the spool is emptied, as they do in a run, so that a reader who finds one
can rely on everything that it names. A file enters the spool by rename, never half.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from kafkalab.artifacts.s3 import StoreError
from kafkalab.model.errors import InfrastructureError
from kafkalab.runtime import paths

_PARTIAL = ".partial-"
_LAST = ("verdict.json", "manifest.json", "gate.json")
_MANIFEST = "/manifest.json"


def folder() -> Path:
    """Folder of the spool."""
    return paths.home() / "spool"


def keep(key: str, source: bytes | Path) -> Path:
    """Keep content for later; an `InfrastructureError` says what is lost when that fails."""
    target = folder() / key
    scratch: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=_PARTIAL, delete=False) as file:
            scratch = Path(file.name)
            if isinstance(source, bytes):
                file.write(source)
            else:
                with source.open("rb") as original:
                    shutil.copyfileobj(original, file, 1 << 20)
        scratch.replace(target)
    except OSError as error:
        if scratch is not None:
            scratch.unlink(missing_ok=True)
        where = "it is lost" if isinstance(source, bytes) else f"the only copy is {source}"
        raise InfrastructureError(
            f"spool: could not keep {key} in {folder()}: {error}; {where}. Free space there."
        ) from error
    return target


def waiting() -> Iterator[tuple[str, Path]]:
    """Keys and files in the spool, manifests and verdicts last."""
    files = [p for p in folder().rglob("*") if p.is_file() and not p.name.startswith(_PARTIAL)]
    files.sort(key=lambda p: (_LAST.index(p.name) if p.name in _LAST else -1, str(p)))
    for path in files:
        yield path.relative_to(folder()).as_posix(), path


def put_all(items: Mapping[str, bytes | Path], put: Callable[[str, bytes | Path], object]) -> None:
    """Store each item with `put`, in order; keep what it refuses, and say so at the end.

    A manifest is kept as soon as anything before it was: it would vouch for what is not stored.

    Raises:
        StoreError: something was kept; it names the cause and the files.
    """
    first: StoreError | None = None
    kept: list[Path] = []
    for key, source in items.items():
        vouches = key.endswith(_MANIFEST)
        if first is None or not (first.unavailable or vouches):
            try:
                put(key, source)
                continue
            except StoreError as error:
                first = error if first is None or error.unavailable else first
        kept.append(keep(key, source))
    if first is not None:
        names = "\n  ".join(map(str, kept))
        raise StoreError(
            f"{first}\nNothing is lost: {len(kept)} of {len(items)} artifacts wait on disk and are "
            f"stored when the spool is flushed:\n  {names}",
            unavailable=first.unavailable,
        ) from first


def flush(put_file: Callable[[str, Path], object]) -> list[str]:
    """Store what waits with `put_file`; return the keys stored.

    Raises:
        StoreError: something had to stay; it names why and what.
    """
    stored: list[str] = []
    refused: list[str] = []
    kept: set[str] = set()  # folders of what had to stay
    for key, path in list(waiting()):
        if key.endswith(_MANIFEST) and any(at.startswith(_folder(key)) for at in kept):
            refused.append(f"{path}: what it names could not be stored")
            continue
        try:
            put_file(key, path)
        except FileNotFoundError:
            continue  # another process is emptying the spool too and has stored it
        except StoreError as error:
            if error.unavailable:
                raise
            refused.append(f"{path}: {error}")
            kept.add(_folder(key))
            continue
        drop(path)
        stored.append(key)
    if refused:
        raise StoreError("spool: these files stay on disk:\n  " + "\n  ".join(refused))
    return stored


def _folder(key: str) -> str:
    return f"{key.rpartition('/')[0]}/"


def drop(path: Path) -> None:
    """Remove a file that is stored now, and the folders that it leaves empty."""
    path.unlink(missing_ok=True)
    for parent in path.parents:
        if parent == folder() or any(parent.iterdir()):
            return
        parent.rmdir()
