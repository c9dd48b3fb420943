from pathlib import Path

from kafkalab.cluster import storage

META = """#
#Sat Nov 21 08:26:18 UTC 2026
cluster.id=AAAAAAAAAAAAAAAAAAAAAA
directory.id=BBBBBBBBBBBBBBBBBBBBBB
node.id=1
version=1
"""


def properties(path: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


def test_a_node_gets_its_own_ids_and_the_versions_bootstrap_records(tmp_path: Path) -> None:
    source = tmp_path / "template"
    source.mkdir()
    (source / storage.META).write_text(META)
    (source / "bootstrap.checkpoint").write_bytes(b"\x00records\xff")

    for node in (1, 2):
        storage.write(source, tmp_path / f"b{node}" / "data", "cluster", node)

    first, second = (properties(tmp_path / f"b{n}" / "data" / storage.META) for n in (1, 2))
    assert first["cluster.id"] == second["cluster.id"] == "cluster"
    assert (first["node.id"], second["node.id"]) == ("1", "2")
    assert (first["version"], second["version"]) == ("1", "1")
    assert len({first["directory.id"], second["directory.id"], "B" * 22}) == 3
    assert (tmp_path / "b2/data/bootstrap.checkpoint").read_bytes() == b"\x00records\xff"


def test_a_version_without_directory_ids_gets_none(tmp_path: Path) -> None:
    source = tmp_path / "template"
    source.mkdir()
    (source / storage.META).write_text("version=1\nnode.id=1\ncluster.id=A\n")

    storage.write(source, tmp_path / "data", "cluster", 3)

    assert properties(tmp_path / "data" / storage.META) == {
        "version": "1",
        "node.id": "3",
        "cluster.id": "cluster",
    }


def test_ids_are_kafkas_and_all_different() -> None:
    ids = {storage.new_id() for _ in range(500)}

    assert len(ids) == 500
    assert all(len(each) == 22 and not each.startswith("-") for each in ids)
