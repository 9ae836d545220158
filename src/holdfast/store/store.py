"""A store as seen through its backend: which generations are whole, how safe they are, and where their payload is."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from holdfast.errors import Corrupt, CutOff, NewerFormat, StoreNotFound, StoreUnreadable
from holdfast.platform import host_name, random_hex
from holdfast.store.backends.backend import Backend
from holdfast.store.backends.backoff import ONCE, Backoff
from holdfast.store.deciding.heads import find_heads
from holdfast.store.deciding.limits import DRIVE
from holdfast.store.format import names
from holdfast.store.format.keys import MAX_DEPTH, printable
from holdfast.store.format.manifest import Manifest
from holdfast.store.format.names import SENTINEL, ManifestName, twin_of
from holdfast.store.looking.folder import StoreFolder
from holdfast.store.looking.memory import Memory
from holdfast.store.looking.view import Generation, State, View
from holdfast.store.reporting.durability import Durability

T = TypeVar("T")
U = TypeVar("U")

_STATS_ALONE = 32


class Store(StoreFolder):
    """The store at one backend.

    Args:
        backend: Where it lies.
        expected_id: The identity that it must have (`drive.store_id`); with it set, no store is ever created.
        parallel: Transfers at a time.
        backoff: When to send again what failed and can pass.
        machine: Name of this machine. It stands in what it writes, so that what another machine wrote is known for what it is:
            proof that it reached the store, however this place delays what is written.
        memory: What its mount may remember of what it has shown.
        has_twins: Its place lets two folders have one name, as Drive does where two machines make them at once (ct#6106).
        same_as: Location of the same store by another way, where there is one. What was made that way may not be shown here yet.
        new_id: Makes random hex of a given number of bytes.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        expected_id: str | None = None,
        parallel: int = 8,
        backoff: Backoff = ONCE,
        machine: str | None = None,
        memory: Memory | None = None,
        has_twins: bool = False,
        same_as: str | None = None,
        new_id: Callable[[int], str] = random_hex,
    ) -> None:
        super().__init__(backend, expected_id=expected_id, new_id=new_id, sleep=backoff.sleep)
        self.parallel = parallel
        self.backoff = backoff
        self.machine = machine or host_name()
        self.memory = memory or Memory()
        #: What its place takes where that is Drive.
        self.limits = DRIVE
        self._has_twins = has_twins
        self.same_as = same_as
        #: Its mount died, and its API took over: what the mount was given and had not uploaded is to be sent again.
        self.abandoned = False
        self._reference: str | None = None
        #: Whether a look serves others (`looking/same_store`), how many manifests were written, and the last look where it serves.
        self.shares = False
        self.written = 0
        self.shared: View | None = None
        self.shared_at = 0.0
        #: Ids of generations of which was said aloud that they never arrived.
        self.told: set[str] = set()

    @property
    def location(self) -> str:
        """Where it lies, for people."""
        return self.backend.location

    def abandon(self) -> None:
        """Its mount is dead, and its API takes over. What the mount had shown may never have arrived, the store itself too."""
        self.abandoned = True
        self.shared = None
        self.look_anew()

    def twins(self) -> list[Store]:
        """The stores in folders that the place shows as further ones of this name: another machine made one at the same time.

        Raises:
            StoreError: it cannot be told now.
        """
        if not self._has_twins:
            return []
        named = [e.name for e in self.backend.siblings() if e.is_folder and twin_of(e.name) == self.backend.name]
        return [Store(self.backend.beside(n), parallel=self.parallel, backoff=self.backoff, machine=self.machine) for n in named]

    def manifest(self, name: ManifestName) -> Manifest:
        """Likewise; what another machine wrote shows which signals this place gives of what is surely uploaded."""
        found = super().manifest(name)
        if self.elsewhere(found):
            self._reference = name.path
        return found

    def elsewhere(self, manifest: Manifest) -> bool:
        """True where another machine wrote this generation: what is seen of it here came out of the store."""
        return not wrote(manifest, self.machine)

    def durability(self, manifest: Manifest) -> Durability:
        """How safe a whole generation is now.

        What this place says of each of its files; and what another machine wrote and this one sees whole is safe.

        Raises:
            StoreError: it cannot be told now.
        """
        if self.elsewhere(manifest):
            return Durability.CONFIRMED
        return self.backend.durability((*manifest.payloads(), manifest.name.path), self._reference)

    def is_on_its_way(self) -> bool:
        """True where this place says that the sentinel is still to be uploaded: a disconnect may take the store with it.

        Raises:
            StoreError: it cannot be told now.
        """
        return self.backend.durability((SENTINEL,), self._reference) is Durability.WRITTEN

    def remember(self, manifest: Manifest) -> None:
        """A manifest that was just written and checked needs no reading, and no look from before it serves any more."""
        self._manifests.remember(manifest)
        self.written += 1
        self.shared = None

    def known_ancestors(self, name: ManifestName) -> tuple[str, ...]:
        """The ancestors of a generation as far as they were read already."""
        manifest = self._manifests.known(name)
        return () if manifest is None else manifest.ancestors

    def examine(self, name: ManifestName) -> Generation:
        """Look into one generation: its manifest verifies, and its payload is there at its length.

        Raises:
            StoreUnreadable: it cannot be told now.
        """
        try:
            manifest = self.manifest(name)
        except NewerFormat as error:
            return Generation(name, None, State.NEWER, str(error))
        except CutOff as error:
            return Generation(name, None, State.CUT_OFF, str(error))
        except Corrupt as error:
            return Generation(name, None, State.TORN, str(error))
        except StoreNotFound:
            self.confirm_healthy()
            return Generation(name, None, State.TORN, f"{name.file}: listed, and not there")
        lost = self.missing(manifest.payloads().items())
        if not lost:
            return Generation(name, manifest, State.WHOLE)
        shown = ", ".join(printable(p) for p in sorted(lost)[:3]) + (f" and {len(lost) - 3} more" if len(lost) > 3 else "")
        return Generation(name, manifest, State.INCOMPLETE, f"payload missing or short: {shown}")

    def heads(self, found: Sequence[ManifestName], excluded: frozenset[str] = frozenset()) -> list[Manifest]:
        """The heads among the manifests of one artifact, best first."""

        def whole(name: ManifestName) -> Manifest | None:
            generation = self.examine(name)
            return generation.manifest if generation.state is State.WHOLE else None

        return find_heads(found, whole, excluded)

    def missing(self, payloads: Iterable[tuple[str, int]]) -> set[str]:
        """Which of these payload paths are missing or have another length, proven with the store healthy right after."""
        wanted = list(payloads)
        # A stat is quick where the names are known, so threads pay only for many.
        look = self.parallel_map(self._is_there, wanted) if len(wanted) > _STATS_ALONE else map(self._is_there, wanted)
        lost = {path for (path, _), here in zip(wanted, look, strict=True) if not here}
        lost = {path for path, size in wanted if path in lost and self.locate(path, size) is None}
        if lost:
            self.confirm_healthy()
        return lost

    def _is_there(self, payload: tuple[str, int]) -> bool:
        path, size = payload
        try:
            found = self.backend.stat(path)
        except StoreNotFound:
            return False
        return not found.is_folder and found.size == size

    def locate(self, path: str, size: int) -> str | None:
        """Where a payload really is: at its path, or in a twin folder or twin file that Drive made of it."""
        if self._is_there((path, size)):
            return path
        *folders, file = path.split("/")
        places = [""]
        for part in folders:
            places = [f"{place}/{n}".lstrip("/") for place in places for n in self._with_twins(place, part, folders=True)]
        candidates = [f"{place}/{n}".lstrip("/") for place in places for n in self._with_twins(place, file, folders=False)]
        return next((c for c in candidates if self._is_there((c, size))), None)

    def _with_twins(self, folder: str, name: str, *, folders: bool) -> list[str]:
        entries = self.list_once(folder)
        return [e.name for e in entries if e.is_folder == folders and name in (e.name, twin_of(e.name))]

    def parallel_map(self, call: Callable[[T], U], items: Sequence[T]) -> Iterator[U]:
        """The results in order; in this thread where there is only one item or one worker."""
        if len(items) < 2 or self.parallel < 2:
            yield from map(call, items)
            return
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(min(self.parallel, len(items)), thread_name_prefix="holdfast") as pool:
            try:
                results = pool.map(call, items)
            except RuntimeError:  # the process is ending, and no pool takes work any more
                results = map(call, items)
            try:
                yield from results
            except BaseException:  # what has not begun would only meet the same dead or full drive
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def commit_id(self) -> str:
        """A random id for a commit; the one that stands for "no parent" is never given."""
        while (made := self._new_id(4)) == names.NO_PARENT:
            pass
        return made


def wrote(manifest: Manifest, machine: str) -> bool:
    """True where a machine of this name wrote the generation."""
    return manifest.writer.partition("/")[0] == machine


def refuse_depth(folder: str) -> None:
    """Return unless a folder in the store lies deeper than any that we make.

    Raises:
        StoreUnreadable: it does.
    """
    if folder.count("/") > MAX_DEPTH:
        raise StoreUnreadable(errno.ELOOP, f"lies deeper than {MAX_DEPTH} folders, which is not ours", printable(folder[:80]))
