"""The command line as a contract: every command, its text, its JSON, its exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bad_input.support import Box, Forge, Site, files_in, good, refused, small_disk, sound
from tests.docs.pages import REPOSITORY

COMMANDS = (
    "run",
    "plan",
    "report",
    "predict",
    "data",
    "backup",
    "ensure",
    "restore",
    "verify",
    "history",
    "status",
    "drop",
    "prune",
    "doctor",
    "drill",
)
HEAVY = ("torch", "transformers", "accelerate", "lightning", "pytorch_lightning", "keras", "optuna", "onnx", "onnxruntime", "numpy")
HEAVY += ("pydantic", "typer", "rich")


@pytest.fixture
def kept(site: Site) -> Box:
    """A machine with two artifacts in the store, one of them in two generations."""
    machine = site.box()
    machine.write("outputs/d/a.txt", "first")
    machine.write("outputs/one.txt", "one")
    good(machine.run("backup", "outputs/d", "outputs/one.txt"))
    machine.write("outputs/d/a.txt", "second")
    machine.write("outputs/d/b.txt", "more")
    good(machine.run("backup", "outputs/d", "--progress", "7"))
    return machine


def generations(box: Box, path: str) -> list[str]:
    return [str(row["generation"]) for row in good(box.run("history", path, "--json")).rows()]


# -- help, versions, words that are none -----------------------------------------------------------------------------------


def test_help_lists_every_command(site: Site) -> None:
    for words in ((), ("--help",), ("-h",)):
        done = site.box().run(*words)
        assert done.code in ((0, 2) if not words else (0,))
        assert all(name in done.out + done.err for name in COMMANDS)


def test_help_lists_every_command_by_the_real_command(site: Site) -> None:
    done = site.box().spawn("--help")
    assert (done.code, done.err) == (0, "")
    assert all(name in done.out for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_that_names_the_options_of_all(site: Site, command: str) -> None:
    done = site.box().run(command, "--help")
    assert (done.code, done.err) == (0, "")
    for option in ("--root", "--drive", "--json"):
        assert option in done.out


def test_the_version_is_one_line(site: Site) -> None:
    done = good(site.box().run("--version"))
    assert done.out.startswith("holdfast 0.")
    assert done.out.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ("frobnicate",),
        ("--frobnicate",),
        ("backup",),
        ("ensure",),
        ("restore",),
        ("history",),
        ("history", "outputs/a", "outputs/b"),
        ("backup", "outputs/a", "--frobnicate"),
        ("backup", "outputs/a", "--wait", "long"),
        ("backup", "outputs/a", "--progress", "much"),
        ("ensure", "outputs/a", "--generation", "00000001"),
        ("status", "outputs/a"),
        ("doctor", "outputs/a"),
        ("drill",),
        ("drill", "--kills", "0", "--", "true"),
        ("drill", "--kills", "few", "--", "true"),
        ("drill", "--", "frobnicate"),
        ("restore", "outputs/a", "--generation"),
        ("backup", "outputs/a", "--root", "/nowhere/at/all"),
        ("backup", "outputs/a", "--root", "/etc/passwd"),
    ],
)
def test_words_that_are_no_command_are_2_and_nothing_is_done(site: Site, words: tuple[str, ...]) -> None:
    machine = site.box()
    done = machine.run(*words)
    assert done.code == 2, done
    assert done.err
    assert "Traceback" not in done.err
    assert files_in(site.folder) == {}


def test_words_that_are_no_command_are_2_by_the_real_command(site: Site) -> None:
    done = site.box().spawn("frobnicate")
    assert done.code == 2
    assert "frobnicate" in done.err
    assert "Traceback" not in done.err


# -- backup ----------------------------------------------------------------------------------------------------------------


def test_backup_says_what_it_wrote_and_as_json(site: Site) -> None:
    machine = site.box()
    machine.write("outputs/d/a.txt", "x")
    done = good(machine.run("backup", "outputs/d"))
    assert done.out.startswith("outputs/d: 1 file(s)")
    done = good(machine.run("backup", "outputs/d", "--json"))
    (row,) = done.rows()
    assert {"path", "outcome", "generation", "error"} <= row.keys()
    assert (row["path"], row["outcome"], row["unchanged"], row["error"]) == ("outputs/d", "CONFIRMED", True, None)
    assert row["generation"] == generations(machine, "outputs/d")[0]


def test_backup_of_nothing_is_1_and_the_rest_is_written(site: Site) -> None:
    machine = site.box()
    machine.write("outputs/a.txt", "x")
    done = refused(machine.run("backup", "outputs/nothing", "outputs/a.txt", "--json"), 1, "outputs/nothing")
    rows = {row["path"]: row for row in done.rows()}
    assert rows["outputs/nothing"]["outcome"] == "FAILED"
    assert rows["outputs/nothing"]["generation"] is None
    assert rows["outputs/nothing"]["error"]
    assert rows["outputs/a.txt"]["outcome"] == "CONFIRMED"
    good(site.box().run("ensure", "outputs/a.txt"))


def test_backup_to_a_place_that_cannot_tell_is_written_and_says_so(site: Site) -> None:
    machine = site.box()
    machine.write("outputs/a.txt", "x")
    with small_disk(site.folder / "memory") as memory:
        done = sound(machine.run("backup", "outputs/a.txt", "--wait", "0.1", "--drive", str(memory), "--json"))
        assert done.rows()[0]["outcome"] == "UNKNOWN"
        assert done.code in (0, 5)


def test_backup_remembers_what_one_counts(kept: Box) -> None:
    rows = good(kept.run("history", "outputs/d", "--json")).rows()
    assert [row["progress"] for row in rows] == [7.0, None]


def test_backup_without_a_store_is_1_in_one_line_for_each_path(site: Site) -> None:
    machine = Box(site.box().root, None)
    machine.write("outputs/a.txt", "x")
    done = sound(machine.run("backup", "outputs/a.txt"))
    assert (done.code, len(done.errors)) == (1, 1), done
    assert "--drive" in done.errors[0]
    done = machine.run("backup", "outputs/a.txt", "--json")
    assert done.rows()[0]["outcome"] == "FAILED"
    refused(machine.spawn("backup", "outputs/a.txt"), 1, "--drive")


# -- ensure and restore ------------------------------------------------------------------------------------------------------


def test_ensure_is_0_where_present_3_where_absent_4_where_failed(site: Site, kept: Box) -> None:
    fresh = site.box()
    done = good(fresh.run("ensure", "outputs/d", "--json"))
    assert [(r["path"], r["outcome"], r["error"]) for r in done.rows()] == [("outputs/d", "RESTORED", None)]
    assert done.rows()[0]["generation"] == generations(kept, "outputs/d")[0]
    done = good(fresh.run("ensure", "outputs/d", "--json"))
    assert done.rows()[0]["outcome"] == "LOCAL"
    done = sound(fresh.run("ensure", "outputs/nothing"))
    assert (done.code, done.errors) == (3, [])
    assert "absent" in done.out
    done = sound(fresh.run("ensure", "outputs/nothing", "--json"))
    assert (done.code, done.rows()[0]["outcome"], done.rows()[0]["generation"]) == (3, "ABSENT", None)
    next((site.store / "outputs").glob("one@*")).unlink()
    done = sound(fresh.run("ensure", "outputs/one.txt", "--json"))
    assert (done.code, done.rows()[0]["outcome"], len(done.errors)) == (4, "FAILED", 1)
    assert done.rows()[0]["error"]
    assert fresh.tree() == {"d/a.txt": b"second", "d/b.txt": b"more"}


def test_ensure_codes_hold_for_the_real_command(site: Site, kept: Box) -> None:
    fresh = site.box()
    assert fresh.spawn("ensure", "outputs/d").code == 0
    assert fresh.spawn("ensure", "outputs/nothing").code == 3
    next((site.store / "outputs").glob("one@*")).unlink()
    refused(fresh.spawn("ensure", "outputs/one.txt"), 4, "outputs/one.txt")


@pytest.mark.parametrize("verb", ["ensure", "restore"])
def test_of_several_paths_the_worst_decides_and_every_one_is_served(site: Site, kept: Box, verb: str) -> None:
    next((site.store / "outputs").glob("one@*")).unlink()
    fresh = site.box()
    done = sound(fresh.run(verb, "outputs/nothing", "outputs/one.txt", "outputs/d", "--json"))
    assert done.code == 4
    assert [r["outcome"] for r in done.rows()] == ["ABSENT", "FAILED", "RESTORED"]
    assert fresh.tree() == {"d/a.txt": b"second", "d/b.txt": b"more"}
    done = sound(fresh.run(verb, "outputs/d", "outputs/nothing"))
    assert done.code == 3


def test_ensure_without_a_drive_is_0_where_present_and_else_3(site: Site) -> None:
    machine = Box(site.box().root, None)
    machine.write("outputs/a.txt", "x")
    good(machine.run("ensure", "outputs/a.txt"))
    assert sound(machine.run("ensure", "outputs/b.txt")).code == 3
    assert sound(machine.run("ensure", "outputs/a.txt", "outputs/b.txt")).code == 3
    assert machine.spawn("ensure", "outputs/a.txt").code == 0


@pytest.mark.parametrize("words", [("restore", "outputs/a.txt"), ("verify",), ("history", "outputs/a.txt"), ("prune",)])
def test_what_needs_a_store_says_so_in_one_line(site: Site, words: tuple[str, ...]) -> None:
    machine = Box(site.box().root, None)
    refused(machine.run(*words), 2, "--drive")


def test_status_and_doctor_need_no_store(site: Site) -> None:
    machine = Box(site.box().root, None)
    machine.write("outputs/a.txt", "x")
    done = good(machine.run("status"))
    assert "outputs/a.txt" in done.out
    assert [row["path"] for row in good(machine.run("status", "--json")).rows()] == ["outputs/a.txt"]
    good(machine.run("doctor"))


def test_restore_moves_aside_what_is_here_and_deletes_nothing(kept: Box) -> None:
    kept.write("outputs/d/a.txt", "mine")
    done = good(kept.run("restore", "outputs/d"))
    assert "moved aside" in done.err
    assert kept.tree("outputs/d") == {"a.txt": b"second", "b.txt": b"more"}
    assert b"mine" in files_in(kept.root / "holdfast-aside").values()


def test_restore_of_a_chosen_generation(site: Site, kept: Box) -> None:
    newest, oldest = generations(kept, "outputs/d")
    for spelled in (oldest, f"000001-{oldest}"):
        fresh = site.box()
        done = good(fresh.run("restore", "outputs/d", "--generation", spelled, "--json"))
        assert done.rows()[0]["generation"] == oldest
        assert fresh.tree("outputs/d") == {"a.txt": b"first"}
    fresh = site.box()
    done = sound(fresh.run("restore", "outputs/d", "--generation", "ffffffff"))
    assert (done.code, len(done.errors)) == (3, 1), done
    assert "ffffffff" in done.errors[0]
    assert fresh.tree() == {}
    assert newest != oldest


def test_restore_to_another_folder_leaves_outputs_alone(site: Site, kept: Box) -> None:
    kept.write("outputs/d/a.txt", "mine")
    there = site.folder / "there"
    done = good(kept.run("restore", "outputs/d", "--to", str(there), "--json"))
    assert done.rows()[0]["outcome"] == "RESTORED"
    assert files_in(there) == {"outputs/d/a.txt": b"second", "outputs/d/b.txt": b"more"}
    assert (kept.outputs / "d/a.txt").read_text() == "mine"
    refused(kept.run("restore", "outputs/d", "--to", str(there)), 4, "there")
    oldest = generations(kept, "outputs/d")[-1]
    good(kept.run("restore", "outputs/d", "--to", "elsewhere", "--generation", oldest))
    assert files_in(kept.root / "elsewhere") == {"outputs/d/a.txt": b"first"}
    done = sound(kept.run("restore", "outputs/nothing", "--to", "nowhere"))
    assert (done.code, len(done.errors)) == (3, 1)


def test_restore_to_another_folder_works_on_a_machine_that_never_worked_here(site: Site, kept: Box) -> None:
    fresh = site.box()
    good(fresh.run("restore", "outputs/d", "--to", "there"))
    assert fresh.tree("there") == {"outputs/d/a.txt": b"second", "outputs/d/b.txt": b"more"}
    assert fresh.tree() == {}


def test_restore_of_plain_files_needs_to_be_asked_for(site: Site) -> None:
    place = site.store / "outputs/plain/a.txt"
    place.parent.mkdir(parents=True)
    place.write_text("by hand")
    fresh = site.box()
    refused(fresh.run("ensure", "outputs/plain"), 4, "--unverified")
    assert fresh.tree() == {}
    done = good(fresh.run("restore", "outputs/plain", "--unverified", "--json"))
    assert done.rows()[0]["outcome"] == "RESTORED"
    assert "unverified" in done.err
    assert fresh.tree() == {"plain/a.txt": b"by hand"}
    assert sound(fresh.run("restore", "outputs/nothing", "--unverified")).code == 3


def test_unverified_files_go_where_they_are_asked_to(site: Site) -> None:
    place = site.store / "outputs/plain/a.txt"
    place.parent.mkdir(parents=True)
    place.write_text("by hand")
    fresh = site.box()
    done = sound(fresh.run("restore", "outputs/plain", "--unverified", "--to", "there"))
    assert fresh.tree() == {}, "--to leaves outputs alone"
    assert done.code == 2 or fresh.tree("there") == {"outputs/plain/a.txt": b"by hand"}, done


# -- verify, history, status, prune, doctor ----------------------------------------------------------------------------------


def test_verify_is_0_where_good_and_1_where_damaged_and_names_it(site: Site, kept: Box) -> None:
    assert good(kept.run("verify")).out == "all good\n"
    assert good(kept.run("verify", "--json")).rows() == []
    payload = next((site.store / "outputs").glob("one@*"))
    payload.write_bytes(b"oNe")
    refused(kept.run("verify"), 1, "outputs/one.txt", payload.name)
    done = sound(kept.run("verify", "--json"))
    assert done.code == 1
    (row,) = done.rows()
    assert {"path", "outcome", "generation", "error"} <= row.keys()
    assert (row["path"], row["generation"]) == ("outputs/one.txt", generations(kept, "outputs/one.txt")[0])
    good(kept.run("verify", "outputs/d"))
    refused(kept.run("verify", "outputs/d", "outputs/one.txt"), 1, "outputs/one.txt")
    refused(kept.spawn("verify"), 1, "outputs/one.txt")


def test_history_lists_the_generations_newest_first(kept: Box) -> None:
    done = good(kept.run("history", "outputs/d"))
    newest, oldest = generations(kept, "outputs/d")
    assert done.out.index(newest) < done.out.index(oldest)
    rows = good(kept.run("history", "outputs/d", "--json")).rows()
    assert all({"path", "outcome", "generation", "error"} <= row.keys() for row in rows)
    assert [row["parent"] for row in rows] == [oldest, None]
    assert good(kept.run("history", "outputs/d/a.txt", "--json")).rows() == rows
    assert {row["path"] for row in good(kept.run("history", "outputs", "--json")).rows()} == {"outputs/d", "outputs/one.txt"}


def test_history_of_what_is_not_in_the_store_is_3_in_one_line(kept: Box) -> None:
    refused(kept.run("history", "outputs/nothing"), 3)
    done = kept.run("history", "outputs/nothing", "--json")
    assert (done.code, done.rows()) == (3, [])


def test_status_tells_what_would_be_lost(site: Site, kept: Box) -> None:
    assert "everything is backed up" in good(kept.run("status")).out
    kept.write("outputs/d/a.txt", "third")
    kept.write("outputs/new.txt", "new")
    done = good(kept.run("status"))
    assert "you would lose" in done.out
    rows = {row["path"]: row for row in good(kept.run("status", "--json")).rows()}
    assert rows.keys() == {"outputs/d", "outputs/one.txt", "outputs/new.txt"}
    assert all({"path", "outcome", "generation", "error"} <= row.keys() for row in rows.values())
    assert rows["outputs/new.txt"]["generation"] is None
    assert (rows["outputs/d"]["unsaved"], rows["outputs/one.txt"]["unsaved"]) == (1, 0)
    fresh = site.box()
    good(fresh.run("ensure", "outputs/one.txt"))
    here = {row["path"]: row["here"] for row in good(fresh.run("status", "--json")).rows()}
    assert here == {"outputs/d": "no", "outputs/one.txt": "yes"}


def test_prune_drops_what_newer_generations_make_needless(site: Site, kept: Box) -> None:
    for number in range(3):
        kept.write("outputs/d/a.txt", f"again {number}")
        good(kept.run("backup", "outputs/d"))
    before = generations(kept, "outputs/d")
    assert len(before) == 3, "a backup prunes by itself"
    done = good(kept.run("prune", "--dry-run", "--json"))
    assert done.rows()
    assert all({"path", "outcome", "generation", "error"} <= row.keys() for row in done.rows())
    assert {row["outcome"] for row in done.rows()} == {"WOULD REMOVE"}
    assert "would remove" in good(kept.run("prune", "--dry-run")).out
    assert generations(kept, "outputs/d") == before
    assert good(kept.run("prune", "outputs/one.txt", "--json")).rows() == []
    done = good(kept.run("prune", "--json"))
    assert {row["outcome"] for row in done.rows()} == {"REMOVED"}
    after = generations(kept, "outputs/d")
    assert after == before[:2]
    good(kept.run("verify"))
    fresh = site.box()
    good(fresh.run("ensure", "outputs/d"))
    assert fresh.tree("outputs/d") == {"a.txt": b"again 2", "b.txt": b"more"}


def orphan(site: Site) -> Path:
    place = site.store / "outputs/d/left-over@000009-0000beef.bin"
    place.write_bytes(b"of a backup that was killed")
    return place


def test_prune_asks_before_it_removes_for_good(site: Site, kept: Box) -> None:
    place = orphan(site)
    assert "--orphans" in good(kept.run("prune")).out
    assert place.exists()
    done = kept.run("prune", "--orphans", answer="n\n")
    assert done.code == 0
    assert place.name in done.err, "what is asked about is shown where it is asked"
    assert place.exists()
    done = kept.run("prune", "--orphans", answer="")
    assert done.code != 0
    assert "Traceback" not in done.err
    assert place.exists()
    assert kept.run("prune", "--orphans", answer="y\n").code == 0
    assert not place.exists()


def test_prune_with_yes_does_not_ask(site: Site, kept: Box) -> None:
    place = orphan(site)
    done = good(kept.run("prune", "--orphans", "--dry-run", "--json"))
    assert [row["path"] for row in done.rows()] == [place.relative_to(site.store).as_posix()]
    assert place.exists()
    good(kept.run("prune", "--orphans", "--yes"))
    assert not place.exists()
    good(kept.run("verify"))


def test_prune_that_asks_still_prints_json_for_a_program(site: Site, kept: Box) -> None:
    orphan(site)
    done = kept.run("prune", "--orphans", "--json", answer="y\n")
    assert done.code == 0
    assert [row["outcome"] for row in done.rows()] == ["REMOVED"]


def test_prune_of_forks_keeps_the_default_one(site: Site, kept: Box) -> None:
    other = site.box()
    good(other.run("ensure", "outputs/d"))
    kept.write("outputs/d/a.txt", "here")
    good(kept.run("backup", "outputs/d", "--progress", "9"))
    other.write("outputs/d/a.txt", "there")
    done = sound(other.run("backup", "outputs/d", "--progress", "8", "--json"))
    assert done.code == 0
    assert done.rows()[0]["forked"]
    assert "fork" in good(kept.run("history", "outputs/d")).out
    good(kept.run("prune", "--forks", "--yes"))
    assert "fork" not in good(kept.run("history", "outputs/d")).out
    fresh = site.box()
    good(fresh.run("ensure", "outputs/d"))
    assert fresh.tree("outputs/d")["a.txt"] == b"here"


def test_doctor_reports_and_leaves_nothing_behind(site: Site, kept: Box) -> None:
    before = files_in(site.drive)
    done = good(kept.run("doctor"))
    assert "store_id" in done.out
    rows = good(kept.run("doctor", "--json")).rows()
    assert all({"path", "outcome", "generation", "error"} <= row.keys() for row in rows)
    assert files_in(site.drive) == before
    assert {p.name for p in site.drive.iterdir()} == {"proj"}


def test_doctor_is_1_where_something_is_bad(site: Site) -> None:
    machine = site.box()
    done = sound(machine.run("doctor", "--drive", str(site.folder / "gone")))
    assert done.code == 1
    done = sound(machine.run("doctor", "--json", "--drive", str(site.folder / "gone")))
    assert [row["error"] for row in done.rows() if row["outcome"] == "BAD"] != []


# -- where things are --------------------------------------------------------------------------------------------------------


def test_root_works_from_elsewhere_and_the_project_is_found_from_below(site: Site, kept: Box) -> None:
    done = good(kept.run("status", "--root", str(kept.root), "--json", cwd=site.folder))
    assert {row["path"] for row in done.rows()} == {"outputs/d", "outputs/one.txt"}
    good(kept.run("backup", "outputs/d", "--root", str(kept.root), cwd=Path("/")))
    good(kept.run("backup", "outputs/d", "--root", "proj", cwd=kept.root.parent))
    kept.write("config/paths.yaml", "base: {outputs: outputs}\n")
    good(kept.run("backup", "outputs/d", cwd=kept.outputs / "d"))
    assert not (kept.outputs / "d" / "outputs").exists()


def test_the_drive_of_the_option_beats_that_of_the_environment(site: Site, kept: Box) -> None:
    other = site.folder / "other"
    other.mkdir()
    good(kept.run("backup", "outputs/one.txt", "--drive", str(other)))
    assert (other / "proj/holdfast.json").is_file()
    fresh = Box(site.box().root, None)
    assert sound(fresh.run("ensure", "outputs/d")).code == 3
    good(fresh.run("ensure", "outputs/d", env={"HOLDFAST_DRIVE": str(site.drive)}))


@pytest.mark.parametrize("words", [(), ("--drive", "")])
def test_an_empty_drive_is_none(site: Site, words: tuple[str, ...]) -> None:
    machine = Box(site.box().root, None)
    machine.write("outputs/a.txt", "x")
    words = ("backup", "outputs/a.txt", "--root", str(machine.root), *words)
    done = sound(machine.run(*words, cwd=site.drive, env={"HOLDFAST_DRIVE": ""}))
    assert done.code in (1, 2), done
    assert list(site.drive.iterdir()) == []


def test_json_and_nothing_else_is_on_standard_output(site: Site, kept: Box) -> None:
    commands: list[tuple[str, ...]] = [
        ("backup", "outputs/d"),
        ("ensure", "outputs/d", "outputs/nothing"),
        ("restore", "outputs/one.txt"),
        ("verify",),
        ("history", "outputs/d"),
        ("status",),
        ("prune",),
        ("doctor",),
    ]
    for words in commands:
        rows = sound(kept.run(*words, "--json")).rows()
        assert all({"path", "outcome", "generation", "error"} <= row.keys() for row in rows), words


def test_output_that_nobody_reads_is_no_traceback(kept: Box) -> None:
    environment = {"PATH": "/usr/bin:/bin", "HOLDFAST_DRIVE": str(kept.drive)}
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m holdfast history outputs/d | head -c 0"],
        cwd=kept.root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr


def test_importing_the_package_loads_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import holdfast"], capture_output=True, text=True, timeout=20, check=True
    )
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "holdfast" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_asking_for_a_checkpoint_of_any_library_loads_none_of_them(tmp_path: Path) -> None:
    (tmp_path / "drive").mkdir()
    asks = """
