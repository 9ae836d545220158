"""The examination in order: the machine, the first knock, a scratch folder, the store, and what lies beside it."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast._version import __version__
from holdfast.errors import HoldfastError
from holdfast.platform import file_system, real_path
from holdfast.session.doctor import diagnosis
from holdfast.session.doctor.arrival import arrived
from holdfast.session.doctor.by_api import asking, examine_api, second_opinion, two_words
from holdfast.session.doctor.findings import Finding, bad, good, note
from holdfast.session.doctor.nearby import Beside, look_around, touch
from holdfast.session.doctor.patience import Answer, Patience
from holdfast.session.doctor.places import Place, knock, locate, mounts
from holdfast.session.doctor.rules import Doing
from holdfast.session.doctor.scratch import try_out
from holdfast.session.environment import Environment
from holdfast.session.keeper import Keeper
from holdfast.session.which_backend import backend_at
from holdfast.store.backends.drive import DriveBackend
from holdfast.store.backends.mounts import GDRIVE
from holdfast.store.backends.wrappers import Bounded
from holdfast.store.deciding.limits import Limits, nearly_too_many
from holdfast.store.format.names import GENERATIONS
from holdfast.store.looking.same_store import look
from holdfast.store.looking.view import View
from holdfast.store.reporting.one_line import first_error
from holdfast.store.store import Store

if TYPE_CHECKING:
    from holdfast.store.backends.api.backend import ApiBackend

#: A call that takes longer than this is a hang to doctor, whatever a transfer is allowed.
LONGEST_CALL_SECONDS = 20.0


def examine(
    keeper: Keeper,
    *,
    limit: float | None = None,
    upload_wait: float = 0.0,
    interval: float = 1.0,
    variables: Mapping[str, str] | None = None,
) -> list[Finding]:
    """Probe the project and its drive folder. Makes and removes one scratch folder there, touches nothing else.

    However dead the mount is, the report ends: no call on it is waited for longer than the limit.

    Args:
        keeper: Of the project.
        limit: Seconds after which a call counts as hanging; default 20, or `drive.timeout` where that is less.
        upload_wait: Longest time in seconds to watch the upload of one small file; 0 for not at all.
        interval: Seconds between two looks at that upload.
        variables: The environment; default that of the process.
    """
    findings = _machine(keeper, os.environ if variables is None else variables)
    if keeper.store is None:
        return [*findings, diagnosis.no_store(keeper.environment)]
    patience = Patience(min(keeper.config.timeout, LONGEST_CALL_SECONDS) if limit is None else limit)
    if keeper.store.location.startswith(GDRIVE):
        from holdfast.store.backends.api.backend import ApiBackend

        assert isinstance(keeper.store.backend, ApiBackend)
        return findings + examine_api(keeper.store.backend, patience) + _shown_by(keeper, keeper.store)
    findings += _drive(keeper, keeper.store, patience, upload_wait, interval)
    return findings + diagnosis.after_all(findings)


def _drive(keeper: Keeper, store: Store, patience: Patience, upload_wait: float, interval: float) -> list[Finding]:
    place = _place(keeper, store, patience)
    first = knock(place, patience)
    findings = diagnosis.reached(place, first)
    if findings[-1].level == "bad":
        return findings
    checked = patience.ask("checking the mount", store.backend.check)
    if not checked.came:
        return [*findings, _said("drive folder", checked, place)]
    findings += diagnosis.room(place, first.space)
    space = diagnosis.told(place, first.space)
    api, asked = second_opinion(keeper.config, place.folder, keeper.workspace.drive_api, patience) if place.on_drive else (None, [])
    findings += asked
    trial = try_out(place, patience, upload_wait=upload_wait, interval=interval, ask=asking(api))
    findings += diagnosis.tried(place, trial, space)
    full = space is not None and space.free < diagnosis.NO_ROOM
    findings += arrived(trial.watched, wanted=upload_wait > 0, on_drive=place.on_drive, full=full, told=place.sort.told)
    findings += diagnosis.durability(place, trial, keeper.config.durable)
    findings += diagnosis.memory(place, keeper.config.remembers)
    around = look_around(place, patience)
    reads = trial.read is not None and trial.read.came
    findings += _store(keeper, place, patience, around, api, reads=reads)
    return findings + diagnosis.beside(place, around)


def _machine(keeper: Keeper, variables: Mapping[str, str]) -> list[Finding]:
    tag = variables.get("COLAB_RELEASE_TAG", "")
    kind = file_system(keeper.root) or f"unknown file system on {sys.platform}"
    system = f"{platform.system()} {platform.release()}"
    findings = [
        good("holdfast", f"{__version__}, Python {platform.python_version()}, {system}"),
        good("machine", f"{keeper.environment.value}{f' ({tag})' if tag else ''}; {os.cpu_count()} CPUs"),
        good("project", f"{keeper.root}, outputs in {keeper.workspace.outputs}/ ({kind})"),
    ]
    if keeper.store is not None and keeper.environment in (Environment.COLAB_ENTERPRISE, Environment.KAGGLE):
        text = f"{keeper.environment.value} has no Google Drive: the drive folder must be something else that outlasts the machine"
        findings.append(note("drive", text))
    return findings


def _place(keeper: Keeper, store: Store, patience: Patience) -> Place:
    """Where the drive folder is, from the mount table. Following links asks no FUSE mount, but may hang on another network."""
    depth = len(keeper.config.project.split("/"))
    folder = Path(store.backend.location).parents[depth - 1]
    point = keeper.config.mount_point
    real = patience.ask("following links", lambda: (real_path(folder), real_path(point)))
    return locate(folder, keeper.config.project, point, mounts(), real.value)


def _said(topic: str, answer: Answer[object], place: Place) -> Finding:
    """The store's own errors explain themselves."""
    if answer.text:
        return bad(topic, answer.text)
    return diagnosis.trouble(topic, answer, Doing.LIST, diagnosis.setting(place))


