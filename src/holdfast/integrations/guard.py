"""The guard: a training that goes on with other batches than those that an uninterrupted one would have had is stopped at once.

Each batch leaves one line, its number and a digest of what is in it, in a log beside the checkpoints. After a resume the first
batches are held against the lines that the run before wrote for the same numbers.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from blake3 import blake3

from holdfast.errors import WrongOrder
from holdfast.session.files import write_text

#: In the folder of the run; of a rank above 0 with its number before the suffix.
LOG = "holdfast-batches.log"

#: A batch of more bytes is not read whole: of each of its samples so many, spread over all of it.
WHOLE_BYTES = 1 << 16
BYTES_OF_A_SAMPLE = 256


def log_name(rank: int = 0) -> str:
    """The name of a rank's log."""
    return LOG if rank == 0 else LOG.replace(".log", f".{rank}.log")


class Guard:
    """Follows the batches of one training.

    Args:
        place: The log.
        what: What the batches are of, for the line that stops the run.
        of: Picks what tells a batch from another, such as the ids of its samples. Default: all of it.
    """

    def __init__(self, place: Path, what: str, of: Callable[[Any], Any] | None = None) -> None:
        self._place = place
        self._what = what
        self._of = of
        self._number = 0
        self._since: list[str] = []
        self._expected: dict[int, str] = {}
        self._handle: int | None = None

    @property
    def number(self) -> int:
        """So many batches were drawn."""
        return self._number

    @property
    def watching(self) -> bool:
        """Whether the next batch is one that the run before has drawn too."""
        return self._number + 1 in self._expected

    def goes_on_after(self, number: int) -> None:
        """So many batches are done; those that come are held against what the log says of them."""
        self.close()
        lines = _read(self._place)
        self._number = number
        self._since = []
        self._expected = {n: text for n, text in lines.items() if n > number}
        with contextlib.suppress(FileNotFoundError):
            self._rewrite({n: text for n, text in lines.items() if n <= number})

    def expects_nothing(self) -> None:
        """What the log says of the batches that come was made of something else in them, and is not held against them."""
        self._expected = {}

    def drawn(self, batch: Any) -> None:
        """The next batch, before it is trained on.

        Raises:
            WrongOrder: the run before had another one there.
        """
        number = self._number + 1
        found = digest(batch if self._of is None else self._of(batch))
        expected = self._expected.pop(number, found)
        if expected != found:
            raise WrongOrder(
                f"{self._what}: batch {number} is not the one that this training had there before it was cut off, so it would go "
                "on with another order, or with other data; nothing was trained on it. Put back what changed (seed, data, number "
                f"of workers, version of the library), or begin anew: holdfast drop {self._what}"
            )
        self._number = number
        self._since.append(found)
        if self._handle is None:
            self._place.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(self._place, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        os.write(self._handle, f"{number} {found}\n".encode())

    def seal(self, oldest: int) -> dict[str, Any]:
        """What a checkpoint says of the batches before it: how many there were, and a digest of those since the last one.

        Args:
            oldest: A checkpoint that may be gone back to has so many; what the log says of earlier ones is let go.
        """
        since = blake3(" ".join(self._since).encode()).hexdigest(length=_DIGEST_BYTES)
        said = {"number": self._number, "since": len(self._since), "digest": since}
        self._since = []
        self.close()
        self._rewrite({n: text for n, text in _read(self._place).items() if n > oldest})
        return said

    def close(self) -> None:
        """The log is closed; the next batch opens it again."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    def _rewrite(self, lines: Mapping[int, str]) -> None:
        if lines or self._place.exists():
            write_text(self._place, "".join(f"{n} {text}\n" for n, text in sorted(lines.items())))


def _read(place: Path) -> dict[int, str]:
    """The whole lines of a log. A line that a kill cut off is none."""
    try:
        text = place.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return {}
    found = {}
    for line in text[: text.rfind("\n") + 1].splitlines():
        number, _, said = line.partition(" ")
        if number.isdecimal() and len(said) == 2 * _DIGEST_BYTES:
            found[int(number)] = said
    return found


_DIGEST_BYTES = 8


def digest(batch: Any) -> str:
    """16 hex digits of what is in a batch, on whatever device it lies: of large arrays some bytes of each sample, else all."""
    hasher = blake3()
    for part in _parts(batch):
        hasher.update(part)
    return hasher.hexdigest(length=_DIGEST_BYTES)


def random_states() -> dict[str, str]:
    """A digest of each random state of this process that is in use: of Python, and of NumPy and PyTorch where they are loaded."""
    import random
    import sys

    found = {"python": digest(repr(random.getstate()))}
    if (numpy := sys.modules.get("numpy")) is not None:
        found["numpy"] = digest([repr(part) if isinstance(part, str) else part for part in numpy.random.get_state(legacy=True)])
    if (torch := sys.modules.get("torch")) is not None:
        found["torch"] = digest(torch.get_rng_state())
    return found


def _parts(value: Any) -> Iterable[bytes]:
    if isinstance(value, Mapping):
        for key in sorted(value, key=str):
            yield f"{key}:".encode()
            yield from _parts(value[key])
    elif isinstance(value, bytes | bytearray):
        yield b"b%d:" % len(value)
        yield bytes(value)
    elif value is None or isinstance(value, str | int | float | bool | complex):
        yield f"{type(value).__name__}:{value!r};".encode()
    elif callable(getattr(value, "detach", None)):
        yield from _of_tensor(value)
    elif hasattr(value, "__array__") and hasattr(value, "dtype"):
        yield from _of_array(value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from _parts({f.name: getattr(value, f.name) for f in dataclasses.fields(value)})
    elif isinstance(value, Iterable):
        yield b"["
        for one in value:
            yield from _parts(one)
        yield b"]"
    else:
        yield f"{type(value).__qualname__};".encode()


def _of_tensor(tensor: Any) -> Iterable[bytes]:
    import torch

    plain = tensor.detach()
    if plain.layout is not torch.strided:
        plain = plain.to_dense()
    yield f"{plain.dtype}{tuple(plain.shape)}".encode()
    if plain.numel() == 0:
        return
    rows = plain.reshape(plain.shape[0] if plain.ndim > 1 else 1, -1).contiguous()
    if rows.is_complex():
        rows = torch.view_as_real(rows).reshape(rows.shape[0], -1)
    data = rows.view(torch.uint8) if rows.dtype is not torch.bool else rows.to(torch.uint8)
    if data.numel() > WHOLE_BYTES:
        data = data[:, :: max(data.shape[1] // BYTES_OF_A_SAMPLE, 1) | 1]
    yield data.cpu().numpy().tobytes()


def _of_array(value: Any) -> Iterable[bytes]:
    import numpy as np

    array = np.asarray(value)
    yield f"{array.dtype}{array.shape}".encode()
    if array.dtype == object:
        yield from _parts(array.tolist())
        return
    rows = np.ascontiguousarray(array).reshape(array.shape[0] if array.ndim > 1 else 1, -1)
    if rows.size:
        data = rows.view(np.uint8)
        if data.size > WHOLE_BYTES:
            data = data[:, :: max(data.shape[1] // BYTES_OF_A_SAMPLE, 1) | 1]
        yield data.tobytes()
