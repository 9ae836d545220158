"""From what was seen to what it means. Pure: nothing here touches a disk, so every weather can be tested as data."""

from __future__ import annotations

from holdfast.session.doctor.findings import Finding, bad, good, note
from holdfast.session.doctor.nearby import Beside, Own
from holdfast.session.doctor.patience import Answer, State
from holdfast.session.doctor.places import ACCOUNT_FOLDERS, Knock, Place, shown
from holdfast.session.doctor.rules import COLD_READ, EMPTY_TRASH, REMOUNT_COSTS, RULES, STORE_LISTING, Doing, Rule, Setting, explain
from holdfast.session.doctor.scratch import IN_PLACE, Ability, Trial
from holdfast.session.environment import Environment
from holdfast.store.backends.backend import Space
from holdfast.store.backends.mounts import Kept, contradiction, told_space
from holdfast.store.format.names import SENTINEL
from holdfast.store.reporting.amounts import duration, size

#: Below this nothing that is worth keeping fits.
NO_ROOM = 1 << 20
_SMALL_FREE = 1 << 30
#: What a listing that lies means, and what to do about it.
_STALE = (
    "listings are stale or incomplete, so the newest backups may not be found; wait some minutes and run doctor again; if it "
    "stays, mount Drive again once everything is uploaded"
)
_NO_DRIVE = (Environment.COLAB_ENTERPRISE, Environment.KAGGLE)


def no_store(environment: Environment) -> Finding:
    """There is no drive folder."""
    where = f"{environment.value} has no Google Drive, so nothing is backed up" if environment in _NO_DRIVE else ""
    return note(
        "store", f"{where or 'no drive folder is given, so nothing is backed up'}: give one by --drive DIR or HOLDFAST_DRIVE"
    )


def setting(place: Place, space: Space | None = None) -> Setting:
    """What the meaning of errors depends on here."""
    point = None if place.point is None else shown(place.point)
    has_room = space is not None and space.free >= NO_ROOM
    return Setting(place.on_drive, point, amount(space) if has_room and space else "")


def amount(space: Space) -> str:
    """Free space in words."""
    return f"{size(space.free)} of {size(space.total)} are free"


def trouble(topic: str, answer: Answer[object], doing: Doing, where: Setting, rules: tuple[Rule, ...] = RULES) -> Finding:
    """A call that did not come back well; one that was not even tried is no news."""
    return Finding(topic, "note" if answer.state is State.UNTRIED else "bad", explain(answer, doing, where, rules))


# -- reaching the folder -------------------------------------------------------------------------------------------------


def reached(place: Place, found: Knock) -> list[Finding]:
    """The drive folder and its mount. With a bad finding there is nothing to try out."""
    if place.unmounted:
        kind = f"an ordinary folder on {place.kind}" if place.kind else "an ordinary folder"
        return [
            bad(
                "drive folder",
                f"Drive is not mounted: {shown(place.expected or place.folder)} is {kind}, and what is written there vanishes with "
                f"the machine; in a notebook cell run: from google.colab import drive; drive.mount('{place.expected}')",
            )
        ]
    if not found.folder.came:
        return [bad("drive folder", _unreached(place, found))]
    if not found.folder.got():
        return [bad("drive folder", f"{shown(place.folder)} is not a folder; give another by --drive DIR")]
    findings = [good("drive folder", f"{shown(place.folder)} ({place.kind or 'unknown file system'})")]
    if place.point is not None:
        findings.append(good("mount", f"{shown(place.point)} {place.kind} {place.options}"))
    return findings


def _unreached(place: Place, found: Knock) -> str:
    where = setting(place)
    if place.on_drive and found.folder.error == "ENOENT" and _is_only_missing(place, found):
        return f"{shown(place.folder)} is not on this Drive, whose mount answers; make it, or give another by --drive DIR"
    return explain(found.folder, Doing.REACH, where)


