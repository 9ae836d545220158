"""Whatever is in outputs and would not come back is named, and the word is SAFE only where nothing of that is left unaccepted."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.session.attach import open_keeper
from holdfast.session.keeper import Keeper
from holdfast.store.reporting.outcomes import Outcome

Make = Callable[[Path, Path], None]


def _folder_link(place: Path, outside: Path) -> None:
    (outside / "ep3.pt").write_text("three epochs")
    place.symlink_to(outside)


def _file_link(place: Path, outside: Path) -> None:
    (outside / "weights").write_text("weights")
    place.symlink_to(outside / "weights")


def _relative_link(place: Path, outside: Path) -> None:
    (outside / "x").write_text("x")
    place.symlink_to(os.path.relpath(outside / "x", place.parent))


def _dangling_out(place: Path, outside: Path) -> None:
    place.symlink_to(outside / "gone")


def _chain(place: Path, outside: Path) -> None:
    (outside / "deep").symlink_to(outside)
    place.symlink_to(outside / "deep")


def _link_to_the_project(place: Path, outside: Path) -> None:
    place.symlink_to("../../README.md")


def _pipe(place: Path, outside: Path) -> None:
    os.mkfifo(place)


def _socket(place: Path, outside: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        here = Path.cwd()
        os.chdir(place.parent)
        try:
            made.bind(place.name)
        finally:
            os.chdir(here)


def _device(place: Path, outside: Path) -> None:
    os.mknod(place, 0o600 | 0o020000, os.makedev(1, 3))


def _deep(place: Path, outside: Path) -> None:
    here = Path.cwd()
    os.chdir(place.parent)
    try:
        os.mkdir(place.name)
        os.chdir(place.name)
        for _ in range(220):
            os.mkdir("d")
            os.chdir("d")
    finally:
        os.chdir(here)


KINDS: dict[str, Make] = {
    f.__name__.strip("_"): f
    for f in (
        _folder_link,
        _file_link,
        _relative_link,
        _dangling_out,
        _chain,
        _link_to_the_project,
        _pipe,
        _socket,
        _device,
        _deep,
    )
}


class Project:
    """A project whose settings are written between one keeper and the next."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "project"
        self.outside = folder / "outside"
        self.outputs = self.root / "outputs"
        for made in (self.outputs / "run", self.outside, folder / "drive", self.root / "config"):
            made.mkdir(parents=True)
        self.drive = folder / "drive"

    def say(self, settings: str) -> None:
        (self.root / "config" / "paths.yaml").write_text(f"drive:\n  {settings}\n")

    def keeper(self, root: Path | None = None) -> Keeper:
        return open_keeper(root=root or self.root, drive=self.drive)

    def fresh(self) -> Keeper:
        root = self.root.parent / "fresh" / self.root.name
        (root / "outputs").mkdir(parents=True)
        return self.keeper(root)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.mark.parametrize(("kind", "where"), [*((k, "run/odd") for k in KINDS), *((k, "odd") for k in KINDS if k != "deep")])
def test_what_cannot_be_kept_is_named_until_it_is_accepted_or_left_out(project: Project, kind: str, where: str) -> None:
    (project.outputs / "run" / "a.txt").write_text("kept")
    KINDS[kind](project.outputs / where, project.outside)
    keep = project.keeper()
    done = keep.backup("outputs/run")
    assert bool(done) is (where == "odd"), "what was asked for is all of it kept, or false"
    found = keep.status()
    assert not found.safe
    named = [text for row in found for text in row.named]
    assert len(named) == 1
    assert named[0].startswith(f"outputs/{where}")
    finished = keep.finish(wait=0)
    assert not finished
    assert any(text.startswith(f"outputs/{where}") for text in finished.missing)

    project.say(f"accept: [outputs/{where}]")
    keep = project.keeper()
    assert keep.backup("outputs/run")
    assert keep.status().safe
    assert [p for row in keep.status() for p in row.accepted]
    assert keep.finish(wait=0)

    (project.root / "config" / "paths.yaml").unlink()
    assert not project.keeper().status().safe
    (project.root / ".holdfastignore").write_text(f"/outputs/{where}\n")
    keep = project.keeper()
    assert keep.backup("outputs/run")
    assert keep.status().safe
    assert [p for row in keep.status() for p in row.left_out]


