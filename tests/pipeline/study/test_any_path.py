"""A project may lie in a folder of any name: its study is in the file that its path says, and in no other."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from holdfast.pipeline.study.database import open_storage
from holdfast.pipeline.study.storage import setup_checkpoint_storage
from tests.pipeline import cheap
from tests.support import Machine, Rig, read_tree

NAMES = (
    "exp%20final",
    "A%41",
    "what?",
    "a?mode=memory&b#c",
    "{SCHEMA_VERSION}{",
    "100%3f é 名\n'\"",
    os.fsdecode(b"latin-\xe9"),
)


def rows(place: Path) -> int:
    """Trials in the database at a path, asked without any URI."""
    with closing(sqlite3.connect(os.fsencode(place))) as database:
        return int(database.execute("select count(*) from trials").fetchone()[0])


@pytest.mark.parametrize("name", NAMES)
def test_a_study_lies_where_its_path_says_and_is_found_there_again(tmp_path: Path, name: str) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    beside = tmp_path / "AA"
    beside.mkdir()
    for begun in (False, True):
        path, uri, there = setup_checkpoint_storage(tmp_path / name, {"enabled": True}, "tiny")
        assert (path, there) == (tmp_path / name / "tiny/study.db", begun)
        assert uri is not None
        assert path is not None
        with open_storage(uri, path) as storage:
            optuna.create_study(storage=storage, study_name="tiny", load_if_exists=True).ask()
        assert rows(path) == 1 + begun
    # and as a user would give it to Optuna
    study = optuna.load_study(study_name="tiny", storage=uri)
    assert len(study.trials) == 2
    assert isinstance(study._storage, optuna.storages._CachedStorage)
    study._storage.remove_session()
    study._storage._backend.engine.dispose()
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]


def test_a_study_in_a_folder_of_any_name_comes_back_on_another_machine(rig: Rig) -> None:
    name = "A%41 what?{}#"
    machine = Machine(rig.folder / "here" / name, rig.drive)
    cheap.run(machine, 2, "none")
    assert len(cheap.trials_of(machine.root)) == 2
    shutil.rmtree(machine.root)
    machine = Machine(rig.folder / "there" / name, rig.drive)
    cheap.run(machine, 3, "none")
    assert [t["state"] for t in cheap.trials_of(machine.root)] == ["COMPLETE"] * 3
    assert not [p for p in read_tree(rig.folder / "there") if "damaged" in p or not p.startswith(name)]