def _is_only_missing(place: Place, found: Knock) -> bool:
    """Whether everything else answers as on a healthy mount, so that the folder really is not there.

    A dead mount denies its own mountpoint, or My Drive, or a name that it lists: none of that can be on a healthy one.
    """
    if found.point is None or not found.point.came or found.listed is None or not found.listed.came:
        return False
    own = place.point is not None and place.folder in [place.point / name for name in ACCOUNT_FOLDERS]
    return not own and not found.listed.got()


def told(place: Place, answer: Answer[Space] | None) -> Space | None:
    """Free space, as far as it is known: None where it could not be asked for, or the mount makes it up."""
    if answer is None or answer.value is None:
        return None
    return told_space(place.sort, answer.value.total, answer.value.free)


def room(place: Place, answer: Answer[Space] | None) -> list[Finding]:
    """Quota and free space."""
    if answer is None:
        return []
    if not answer.came:
        return [trouble("free space", answer, Doing.STAT, setting(place))]
    space = answer.got()
    if told(place, answer) is None:
        return [
            note(
                "free space",
                f"not known: {place.sort.name} makes it up ({amount(space)}); a full one shows only when something is written",
            )
        ]
    text = f"{amount(space)}{' (the quota of the account)' if place.on_drive else ''}"
    if space.free < NO_ROOM:
        if place.on_drive:
            return [bad("free space", f"{text}: Drive is full, and what is written now is never uploaded (ct#5325); {EMPTY_TRASH}")]
        return [bad("free space", f"{text}: no room is left; free space")]
    return [note("free space", text) if space.free < _SMALL_FREE else good("free space", text)]


# -- the scratch folder --------------------------------------------------------------------------------------------------


def tried(place: Place, trial: Trial, space: Space | None) -> list[Finding]:
    """Writing, asking, reading, attributes, abilities, listing, and what is left."""
    where = setting(place, space)
    findings = []
    steps = (
        ("writing", trial.mkdir, Doing.WRITE),
        ("writing", trial.create, Doing.WRITE),
        ("asking by name", trial.stat, Doing.STAT),
        ("reading", trial.read, Doing.READ),
        ("listing", trial.listing, Doing.LIST_NEW),
    )
    timed = {"create": trial.create, "stat": trial.stat, "read": trial.read, "list": trial.listing}
    times = [f"{name} {_seconds(name, a) * 1000:.2f} ms" for name, a in timed.items() if a is not None and a.came]
    if times:
        findings.append(good("latency", f"{', '.join(times)} (4 KiB, mean of 5; a file that is new, so no cold read)"))
    for topic, answer, doing in steps:
        if answer is not None and not answer.came:
            findings.append(trouble(topic, answer, doing, where))
    if not trial.same:
        findings.append(
            bad("reading", "a file that was just written reads back different: do not use this drive; restart the runtime")
        )
    if trial.listing is not None and trial.listing.came:
        findings += _listed(trial, trial.listing.got(), place)
    if trial.attributes:
        findings += upload_state(place, trial)
    findings += [_ability(a, where) for a in trial.abilities if a.answer.state is not State.UNTRIED]
    if trial.left:
        trash = " in a browser, and empty the trash" if place.on_drive else ""
        findings.append(bad("left behind", f"{trial.left}; delete it{trash} once the drive works again"))
    return findings


def _seconds(name: str, answer: Answer[float] | Answer[tuple[str, ...]]) -> float:
    value = answer.value
    return value if isinstance(value, float) else answer.seconds


def _listed(trial: Trial, missing: tuple[str, ...], place: Place) -> list[Finding]:
    if not missing:
        return []
    by_name = ", though asking for each by its name finds it" if trial.stat is not None and trial.stat.came else ""
    seen = f"the listing of a new folder lacks {len(missing)} of the 5 files that were just made in it{by_name}"
    if not place.on_drive:
        return [bad("listing", f"{seen}: use another drive")]
    return [bad("listing", f"{seen}: {_STALE}")]