def _store(
    keeper: Keeper, place: Place, patience: Patience, around: Beside, api: ApiBackend | None, *, reads: bool
) -> list[Finding]:
    own = touch(place, patience)
    listed = around.listing.came and place.store.name in around.names
    findings = diagnosis.touched(place, own, reads=reads, store_folder_listed=listed)
    if findings and findings[0].topic == "store":
        return findings
    # As the keeper's own, with the doctor's limit, and without retries: what hiccups shall be seen.
    plain = backend_at(place.folder, place.project, place.sort, mount_point=place.expected)
    store = Store(Bounded(plain, patience.seconds), expected_id=keeper.config.store_id, parallel=keeper.config.parallel)
    try:
        view = look(store, keeper.workspace)  # many calls, each with the limit
    except HoldfastError as error:
        return [*findings, bad("store", first_error(error) if isinstance(error, OSError) else str(error))]
    both = two_words(api, plain, view.names, patience) if api is not None and isinstance(plain, DriveBackend) else []
    assert keeper.store is not None
    full = nearly_full(view, keeper.store.limits) if place.on_drive else []
    return [*findings, _seen(view, str(place.store)), *full, *both]


def _shown_by(keeper: Keeper, store: Store) -> list[Finding]:
    """The store, as it is reached by Drive's API, whose calls have limits of their own."""
    try:
        view = look(store, keeper.workspace)
        return [_seen(view, store.location), *nearly_full(view, store.limits)]
    except HoldfastError as error:
        return [bad("store", first_error(error) if isinstance(error, OSError) else str(error))]


def nearly_full(view: View, limits: Limits) -> list[Finding]:
    """Whether the one folder that holds every manifest has nearly as many names as Drive takes. Pure."""
    names = len(view.names) + len(view.strays)
    if not nearly_too_many(limits, names):
        return []
    text = f"{GENERATIONS}/ holds {names:,} names, and Drive takes {limits.items:,} in one folder"
    if names >= limits.items:
        return [bad("store", f"{text}: no backup fits any more; run `holdfast prune`, then empty Drive's trash, which may count")]
    return [note("store", f"{text}: run `holdfast prune`, which removes what newer backups make needless")]


def _seen(view: View, place: str) -> Finding:
    if view.sentinel_problem is not None:
        return note("store", f"{view.sentinel_problem}; the next backup writes it again (store_id: {view.store_id})")
    if view.store_id is None:
        return note("store", f"{view.presence.value}; the first backup makes one at {place}")
    return good("store", f"store_id {view.store_id}, {len(view.names)} generation(s) of {len(view.codes())} artifact(s)")
