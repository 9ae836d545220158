"""Who works on what, on this machine: a claim keeps a second process from doing the same work, never from backing up.

A claim is a file in `.holdfast/claims` that its process holds a lock on, so that it ends with the process, however that ends. The
file says what is worked on, and who does it.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO

from holdfast.errors import AnotherSession, HoldfastError, WorkspaceBusy
from holdfast.store.format.keys import Key
from holdfast.store.local import locks
from holdfast.store.local.disk import local_errors
from holdfast.store.reporting.amounts import ago

#: Claims are looked at one process at a time, which takes milliseconds.
_LOOK_SECONDS = 30.0


@dataclass
class _Held:
    """What this process works on, once for all that claimed it."""

    place: Path
    handle: IO[bytes]
    times: int = 1


#: By folder of claims, those of this process, whatever keeper made them.
_ours: dict[Path, dict[Key, _Held]] = {}


@dataclass
class Claim:
    """Work that this process has begun. It ends with `release`, at the end of a `with`, or with the process."""

    _keys: list[Key] = field(default_factory=list)
    _folder: Path | None = None

    def __enter__(self) -> Claim:
        """Work goes on."""
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        """The work is over."""
        self.release()

    def release(self) -> None:
        """The work is over, and others may begin. A second time nothing happens."""
        keys, self._keys = self._keys, []
        held = {} if self._folder is None else _ours.get(self._folder, {})
        for one in [held[k] for k in keys if k in held]:
            one.times -= 1
        for key in [k for k in keys if k in held and held[k].times <= 0]:
            _drop(held.pop(key))


def claim(folder: Path, keys: Iterable[Key], beside: Callable[[str], None] | None = None) -> Claim:
    """Begin to work on these, alone on this machine.

    Args:
        folder: Where the claims of a workspace lie; made where there is none.
        keys: The paths. Who works on one works on all below it. What this process works on already is no hindrance.
        beside: Told who works there, where the work is to be done beside it; None refuses.

    Raises:
        AnotherSession: a process that lives works at, above or below one of them; its `path` says where.
        LocalError: the folder cannot be written.
        WorkspaceBusy: others that look at the claims did not come to an end.
    """
    wanted = list(dict.fromkeys(keys))
    with local_errors():
        folder.mkdir(parents=True, exist_ok=True)
        with locks.holding(folder / "lock", _LOOK_SECONDS) as alone:
            if not alone:
                raise WorkspaceBusy(
                    None, f"the claims of other processes could not be looked at in {_LOOK_SECONDS:g} s", str(folder)
                )
            held = _ours.setdefault(folder, {})
            for text, path in _others(folder, wanted, held):
                if beside is None:
                    error = AnotherSession(
                        f"{text}; this one does nothing there, so that no work is done twice. End it, or work beside it with "
                        "attach(force=True) or holdfast run --force"
                    )
                    error.path = path
                    raise error
                beside(f"{text}; this one works beside it")
            for key in wanted:
                if key in held:
                    held[key].times += 1
                else:
                    held[key] = _hold(folder, key)
    return Claim(wanted, folder)


def _hold(folder: Path, key: Key) -> _Held:
    place = folder / f"{secrets.token_hex(4)}.json"
    handle = locks.hold(place)
    assert handle is not None, "a name of our own"
    handle.write(json.dumps({"key": key.value, "process": os.getpid(), "at": time.time()}).encode())
    handle.flush()
    return _Held(place, handle)


def _drop(held: _Held) -> None:
    with contextlib.suppress(OSError):
        held.place.unlink(missing_ok=True)
    locks.release(held.handle)


def _others(folder: Path, wanted: list[Key], held: dict[Key, _Held]) -> Iterator[tuple[str, str]]:
    """Who else works on these, and where; claims of the dead are swept away."""
    ours = {one.place for one in held.values()}
    for place in sorted(folder.glob("*.json")):
        if place in ours:
            continue
        free = locks.hold(place)
        if free is not None:
            _drop(_Held(place, free))
            continue
        try:
            body = json.loads(place.read_bytes())
            key, text = Key.parse(str(body["key"])), f"process {int(body['process'])}, since {ago(time.time() - float(body['at']))}"
        except (HoldfastError, OSError, ValueError, TypeError, KeyError):
            continue  # just begun by a process that is stopped in the middle, or written by another version
        for one in wanted:
            if key.covers(one) or one.covers(key):
                yield f"{one}: another process of this project works on it ({text})", key.value
                break


def _at_the_end() -> None:
    """What is still worked on when the process ends is over, and leaves no file."""
    for held in [one for of in _ours.values() for one in of.values()]:
        _drop(held)
    _ours.clear()


atexit.register(_at_the_end)  # before any that sends what waits, so after all of those


def _in_a_forked_child() -> None:
    _ours.clear()  # what the parent works on, the parent works on


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_in_a_forked_child)