def upload_state(place: Place, trial: Trial) -> list[Finding]:
    """What the attributes of a file that was made a moment ago say, and whether that can be true."""
    shown_values = ", ".join(f"{name} {_attribute(name, answer)}" for name, answer in trial.attributes)
    answers = dict(trial.attributes)
    # Elsewhere than on Drive an error says no more than that there is no such thing: EIO is rclone's word for it.
    broken = [a for a in answers.values() if a.hung or a.error == "ENOTCONN" or (place.on_drive and a.error == "EIO")]
    if broken:
        return [trouble("upload state", broken[0], Doing.STAT, setting(place))]
    if not place.on_drive:
        return [good("upload state", f"not a Drive mount, so none is expected ({shown_values})")]
    identity, pending = answers["id"], answers["uncommitted"]
    if not identity.came or not pending.came:
        return [
            note(
                "upload state",
                f"this mount does not tell what is uploaded ({shown_values}): backups stay UNKNOWN; only a fresh mount shows "
                "that they arrived",
            )
        ]
    age = f"{trial.age:.1f} s after it was made"
    local, waits = identity.got().lower().startswith(b"local-"), pending.got().lower() in (b"1", b"true")
    if waits:
        how = "" if local else ", although with an id of the cloud"
        return [good("upload state", f"told by attributes: {age} a file is not uploaded yet{how} ({shown_values})")]
    if local:
        return [
            note(
                "upload state", f"contradicts itself: a local id, and nothing to upload ({shown_values}); it counts as not uploaded"
            )
        ]
    return [
        note(
            "upload state",
            f"{age} a file is said to be uploaded ({shown_values}): quicker than Drive was ever seen, so these attributes "
            "may not tell the truth; before you trust CONFIRMED, look for a backup in a browser or on a fresh mount",
        )
    ]


def _attribute(name: str, answer: Answer[bytes]) -> str:
    if not answer.came:
        return f"({answer.error or answer.state.value})"
    text = answer.got().decode("utf-8", "backslashreplace")
    return text if name != "id" or text.startswith("local-") else f"{text[:4]}..."


def _ability(ability: Ability, where: Setting) -> Finding:
    """None is needed but the exclusive create: Holdfast asks for create, read, list, stat and remove only."""
    answer = ability.answer
    if answer.hung or answer.error == "ENOTCONN":
        return trouble(ability.topic, answer, Doing.WRITE, where)
    if answer.came and ability.topic == "exclusive create" and not answer.got():
        return bad(ability.topic, "a name that is taken was not refused: another session could overwrite; use another drive")
    if answer.came:
        return good(ability.topic, answer.got())
    return note(ability.topic, f"no ({answer.error or answer.state.value}); not needed")


def durability(place: Place, trial: Trial, durable: str | None) -> list[Finding]:
    """Whether what is written becomes safe, and what to do where nothing does.

    Args:
        place: Where.
        trial: What came back there.
        durable: What the user says (`drive.durable`).
    """
    kind = place.sort
    if place.on_drive or not trial.create or not trial.create.came:  # Drive tells by its attributes
        return []
    without_cache = any(a.topic == IN_PLACE and a.answer.error == "EPERM" for a in trial.abilities)
    if kind.kept is Kept.HERE:
        return [good("durability", "what is written here counts as CONFIRMED")]
    if text := contradiction(kind, durable):
        return [bad("durability", text)]
    if durable is not None and kind.kept is Kept.ON_CLOSE and not without_cache:
        return [
            bad(
                "durability",
                f"drive.durable says {durable}, and this mount has a cache, so a file arrives some seconds after it is closed: "
                "mount it by --vfs-cache-mode off, or take the setting out",
            )
        ]
    if durable is not None:
        return [
            good("durability", f"what is written here counts as CONFIRMED, by drive.durable: {durable}; {durable} came back here")
        ]
    if kind.kept is Kept.ON_CLOSE and without_cache:
        text = f"{kind.name} without a cache has sent a file once it is closed: say drive.durable: close in config/paths.yaml"
    else:
        text = f"fsync came back here; {kind.told}" if kind.kept in (Kept.PASSED_ON, Kept.UNTOLD) else kind.told
    return [note("durability", f"what is written here counts as UNKNOWN, so nothing becomes safe: {text}")]


