"""The project folder: where its outputs lie, which key a path is, and what the user says of what is kept."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterable
from pathlib import Path, PurePath

from holdfast.errors import OutsideOutputs
from holdfast.platform import real_path
from holdfast.store.deciding.ignore import Rules
from holdfast.store.format.keys import Key, printable
from holdfast.store.local.disk import is_folder, is_link, local_errors, lstat_or_none
from holdfast.store.local.folding import Names
from holdfast.store.local.keeping import IGNORE_FILE, Keeping
from holdfast.store.local.links import MOST_LINKS, Outputs, joined, kept_target
from holdfast.store.local.records import Signature

log = logging.getLogger(__name__)


class Project:
    """A project folder on this machine, and the outputs in it.

    Args:
        root: The project folder.
        outputs: Path of the outputs folder below it.
        ignore: Patterns of what is left out, in gitignore's syntax, beside those of `.holdfastignore`.
        follow: Paths of symbolic links that are followed.
        accept: Paths of what cannot be kept and may be lost.
    """

    def __init__(
        self,
        root: Path,
        outputs: str = "outputs",
        *,
        ignore: tuple[str, ...] = (),
        follow: tuple[str, ...] = (),
        accept: tuple[str, ...] = (),
    ) -> None:
        self.root = Path(os.path.abspath(root))
        self.outputs = Key.parse(outputs)
        # Beside the real outputs, so that hard links and renames stay on one file system when outputs is a link.
        place = self.root / self.outputs.value
        self._real = real_path(place)  # of which the project may be reached through a link as well
        self._outputs = self._real if place.is_symlink() else place
        self._beside = self._outputs.parent
        self._ignore = ignore
        self._rules: tuple[Signature | None, Rules] = (None, Rules.parse(b"", ignore))
        self._follow = frozenset(Key.parse(path) for path in follow)
        self._accept = tuple(Key.parse(path) for path in accept)

    def key(self, path: str | PurePath) -> Key:
        """The key of a path; a relative one is taken from the root.

        Raises:
            OutsideOutputs: it does not lie below outputs, has `..`, or reaches its place through a symbolic link.
        """
        text = os.fspath(path)
        shown = printable(text)
        pure = PurePath(text)
        if ".." in pure.parts:
            raise OutsideOutputs(f"{shown}: has '..'; give the plain path below {self.outputs}/")
        if pure.is_absolute():
            pure = self._below_root(Path(text), shown)
        key = Key.parse(pure.as_posix())
        if not self.outputs.covers(key):
            raise OutsideOutputs(f"{shown}: not below {self.outputs}/ of {self.root}; only what is there is kept")
        key = self._through_links(key)
        place = self.local(key)
        if is_link(lstat_or_none(place)) and key not in self._follow:
            with local_errors():
                problem = kept_target(str(place), key, self.places)[1]
            if problem:
                raise OutsideOutputs(f"{key}: {problem}; follow it (drive.follow in config/paths.yaml), or put the real file there")
        return key

    def _through_links(self, key: Key) -> Key:
        """The key of the same place where no folder on the way to it is a symbolic link that stays inside outputs.

        Raises:
            OutsideOutputs: a link on the way leads out, or they go round.
        """
        for _ in range(MOST_LINKS):
            on_the_way = [k for k in reversed(key.parents()) if self.outputs.covers(k) and k != self.outputs]
            link = next((k for k in on_the_way if k not in self._follow and is_link(lstat_or_none(self.local(k)))), None)
            if link is None:
                return key
            with local_errors():
                target, problem = kept_target(str(self.local(link)), link, self.places)
            if problem:
                break
            key = joined(link, target).join(link.relative(key))
        self.refuse_links([key], only_above=True, following=True)
        return key

    def leads_to(self, key: Key) -> Key | None:
        """Where a symbolic link that is here leads in the end; None where that is no other place in outputs."""
        with local_errors():
            found = self.places.key_of(os.path.realpath(self.local(key)))
        return None if found == key else found

    def refuse_links(self, keys: Iterable[Key], *, only_above: bool = False, following: bool = False) -> None:
        """Return where none of these, and no folder on the way to them below outputs, is a symbolic link.

        Args:
            keys: The paths.
            only_above: They may be links themselves.
            following: Links that are to be followed count as folders. Never where something is written.

        Raises:
            OutsideOutputs: one is, so what is written there would leave outputs, or what is read would come from elsewhere.
            LocalError: a folder on the way may not be looked into.
        """
        seen: set[str] = set()
        base = len(self.outputs.parts)
        for key in keys:
            for end in range(base + 1, len(key.parts) + (0 if only_above else 1)):
                part = "/".join(key.parts[:end])
                if part in seen or (following and Key(part) in self._follow):
                    continue
                seen.add(part)
                found = lstat_or_none(self.root / part)
                if found is not None and stat.S_ISLNK(found.st_mode):
                    raise OutsideOutputs(
                        f"{key}: goes through the symbolic link {printable(str(self.root / part))}; give the real path"
                    )

    @property
    def places(self) -> Outputs:
        """Where outputs lie on this machine."""
        return Outputs(self.outputs, self.root / self.outputs.value, self._real)

    @property
    def keeping(self) -> Keeping:
        """What the user says of what is kept. `.holdfastignore` is read anew where it has changed.

        Raises:
            LocalError: it cannot be read.
        """
        place = self.root / IGNORE_FILE
        found = lstat_or_none(place)
        seen = None if found is None else Signature.of(found)
        if seen != self._rules[0]:
            with local_errors():
                rules = Rules.parse(b"" if found is None else place.read_bytes(), self._ignore)
            for line in rules.unread:
                where = f"{place}, line {line.number}" if line.number else "drive.ignore"
                log.warning("%s: the pattern %s %s; it leaves nothing out", where, printable(line.text), line.why)
            self._rules = (seen, rules)
        return Keeping(self._rules[1], self._follow, self._accept)

    def _below_root(self, path: Path, shown: str) -> PurePath:
        for given, root in ((path, self.root), (path, real_path(self.root))):
            if given.is_relative_to(root):
                return given.relative_to(root)
        parent = real_path(path.parent) / path.name
        real_root = real_path(self.root)
        if parent.is_relative_to(real_root) and path.parent.is_symlink() is False:
            return parent.relative_to(real_root)
        raise OutsideOutputs(f"{shown}: not below {self.outputs}/ of {self.root}; only what is there is kept")

    def local(self, key: Key) -> Path:
        """Where a key lies on this machine."""
        relative = self.outputs.relative(key)
        return self._outputs / relative if relative else self._outputs

    def names(self) -> Names:
        """A fresh look at the names in outputs, by paths below them."""
        return Names(str(self._outputs))

    @property
    def has_outputs(self) -> bool:
        """The outputs folder is there. Without it nothing that is missing was removed by anybody: a disk may be away."""
        return is_folder(lstat_or_none(self.local(self.outputs)))

    def has_folder(self, key: Key) -> bool:
        """True where a folder is here under that key, or a link to one that is to be followed."""
        place = self.local(key)
        found = lstat_or_none(place)
        return is_folder(found) or (is_link(found) and key in self._follow and place.is_dir())

    def has(self, key: Key) -> bool:
        """True where anything is here under that key, a link that leads nowhere included."""
        return lstat_or_none(self.local(key)) is not None
