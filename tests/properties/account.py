"""One account's life: machine after machine mounts its Drive, works, and is taken away in the middle of it.

`Account.session` is one machine from mount to disconnect, and the oracle. What a fresh mount must show is judged at the
beginning of the next one. Every broken promise is one line of text that begins with the number of its promise.

1. What is restored is, byte for byte, one generation that was committed. Nothing partial is ever there.
2. It is at least as new as any that the library called confirmed on a mount whose attributes do not lie.
3. What is called confirmed there is in the cloud at that moment, every payload at its full length, and the manifest.
4. Whatever the attributes say: it is at least as new as what the mount before showed when it was fresh.
5. Once a generation was confirmed, or shown, the outcome is RESTORED.
6. The next backup goes through, and once it is uploaded a further machine gets exactly that.
7. A mount that goes away in the middle of a command is an error of the library's own, never any other.
8. What was never safe is RESTORED or ABSENT, never FAILED: whatever a disconnect left of it, the next machine goes on unaided.
   A mount that called it safe too early is the exception.
"""

from __future__ import annotations

import contextlib
import enum
import errno
import itertools
import os
import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from blake3 import blake3

from holdfast.errors import HoldfastError, StoreUnreachable
from holdfast.session.config import Config
from holdfast.session.keeper import Keeper
from holdfast.simulator import Attributes, Pace, SimulatedDrive, Weather
from holdfast.store.backends.backend import Backend, Source
from holdfast.store.backends.drive import DriveBackend
from holdfast.store.backends.wrappers import Faulty
from holdfast.store.format.manifest import Manifest
from holdfast.store.format.manifest_reading import parse
from holdfast.store.format.names import GENERATIONS, parse_manifest_name
from holdfast.store.local.workspace import Workspace
from holdfast.store.reporting.durability import Durability
from holdfast.store.reporting.outcomes import Outcome
from holdfast.store.store import Store
from tests.support import PROJECT, Picture, Tree, furnish, make_database, picture, read_tree

STUDY = "outputs/study"
MODEL = "outputs/model.bin"
ARTIFACTS = (STUDY, MODEL)
_BIG = 1_100_000
_MOST_TRIALS = 3
#: So many more commands where the end that was drawn did not come.
_PATIENCE = 2


class Ending(enum.Enum):
    """When the machine is taken away: at a backend operation of the last command, or when no command runs."""

    ANYWHERE = "before an operation"
    WRITING = "while a file was written"
    PRUNING = "before a removal"
    MANIFEST = "before the manifest"
    COMMITTED = "after the manifest"
    IDLE = "between commands"


@dataclass(frozen=True)
class Habits:
    """How one session goes.

    Args:
        attributes: What the mount says of uploads.
        pace: Of uploads.
        tempo: Virtual seconds that pass before an operation of the backend, on average.
        commands: How many backups, at the least.
        rests: Share of the commands after which nothing happens for a while, but uploads.
        ending: How it ends.
    """

    attributes: Attributes
    pace: Pace
    tempo: float
    commands: int
    rests: float
    ending: Ending

    @property
    def honest(self) -> bool:
        return self.attributes is not Attributes.LYING


def draw_habits(rng: random.Random) -> Habits:
    return Habits(
        rng.choices(list(Attributes), weights=[(5, 2, 1, 3)[i] for i in range(len(Attributes))])[0],
        Pace(
            slots=rng.choice((1, 3, 10)),
            creates_per_second=rng.choice((0.5, 2.5, 10.0)),
            bytes_per_second=rng.choice((2e5, 2e7)),
            lag=rng.choice(((0.0, 0.5), (1.0, 30.0), (0.0, 60.0), (1.0, 300.0))),
        ),
        rng.choice((0.0, 0.02, 0.2, 1.0, 5.0)),
        rng.choice((1, 1, 1, 1, 2, 6)),
        rng.choice((0.1, 0.6)),
        rng.choices(list(Ending), weights=(40, 12, 20, 7, 8, 13))[0],
    )


@dataclass(frozen=True)
class Committed:
    """A generation whose manifest was written: its number, and what was here at that moment."""

    number: int
    tree: Tree
    looks: Picture
    manifest: Manifest


