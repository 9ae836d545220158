"""What a report is about, as plain data: gathered in one place, and drawn in another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.flow.life import Session
from holdfast.pipeline.data.documents import Document
from holdfast.pipeline.report.mistakes import Mistakes
from holdfast.session.seeing.sight import Line


@dataclass(frozen=True)
class Trial:
    """One trial of a study.

    Args:
        number: Its number.
        state: As Optuna calls it: `COMPLETE`, `PRUNED`, `FAIL`, `RUNNING`, `WAITING`.
        value: The score; None where it has none.
        params: What the search chose.
        reports: Epoch and score, in order; with folds the number of each and the mean so far.
        seconds: Of work.
        failed: Why it failed, if it did.
        folds: The score of each fold that is done; empty where there are none.
        deviation: The standard deviation of these.
    """

    number: int
    state: str
    value: float | None
    params: Mapping[str, Any]
    reports: tuple[tuple[int, float], ...] = ()
    seconds: float = 0.0
    failed: str = ""
    folds: tuple[float, ...] = ()
    deviation: float = 0.0


@dataclass(frozen=True)
class Study:
    """The study of one backbone.

    Args:
        backbone: Its name.
        objective: What is scored.
        asked: So many trials were asked for.
        trials: Those that there are.
        importances: How much each parameter decides, from 0 to 1 together; empty where that cannot be told.
        untold: Why it cannot.
        by_magnitude: Parameters that were drawn on a logarithmic scale.
        folds: So many trainings make a trial; 0 where it is one, scored on validation.
    """

    backbone: str
    objective: str
    asked: int
    trials: tuple[Trial, ...]
    importances: Mapping[str, float] = field(default_factory=dict)
    untold: str = ""
    by_magnitude: frozenset[str] = frozenset()
    folds: int = 0

    @property
    def complete(self) -> list[Trial]:
        """Trials with a score, by number."""
        return [t for t in self.trials if t.state == "COMPLETE" and t.value is not None]

    @property
    def best(self) -> Trial | None:
        """The highest score; of equal ones the earliest."""
        return min(self.complete, key=lambda t: (-(t.value or 0.0), t.number), default=None)


@dataclass(frozen=True)
class Speed:
    """How fast the best trial of a study is.

    Args:
        backbone: Name of the study.
        trial: Its number.
        value: Its score.
        device: Where it was measured.
        node_type: What type of machine that is.
        rows: One for each batch size, as the benchmark has them.
    """

    backbone: str
    trial: int
    value: float
    device: str
    node_type: str
    rows: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Life:
    """The sessions that worked on a stage, and in what it counts."""

    stage: str
    unit: str
    sessions: tuple[Session, ...]


@dataclass(frozen=True)
class Safety:
    """What is safe where.

    Args:
        title: In one line; or why it cannot be told.
        place: Where the store is; empty where there is none.
        heads: The titles of the columns.
        lines: One for each artifact.
    """

    title: str
    place: str = ""
    heads: tuple[str, ...] = ()
    lines: tuple[Line, ...] = ()


@dataclass(frozen=True)
class Facts:
    """All that a report shows. What is not there yet is empty.

    Args:
        name: Of the experiment.
        made: When this was gathered, Unix seconds.
        stages: Each with the word for how far it is.
        over: Every stage but the report is done.
        documents: How many each split has.
        labels: The entity types.
        notes: What was noteworthy in the data; leaks between splits among it.
        floor: F1 of a dictionary of the training entities on test.
        environment: Machine and versions that the model was made with.
        studies: One for each backbone.
        selection: The record of the choice.
        scores: By split, what `scores.score` gives, with intervals where there are any.
        learning: A row for each epoch of the final training.
        objective: The score that decides.
        mistakes: On the test documents; None where they cannot be told.
        test: The test documents.
        conversion: What the conversion found.
        speeds: Of the best trial of each study.
        lives: Of the stages that save their progress.
        safety: See there.
    """

    name: str
    made: float
    stages: tuple[tuple[str, str], ...] = ()
    over: bool = False
    documents: Mapping[str, int] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    floor: float | None = None
    environment: Mapping[str, Any] = field(default_factory=dict)
    studies: tuple[Study, ...] = ()
    selection: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    learning: tuple[Mapping[str, float], ...] = ()
    objective: str = ""
    mistakes: Mistakes | None = None
    test: Sequence[Document] = ()
    conversion: Mapping[str, Any] = field(default_factory=dict)
    speeds: tuple[Speed, ...] = ()
    lives: tuple[Life, ...] = ()
    safety: Safety | None = None