@pytest.mark.parametrize("kind", ["folder_link", "file_link"])
def test_a_link_that_is_followed_keeps_what_it_leads_to_and_comes_back_as_that(project: Project, kind: str) -> None:
    KINDS[kind](project.outputs / "run" / "ckpt", project.outside)
    project.say("follow: [outputs/run/ckpt]")
    keep = project.keeper()
    assert keep.backup("outputs/run")
    assert keep.status().safe
    fresh = project.fresh()
    assert fresh.ensure("outputs/run").outcome is Outcome.RESTORED
    came = fresh.root / "outputs" / "run" / "ckpt"
    assert not came.is_symlink()
    assert (came / "ep3.pt").read_text() == "three epochs" if came.is_dir() else came.read_text() == "weights"
    before = sorted(p.name for p in project.outside.iterdir())
    assert keep.ensure("outputs/run").outcome is Outcome.LOCAL
    assert sorted(p.name for p in project.outside.iterdir()) == before, "nothing outside outputs is written"


def test_a_kept_folder_that_becomes_a_link_is_no_longer_safe(project: Project) -> None:
    run = project.outputs / "run"
    (run / "ckpt").mkdir()
    (run / "ckpt" / "ep1.pt").write_text("one")
    keep = project.keeper()
    assert keep.backup("outputs/run", progress=1)
    assert keep.status().safe
    (run / "ckpt").rename(project.outside / "ckpt")
    (run / "ckpt").symlink_to(project.outside / "ckpt")
    (project.outside / "ckpt" / "ep6.pt").write_text("six")
    assert not keep.backup("outputs/run", progress=6)
    assert not keep.status().safe
    assert not keep.finish(wait=0)


@pytest.mark.parametrize("change", ["a link", "another target", "a mode", "a time", "an empty folder", "a folder's mode"])
def test_what_is_more_than_bytes_counts_as_work(project: Project, change: str) -> None:
    run = project.outputs / "run"
    (run / "a.txt").write_text("a")
    (run / "sub").mkdir()
    (run / "link").symlink_to("a.txt")
    keep = project.keeper()
    assert keep.backup("outputs/run")
    assert keep.status().safe
    if change == "another target":
        (run / "link").unlink()
    {
        "a link": lambda: (run / "new").symlink_to("a.txt"),
        "another target": lambda: (run / "link").symlink_to("sub"),
        "a mode": lambda: (run / "a.txt").chmod(0o751),
        "a time": lambda: os.utime(run / "a.txt", ns=(1, 1)),
        "an empty folder": (run / "empty").mkdir,
        "a folder's mode": lambda: (run / "sub").chmod(0o700),
    }[change]()
    assert not keep.status().safe
    assert keep.backup("outputs/run")
    assert keep.status().safe


def test_the_time_of_a_folder_alone_is_no_work(project: Project) -> None:
    run = project.outputs / "run"
    (run / "sub").mkdir()
    (run / "a.txt").write_text("a")
    keep = project.keeper()
    (first,) = keep.backup("outputs/run").results
    os.utime(run / "sub", ns=(1, 1))
    assert keep.status().safe
    (second,) = keep.backup("outputs/run").results
    assert second.unchanged
    assert second.generation == first.generation


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ("ignore: '*.tmp'", "drive.ignore"),
        ("ignore: [1]", "drive.ignore"),
        ("follow: [/scratch]", "drive.follow"),
        ("follow: [outputs]", "drive.follow"),
        ("accept: [outputs/../x]", "drive.accept"),
        ("accept: {a: b}", "drive.accept"),
    ],
)
def test_a_setting_that_cannot_be_is_one_line(project: Project, settings: str, word: str) -> None:
    from holdfast.errors import ConfigurationError

    project.say(settings)
    with pytest.raises(ConfigurationError, match=word):
        project.keeper()
