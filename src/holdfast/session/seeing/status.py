"""What `keep.status()` gives: every artifact as data, and all of them at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import overload

from holdfast.session.background.waiting import Queue
from holdfast.session.finding.status import ArtifactStatus
from holdfast.session.running import Running
from holdfast.session.seeing import terminal, verdict
from holdfast.session.seeing.sight import Sight, Tone
from holdfast.store.backends.backend import Space


@dataclass(frozen=True, repr=False)
class Status(Sequence[ArtifactStatus]):
    """A sequence of artifacts that shows itself: as a table in a notebook, as text where it is printed.

    Args:
        artifacts: One for each artifact, and for each path in outputs that no artifact holds.
        root: The project folder.
        environment: What machine this is, in words.
        place: Where the store is, None where there is none.
        on_drive: The store lies below the place where Drive is mounted.
        space: Room there, None where it is not known.
        time: When this was found, Unix seconds; for people.
        queue: What waits to be sent in the background, and what went wrong with it.
        told: When what is written to the store's place arrives, and what to do to have it safe; for a person.
        running: What runs now, driven from here.
    """

    artifacts: tuple[ArtifactStatus, ...]
    root: str
    environment: str
    place: str | None
    on_drive: bool
    space: Space | None
    time: float
    queue: Queue = field(default_factory=Queue)
    told: str = ""
    running: tuple[Running, ...] = ()

    @overload
    def __getitem__(self, index: int) -> ArtifactStatus: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[ArtifactStatus, ...]: ...
    def __getitem__(self, index: int | slice) -> ArtifactStatus | tuple[ArtifactStatus, ...]:
        return self.artifacts[index]

    def __len__(self) -> int:
        return len(self.artifacts)

    @property
    def safe(self) -> bool:
        """True where nothing would be lost if this machine vanished now, as far as that is known for sure."""
        return self.sight.verdict.tone is Tone.SAFE

    @property
    def sight(self) -> Sight:
        """The same in words."""
        return verdict.see(
            self.artifacts,
            root=self.root,
            environment=self.environment,
            place=self.place,
            on_drive=self.on_drive,
            space=self.space,
            now=self.time,
            queue=self.queue,
            told=self.told,
            running=self.running,
        )

    def __repr__(self) -> str:
        return terminal.text(self.sight)

    def _repr_html_(self) -> str:
        from holdfast.session.seeing import page

        return page.html(self.sight)
