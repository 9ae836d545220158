"""The five faults that this was built to find (issue 14): for each, the moves that show it, and dice that are loaded for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.truth.dice import WEIGHTS
from tests.truth.session import KEEPER, Move


@dataclass(frozen=True)
class Fault:
    """One fault.

    Args:
        moves: They show it, if it is there.
        weights: Of the dice that find it sooner.
        kinds: Texts in the kinds of violations that it makes.
    """

    moves: Sequence[Move]
    weights: Mapping[str, float]
    kinds: tuple[str, ...]


def _write(path: str, size: int = 3000) -> Move:
    return Move(1, "write", {"path": path, "kind": "bytes", "seed": 1, "size": size})


def _move(verb: str, **args: object) -> Move:
    return Move(1, verb, args)


def _keeper(verb: str, **args: object) -> Move:
    return Move(KEEPER, verb, args)


_RUN = Move(0, "make_folder", {"path": "run"})
_BACKUP = _keeper("backup", paths=["run"])
_CALM = _keeper("calm", whole=False, news=False)
_CHECK = _keeper("check", flush=True)


def _poke(seed: int) -> Move:
    return _move("poke", hold="m", seed=seed, pages=1)


def _mapped(*, bare: bool) -> list[Move]:
    mapped = [_RUN, _write("run/w.bin", 8192), _move("map", path="run/w.bin", hold="m", bare=bare)]
    rested = [_poke(1), _move("flush", hold="m"), _poke(2), _keeper("rest", seconds=2.3), _BACKUP]
    return [*mapped, *rested, _poke(3), _BACKUP, _move("unmap", hold="m"), _BACKUP, _CHECK]


_MAPPING = {
    **dict.fromkeys(WEIGHTS, 0.0),
    "write": 3.0,
    "map": 8.0,
    "poke": 30.0,
    "map_flush": 3.0,
    "unmap": 2.0,
    "rest": 8.0,
    "backup": 25.0,
    "check": 6.0,
}
_LINKS = {"link": 15.0, "link_out": 5.0, "special": 2.0}

FAULTS: Mapping[str, Fault] = {
    "1 a mapped file": Fault(_mapped(bare=False), _MAPPING, ("another content",)),
    "1 a mapped file without a descriptor": Fault(_mapped(bare=True), _MAPPING, ("another content",)),
    "2 a link out": Fault(
        [_RUN, _move("link", path="run/checkpoints", target="/tmp"), _write("run/w.bin"), _CALM],
        _LINKS,
        ("a link out", "a socket or pipe"),
    ),
    "2 a link inside": Fault(
        [_RUN, _write("run/step=3.bin"), _move("link", path="run/last", target="step=3.bin"), _CALM], _LINKS, ("a link is lost",)
    ),
    "2 a pipe": Fault([_RUN, _write("run/w.bin"), _move("make_pipe", path="run/control"), _CALM], _LINKS, ("a socket or pipe",)),
    "3 config.yaml first": Fault(
        [
            _RUN,
            *(_write(f"run/{name}") for name in ("config.yaml", "step=1.bin", "step=2.bin")),
            _CALM,
            _keeper(
                "fresh", under="run", first=[("make_folder", {"path": "run"}), ("write", dict(_write("run/config.yaml", 60).args))]
            ),
        ],
        {"fresh": 5.0},
        ("ensure is true",),
    ),
    "3 train.log first": Fault(
        [
            _RUN,
            *(_write(f"run/{name}") for name in ("train.log", "step=1.bin", "step=2.bin")),
            _CALM,
            _keeper(
                "fresh",
                under="run",
                first=[
                    ("make_folder", {"path": "run"}),
                    ("append", {"path": "run/train.log", "kind": "lines", "seed": 1, "size": 60, "hold": "log"}),
                ],
            ),
        ],
        {"fresh": 5.0},
        ("ensure is true",),
    ),
    "4 times": Fault(
        [
            _RUN,
            *(_write(f"run/step={i}.bin") for i in (3, 1, 2)),
            *(_move("put_back", path=f"run/step={i}.bin", mtime_ns=1_700_000_000_000_000_000 + i) for i in (1, 2, 3)),
            _CALM,
        ],
        {"put_back": 15.0},
        ("another time",),
    ),
    "5 notes under the name of a side file": Fault(
        [_RUN, _write("run/lab", 0), _move("write", path="run/lab-journal", kind="lines", seed=1, size=200), _CALM],
        {"notes": 20.0},
        ("-journal", "-wal", "-shm"),
    ),
}
