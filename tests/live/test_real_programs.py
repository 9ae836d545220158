"""Real programs write all the time, and every generation is a state that they had, or is named as not safe."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.holding import HOLDERS, holding
from tests.live.watching import Bench, Result, installed, table

#: What is tried each time: a kind of treatment each, all at once. `python -m tests.live` tries the others, one after the other.
OFTEN = (
    *("numpy.memmap", "LMDB, one file", "h5py, flushed", "zarr 3"),
    *("DuckDB, a checkpoint now and then", "SQLite, WAL, two writers", "jsonl, appended", "log that never rests"),
    "safetensors, rewritten in place",
)
NEVER_TORN = (
    "DuckDB, a checkpoint now and then",
    "SQLite, WAL, two writers",
    "LMDB, one file",
    "jsonl, appended",
    "log that never rests",
)
BACKUPS = 2


def test_each_generation_is_a_state_that_the_program_had_or_is_named(tmp_path: Path) -> None:
    bench = Bench(tmp_path, OFTEN, "short", seed=1)
    results = {name: Result(name) for name in OFTEN}
    with bench.running() as keep:
        for name in OFTEN:
            bench.wait_for_first(name)
        for _ in range(BACKUPS):
            for name in OFTEN:
                bench.back_up(keep, name, results[name])
    print(table(list(results.values())))
    assert {name: result.wrong for name, result in results.items() if result.wrong} == {}
    assert {name for name, result in results.items() if not result.seen} == set()
    for name in NEVER_TORN:
        assert not any(seen.is_named for seen in results[name].seen), name


@pytest.mark.torture
@pytest.mark.parametrize("name", installed())
def test_each_of_fifty_generations_is_a_state_that_the_program_had_or_is_named(tmp_path: Path, name: str) -> None:
    bench, result = Bench(tmp_path, [name], "long", seed=2), Result(name)
    with bench.running() as keep:
        bench.wait_for_first(name)
        for _ in range(10 if name == "Lance, appended" else 50):  # it keeps every state, and fills the disk
            bench.back_up(keep, name, result)
    print(table([result]))
    assert result.wrong == []


def test_a_backup_in_the_process_that_holds_a_database_leaves_its_lock(tmp_path: Path) -> None:
    """A second process that was refused before is refused after: no verb costs a lock."""
    everyone = dict.fromkeys(HOLDERS, True)
    with holding(tmp_path) as holder:
        assert holder.refuses() == everyone
        for verb in ("backup", "status", "restore", "ensure"):
            assert holder.does(verb), verb
        assert holder.refuses() == everyone
