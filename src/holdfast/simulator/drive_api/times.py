"""Times as the API writes them: RFC 3339, to the millisecond."""

from __future__ import annotations

from datetime import UTC, datetime

from holdfast.simulator.drive_api.refusals import invalid


def write_time(seconds: float) -> str:
    """A time in seconds since 1970, as the API writes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """Read a time; without a zone it is UTC.

    Raises:
        Refused: 400 where it is none.
    """
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise invalid("time", f"Invalid time {text!r}") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def read_time(text: str) -> float:
    """The same as seconds since 1970."""
    return parse_time(text).timestamp()
