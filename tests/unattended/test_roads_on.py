"""What is refused before a machine is taken: the refusal is met, what it says is done, and the work goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from holdfast.errors import UsageError
from holdfast.unattended import ledger, shipping, wheel
from holdfast.unattended.cargo import Loading
from holdfast.unattended.command import ColabCommand, find
from holdfast.unattended.ledger import Fate, Ledger, Taken
from holdfast.unattended.news import News
from holdfast.unattended.place import Place
from holdfast.unattended.shipping import Cargo
from holdfast.unattended.supervisor import Supervisor
from holdfast.unattended.wish import Wish, accelerators_in, asked_of
from tests.unattended.rig import Run


def command_of(folder: Path, says: str) -> Path:
    """A program that says something, whatever it is asked."""
    program = folder / "colab"
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(0o755)
    return program


def refused(root: Path, program: Path, *words: str) -> str:
    run = Run(SimpleNamespace(environment={}), program, root, *words)
    assert run.end() == 2
    return run.lines[-1]


def test_words_that_are_refused_are_taken_once_they_are_right(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / ".gitignore").write_text("train.py\n")
    (root / "train.py").write_text("")
    (tmp_path / "my.yaml").write_text("")
    program = command_of(tmp_path, "nothing")
    work = ("--", "python", "train.py")
    assert "lies outside of the project folder" in refused(root, program, str(tmp_path / "my.yaml"))
    assert "an experiment file stands alone" in refused(root, program, "my.yaml", "python")
    assert "no such accelerator" in refused(root, program, "--gpu", "V100", *work)
    assert "no such accelerator" in refused(root, program, "sample", "--gpu", "V100")  # options behind it, too
    assert "there is no such file or folder" in refused(root, program, "--include", "nowhere", *work)
    assert "is not among the files that are sent" in refused(root, program, *work)
    sent = ("--include", "train.py")
    for path in ("../elsewhere", "/tmp/elsewhere", "."):
        assert f"--fetch {path}: " in refused(root, program, *sent, "--fetch", path, *work)
    (tmp_path / "tell.sh").write_text("#!/bin/sh\n")
    assert "--notify nowhere: there is no such command" in refused(root, program, *sent, "--notify", "nowhere", *work)
    assert "may not be executed; chmod +x" in refused(root, program, *sent, "--notify", str(tmp_path / "tell.sh"), *work)
    (root / "my.yaml").write_text("data: {folder: data}\nbackbones: [tiny]\n")
    assert "data.folder: data: there is no such file or folder in" in refused(root, program, "my.yaml")
    (root / "data").mkdir()
    (root / "data" / "train.jsonl").write_text("")
    (root / ".gitignore").write_text("train.py\ndata\n")
    assert "data: is not among the files that are sent" in refused(root, program, "my.yaml")
    (root / "own.yaml").write_text("data: {folder: .}\nbackbones: [tiny]\n")
    assert "does not tell its version" in refused(root, program, "own.yaml")
    (root / "far.yaml").write_text("data: {folder: ../far}\nbackbones: [tiny]\n")
    assert "data.folder: ../far: lies outside of the project folder" in refused(root, program, "far.yaml")
    assert "--notify tell 'it: " in refused(root, program, *sent, "--notify", "tell 'it", *work)
    assert "does not tell its version" in refused(root, program, "--include", "data", "my.yaml")
    assert "is neither oauth2 nor adc" in refused(root, program, *sent, "--auth", "none", *work)
    assert "there is no such command" in refused(root, tmp_path / "nowhere", *sent, *work)
    assert "does not tell its version" in refused(root, program, *sent, *work)
    assert "is version 0.7.4" in refused(root, command_of(tmp_path, "colab 0.7.4"), *sent, *work)
    assert ColabCommand(find(str(command_of(tmp_path, "colab 0.7.5"))), tmp_path / "records").version() == "0.7.5"
    assert accelerators_in("T4,none") == ("T4", "none")


def test_a_folder_inside_of_a_project_that_has_a_machine_shows_where_that_is(tmp_path: Path) -> None:
    place, inside = Place(tmp_path), tmp_path / "inside"
    place.folder.mkdir(parents=True)
    inside.mkdir()

    def status(*words: str) -> tuple[int, str, str]:
        command = [sys.executable, "-m", "holdfast", "colab", "status", *words]
        done = subprocess.run(command, cwd=inside, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout, " ".join(done.stderr.split())

    machine = Taken("holdfast-w-1", "none", 0.0, "m-1", Fate.HELD)
    ledger.write(place.ledger, Ledger("w", 0.0, asked_of(Wish(("python", "a.py"))), (machine,)))
    code, _, said = status()
    assert (code, f"{tmp_path} has a machine; go there, or give --root {tmp_path}" in said) == (2, True)
    assert "m-1" in status("--root", str(tmp_path))[1]
    assert status("--root", ".")[:2] == (0, "no work was begun here\n")
    written = json.loads(place.ledger.read_text())
    place.ledger.write_text(json.dumps({**{k: v for k, v in written.items() if k != "sent"}, "of a newer version": 1}))
    assert status()[0] == 2
    place.ledger.write_text("[")
    assert status()[:2] == (0, "no work was begun here\n")
    ledger.write(place.ledger, Ledger("w", 0.0, {}, (replace(machine, fate=Fate.GIVEN_BACK),)))
    assert status()[:2] == (0, "no work was begun here\n")


def test_a_second_supervisor_works_once_the_first_has_ended(tmp_path: Path) -> None:
    first, second = Place(tmp_path), Place(tmp_path)
    with first.alone():
        assert second.supervised()
        with pytest.raises(UsageError, match="another `holdfast colab run` supervises"), second.alone():
            pass
    with second.alone():
        assert not first.ledger.exists()


def test_another_work_begins_once_the_machine_of_the_first_is_given_back(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.folder.mkdir(parents=True)
    first, second = Wish(("python", "a.py")), Wish(("python", "b.py"))
    left = Ledger("w", 0.0, asked_of(first), (Taken("holdfast-w-1", "none", 0.0, "m-1", Fate.HELD),))

    def begin(wish: Wish) -> Supervisor:
        loading = Loading(Cargo(tmp_path, (), 0, ""), wish, lambda data: None)
        return Supervisor(ColabCommand("colab", place.records), place, wish, loading, News(lambda line: None, place.lines))

    ledger.write(place.ledger, left)
    with pytest.raises(UsageError, match="was not given back"):
        begin(second)
    assert "m-1 is kept" in begin(first).left()
    ledger.write(place.ledger, left.with_current(fate=Fate.GIVEN_BACK))
    assert begin(second).left() == "no machine is held"


def test_what_would_be_sent_goes_once_it_is_named_or_small(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("")
    with pytest.raises(UsageError, match="looks like a secret"):
        shipping.choose(tmp_path)
    (tmp_path / ".env").unlink()
    with (tmp_path / "large.bin").open("wb") as file:
        file.truncate(shipping.LIMIT_BYTES + 1)
    with pytest.raises(UsageError, match="would be sent"):
        shipping.choose(tmp_path)
    (tmp_path / ".gitignore").write_text("*.bin\n")
    assert shipping.choose(tmp_path).files == (".gitignore",)


def test_a_holdfast_that_is_no_package_is_sent_once_it_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as nothing_installed:
        nothing_installed.setattr(sys, "meta_path", [])
        with pytest.raises(UsageError, match="not installed as a package"):
            wheel.pack_wheel(tmp_path)
    assert wheel.pack_wheel(tmp_path).exists()


HEAD = """
import sys
from holdfast.cli.colab import _to_nobody
for _ in range(3):
    with _to_nobody(sys.stdout):
        sys.stdout.buffer.write(b"a line of the work" * 9999)
        sys.stdout.buffer.flush()
print("goes on", file=sys.stderr)
"""


def test_where_nobody_reads_any_more_as_behind_head_it_goes_on() -> None:
    run = subprocess.Popen([sys.executable, "-c", HEAD], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert run.stdout is not None
    run.stdout.close()
    assert run.stderr is not None
    with run.stderr:
        said = run.stderr.read()
    assert (run.wait(60), said) == (0, "goes on\n")
