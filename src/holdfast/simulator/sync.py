"""Between one machine and the cloud: what is uploaded when, what others changed, and what a disconnect leaves."""

from __future__ import annotations

import math

from holdfast.simulator.clock import Clock
from holdfast.simulator.cloud import Cloud
from holdfast.simulator.conditions import Conditions
from holdfast.simulator.counters import Counters
from holdfast.simulator.fates import Change, Fate, Lost, Lot
from holdfast.simulator.items import Content, Item
from holdfast.simulator.seeds import drawn
from holdfast.simulator.tree import Node, Tree, free_name
from holdfast.simulator.uploads import Pace, Queue
from holdfast.simulator.weather import Death, Full


class Sync:
    """Keeps a tree and the cloud alike, later. Not thread safe: the machine holds its lock around every call."""

    def __init__(
        self, cloud: Cloud, tree: Tree, clock: Clock, conditions: Conditions, counters: Counters, pace: Pace, seed: int
    ) -> None:
        self._cloud = cloud
        self._tree = tree
        self._clock = clock
        self._conditions = conditions
        self._counters = counters
        self._pace = pace
        self._seed = seed
        self._queue: Queue[Node] = Queue(pace)
        self._pending: dict[Node, int] = {}  # with the bytes that each adds to the cloud
        self._growth = 0
        self._refused: dict[Node, None] = {}
        self._puts = 0
        self._over = False
        self._seen = cloud.last_change()
        self._foreign: list[tuple[float, Item]] = []

    # --- What this machine changes ---

    def changed(self, node: Node) -> None:
        """Queue a node, or restart its clock. One that is open for writing waits until it is closed."""
        self._refused.pop(node, None)
        if node.gone and node.item is None:  # it never was in the cloud, and never will be
            self.hold(node)
            self._settled(node)
            return
        if not node.uncommitted:
            return
        self._settled(node)
        self._pending[node] = 0 if node.gone else node.size - (0 if node.item is None else node.item.size)
        self._growth += self._pending[node]
        if node.writers and not node.gone:
            return
        self._puts += 1
        low, high = self._pace.lag
        lag = drawn(self._seed, "lag", node.path, self._puts).uniform(low, high)
        size = 0 if node.gone or node.scratch is None else node.size
        self._queue.put(node, ready=self._clock.now() + lag, size=size, creates=node.item is None)

    def hold(self, node: Node) -> None:
        """Stop an upload: the file is being written again."""
        self._queue.drop(node)

    def _settled(self, node: Node) -> None:
        self._growth -= self._pending.pop(node, 0)

    @property
    def growth(self) -> int:
        """Bytes that the cloud will hold in addition once everything is uploaded."""
        return self._growth

    def pending(self) -> list[str]:
        """Paths of everything that the cloud does not have yet."""
        return sorted(node.path for node in self._pending)

    # --- As time passes ---

    def settle(self) -> None:
        """Do what is due by now: uploads, and the changes of others."""
        now = self._clock.now()
        if self._over:
            return
        if self._conditions.weather.death is not Death.ALIVE:  # a dead DriveFS uploads nothing
            self._queue.skip(now)
            return
        for node in tuple(self._refused):
            if self._fits(node):  # room was made
                self.changed(node)
        for node in self._queue.run(now):
            self._commit(node)
        self._look_around(now)

    def drain(self) -> None:
        """Move the clock on until nothing more will be uploaded."""
        self.settle()
        while not math.isinf(end := self._queue.end()) and self._conditions.weather.death is Death.ALIVE:
            self._clock.advance(max(0.0, end - self._clock.now()))
            self.settle()

    def _commit(self, node: Node) -> None:
        """An upload is finished: the cloud has this node as this machine has it, quota allowing."""
        if node.gone:
            self._remove(node, emptied=node.emptied, removed=True)
        elif self._fits(node):
            self._send(node, None)
        elif self._conditions.weather.full is Full.EMPTY:
            self._send(node, 0)
            self._refused[node] = None
            return
        else:
            self._refused[node] = None
            return
        self._settled(node)

    def _fits(self, node: Node) -> bool:
        """Whether the cloud takes it. What it does not take stays here, and nobody is told *(assumed)*."""
        before = 0 if node.item is None else node.item.size
        size = node.size if not node.folder and node.scratch is not None else before
        limits = self._cloud.limits
        if node.path.count("/") + node.folder > limits.levels:  # the folders above it cannot be there either
            return False
        parent = node.parent.id if node.parent is not None and node.parent.item is not None and node.item is None else ""
        return (
            self._cloud.limit(parent, folder=node.folder, growth=size - before, sends=size > 0 and node.scratch is not None) is None
        )

    def _send(self, node: Node, size: int | None) -> None:
        """Bring a node to the cloud, with the folders above it.

        Args:
            node: A folder or file that this machine has.
            size: So many bytes of its content only; the machine keeps its own. None for all of it.
        """
        assert node.parent is not None
        if node.parent.item is None:
            self._send(node.parent, None)
            self._queue.drop(node.parent)
            self._settled(node.parent)
        parent = node.parent.id
        if node.item is not None and node.moved:
            self._tree.named(node, self._cloud.move(node.item.id, parent, node.name))
            node.moved = False
            self._counters.add("cloud_moves")
        if node.folder:
            if node.item is None:
                self._tree.named(node, self._cloud.create(parent, node.name, None, node.modified))
                self._counters.add("cloud_folders")
        elif node.scratch is not None or node.item is None:
            content = self._cloud.keep(node.scratch if node.size else None, size, move=size is None)
            self._place(node, parent, content)
            if size is None:
                if node.scratch is not None and node.scratch.exists():
                    node.scratch.unlink()
                node.scratch = None
                node.fetched = content.size
                node.touched = True

    def _place(self, node: Node, parent: str, content: Content) -> None:
        self._counters.add("uploads")
        self._counters.add("bytes_up", content.size)
        if node.item is None:
            self._counters.add("cloud_files")
            self._tree.named(node, self._cloud.create(parent, node.name, content, node.modified))
        else:
            self._tree.named(node, self._cloud.update(node.item.id, content, node.modified))

    def _remove(self, node: Node, *, emptied: bool, removed: bool) -> None:
        assert node.item is not None
        if emptied and node.item.size:
            node.item = self._cloud.update(node.item.id, Content(), node.modified)
        if removed:
            self._cloud.trash(node.item.id)
            self._counters.add("cloud_removes")

    # --- What others change ---

    def _look_around(self, now: float) -> None:
        last = self._cloud.last_change()
        delay = self._conditions.weather.foreign_delay
        if last > self._seen:
            found = self._cloud.changes(self._seen)
            self._seen = last
            if delay is not None:
                # One delay for what is noticed together. None ends before its folder's, which is there before what is in it; nor
                # before that of an earlier change of the same item, or what went to the trash soon would be shown for ever.
                due = now + drawn(self._seed, "foreign", last).uniform(*delay)
                waiting = {item.id: at for at, item in self._foreign}
                for item in found:
                    at = waiting[item.id] = max(due, waiting.get(item.parent, due), waiting.get(item.id, due))
                    self._foreign.append((at, item))
        if not self._foreign:
            return
        due_now = [item for due, item in self._foreign if due <= now]
        self._foreign = [(due, item) for due, item in self._foreign if due > now]
        for item in due_now:
            self._show(item)

    def _show(self, item: Item) -> None:
        node = self._tree.by_id(item.id)
        if node is None:
            if not item.trashed and self._tree.graft(item):
                self._show_inside(item, item.change)
        elif node.gone:
            node.item = item
        elif item.trashed:
            if node.scratch is not None:  # written here meanwhile: it will be a new file
                node.item = None
            else:
                self._tree.detach(node)
        else:
            before = node.item
            node.take(item)
            folder = self._tree.by_id(item.parent)
            moved = before is not None and (before.parent, before.name) != (item.parent, item.name) and not node.moved
            hidden = node.parent is not None and node.parent.children.get(node.name) is not node
            if folder is not None and (moved or hidden):
                self._tree.detach(node)
                self._tree.attach(node, folder, free_name(folder, item.name))

    def _show_inside(self, folder: Item, until: int) -> None:
        """A folder came back, from the trash or from another place, with what was in it by then."""
        for item in self._cloud.inside(folder.id, until) if folder.folder else ():
            if self._tree.by_id(item.id) is None and self._tree.graft(item):
                self._show_inside(item, until)

    # --- The end ---

    def disconnect(self, lot: Lot) -> list[Lost]:
        """The machine is taken away: each pending change meets its fate, with no signal to anybody."""
        self.settle()
        lost: list[Lost] = []
        nodes = sorted(self._pending, key=lambda node: (node.path, node.id))
        folders = [node for node in nodes if node.folder and node.item is None]
        for node in nodes:
            if node not in folders:
                lost.extend(self._meet(node, lot))
        # Last, because a file that survives has its folders with it.
        lost.extend(self._meet_folder(node, lot.fate(node.path, Change.FOLDER)) for node in folders)
        self._pending.clear()
        self._over = True
        return lost

    def _meet(self, node: Node, lot: Lot) -> list[Lost]:
        path, item = node.path, node.item
        if node.gone:
            fate = lot.fate(path, Change.REMOVE)
            if fate is Fate.EMPTY and not node.emptied:
                fate = Fate.MISSING
            if fate is not Fate.MISSING:
                self._remove(node, emptied=node.emptied, removed=fate is Fate.WHOLE)
            return [Lost(path, Change.REMOVE, fate, 0 if node.item is None else node.item.size)]
        lost = []
        if item is not None and node.moved:
            fate = lot.fate(path, Change.MOVE)
            if fate is Fate.WHOLE and node.parent is not None:
                scratch, node.scratch = node.scratch, None
                self._send(node, None)
                node.scratch = scratch
            node.moved = False
            lost.append(Lost(path, Change.MOVE, fate, item.size))
        if not node.folder and (node.scratch is not None or item is None):
            lost.append(self._meet_content(node, lot))
        return lost

    def _meet_folder(self, node: Node, fate: Fate) -> Lost:
        if node.item is not None:
            return Lost(node.path, Change.FOLDER, Fate.WHOLE, 0)
        if not self._fits(node):
            fate = Fate.MISSING
        if fate is Fate.WHOLE:
            self._send(node, None)
        return Lost(node.path, Change.FOLDER, fate, 0)

    def _meet_content(self, node: Node, lot: Lot) -> Lost:
        change = Change.NEW if node.item is None else Change.UPDATE
        fate = lot.fate(node.path, change)
        if node in self._refused or not self._fits(node):  # full: nothing more gets through than did before
            fate = Fate.EMPTY if self._conditions.weather.full is Full.EMPTY else Fate.MISSING
        size = {Fate.WHOLE: node.size, Fate.TORN: lot.torn_size(node.path, node.size), Fate.EMPTY: 0}.get(fate)
        if size is None:
            return Lost(node.path, change, fate, 0 if node.item is None else node.item.size)
        # A copy, never a move: the machine may still have the file open.
        self._send(node, size)
        return Lost(node.path, change, fate, size)
