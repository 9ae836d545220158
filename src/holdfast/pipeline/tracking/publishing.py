"""The trackers' libraries in a process of their own, from the side of the training.

They start threads and services, read their settings when they are imported, and may hang on a network. There they cost the training
nothing but waiting, and what they have written is at rest before it is backed up.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

from holdfast.errors import ConfigurationError
from holdfast.pipeline.layout import JOURNAL
from holdfast.pipeline.tracking.journal import read_journal
from holdfast.platform import end_session
from holdfast.session.files import write_json
from holdfast.spread.environment import places_of_modules

#: So long trackers may take for a turn.
PATIENCE = 180.0
#: Beside the stores: for each tracker the runs of trainings that are over, with their rows, so that nobody has to look.
_PUBLISHED = "published.json"

#: Set unless the user has: nothing is said to anybody.
_QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"}
_QUIET |= {"HF_HUB_DISABLE_TELEMETRY": "1", "GRADIO_ANALYTICS_ENABLED": "False"}


def need_trackers(names: Collection[str]) -> None:
    """Say now, not after minutes of work, that a tracker is missing.

    Raises:
        ConfigurationError: it is.
    """
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise ConfigurationError(f"training.report_to: {name} is not installed; pip install 'holdfast[{name}]'")


class Publisher:
    """Brings the runs of trackers up to journals. A context; nothing is started before there is a journal.

    That a tracker fails is said once, and harms no training: the journal stays, and the next turn brings what is missing.

    Args:
        trackers: Their names; without any it does nothing.
        store: The folder of their stores.
        warn: Takes one line that a person should not miss.
        environment: What their libraries are to find there.
    """

    def __init__(
        self,
        trackers: Sequence[str] = (),
        store: Path = Path(),
        warn: Callable[[str], None] = lambda _: None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._trackers = tuple(trackers)
        self._store = store.absolute()
        self._warn = warn
        self._environment = environment or {}
        self._process: subprocess.Popen[bytes] | None = None
        self._line: Connection[Any, Any] | None = None
        self._said: set[str] = set()
        self._hangs = False

    def __enter__(self) -> Publisher:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let the process end by itself, which it does when the line ends."""
        line, process, self._line = self._line, self._process, None
        if line is not None and process is not None:
            line.close()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._end()
        self._process = None

    def publish(self, place: Path) -> None:
        """Bring the runs of a training up to its journal.

        Args:
            place: Its file, in the folder of the training.
        """
        journal = read_journal(place)
        if not self._trackers or journal is None or (self._hangs and not journal.ended):  # who hangs is asked once more at the end
            return
        failed = self._answer(str(place.absolute()))
        for name, why in failed.items():
            line = f"{name}: {why}; what was logged is in {JOURNAL} of the training, and {name} is given it once it works"
            if line not in self._said:
                self._said.add(line)
                self._warn(line)
        if journal.ended:
            known = self._published()
            for name in {*self._trackers} - {*failed}:
                known.setdefault(name, {})[journal.run.key] = len(journal.rows)
            write_json(self._store / _PUBLISHED, known)

    def publish_the_rest(self, folder: Path) -> None:
        """Publish what a tracker was not given when it came: it failed, it is new, or its store was lost.

        Args:
            folder: Of a training that is over, or of several.
        """
        known = self._published()
        for place in sorted(folder.rglob(JOURNAL)) if self._trackers else ():
            if self._is_left(place, known):
                self.publish(place)

    def _is_left(self, place: Path, known: Mapping[str, Mapping[str, int]]) -> bool:
        journal = read_journal(place)
        if journal is None or not journal.ended:
            return False
        return any(known.get(name, {}).get(journal.run.key) != len(journal.rows) for name in self._trackers)

    def _published(self) -> dict[str, dict[str, int]]:
        try:
            return {name: dict(runs) for name, runs in json.loads((self._store / _PUBLISHED).read_bytes()).items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def _answer(self, place: str) -> dict[str, str]:
        try:
            line = self._started()
            line.send(place)
            if line.poll(PATIENCE):
                return dict(line.recv())
            why, self._hangs = f"has not answered for {PATIENCE:.0f} s", True
        except (EOFError, OSError) as error:
            why = f"its process ended ({str(error) or type(error).__name__})"
        self._end()
        return dict.fromkeys(self._trackers, why)

    def _started(self) -> Connection[Any, Any]:
        if self._line is not None:
            return self._line
        self._store.mkdir(parents=True, exist_ok=True)
        ours, theirs = Pipe()
        given = {**_QUIET, **os.environ, **self._environment}
        given["TRACKIO_DIR"] = os.path.abspath(os.environ.get("TRACKIO_DIR") or self._store / "trackio")
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - this very interpreter
                [
                    sys.executable,
                    "-m",
                    "holdfast.pipeline.tracking.writing",
                    str(theirs.fileno()),
                    str(self._store),
                    *self._trackers,
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env={**given, "PYTHONPATH": os.pathsep.join(places_of_modules())},
                cwd=os.getcwd() if "MLFLOW_TRACKING_URI" in given else self._store,  # MLflow makes a folder where it stands
                start_new_session=True,  # Ctrl-C is for the training
            )
        self._line = ours
        return ours

    def _end(self) -> None:
        if self._line is not None:
            self._line.close()
        if self._process is not None:
            end_session(self._process.pid)  # with the services that it has started
            self._process.wait()
        self._line = self._process = None