class Moment:
    """Time on one machine: passes before every operation, and ends at one of them.

    Args:
        drive: Whose clock.
        habits: How fast, and which end.
        rng: For every draw.
    """

    def __init__(self, drive: SimulatedDrive, habits: Habits, rng: random.Random) -> None:
        self._drive = drive
        self._habits = habits
        self._rng = rng
        self._armed = False
        self._left = 0
        self.operations = 0  #: of the command under way, from its first create on
        self.lost: list[str] = []
        self.gone = False
        self.struck = False  #: the end came in the middle of a command

    def begin(self, *, last: bool, usual: int) -> None:
        """A command begins.

        Args:
            last: The machine is to be taken away in the middle of it.
            usual: About so many operations a command has from its first create on.
        """
        self.operations = 0
        self._armed = last and self._habits.ending is not Ending.IDLE
        self._left = self._rng.randrange(1, usual) if self._habits.ending is Ending.ANYWHERE else self._rng.choice((0, 0, 1, 2))

    def before(self, operation: str, path: str) -> None:
        """A `Fault`: let time pass, or take the machine away."""
        if not self.gone:
            self.operations += bool(self.operations or operation == "create")
            self.rest(self._habits.tempo)
            if self._armed and self._is_it(operation, path):
                self._strike()
        if self.gone:
            raise StoreUnreachable(errno.ENOTCONN, "the machine is gone", path)

    def rest(self, mean: float) -> None:
        """Let so much time pass, on average; at a quarter of the calls, because each costs one."""
        if mean and self._rng.random() < 0.25:
            self._drive.advance(self._rng.expovariate(0.25 / mean))

    def _is_it(self, operation: str, path: str) -> bool:
        ending = self._habits.ending
        if ending is Ending.MANIFEST:
            return operation == "create" and _is_manifest(path)
        if ending is Ending.ANYWHERE:
            return self.operations > self._left
        if ending is Ending.PRUNING and operation == "remove":
            self._left -= 1
            return self._left < 0
        return False  # the others strike elsewhere

    def written(self, path: str) -> None:
        """A create has returned."""
        if self._armed and self._habits.ending is Ending.COMMITTED and _is_manifest(path):
            self._strike()

    def halves(self, path: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """What is written, cut where the machine goes in the middle of it."""
        for chunk in chunks:
            if self._armed and self._habits.ending is Ending.WRITING and not self.gone:
                self._left -= 1
                if self._left < 0:
                    yield chunk[: len(chunk) // 2]
                    self._strike()
            if self.gone:
                raise StoreUnreachable(errno.ENOTCONN, "the machine is gone", path)
            yield chunk

    def _strike(self) -> None:
        self.struck = True
        self.end()

    def end(self) -> None:
        """Take the machine away now."""
        self.gone = True
        self.lost = [entry.path for entry in self._drive.disconnect()]


class Watched(Faulty):
    """The backend of a machine that is about to vanish; what it writes is told to the account.

    Args:
        inner: The mount.
        moment: When it ends.
        noted: Called with path and bytes of every file that was written to its end.
    """

    def __init__(self, inner: Backend, moment: Moment, noted: Callable[[str, bytes], None]) -> None:
        super().__init__(inner, moment.before)
        self._moment = moment
        self._noted = noted

    def create(self, path: str, source: Source) -> None:
        kept: list[bytes] = []

        def passing() -> Iterator[bytes]:
            kept.clear()
            for chunk in self._moment.halves(path, source()):
                kept.append(chunk)
                yield chunk

        super().create(path, passing)
        self._noted(path, b"".join(kept))
        self._moment.written(path)


class Account:
    """One account's cloud and the machines that use it one after the other.

    Args:
        folder: For all of it.
        seed: Of everything.
        keeper_each: A keeper for each command, as on the command line; else one for the session, as in a notebook.
    """

    def __init__(self, folder: Path, seed: int, *, keeper_each: bool) -> None:
        self.violations: list[str] = []
        self.tally: Counter[str] = Counter()
        self._folder = folder
        self._mountpoint = folder / "content" / "drive"
        self._rng = random.Random(seed)
        self._keeper_each = keeper_each
        self._committed: dict[str, Committed] = {}
        self._confirmed: dict[str, int] = {}
        self._lied_about: set[str] = set()
        self._shown: dict[str, int] = {}
        self._numbers = itertools.count(1)
        self._machines = itertools.count(1)
        self._usual = 20
        self._before = "none"

    @property
    def disconnects(self) -> int:
        """Those that dropped something."""
        return self.tally["disconnects that dropped something"]

    def session(self) -> None:
        """One machine, from its mount until it is taken away. Now and then one before it whose work is all uploaded."""
        if self._rng.random() < 1 / 32:
            self._quiet_session()
        habits = draw_habits(self._rng)
        with self._machine(habits) as machine:
            self._judge(machine)
            self._work(machine)
        self.tally[f"ended {habits.ending.value if machine.moment.struck else Ending.IDLE.value}"] += 1
        lost = machine.moment.lost
        self.tally["disconnects that dropped something"] += bool(lost)
        self.tally["with several generations queued"] += sum(p.startswith(f"{PROJECT}/{GENERATIONS}/") for p in lost) > 1

    def _quiet_session(self) -> None:
        """Everything that is backed up arrives: a further machine gets exactly that."""
        habits = Habits(Attributes.PRESENT, Pace(), 0.0, 1, 0.0, Ending.IDLE)
        with self._machine(habits) as machine:
            self._judge(machine)
            numbers = self._back_up(machine, ARTIFACTS)
            machine.drive.drain()
            machine.moment.end()
        with self._machine(habits) as machine:
            self._judge(machine)
        for key, number in numbers.items():
            self._expect(self._shown.get(key) == number, f"6. {key}: {number} was uploaded and {self._shown.get(key)} is shown")
        self.tally["quiet sessions"] += 1

    @contextlib.contextmanager
    def _machine(self, habits: Habits) -> Iterator[_Session]:
        number = next(self._machines)
        root = self._folder / f"machine-{number}"
        root.mkdir()
        seed = self._rng.randrange(1 << 32)
        weather = Weather(attributes=habits.attributes)
        drive = SimulatedDrive(self._mountpoint, cloud=self._folder / "cloud", seed=seed, weather=weather, pace=habits.pace)
        with drive:
            session = _Session(root, drive, habits, Moment(drive, habits, self._rng), f"machine {number} after {self._before}")
            self._before = f"{number}, {habits}"
            yield session
            if not session.moment.gone:
                session.moment.end()
        shutil.rmtree(root)

    def _keeper(self, machine: _Session) -> Keeper:
        if machine.keeper is None or self._keeper_each:
            backend = DriveBackend(self._mountpoint / "MyDrive", PROJECT, mount_point=self._mountpoint)
            watched = Watched(backend, machine.moment, lambda path, data: self._note(machine, path, data))
            store = Store(watched, parallel=1, machine=machine.root.name, new_id=lambda size: self._rng.randbytes(size).hex())
            config = Config(machine.root, "outputs", PROJECT, self._mountpoint)
            machine.keeper = Keeper(config, store, Workspace(machine.root, lock_seconds=10))
        return machine.keeper

    def _note(self, machine: _Session, path: str, data: bytes) -> None:
        """A manifest was written: from here on a generation exists."""
        name = parse_manifest_name(path.rpartition("/")[2]) if _is_manifest(path) else None
        if name is not None:
            manifest = parse(data, name)
            key = str(manifest.key)
            here = machine.root / key
            self._committed[name.commit.id] = Committed(machine.number, logical(read_tree(here)), looks(here), manifest)
            self.tally["generations"] += 1

    def _expect(self, holds: bool, text: str) -> None:
        if not holds:
            self.violations.append(text)

    # -- the oracle ----------------------------------------------------------------------------------------------------

    def _judge(self, machine: _Session) -> None:
        """What a machine that never saw the project gets from a fresh mount."""
        for key in ARTIFACTS:
            result = self._keeper(machine).ensure(key)
            machine.stands_on[key] = result.generation or ""
            place = machine.root / key
            confirmed, shown = self._confirmed.get(key, 0), self._shown.get(key, 0)
            self.tally[result.outcome.value] += 1
            if result.outcome is not Outcome.RESTORED:
                self._expect(
                    not max(confirmed, shown),
                    f"5. {machine.name}: {key}: {result.outcome.value} though {max(confirmed, shown)} was safe: {result.error}",
                )
                self._expect(
                    result.outcome is Outcome.ABSENT or key in self._lied_about,
                    f"8. {machine.name}: {key}: {result.outcome.value}, and it was never safe: {result.error}",
                )
                self._expect(
                    not os.path.lexists(place), f"1. {machine.name}: {key}: {result.outcome.value}, and something is there"
                )
                number = 0
            else:
                number = self._judge_content(machine, key, result.generation or "")
                self._expect(number >= confirmed, f"2. {machine.name}: {key}: {number} came back, and {confirmed} was confirmed")
                self._expect(number >= shown, f"4. {machine.name}: {key}: {number} came back, and the mount before showed {shown}")
            # What is lost is lost, and is told once.
            self._shown[key] = number
            self._confirmed[key] = min(confirmed, number)

    def _judge_content(self, machine: _Session, key: str, generation: str) -> int:
        found = self._committed.get(generation)
        if found is None:
            self.violations.append(f"1. {machine.name}: {key}: {generation} came back, which was never committed")
            return 0
        tree = read_tree(machine.root / key)
        files = found.manifest.files
        recorded = {p: r.blake3 for p, r in files.items() if r.sparse is None}  # what is sparse is hashed without its holes
        same = files.keys() == tree.keys() and recorded == {p: blake3(c).hexdigest() for p, c in tree.items() if p in recorded}
        self._expect(same, f"1. {machine.name}: {key}: other bytes came back than {found.number} holds")
        same = logical(tree) == found.tree
        self._expect(same, f"1. {machine.name}: {key}: what came back is not what was here at {found.number}")
        same = looks(machine.root / key) == found.looks
        self._expect(same, f"1. {machine.name}: {key}: links, holes, modes or times are not those of {found.number}")
        return found.number

    def _said_confirmed(self, machine: _Session, generation: str) -> None:
        """By the library's own words this generation is safe."""
        self.tally[f"confirmed, attributes {machine.habits.attributes.value}"] += 1
        found = self._committed[generation]
        key = str(found.manifest.key)
        if not machine.habits.honest:
            self._lied_about.add(key)
            return
        if self._confirmed.get(key, 0) < found.number:
            self._confirmed[key] = found.number
            if missing := not_in_cloud(machine.drive.elsewhere.files(), found.manifest):
                self.violations.append(f"3. {self._before}: {key}: {found.number} is called confirmed, and {missing} is not there")

    # -- work ----------------------------------------------------------------------------------------------------------

    def _work(self, machine: _Session) -> None:
        """Commands, until the machine is gone."""
        moment, habits = machine.moment, machine.habits
        for command in itertools.count(1):
            moment.begin(last=command >= habits.commands, usual=self._usual)
            try:
                if self._rng.random() < 0.1:
                    self._prune(machine)
                else:
                    self._back_up(machine, self._draw_artifacts())
            except OSError as error:
                self.violations.append(f"7. {self._before}: {type(error).__name__}: {error}")
            if not moment.gone and command == 1 < habits.commands and self._rng.random() < 0.5:
                machine.drive.drain()  # something is safe, before what is not
                self._ask(machine)
            if not moment.gone and self._rng.random() < habits.rests:
                moment.rest(self._rng.choice((5.0, 60.0, 600.0)))
            if not moment.gone and self._rng.random() < 0.5:
                self._ask(machine)
            # A prune does not come with every backup, so that ending waits for one; and a machine that has nothing to lose goes on.
            if moment.gone or command >= habits.commands + _PATIENCE:
                return
            if command >= habits.commands and habits.ending is not Ending.PRUNING and machine.drive.pending():
                return

    def _draw_artifacts(self) -> tuple[str, ...]:
        return self._rng.choices(((STUDY,), (STUDY, MODEL), (MODEL,)), weights=(7, 2, 1))[0]

    def _back_up(self, machine: _Session, keys: tuple[str, ...]) -> dict[str, int]:
        """Work on, and back it up. Gives what was committed."""
        machine.number = next(self._numbers)
        for key in keys:
            _change(machine.root, key, machine.number, self._rng)
        moment = machine.moment
        done = self._keeper(machine).backup(*keys, progress=machine.number)
        if not moment.gone:
            self._usual = max(moment.operations, 2)
            self._expect(bool(done) or moment.gone, f"6. {self._before}: the backup fails: {[r.error for r in done.results]}")
        for result in done.results:
            machine.stands_on[str(result.key)] = result.generation or ""
            if result.durability is Durability.CONFIRMED and result.generation is not None:
                self._said_confirmed(machine, result.generation)
        return {str(r.key): machine.number for r in done.results if r}

    def _prune(self, machine: _Session) -> None:
        try:
            self._keeper(machine).prune(orphans=self._rng.random() < 0.3)
        except HoldfastError as error:
            # Before the first backup has arrived there is no store to prune in.
            self._expect(machine.moment.gone or not self._safe, f"6. {self._before}: prune fails: {error}")

    def _ask(self, machine: _Session) -> None:
        """What the library says, now that time has passed: of the heads, or of what was made here."""
        keeper, made = self._keeper(machine), machine.stands_on
        assert keeper.store is not None
        way = self._rng.choices(("status", "confirm", "store"), weights=(1, 1, 6))[0]
        try:
            if way == "status":
                said = [row.generation for row in keeper.status() if row.durability == Durability.CONFIRMED.value]
            elif way == "confirm":
                said = [made[str(k)] for k, d in keeper.confirm().items() if d is Durability.CONFIRMED]
            else:  # the same words with a tenth of the operations
                manifests = {g: self._committed[g].manifest for g in made.values() if g}
                said = [g for g, m in manifests.items() if keeper.store.durability(m) is Durability.CONFIRMED]
        except HoldfastError as error:
            self._expect(machine.moment.gone, f"6. {self._before}: asking fails: {error}")
            return
        for generation in said:
            self._said_confirmed(machine, generation)

    @property
    def _safe(self) -> bool:
        """Whether any generation is known to be in the cloud."""
        return any(self._shown.values()) or any(self._confirmed.values())


@dataclass
class _Session:
    root: Path
    drive: SimulatedDrive
    habits: Habits
    moment: Moment
    name: str
    keeper: Keeper | None = None
    number: int = 0  #: of the work that is here now
    stands_on: dict[str, str] = field(default_factory=dict)  #: artifact to the generation last made or restored here


def _is_manifest(path: str) -> bool:
    return path.startswith(f"{GENERATIONS}/")


def logical(tree: Tree) -> Tree:
    """A tree with every database as its content, since a database is kept as SQLite's backup leaves it."""
    return {p: _dump(c) if p.endswith(".db") else c for p, c in tree.items()}


def _dump(content: bytes) -> bytes:
    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(content)
        health = connection.execute("pragma integrity_check").fetchall()
        return "\n".join([f"integrity {health}", *connection.iterdump()]).encode()
    except sqlite3.DatabaseError as error:
        return f"unreadable: {error}".encode()
    finally:
        connection.close()


def looks(root: Path) -> Picture:
    """All of a tree but its databases, of which `logical` tells what they hold."""
    return {p: what for p, what in picture(root, folder_times=False).items() if not p.endswith(".db")}


def not_in_cloud(files: Mapping[str, bytes], manifest: Manifest) -> str | None:
    """What of a generation the cloud does not hold in full, or None."""
    if files.get(f"{PROJECT}/{manifest.name.path}") != manifest.encoded:
        return manifest.name.path
    for path, size in manifest.payloads().items():
        if len(files.get(f"{PROJECT}/{path}", b"")) != size or f"{PROJECT}/{path}" not in files:
            return path
    return None


def _change(root: Path, key: str, number: int, rng: random.Random) -> None:
    """A trial more, and now and then something large or something less."""
    place = root / key
    if key == MODEL:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(f"model {number} ".encode() * rng.randrange(1, 200))
        return
    make_database(place / "study.db", rows=_rows(place / "study.db") + rng.randrange(1, 4))
    trial = place / f"trial_{number:05}"
    trial.mkdir()
    (trial / "metrics.json").write_text(f"{number} " * rng.randrange(1, 300))
    (trial / "params.json").write_text(f"{number}")
    trials = sorted(place.glob("trial_*"))
    while len(trials) > _MOST_TRIALS or (len(trials) > 1 and rng.random() < 0.15):
        shutil.rmtree(trials.pop(rng.randrange(len(trials) - 1)))
    if rng.random() < 0.12:
        furnish(place / "links", number)
    best = place / "best" / "model.bin"
    if rng.random() < 0.12:
        best.parent.mkdir(exist_ok=True)
        best.write_bytes(number.to_bytes(8, "big") * (_BIG // 8))
    elif best.exists() and rng.random() < 0.2:
        best.unlink()


def _rows(path: Path) -> int:
    if not path.exists():
        return 0
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("select count(*) from trials").fetchone()[0])
    finally:
        connection.close()
