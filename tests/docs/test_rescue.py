"""The script of docs/rescue.md, taken from the page and run by a Python that has nothing of ours on a real store."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from holdfast.store.format.holes import survey
from holdfast.store.format.keys import Key
from holdfast.store.format.names import CommitId, ManifestName, key_code, payload_folder, payload_names
from holdfast.store.format.sparse import archive
from tests.bad_input.support import Forge
from tests.docs.pages import blocks
from tests.store.format.pieces import in_pieces
from tests.support import Machine, Rig, age, make_database, read_tree, rows_in


def script(folder: Path) -> Path:
    (found,) = [b for b in blocks("docs/rescue.md") if b.language == "python"]
    place = folder / "rescue.py"
    place.write_text(found.text, encoding="utf-8")
    return place


def rescue(rig: Rig, store: Path | None = None) -> tuple[dict[str, bytes], str]:
    """What the script writes, and what it says. `-I` keeps every path of ours away, so that only Python itself is there."""
    target = rig.folder / "rescued"
    shutil.rmtree(target, ignore_errors=True)
    command = [sys.executable, "-I", "-S", str(script(rig.folder)), str(store or rig.store), str(target)]
    done = subprocess.run(command, cwd=rig.folder, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return read_tree(target), done.stdout


def worked(machine: Machine) -> None:
    """A directory in three generations with a tar each, a database, a large file, and a single file beside it."""
    for number in range(5):
        machine.write(f"outputs/study/trials/{number}/metrics.json", f"first {number}")
    machine.write("outputs/study/weights.bin", bytes(range(256)) * 8192)
    make_database(machine.outputs / "study/study.db", rows=3)
    machine.write("outputs/study/best/model.json", "the old best")
    age(machine.outputs)
    assert machine.keep.backup("outputs/study")
    machine.write("outputs/study/best/model.json", "the best")
    assert machine.keep.backup("outputs/study/best")  # a part of its artifact
    machine.write("outputs/study/trials/1/metrics.json", "second 1")
    machine.write("outputs/study/ümlaut und Leerzeichen.txt", "ü")
    make_database(machine.outputs / "study/study.db", rows=7)
    (machine.outputs / "study/trials/4/metrics.json").unlink()
    assert machine.keep.backup("outputs/study")
    machine.write("outputs/report.md", "# Report")
    assert machine.keep.backup("outputs/report.md")


def test_the_script_brings_back_every_file_as_it_was(rig: Rig, machine: Machine) -> None:
    worked(machine)
    assert sum(p.suffix == ".tar" for p in rig.payloads()) >= 3
    expected = {f"outputs/{path}": content for path, content in machine.tree().items() if not path.endswith(".db")}
    rescued, told = rescue(rig)
    database = rig.folder / "rescued/outputs/study/study.db"
    assert rescued.pop("outputs/study/study.db")
    assert rows_in(database) == 7
    assert rescued == expected
    assert "outputs/study from backup 3 of " in told
    assert "passed over" not in told


def test_what_lies_inside_a_directory_and_was_backed_up_by_itself_comes_back_at_its_newest(rig: Rig, machine: Machine) -> None:
    for content in ("old", "new"):
        machine.write("outputs/d/inner/x", content)
        assert machine.keep.backup("outputs/d/inner")
        machine.write("outputs/d/y", "y")
        assert machine.keep.backup("outputs/d")
    rescued, told = rescue(rig)
    assert rescued == {"outputs/d/inner/x": b"new", "outputs/d/y": b"y"}
    assert "outputs/d/inner from backup 2 of " in told


def test_a_backup_that_did_not_arrive_whole_is_passed_over_and_named(rig: Rig, machine: Machine) -> None:
    for content in (b"one", b"two"):
        machine.write("outputs/a.bin", content)
        assert machine.keep.backup("outputs/a.bin")
    older, newer = rig.manifests()
    (payload,) = [p for p in rig.payloads() if "@000002-" in p.name]
    payload.write_bytes(b"")  # arrived with 0 bytes
    assert rescue(rig)[0] == {"outputs/a.bin": b"one"}
    payload.unlink()  # never arrived
    rescued, told = rescue(rig)
    assert rescued == {"outputs/a.bin": b"one"}
    assert f"passed over: {newer.name}" in told
    older.write_bytes(older.read_bytes()[:100])  # a manifest that was cut short
    rescued, told = rescue(rig)
    assert rescued == {}
    assert f"passed over: {older.name}" in told


def test_a_copy_of_the_store_from_elsewhere_serves_as_well(rig: Rig, machine: Machine, tmp_path: Path) -> None:
    worked(machine)
    downloaded = tmp_path / "Downloads" / "proj (1)"
    shutil.copytree(rig.store, downloaded)
    before = rescue(rig)[0]
    shutil.rmtree(rig.store)
    assert rescue(rig, downloaded)[0] == before


def test_manifests_in_a_twin_folder_are_seen(rig: Rig, machine: Machine) -> None:
    machine.write("outputs/a", "a")
    assert machine.keep.backup("outputs/a")
    (rig.store / "generations").rename(rig.store / "generations (1)")
    assert rescue(rig)[0] == {"outputs/a": b"a"}


def add_sparse(rig: Rig, place: Path, *, version: int, single: bool) -> tuple[Path, Path]:
    """Another generation, with a file that travelled as a sparse tar. Gives its payload and its manifest."""
    newest = rig.manifests()[-1]
    one: dict[str, Any] = json.loads(newest.read_bytes())["manifest"]
    key, commit = Key(one["key"]), CommitId(one["sequence"] + 1, "5a5a5a5a")
    path = "" if single else "lmdb/data.mdb"
    size = place.stat().st_size
    with open(place, "rb") as handle:
        regions = survey(handle.fileno(), size)
        tar = b"".join(archive(handle.fileno(), size, regions, name="data.mdb", mode=0o644, mtime_ns=1))
    payload = f"{payload_folder(key, path)}/{next(payload_names('data.mdb.sparse.tar', commit))}"
    assert payload.endswith("/data.mdb.sparse@000002-5a5a5a5a.tar")
    sparse = {"size": len(tar), "blake3": "0" * 64}
    row = {"path": path, "size": size, "blake3": "0" * 64, "mode": "644", "payload": payload, "sparse": sparse}
    files = [row] if single else [*one["files"], row]
    if version == 2:
        files = [{**known, "mtime": "1795869123.123456789"} for known in files]
    one.update(format=version, sequence=commit.sequence, id=commit.id, parent=one["id"], files=files)
    (rig.store / payload).parent.mkdir(parents=True, exist_ok=True)
    (rig.store / payload).write_bytes(tar)
    manifest = rig.store / ManifestName(key_code(key), commit, one["parent"]).path
    manifest.write_text(json.dumps({"digest": "0" * 64, "manifest": one}), encoding="utf-8")
    return rig.store / payload, manifest


def holed(place: Path) -> Path:
    with open(place, "wb") as handle:
        handle.truncate(8 << 20)
        handle.seek(5 << 20)
        handle.write(os.urandom(5000))
    return place


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("single", [False, True])
def test_a_sparse_file_comes_back_with_its_holes(rig: Rig, machine: Machine, version: int, single: bool) -> None:
    key = "outputs/data.mdb" if single else "outputs/d"
    machine.write(key if single else f"{key}/x", "x")
    assert machine.keep.backup(key)
    place = holed(rig.folder / "made")
    payload, manifest = add_sparse(rig, place, version=version, single=single)
    rescued, told = rescue(rig)
    found = "outputs/data.mdb" if single else "outputs/d/lmdb/data.mdb"
    assert rescued.pop(found) == place.read_bytes()
    assert rescued == ({} if single else {"outputs/d/x": b"x"})
    assert (rig.folder / "rescued" / found).stat().st_blocks * 512 < 1 << 20
    assert f"{key} from backup 2 of " in told
    assert "passed over" not in told
    payload.write_bytes(payload.read_bytes()[:-512])
    rescued, told = rescue(rig)
    assert rescued == {found if single else "outputs/d/x": b"x"}
    assert f"passed over: {manifest.name}" in told


def test_links_hard_links_empty_folders_and_times_come_back(rig: Rig, machine: Machine) -> None:
    for name in ("first", "big"):
        place = machine.write(f"outputs/d/{name}", name * (1 if name == "first" else 400_000))
        os.link(place, machine.outputs / f"d/a {name}")
        os.utime(place, ns=(-5, -1_500_000_000))
    assert machine.keep.backup("outputs/d")
    for name in ("first", "big"):  # what is left is kept under the name that is gone
        (machine.outputs / f"d/a {name}").unlink()
    (machine.outputs / "d/mypath/deep").mkdir(parents=True)
    (machine.outputs / "d/last").symlink_to("mypath")
    machine.write("outputs/e/x", "x")
    (machine.outputs / "to d").symlink_to(machine.outputs / "d/first")
    assert all(machine.keeper().backup("outputs/d", "outputs/e", "outputs/to d").results)
    rescued, told = rescue(rig)
    assert rescued == {f"outputs/{path}": content for path, content in machine.tree().items()}
    assert "passed over" not in told
    target = rig.folder / "rescued/outputs"
    assert (target / "d/mypath/deep").is_dir()
    assert os.readlink(target / "d/last") == "mypath"
    assert os.readlink(target / "to d") == "d/first"
    assert os.lstat(target / "d/first").st_mtime_ns == -1_500_000_000


def test_a_file_in_pieces_is_put_together_and_a_torn_one_is_named(rig: Rig) -> None:
    made = in_pieces(Forge(rig.store), "outputs/d", 1)
    rescued, _ = rescue(rig)
    assert rescued == {f"outputs/d/{path}": content for path, content in made.items()}
    torn = Forge(rig.store)
    record = torn.file("outputs/d", "m.pt", b"x", 2)
    torn.plant("outputs/d", 2, torn.body_2("outputs/d", 2, [{**record, "torn": "a zip without its end record"}]))
    assert "not whole: outputs/d m.pt is a zip without its end record" in rescue(rig)[1]
    (payload,) = [p for p in rig.payloads() if p.name.startswith("large@000001-00000001-2")]
    payload.write_bytes(payload.read_bytes()[:-1])
    assert "passed over: outputs~d@000001" in rescue(rig)[1]
