"""Symbolic links in outputs: where one leads, and how it is written down so that it leads there on any machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from holdfast.platform import real_path
from holdfast.store.format.entries import check_target
from holdfast.store.format.keys import Key, printable

#: As the kernel's own limit (path_resolution(7)).
MOST_LINKS = 40


@dataclass(frozen=True)
class Outputs:
    """Where outputs lie on this machine.

    Args:
        key: Their path below the root.
        given: The folder as it is written.
        real: The folder with links resolved.
    """

    key: Key
    given: Path
    real: Path

    def key_of(self, place: str) -> Key | None:
        """The key of an absolute path without `..`, or None where it lies outside."""
        for above in (self.given, self.real):
            if place == str(above) or place.startswith(f"{above}/"):
                below = place[len(str(above)) + 1 :]
                return self.key.join(below)
        return None


def kept_target(place: str, holder: Key, outputs: Outputs) -> tuple[str, str]:
    """How a link is kept, and if it cannot be, why.

    Args:
        place: The link.
        holder: Its key.
        outputs: What is kept.

    Returns:
        The target relative to the link's folder, with `..` only at its beginning; or an empty text and the reason.

    Raises:
        OSError: it cannot be read.
    """
    text = os.readlink(place)
    at = _lexical(os.path.dirname(place), text)
    key = outputs.key_of(at) or outputs.key_of(str(real_path(Path(at))))
    if key is None:
        return "", f"is a symbolic link that leads out of {outputs.key}/, to {printable(text)}; what it leads to is not kept"
    target = os.path.relpath(key.value, holder.value.rpartition("/")[0] or ".")
    problem = check_target(holder, target)
    return ("", f"is a symbolic link that {problem}") if problem is not None else (target, "")


def joined(link: Key, target: str) -> Key:
    """The key that a link's target names, as it is kept."""
    parts = list(link.parts[:-1])
    for part in target.split("/"):
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return Key("/".join(parts))


def _lexical(folder: str, text: str) -> str:
    """The absolute path that a link's text names, without `..`, which after a link is the parent of the link's target."""
    at = "/" if text.startswith("/") else folder
    for part in text.split("/"):
        if part == "..":
            at = os.path.dirname(real_path(Path(at)))
        elif part not in ("", "."):
            at = f"{at.rstrip('/')}/{part}"
    return at
