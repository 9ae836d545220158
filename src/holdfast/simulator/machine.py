"""DriveFS on one machine: file operations on the tree, writes seen here at once and in the cloud later."""

from __future__ import annotations

import errno
import threading
from collections.abc import Mapping
from pathlib import Path

from holdfast.simulator.clock import Clock
from holdfast.simulator.cloud import Cloud
from holdfast.simulator.conditions import Conditions, refusal
from holdfast.simulator.contents import Contents
from holdfast.simulator.counters import Counters
from holdfast.simulator.fates import Fate, Lost, Lot
from holdfast.simulator.seeds import drawn
from holdfast.simulator.sync import Sync
from holdfast.simulator.tree import LONGEST_NAME, Node, Tree
from holdfast.simulator.uploads import Pace
from holdfast.simulator.weather import Full, Listings, Weather


class Machine:
    """One machine's view of Drive. Every method takes the lock, and none waits while it holds it.

    Args:
        cloud: What Google has.
        clock: Virtual time.
        conditions: The weather.
        counters: What is counted.
        pace: Of uploads.
        seed: Of lags and fates.
        folder: On the machine's own disk, for what is not uploaded.
        epoch: Wall time at which the clock began, for mtimes.
        mount: Number of the mount.
    """

    def __init__(
        self,
        cloud: Cloud,
        clock: Clock,
        conditions: Conditions,
        counters: Counters,
        *,
        pace: Pace,
        seed: int,
        folder: Path,
        epoch: float,
        mount: int,
    ) -> None:
        self.lock = threading.RLock()
        self._cloud = cloud
        self._clock = clock
        self._conditions = conditions
        self._counters = counters
        self._seed = seed
        self._contents = Contents(folder, cloud, counters)
        self._epoch = epoch
        self._mount = mount
        self._tree = Tree(cloud.items())
        self._sync = Sync(cloud, self._tree, clock, conditions, counters, pace, seed)
        self._created = 0
        self._frozen: dict[Node, list[Node]] | None = None

    # --- Looking ---

    def settle(self) -> None:
        """Do what is due by now."""
        with self.lock:
            self._sync.settle()

    def find(self, path: str) -> Node:
        """The node at a path below `My Drive`; raises ENOENT, ENOTDIR."""
        with self.lock:
            return self._tree.find(path)

    def names(self, folder: Node) -> list[tuple[str, bool]]:
        """Names in a folder, and which are folders, as the weather shows them."""
        weather = self._conditions.weather
        with self.lock:
            nodes = list(folder.children.values())
            if weather.big_folder is not None and len(nodes) > weather.big_folder:
                raise refusal(errno.EIO, folder.path)
            if weather.listings is Listings.STALE and self._frozen is not None:
                nodes = self._frozen.get(folder, [])
            names = [(node.name, node.folder) for node in nodes]
        if weather.listings is Listings.INCOMPLETE:
            names = [(name, is_folder) for name, is_folder in names if self._conditions.listed(folder.path, name)]
        return names

    def freeze_listings(self) -> None:
        """From now on a stale listing shows what is there now."""
        with self.lock:
            folders = [self._tree.root, *(node for node in self._tree.nodes() if node.folder)]
            self._frozen = {folder: list(folder.children.values()) for folder in folders}

    def space(self) -> tuple[int, int]:
        """The quota, and what of it is free."""
        with self.lock:
            return self._cloud.quota, max(0, self._cloud.quota - self._cloud.used())

    # --- Changing names ---

    def add(self, path: str, *, is_folder: bool) -> Node:
        """Make a file or folder; raises EEXIST, ENOENT, ENOTDIR, and EDQUOT or ENOSPC where Drive is full and says so."""
        above, _, name = path.rpartition("/")
        with self.lock:
            folder = self._tree.find(above)
            if not folder.folder:
                raise refusal(errno.ENOTDIR, path)
            if name in folder.children:
                raise refusal(errno.EEXIST, path)
            _check_name(name, path)
            if not is_folder:
                self._check_burst(path)
                self._check_full(path, 1)
                self._created += 1
            node = self._tree.add(folder, name, is_folder=is_folder, modified=self._now())
            if not is_folder:
                node.scratch = self._contents.new()
                node.touched = True
                node.writers = 1
            self._sync.changed(node)
            return node

    def remove(self, path: str, *, is_folder: bool) -> None:
        """Remove a file or an empty folder; raises ENOENT, ENOTDIR, EISDIR, ENOTEMPTY."""
        with self.lock:
            node = self._tree.find(path)
            if node.folder != is_folder:
                raise refusal(errno.ENOTDIR if is_folder else errno.EISDIR, path)
            if node.children:
                raise refusal(errno.ENOTEMPTY, path)
            self._drop(node)

    def _drop(self, node: Node) -> None:
        node.emptied = node.scratch is not None and node.size == 0
        self._tree.detach(node)
        node.gone = True
        self._sync.changed(node)

    def rename(self, old: str, new: str) -> None:
        """Rename or move, replacing a file; here at once, in the cloud as two changes that need not both happen."""
        above, _, name = new.rpartition("/")
        with self.lock:
            node = self._tree.find(old)
            folder = self._tree.find(above)
            _check_name(name, new)
            there = folder.children.get(name)
            if there is node:
                return
            if node.folder and (folder is node or folder.path.startswith(node.path + "/")):
                raise refusal(errno.EINVAL, new)
            if there is not None:
                if there.folder and not node.folder:
                    raise refusal(errno.EISDIR, new)
                if node.folder and not there.folder:
                    raise refusal(errno.ENOTDIR, new)
                if there.children:
                    raise refusal(errno.ENOTEMPTY, new)
                self._drop(there)
            self._tree.attach(node, folder, name)
            node.moved = node.item is not None
            self._sync.changed(node)

    # --- Content ---

    def open_to_write(self, node: Node) -> None:
        """A handle may write from now on; an upload under way stops."""
        with self.lock:
            node.writers += 1
            self._sync.hold(node)

    def close_after_writing(self, node: Node) -> None:
        """The handle is closed; with the last one the file's clock starts."""
        with self.lock:
            node.writers -= 1
            if node.writers == 0 and not node.gone:
                self._sync.changed(node)

    def write(self, node: Node, data: bytes, offset: int) -> int:
        """Write; raises ENOSPC or EDQUOT where Drive is full and says so."""
        with self.lock:
            self._check_full(node.path, max(0, offset + len(data) - node.size))
            self._contents.write(node, data, offset)
            node.modified = self._now()
            self._sync.changed(node)
        return len(data)

    def truncate(self, node: Node, size: int) -> None:
        """Cut, or fill up with zeros."""
        with self.lock:
            self._check_full(node.path, max(0, size - node.size))
            self._contents.truncate(node, size)
            node.modified = self._now()
            self._sync.changed(node)

    def begin_read(self, node: Node) -> float:
        """A handle reads for the first time: count it as cold or warm. Returns how long that takes."""
        latency = self._conditions.weather.latency
        with self.lock:
            warm = node.touched or node.size == 0
            node.touched = True
        self._counters.add("warm_reads" if warm else "cold_reads")
        return latency.warm if warm else drawn(self._seed, "cold", node.id).uniform(latency.cold_low, latency.cold_high)

    def read(self, node: Node, size: int, offset: int) -> tuple[bytes, int]:
        """Bytes of a file, and how many of them had to come from the cloud."""
        with self.lock:
            return self._contents.read(node, size, offset)

    # --- Quota ---

    def _check_burst(self, path: str) -> None:
        burst = self._conditions.weather.burst
        if burst is not None and self._created >= burst:
            raise refusal(errno.EDQUOT, path)

    def _check_full(self, path: str, more: int) -> None:
        full = self._conditions.weather.full
        if not more or full not in (Full.ENOSPC, Full.EDQUOT):
            return
        if self._cloud.used() + self._sync.growth + more > self._cloud.quota:
            raise refusal(errno.ENOSPC if full is Full.ENOSPC else errno.EDQUOT, path)

    # --- The cloud ---

    def advance(self, seconds: float) -> None:
        """Let time pass. What others changed before is noticed before."""
        with self.lock:
            self._sync.settle()
            self._clock.advance(seconds)
            self._sync.settle()

    def drain(self) -> list[str]:
        """Upload everything, moving the clock. Returns what could not be."""
        with self.lock:
            self._sync.drain()
            return self._sync.pending()

    def pending(self) -> list[str]:
        """Paths of what the cloud does not have yet."""
        with self.lock:
            self._sync.settle()
            return self._sync.pending()

    def disconnect(self, wanted: Mapping[str, Fate]) -> list[Lost]:
        """Drop what is not uploaded."""
        with self.lock:
            return self._sync.disconnect(Lot(self._seed, self._mount, wanted))

    def change_weather(self, weather: Weather) -> None:
        """What a change of weather means for this machine."""
        if weather.listings is Listings.STALE and self._conditions.weather.listings is not Listings.STALE:
            self.freeze_listings()

    def _now(self) -> float:
        return self._epoch + self._clock.now()


def _check_name(name: str, path: str) -> None:
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        raise refusal(errno.EINVAL, path) from None
    if len(encoded) > LONGEST_NAME:
        raise refusal(errno.ENAMETOOLONG, path)
