"""One session: random work in outputs, backups at random moments, and a machine that vanishes. The same for the same seed.

Every move is data, and is logged before it is made, so that a session can be done again from its log, or from a part of it.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import holdfast
from holdfast.errors import ConfigurationError, HoldfastError, NotBackedUp
from tests.truth.beyond import Beyond, Inventory
from tests.truth.job import Hands, Job
from tests.truth.judging import Row, Said, Terms, Violation, judge, judge_fresh, wanting, within

#: Who makes a move: the keeper, or hands: 0 in the keeper's own process, the others in processes of their own.
KEEPER = -1
JOBS = 2
REST_SECONDS = 2.1
PROJECT = "project"


@dataclass(frozen=True)
class Move:
    """One move."""

    who: int
    verb: str
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Counts:
    """What was looked at."""

    sessions: int = 0
    moves: int = 0
    backups: int = 0
    safe: int = 0
    not_safe: int = 0
    calm: int = 0
    calm_named: int = 0
    fresh: int = 0
    fresh_true: int = 0
    words: dict[str, int] = field(default_factory=dict)

    def add(self, other: Counts) -> None:
        """Count those of another, too."""
        for name, value in vars(other).items():
            if isinstance(value, int):
                setattr(self, name, getattr(self, name) + value)
        for word, number in other.words.items():
            self.words[word] = self.words.get(word, 0) + number


class Crew:
    """The processes that sessions use one after the other."""

    def __init__(self) -> None:
        self.beyond = Beyond()
        self._free: list[tuple[Job, ...]] = []

    @contextlib.contextmanager
    def jobs(self) -> Iterator[tuple[Job, ...]]:
        """Two jobs, for one session."""
        jobs = self._free.pop() if self._free else tuple(Job() for _ in range(JOBS))
        try:
            yield jobs
        finally:
            self._free.append(jobs)

    def end(self) -> None:
        """Have all of them end."""
        for jobs in self._free:
            for job in jobs:
                job.end()
        self.beyond.end()


class Session:
    """A session under way.

    Args:
        folder: Where everything of it lies; empty.
        crew: The processes.
        moves: What to do; each is asked for when it is due, so that it can look at what is here.
        background: The keeper sends in the background.
        only: Kinds of violations that have none of these in them are passed over; empty for none.
        stops: It ends with the first violation.
    """

    def __init__(
        self,
        folder: Path,
        crew: Crew,
        moves: Callable[[Session], Iterable[Move]],
        *,
        background: bool = True,
        only: tuple[str, ...] = (),
        stops: bool = True,
    ) -> None:
        self.root = folder / PROJECT
        self.outputs = self.root / "outputs"
        self.drive = folder / "drive"
        self.outputs.mkdir(parents=True)
        self.drive.mkdir()
        self._folder = folder
        self._crew = crew
        self._moves = moves
        self._background = background
        self._only = only
        self._stops = stops
        self.log: list[Move] = []
        self.errors: list[str] = []
        self.violations: list[Violation] = []
        self.counts = Counts(sessions=1)
        self.databases: set[str] = set()
        self._were_databases: set[str] = set()
        self._ever: set[str] = set()
        self._accepted: list[str] = []
        self._number = 0
        self._stored: Inventory | None = None

    def run(self) -> Iterator[float]:
        """Do it. Gives the moments (of `time.monotonic`) until which it rests."""
        with self._crew.jobs() as jobs:
            self._hands: tuple[Hands | Job, ...] = (Hands(), *jobs)
            for hands in self._hands:
                hands.do("begin", {"folder": str(self.outputs)})
            self._attach()
            try:
                for move in self._moves(self):
                    self.log.append(move)
                    self.counts.moves += 1
                    if move.who != KEEPER:
                        self._make(move)
                    elif move.verb == "rest":
                        yield time.monotonic() + move.args["seconds"]
                    else:
                        getattr(self, f"_{move.verb}")(**move.args)
                    if self._held_against() and self._stops:
                        break
            except Exception as error:  # noqa: BLE001 - a session ends here, and says so
                self.violations.append(Violation("an exception", "", f"{type(error).__name__}: {error}"))
            finally:
                for hands in self._hands:
                    hands.do("let_go", {})
                self._detach()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _held_against(self) -> bool:
        """Whether anything was found that is not to be passed over."""
        self.violations = [v for v in self.violations if not self._only or any(text in v.kind for text in self._only)]
        return bool(self.violations)

    # -- hands -----------------------------------------------------------------------------------------------------------

    def _make(self, move: Move) -> None:
        if move.verb in ("database_open", "database_connect"):
            self.databases.add(move.args["path"])
            self._were_databases.add(move.args["path"])
        self.errors.append(self._hands[move.who].do(move.verb, dict(move.args)))
        self._ever |= set(self.paths())

    def paths(self) -> list[str]:
        """All that is in outputs now."""
        found = []
        for above, folders, files in os.walk(self.outputs):
            at = os.path.relpath(above, self.outputs)
            found += [name if at == "." else f"{at}/{name}" for name in (*folders, *files)]
        return sorted(found)

    def regular(self) -> list[str]:
        """Regular files that are no database and nothing of one."""
        return [p for p in self.paths() if stat.S_ISREG(os.lstat(self.outputs / p).st_mode) and not self.is_database(p)]

    def is_database(self, path: str) -> bool:
        """True for a database and what SQLite keeps beside it."""
        return any(
            path == d or (path.startswith(d) and path[len(d) :] in ("-wal", "-shm", "-journal")) for d in self._were_databases
        )

    def folders(self) -> list[str]:
        """Folders, not links to them; outputs itself first."""
        return ["", *(p for p in self.paths() if stat.S_ISDIR(os.lstat(self.outputs / p).st_mode))]

    # -- the keeper ------------------------------------------------------------------------------------------------------

    def _attach(self) -> None:
        self.keep = holdfast.attach(root=self.root, drive=self.drive, background=self._background, quiet=True)

    def _detach(self) -> None:
        with contextlib.suppress(HoldfastError):
            self.keep.flush(20)
        close = getattr(self.keep, "close", None) or getattr(self.keep.worker, "close", lambda: None)
        close()
        holdfast.detach()

    def _again(self) -> None:
        """The notebook attaches once more, as after its kernel was started anew."""
        self._detach()
        self._attach()

    def _backup(
        self, paths: list[str], progress: float | None = None, during: Iterable[tuple[int, str, dict[str, Any]]] = ()
    ) -> None:
        """Back up what of it is here, while jobs go on working."""
        self._stored = None
        told = []
        for who, verb, args in during:
            job = self._hands[who]
            assert isinstance(job, Job)
            job.tell(verb, args)
            told.append(job)
        try:
            given = [
                f"outputs/{p}" if p else "outputs" for p in paths if (self.outputs / p).exists() or (self.outputs / p).is_symlink()
            ]
            for path in given:
                with contextlib.suppress(HoldfastError):  # a link out; status has to name it
                    self.keep.backup(path, progress=progress)
                    self.counts.backups += 1
        finally:
            for job in told:
                job.answer()
        self._ever |= set(self.paths())

    def _ensure(self, path: str) -> None:
        """What is here stays as it is; what is missing may come back."""
        before = self._here()
        with contextlib.suppress(HoldfastError):
            self.keep.ensure(f"outputs/{path}" if path else "outputs")
        after = self._here()
        for place, entry in before.items():
            telling = ("kind", "mode", "hash", "to") + (("mtime_ns",) if entry["kind"] != "folder" else ())
            now = after.get(place, {})
            if any(entry.get(name) != now.get(name) for name in telling):
                self.violations.append(Violation("ensure changed what is here", place, f"{entry} {now}"))

    def _flush(self) -> None:
        with contextlib.suppress(NotBackedUp):
            self.keep.flush(60)

    def _here(self) -> Inventory:
        return self._crew.beyond.inventory(self.outputs, sorted(self.databases))

    def _said(self) -> Said:
        status = self.keep.status()
        sight = status.sight
        tones = {line.path: line.tone.name for line in sight.lines}
        rows = tuple(
            Row(
                str(row.key).removeprefix("outputs").removeprefix("/"),
                tones.get(str(row.key), "SAFE") in ("SAFE", "ATTENTION"),
                row.unsaved + row.unconfirmed,
                frozenset(_named(row)),
                row.here == "no",
            )
            for row in status
        )
        self.counts.words[sight.verdict.title] = self.counts.words.get(sight.verdict.title, 0) + 1
        return Said(sight.verdict.title, rows)

    def _check(self, *, flush: bool = True) -> None:
        """The machine vanishes now: what status says is held against what a fresh machine gets."""
        if flush:
            self._flush()
        said = self._said()
        drive = self.drive
        if not flush and said.safe:
            drive = self._folder / f"drive-{self._number}"  # nothing may arrive from now on
            with contextlib.suppress(shutil.Error):  # a sign of life may come and go
                shutil.copytree(self.drive, drive)
        elif not flush:
            self._flush()  # whatever arrives still, no more may be lost than was said
        self._judge(said, drive, Terms(self._ever, self._accepted))

    def _judge(self, said: Said, drive: Path, terms: Terms) -> Inventory:
        here, answer = self._here(), self._vanish(drive)
        self.counts.safe += said.safe
        self.counts.not_safe += not said.safe
        self.violations += judge(said, here, answer["after"], terms)
        if said.safe and not answer["true"] and len(here) > 1:
            self.violations.append(Violation("SAFE, and ensure is false", "", answer["outcome"] + " " + answer["error"]))
        if answer["outcome"] not in ("RESTORED", "ABSENT"):
            self.violations.append(Violation("a fresh machine gets an error", "", answer["outcome"] + " " + answer["error"]))
        return answer["after"]  # type: ignore[no-any-return]

    def _vanish(self, drive: Path) -> dict[str, Any]:
        fresh = self._new_machine()
        try:
            return self._crew.beyond.restored(fresh, drive)
        finally:
            shutil.rmtree(fresh.parent, ignore_errors=True)
            if drive != self.drive:
                shutil.rmtree(drive, ignore_errors=True)

    def _new_machine(self) -> Path:
        self._number += 1
        return self._folder / f"machine-{self._number}" / PROJECT

    # -- a calm session --------------------------------------------------------------------------------------------------

    def _calm(self, *, whole: bool, news: bool) -> None:
        """Everything is closed, and backed up: this is SAFE, or what keeps it from that is named.

        Args:
            whole: Outputs are backed up as one, else everything in them by itself.
            news: Each folder has something new, so that its time is recorded with it.
        """
        for hands in self._hands:
            hands.do("let_go", {})
        self.databases.clear()
        self._stored = None
        if news:
            for folder in self.folders():
                with contextlib.suppress(OSError):
                    (self.outputs / folder / "news.txt").write_text(str(len(self.log)))
        self._ever |= set(self.paths())
        said = self._calm_backup(whole=whole)
        here = self._here()
        left = wanting(here, self._accepted)
        if left:
            self.counts.calm_named += 1
            for path, what in left.items():
                row = said.row_of(path)
                if said.safe or not (path in said.named or (row is not None and not row.safe)):
                    self.violations.append(Violation(f"calm, and {what} is not named", path, said.word))
            if self._held_against() and self._stops:
                return
            self._mend(left)
            said = self._calm_backup(whole=whole)
        if not said.safe and self.paths():
            rows = ", ".join(f"{r.path or 'outputs'}: {r.files} {sorted(r.named)}" for r in said.rows if not r.safe)
            queue = f"; {self.keep.queue.errors} {self.keep.queue.trouble}"
            self.violations.append(Violation("calm, and not SAFE", "", f"{said.word}: {rows}{queue}"))
            return
        self.counts.calm += 1
        # What was folded into the last backup of outputs has every time; what is backed up by itself leaves out the folders above.
        self._stored = self._judge(
            said,
            self.drive,
            Terms(self._ever, self._accepted, folder_times=news and not left, calm=self._whole(whole)),
        )

    def _whole(self, whole: bool) -> list[str]:
        return [""] if whole else sorted(os.listdir(self.outputs))

    def _calm_backup(self, *, whole: bool) -> Said:
        self._backup(self._whole(whole))
        self._flush()
        return self._said()

    def _mend(self, left: Mapping[str, str]) -> None:
        """Torn files are written whole; what cannot be kept is accepted, or goes where this version cannot accept it."""
        for path, what in left.items():
            if what == "a torn file":
                self._hands[0].do("write", {"path": path, "kind": "zip", "seed": 1, "size": 100})
        given = [p for p, what in left.items() if what != "a torn file"]
        if not given:
            return
        self._accepted += given
        config = self.root / "config" / "paths.yaml"
        config.parent.mkdir(exist_ok=True)
        config.write_text("drive:\n  accept:\n" + "".join(f"    - {('outputs/' + p)!r}\n" for p in self._accepted))
        self._detach()
        try:
            self._attach()
        except ConfigurationError:
            config.unlink()
            for path in given:
                (self.outputs / path).unlink()
            self._accepted.clear()
            self._attach()

    # -- a fresh machine that was written to first -----------------------------------------------------------------------

    def _fresh(self, under: str, first: list[tuple[str, dict[str, Any]]]) -> None:
        """On a new machine something writes before anybody asks. Only after a calm moment, whose store is known."""
        if self._stored is None or not any(within(p, under) for p in self._stored if p):
            return
        fresh, drive = self._new_machine(), self._folder / f"drive-{self._number}"
        shutil.copytree(self.drive, drive)
        answer = self._crew.beyond.restored(fresh, drive, f"outputs/{under}" if under else "outputs", first)
        shutil.rmtree(fresh.parent, ignore_errors=True)
        shutil.rmtree(drive, ignore_errors=True)
        self.counts.fresh += 1
        self.counts.fresh_true += answer["true"]
        self.violations += judge_fresh(
            answer["before"],
            answer["after"],
            answer["aside"],
            self._stored,
            answer["outcome"],
            true=answer["true"],
            under=under,
        )
        if answer["forks"]:
            self.violations.append(Violation("the backup after a merge is a fork", under, answer["outcome"]))


def _named(row: Any) -> Collection[str]:
    """What a row names as not safe, below outputs. An older version names nothing."""
    found: list[str] = []
    for name in ("refused", "torn"):
        found += list(getattr(row, name, ()))
    key = str(row.key).removeprefix("outputs").removeprefix("/")
    return [f"{key}/{p}".strip("/") for p in found]


def follow(sessions: Iterable[Session], at_once: int = 4) -> Iterator[Session]:
    """Run sessions, several at once: while one rests, another works. Gives each as it ends."""
    waiting, going = iter(sessions), []
    while True:
        while len(going) < at_once and (session := next(waiting, None)) is not None:
            going.append([0.0, random.random(), session, session.run()])
        if not going:
            return
        going.sort(key=lambda g: g[:2])
        one = going[0]
        time.sleep(max(0.0, one[0] - time.monotonic()))
        until = next(one[3], None)
        if until is None:
            going.remove(one)
            yield one[2]
        else:
            one[0] = until
