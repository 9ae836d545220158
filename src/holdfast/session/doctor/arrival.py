"""What the watched upload of one file means. Pure."""

from __future__ import annotations

from holdfast.session.doctor.findings import Finding, bad, good, note
from holdfast.session.doctor.rules import EMPTY_TRASH
from holdfast.session.doctor.upload import Sample, Watched, has_value

#: Said to be uploaded sooner than this, a file was probably not asked about: Google was never seen to take one so quickly.
_TOO_QUICK_SECONDS = 0.2


def arrived(watched: Watched | None, *, wanted: bool, on_drive: bool, full: bool, told: str = "") -> list[Finding]:
    """What became of the file whose upload was watched.

    Args:
        watched: What was seen; None where nothing could be.
        wanted: Whether anybody asked for it.
        on_drive: Whether this is a Drive mount.
        full: Whether no room is left.
        told: When what is written elsewhere than on Drive arrives, and what to do.
    """
    if not wanted:
        return []
    if not on_drive:
        return [
            note("upload", f"not watched: this is not a Drive mount, and no other tells of uploads{f'; {told}' if told else ''}")
        ]
    if watched is None:
        return [note("upload", "not watched: no file could be written")]
    seen = [note("upload seen", _line(s, watched.md5)) for s in watched.samples]
    return [*seen, _verdict(watched, full=full), *_by_drive(watched)]


def _by_drive(watched: Watched) -> list[Finding]:
    """What Drive itself said, beside what the mount said: how true its attributes are."""
    if not any(s.drive for s in watched.samples):
        return []
    own = next((s.seconds for s in watched.samples if s.arrived), None)
    told = next((s.seconds for s in watched.samples if s.uploaded), None)
    if own is None:
        if told is not None:
            return [
                bad(
                    "two words",
                    f"the mount called it uploaded after {told:.1f} s, and Drive itself had not: {watched.samples[-1].drive}",
                )
            ]
        return [note("two words", f"neither the mount nor Drive itself had it after {watched.seconds:.0f} s")]
    if told is None:
        return [
            good(
                "two words",
                f"Drive itself had it after {own:.1f} s, and the mount never said so: Drive's word is the one that counts",
            )
        ]
    if told < own:
        return [
            note(
                "two words",
                f"the mount called it uploaded after {told:.1f} s, and Drive itself had it after {own:.1f} s: too early",
            )
        ]
    return [good("two words", f"Drive itself had it after {own:.1f} s, and the mount said so after {told:.1f} s")]


def _line(sample: Sample, md5: str) -> str:
    """One look, as a line to paste. An id of the cloud is cut: it names a file of somebody's account."""
    identity = f"{sample.id[:4]}..." if sample.in_cloud else sample.id
    sum_ = sample.md5 if not has_value(sample.md5) else f"{sample.md5} ({'the real one' if sample.md5 == md5 else f'really {md5}'})"
    own = f"; Drive itself: {sample.drive}" if sample.drive else ""
    return f"{sample.seconds:.1f} s: id {identity}, uncommitted {sample.uncommitted}, md5 {sum_}{own}"


def _verdict(watched: Watched, *, full: bool) -> Finding:
    first, last = watched.samples[0], watched.samples[-1]
    wrong_sum = has_value(last.md5) and last.md5 != watched.md5
    if wrong_sum and (last.in_cloud or last.uploaded):
        return bad("upload", f"the cloud holds other bytes than were written (empty copies were seen, ct#2607){_full(full=full)}")
    if last.uploaded:
        at = next(s.seconds for s in watched.samples if s.uploaded)
        if first.uploaded and at < _TOO_QUICK_SECONDS:
            return note(
                "upload",
                "said to be uploaded at the first look: quicker than was ever seen, so these attributes may not tell the truth",
            )
        sum_ = "the checksum is right" if has_value(last.md5) else "no checksum came"
        return good("upload", f"said to be uploaded after {at:.1f} s; {sum_}")
    if all(s.silent for s in watched.samples):
        return note("upload", f"no attribute answered in {watched.seconds:.0f} s: this mount does not tell what is uploaded")
    if last.in_cloud:
        return bad(
            "upload",
            f"after {watched.seconds:.0f} s it has an id of the cloud, and is not uploaded: the cloud may hold an empty file "
            f"(ct#2607){_full(full=full)}",
        )
    if full:
        return bad("upload", f"not uploaded after {watched.seconds:.0f} s{_full(full=full)}")
    return note(
        "upload",
        f"not said to be uploaded after {watched.seconds:.0f} s: watch for longer (--upload 1800); if it never is, "
        "DriveFS has stopped uploading, so mount again",
    )


def _full(*, full: bool) -> str:
    return f"; Drive is full: {EMPTY_TRASH}" if full else ""