import sys, holdfast
keep = holdfast.attach(drive="drive")
assert keep.checkpoint("outputs/run") is None
assert {"hf", "keras", "lightning", "optuna"} <= set(dir(holdfast))
assert callable(keep.training) and callable(keep.trials)
print(*{name.partition(".")[0] for name in sys.modules})
"""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    environment.pop("HOLDFAST_DRIVE", None)
    done = subprocess.run(
        [sys.executable, "-c", asks], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert set(done.stdout.split()).isdisjoint(HEAVY)


def test_a_forged_store_is_shown_by_every_command_as_any_other(site: Site) -> None:
    forge = Forge(site.store)
    forge.generation("outputs/d", 1, {"a.txt": b"x"})
    machine = site.box()
    good(machine.run("ensure", "outputs/d"))
    for words in (("verify",), ("status",), ("history", "outputs/d")):
        good(machine.run(*words))
    assert json.loads((site.store / "holdfast.json").read_text())["sentinel"]["format"] == 1


def test_drop_begins_anew_for_every_machine_and_says_how_to_get_back(site: Site, kept: Box) -> None:
    old = generations(kept, "outputs/d")[0]
    done = good(kept.run("drop", "outputs/d"))
    assert "history outputs/d" in done.out
    assert not (kept.root / "outputs/d").exists()
    fresh = site.box()
    answer = fresh.run("ensure", "outputs/d")
    assert answer.code == 3
    assert "dropped" in answer.out + answer.err
    fresh.write("outputs/d/a.txt", "anew")
    good(fresh.run("backup", "outputs/d", "--progress", "1"))
    assert "dropped" in good(fresh.run("history", "outputs/d")).out
    another = site.box()
    good(another.run("ensure", "outputs/d"))
    assert files_in(another.root / "outputs/d") == {"a.txt": b"anew"}
    good(another.run("restore", "outputs/d", "--generation", old))
    assert files_in(another.root / "outputs/d") == {"a.txt": b"second", "b.txt": b"more"}
    good(another.run("prune", "--dropped", "--yes"))
    assert old not in generations(another, "outputs/d")


def test_drop_keep_here_chooses_a_line(site: Site, kept: Box) -> None:
    other = site.box()
    other.write("outputs/d/a.txt", "another line")
    good(other.run("backup", "outputs/d", "--progress", "1"))
    good(other.run("drop", "outputs/d", "--keep-here"))
    fresh = site.box()
    good(fresh.run("ensure", "outputs/d"))
    assert files_in(fresh.root / "outputs/d") == {"a.txt": b"another line"}