def memory(place: Place, remembers: float | None) -> list[Finding]:
    """How old what a listing shows may be."""
    seconds = place.sort.remembers if remembers is None else remembers
    if place.on_drive or seconds <= 0:
        return []
    quick = f"mounted by {place.sort.quick}, and " if place.sort.quick else ""
    return [
        note(
            "memory",
            f"{place.sort.name} may show listings as they were up to {duration(seconds)} ago: what is not found is looked for "
            f"again before it is called absent ({quick}with drive.remembers set in config/paths.yaml, that is shorter)",
        )
    ]


# -- the store and what lies beside it -----------------------------------------------------------------------------------


def touched(place: Place, own: Own, *, reads: bool, store_folder_listed: bool) -> list[Finding]:
    """Trouble with the store's own files that a look at the store would not tell apart. Empty where there is none.

    Args:
        place: Where the store is.
        own: What came back.
        reads: Whether a new file could be read.
        store_folder_listed: Whether the folder above shows the store folder.
    """
    where = setting(place)
    doings = (Doing.READ, Doing.LIST, Doing.LIST)
    findings = []
    for answer, doing in zip(own.answers, doings, strict=True):
        if answer.hung or answer.state is State.UNTRIED or answer.error in ("EIO", "ENOTCONN"):
            special = (STORE_LISTING,) if doing is Doing.LIST else (COLD_READ,) if reads else ()
            findings.append(trouble("store", answer, doing, where, (*special, *RULES)))
    if findings:
        return findings
    listed = own.listed.came and own.listed.got()
    if place.on_drive and own.sentinel.error == "ENOENT" and listed:
        return [trouble("store", own.sentinel, Doing.STAT, where)]
    if place.on_drive and own.listed.error == "ENOENT" and store_folder_listed:
        return [trouble("store", own.listed, Doing.STAT, where)]
    if own.sentinel.came and own.sentinel.got() and own.listed.came and not listed:
        findings.append(
            bad(
                "store listing",
                f"{SENTINEL} can be read by its name, and the listing of the store folder does not show it: {_STALE}",
            )
        )
    return findings


def beside(place: Place, found: Beside) -> list[Finding]:
    """Twins of the store folder, and other stores."""
    if not found.listing.came:
        return [trouble("stores near by", found.listing, Doing.LIST, setting(place))]
    findings = []
    for twin in found.twins:
        text = f"{twin.name!r} lies beside {place.store.name!r}: Drive has two folders of one name (ct#6106), Holdfast uses one"
        do = "open both in a browser, and rename the one that you do not want"
        if twin.is_store:
            findings.append(bad("twin", f"{text}; the other is a store too, so backups of another session may be in it; {do}"))
        else:
            findings.append(note("twin", f"{text}; {do}"))
    stores = ", ".join(
        f"{s.name} (store_id {s.store_id})" if s.store_id else f"{s.name} (its {SENTINEL} cannot be read)" for s in found.stores
    )
    total = found.listing.got()
    rest = f" (looked into {found.looked} of {total} folders)" if found.looked < total else ""
    if stores:
        findings.append(note("stores near by", f"{stores}: set drive.backup_base_dir to use one{rest}"))
    else:
        findings.append(good("stores near by", f"none{rest}"))
    return findings


def after_all(findings: list[Finding]) -> list[Finding]:
    """What is to be said once, below everything else."""
    if any("force_remount" in f.text for f in findings):
        return [note("before you remount", REMOUNT_COSTS)]
    return []
