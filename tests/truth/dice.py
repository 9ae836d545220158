"""What a session does next: random moves over what is here, the same for the same seed."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator, Mapping
from typing import Any

from tests.truth.session import JOBS, KEEPER, REST_SECONDS, Move, Session

_FOLDERS = ("run", "run/ckpt", "run/logs", "run/a b", "other")
_FILES = ("w.bin", "model.bin", "notes.txt", "50%20.txt", "é.bin", "#x.bin", "-dash.bin", "Model.bin", "step=3.bin")
_LOGS = (("train.log", "lines"), ("events.jsonl", "json-lines"), ("out.txt", "bytes"))
_DATABASES = ("study.db", "run/mlflow.sqlite", "run/tracking", "run/ckpt/queue.db3")
_SIZES = (0, 1, 100, 3000, 3000, 20_000, 70_000)
_LARGE = 1_300_000
_MODES = (0o600, 0o644, 0o755, 0o444, 0o640)
_NOW_NS = 1_790_000_000_123_456_789
#: Where a link out leads.
_OUT = ("/tmp", "../../../elsewhere", "/nowhere/scratch", "/etc/hostname")

#: Weights of the moves. A directed session sets others.
WEIGHTS: Mapping[str, float] = {
    "write": 10,
    "write_aside": 3,
    "append": 5,
    "overwrite": 5,
    "rewrite_unseen": 2,
    "truncate": 2,
    "sparse": 1,
    "large": 1,
    "half": 1,
    "archive": 1,
    "map": 3,
    "poke": 8,
    "map_flush": 3,
    "unmap": 2,
    "close": 2,
    "rename": 3,
    "delete": 3,
    "remove_tree": 0.5,
    "remove_folder": 0.7,
    "make_folder": 3,
    "link": 3,
    "link_out": 0.4,
    "hard_link": 2,
    "mode": 2,
    "folder_mode": 0.7,
    "put_back": 3,
    "special": 0.2,
    "notes": 1.5,
    "empty_database": 0.5,
    "database_open": 2,
    "database_write": 5,
    "database_begin": 1,
    "database_end": 2,
    "backup": 14,
    "check": 4,
    "again": 0.7,
    "ensure": 0.5,
    "rest": 0.4,
    "calm": 0.5,
}


class Dice:
    """Chooses moves.

    Args:
        seed: Decides all.
        weights: Of the moves that count otherwise than in `WEIGHTS`.
        length: So many moves, at the most, before the last calm.
    """

    def __init__(self, seed: int, weights: Mapping[str, float] | None = None, length: int | None = None) -> None:
        self._dice = random.Random(f"truth {seed}")
        self._weights = {**WEIGHTS, **(weights or {})}
        self._length = self._dice.randint(8, 45) if length is None else length
        # A session has a habit, so that its backups build upon each other.
        self._habit = self._dice.choice(([""], ["run"], ["run"], ["run", "other"], ["run/ckpt", "run"], ["mixed"]))
        self._hosts = self._dice.choice(((0,), (1,), (0, 1), (1, 2), (0, 1, 2)))
        self.background = self._dice.random() < 0.7
        self._maps: list[tuple[int, str]] = []
        self._open: list[tuple[int, str]] = []
        self._connections: list[tuple[int, str, str]] = []
        self._number = 0

    def __call__(self, session: Session) -> Iterator[Move]:
        """The moves of a session. It ends calm, and a fresh machine is written to before anybody asks."""
        self._session = session
        yield Move(0, "make_folder", {"path": "run"})
        names, weights = list(self._weights), list(self._weights.values())
        for _ in range(self._length):
            name = self._dice.choices(names, weights)[0]
            if (move := getattr(self, f"_{name}")()) is not None:
                yield move
        yield self._calm()
        yield self._fresh()
        if self._dice.random() < 0.5:
            yield self._fresh()

    # -- what to take ----------------------------------------------------------------------------------------------------

    def _who(self) -> int:
        return self._dice.choice(self._hosts)

    def _seed(self) -> int:
        return self._dice.randrange(1 << 30)

    def _folder(self) -> str:
        return self._dice.choice(self._session.folders())

    def _join(self, folder: str, name: str) -> str:
        return f"{folder}/{name}" if folder else name

    def _file(self, *, filled: bool = False, logs: bool = True) -> str | None:
        here = [
            p for p in self._session.regular() if not p.endswith((".npz", ".json", ".db", "-journal", "-wal", "-shm", "news.txt"))
        ]
        if not logs:
            here = [p for p in here if not p.endswith((".log", ".jsonl"))]
        if filled:
            here = [p for p in here if os.stat(self._session.outputs / p).st_size > 0]
        return self._dice.choice(here) if here else None

    def _any_file(self) -> str | None:
        here = self._session.regular()
        return self._dice.choice(here) if here else None

    def _new_path(self) -> str:
        return self._join(self._folder(), self._dice.choice(_FILES))

    def _name(self) -> str:
        self._number += 1
        return f"h{self._number}"

    # -- files -----------------------------------------------------------------------------------------------------------

    def _content(self, path: str) -> dict[str, Any]:
        return {"path": path, "kind": "bytes", "seed": self._seed(), "size": self._dice.choice(_SIZES)}

    def _write(self) -> Move:
        if self._dice.random() < 0.15:
            path = self._join(self._folder(), "config.json")
            return Move(self._who(), "write", {"path": path, "kind": "json", "seed": self._seed(), "size": 300})
        old = self._file(logs=False) if self._dice.random() < 0.4 else None
        return Move(self._who(), "write", self._content(old or self._new_path()))

    def _write_aside(self) -> Move:
        return Move(self._who(), "write_aside", self._content(self._file(logs=False) or self._new_path()))

    def _large(self) -> Move:
        return Move(self._who(), "write", {**self._content(self._join(self._folder(), "large.bin")), "size": _LARGE})

    def _append(self) -> Move:
        if self._dice.random() < 0.3 and (path := self._file(logs=False)) is not None:
            kind = "bytes"
        else:
            name, kind = self._dice.choice(_LOGS)
            path = self._join(self._folder(), name)
        args = {"path": path, "kind": kind, "seed": self._seed(), "size": self._dice.choice((1, 60, 2000))}
        if self._dice.random() < 0.3:
            args["cut"] = self._dice.choice((1, 7))
        who = self._who()
        if self._dice.random() < 0.4:
            args["hold"] = self._name()
            self._open.append((who, args["hold"]))
        return Move(who, "append", args)

    def _overwrite(self) -> Move | None:
        if (path := self._file(filled=True, logs=False)) is None:
            return None
        args = {
            "path": path,
            "seed": self._seed(),
            "size": self._dice.choice((1, 10, 5000)),
            "at": self._dice.choice((0, 0.5, 0.9)),
        }
        who = self._who()
        if self._dice.random() < 0.3:
            args["hold"] = self._name()
            self._open.append((who, args["hold"]))
        return Move(who, "overwrite", args)

    def _rewrite_unseen(self) -> Move | None:
        path = self._file(filled=True, logs=False)
        return None if path is None else Move(self._who(), "rewrite_unseen", {"path": path, "seed": self._seed()})

    def _truncate(self) -> Move | None:
        if (path := self._file(logs=False)) is None:
            return None
        return Move(self._who(), "truncate", {"path": path, "size": self._dice.choice((0, 1, 50, 5000))})

    def _sparse(self) -> Move:
        size = self._dice.choice((2_000_000, 4_000_000, 9_000_001))
        path = self._join(self._folder(), "sparse.bin")
        return Move(self._who(), "sparse", {"path": path, "seed": self._seed(), "size": size, "pieces": self._dice.randrange(4)})

    def _half(self) -> Move:
        path = self._join(self._folder(), self._dice.choice(("arrays.npz", "best.npz")))
        return Move(self._who(), "write_half", {"path": path, "kind": "zip", "seed": self._seed(), "size": 900})

    def _archive(self) -> Move:
        path = self._join(self._folder(), self._dice.choice(("arrays.npz", "best.npz")))
        return Move(self._who(), self._dice.choice(("write", "write_aside")), {**self._content(path), "kind": "zip"})

    def _close(self) -> Move | None:
        if not self._open:
            return None
        who, hold = self._open.pop(self._dice.randrange(len(self._open)))
        return Move(who, "close", {"hold": hold})

    # -- mappings --------------------------------------------------------------------------------------------------------

    def _map(self) -> Move | None:
        if (path := self._file(filled=True, logs=False)) is None:
            return None
        who, hold = self._who(), self._name()
        self._maps.append((who, hold))
        return Move(who, "map", {"path": path, "hold": hold, "bare": self._dice.random() < 0.4})

    def _poke(self) -> Move | None:
        if not self._maps:
            return None
        who, hold = self._dice.choice(self._maps)
        return Move(who, "poke", {"hold": hold, "seed": self._seed(), "pages": self._dice.choice((1, 1, 3))})

    def _map_flush(self) -> Move | None:
        if not self._maps:
            return None
        who, hold = self._dice.choice(self._maps)
        return Move(who, "flush", {"hold": hold})

    def _unmap(self) -> Move | None:
        if not self._maps:
            return None
        who, hold = self._maps.pop(self._dice.randrange(len(self._maps)))
        return Move(who, "unmap", {"hold": hold})

    # -- names -----------------------------------------------------------------------------------------------------------

    def _rename(self) -> Move | None:
        if self._dice.random() < 0.15 and not self._connections:
            here = [f for f in self._session.folders() if f and f != "run"]
            if here:
                return Move(self._who(), "rename", {"path": self._dice.choice(here), "to": self._join(self._folder(), "moved")})
        if (path := self._any_file()) is None:
            return None
        name = self._dice.choice((os.path.basename(path), *_FILES)) if not path.endswith(".npz") else os.path.basename(path)
        return Move(self._who(), "rename", {"path": path, "to": self._join(self._folder(), name)})

    def _delete(self) -> Move | None:
        links = [p for p in self._session.paths() if (self._session.outputs / p).is_symlink()]
        path = self._dice.choice(links) if links and self._dice.random() < 0.3 else self._any_file()
        return None if path is None else Move(self._who(), "delete", {"path": path})

    def _make_folder(self) -> Move:
        path = self._dice.choice((*_FOLDERS, self._join(self._folder(), "empty")))
        args = {"path": path, "mode": 0o700} if self._dice.random() < 0.2 else {"path": path}
        return Move(self._who(), "make_folder", args)

    def _remove_folder(self) -> Move | None:
        return Move(self._who(), "remove_folder", {"path": folder}) if (folder := self._folder()) else None

    def _remove_tree(self) -> Move | None:
        folder = self._folder()
        busy = any(f"{d}/".startswith(f"{folder}/") for d in self._session.databases)
        return Move(self._who(), "remove_tree", {"path": folder}) if folder and not busy else None

    def _link(self) -> Move:
        folder = self._folder()
        path = self._join(folder, self._dice.choice(("last", "latest-run", "current")))
        goal = self._dice.choice((*self._session.paths(), "run/nowhere.bin"))
        if self._dice.random() < 0.3:
            return Move(self._who(), "link", {"path": path, "target": f"{{outputs}}/{goal}"})
        return Move(self._who(), "link", {"path": path, "target": os.path.relpath(goal, folder or ".")})

    def _link_out(self) -> Move:
        return Move(self._who(), "link", {"path": self._join(self._folder(), "checkpoints"), "target": self._dice.choice(_OUT)})

    def _hard_link(self) -> Move | None:
        if (path := self._file()) is None:
            return None
        return Move(
            self._who(), "hard_link", {"path": path, "to": self._join(self._folder(), self._dice.choice(("same.bin", *_FILES)))}
        )

    def _special(self) -> Move:
        verb = self._dice.choice(("make_pipe", "make_socket"))
        return Move(self._who(), verb, {"path": self._join(self._folder(), "control")})

    def _notes(self) -> Move:
        name = self._dice.choice(("lab", "lab-journal", "lab-wal", "w.bin-journal", "zero.db-journal", "notes.txt-shm"))
        kind = "bytes" if name == "lab" else "lines"
        size = 0 if name == "lab" else self._dice.choice((50, 5000))
        return Move(
            self._who(), "write", {"path": self._join(self._folder(), name), "kind": kind, "seed": self._seed(), "size": size}
        )

    # -- what is known of them -------------------------------------------------------------------------------------------

    def _mode(self) -> Move | None:
        path = self._any_file()
        return None if path is None else Move(self._who(), "mode", {"path": path, "mode": self._dice.choice(_MODES)})

    def _folder_mode(self) -> Move | None:
        folder = self._folder()
        return Move(self._who(), "mode", {"path": folder, "mode": self._dice.choice((0o700, 0o755, 0o775))}) if folder else None

    def _put_back(self) -> Move | None:
        if (path := self._any_file()) is None:
            return None
        days = self._dice.choice((0.001, 1, 1, 400, -1))
        at = self._dice.choice(
            (_NOW_NS - int(days * 86_400e9), time.time_ns() - int(days * 86_400e9) // 1_000_000_000 * 1_000_000_000, 0, 1)
        )
        return Move(self._who(), "put_back", {"path": path, "mtime_ns": max(0, at)})

    # -- databases -------------------------------------------------------------------------------------------------------

    def _empty_database(self) -> Move:
        path = self._join(self._folder(), "zero.db")
        return Move(self._who(), "write", {"path": path, "kind": "bytes", "seed": 0, "size": 0})

    def _database_open(self) -> Move:
        who, hold, path = self._who(), self._name(), self._dice.choice(_DATABASES)
        self._connections.append((who, hold, path))
        if self._dice.random() < 0.1:
            return Move(who, "database_connect", {"path": path, "hold": hold})
        return Move(who, "database_open", {"path": path, "hold": hold, "wal": self._dice.random() < 0.5})

    def _database(self, verb: str, **args: Any) -> Move | None:
        if not self._connections:
            return None
        who, hold, _ = self._dice.choice(self._connections)
        return Move(who, verb, {"hold": hold, **args})

    def _database_write(self) -> Move | None:
        return self._database("database_write", seed=self._seed(), rows=self._dice.choice((1, 5, 200)))

    def _database_begin(self) -> Move | None:
        return self._database("database_begin")

    def _database_end(self) -> Move | None:
        move = self._database(self._dice.choice(("database_commit", "database_close")))
        if move is not None and move.verb == "database_close":
            self._connections = [c for c in self._connections if c[1] != move.args["hold"]]
        return move

    # -- the keeper ------------------------------------------------------------------------------------------------------

    def _backup(self) -> Move:
        if self._habit == ["mixed"]:
            here = ["", *self._session.paths()]
            paths = self._dice.sample(here, min(len(here), self._dice.choice((1, 1, 2))))
            paths = [p for p in paths if not (self._session.is_database(p) and p not in self._session.databases)]
        else:
            paths = list(self._habit)
        args: dict[str, Any] = {"paths": paths}
        if self._dice.random() < 0.2:
            args["progress"] = self._dice.randrange(100)
        path = self._file(filled=True, logs=False)
        if self._dice.random() < 0.15 and path is not None and not self._maps:
            grows = self._dice.random() < 0.5
            busy = {"path": path, "seed": self._seed(), "times": 300, "grows": grows}
            args["during"] = [(self._dice.randint(1, JOBS), "busy", busy)]
        return Move(KEEPER, "backup", args)

    def _check(self) -> Move:
        return Move(KEEPER, "check", {"flush": self._dice.random() < 0.6})

    def _again(self) -> Move:
        return Move(KEEPER, "again")

    def _ensure(self) -> Move:
        return Move(KEEPER, "ensure", {"path": self._dice.choice(self._habit).replace("mixed", "")})

    def _rest(self) -> Move:
        return Move(KEEPER, "rest", {"seconds": REST_SECONDS})

    def _calm(self) -> Move:
        self._maps.clear()
        self._open.clear()
        self._connections.clear()
        return Move(KEEPER, "calm", {"whole": self._dice.random() < 0.5, "news": self._dice.random() < 0.5})

    def _fresh(self) -> Move:
        under = self._dice.choice(("run", "run", ""))
        dice, first = self._dice, []
        here = [p for p in self._session.regular() if p.startswith(under)]
        for _ in range(dice.randint(1, 2)):
            path = dice.choice(("run/config.yaml", "run/train.log", "run/notes.txt", *(dice.sample(here, 1) if here else [])))
            first.append(("make_folder", {"path": os.path.dirname(path) or "run"}))
            if dice.random() < 0.5:
                hold = {"hold": self._name()} if dice.random() < 0.5 else {}
                first.append(("append", {"path": path, "kind": "lines", "seed": self._seed(), "size": 60, **hold}))
            else:
                first.append(("write", {"path": path, "kind": "lines", "seed": self._seed(), "size": 60}))
        return Move(KEEPER, "fresh", {"under": under, "first": first})
