"""What the user has said of what is kept: patterns of what is left out, links that are followed, and what may stay out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast.store.deciding.ignore import Rules
from holdfast.store.format.keys import Key

#: Beside outputs, in gitignore's syntax.
IGNORE_FILE = ".holdfastignore"


@dataclass(frozen=True)
class Keeping:
    """What is kept of outputs.

    Args:
        rules: What is left out by pattern; nobody is told of it as a loss, and it stays listed.
        follow: Symbolic links of which what they lead to is kept, in the place of the link.
        accept: What cannot be kept and may be lost, with all below it.
    """

    rules: Rules = field(default_factory=Rules.parse)
    follow: frozenset[Key] = frozenset()
    accept: tuple[Key, ...] = ()

    def accepts(self, key: Key) -> bool:
        """True where it was said that this may be lost."""
        return any(accepted.covers(key) for accepted in self.accept)

    def not_accepted(self, artifact: Key, refused: Mapping[str, str]) -> dict[str, str]:
        """Those of an artifact's refused paths that nobody has accepted, with the reasons."""
        return {path: why for path, why in refused.items() if not self.accepts(artifact.join(path))}
