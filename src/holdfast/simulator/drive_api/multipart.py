"""The body of a `multipart` upload: what is said of a file, then its bytes."""

from __future__ import annotations

from email.message import Message

from holdfast.simulator.drive_api.refusals import Refused


def header(value: str) -> Message:
    """A `Content-Type` to ask for its type and parameters."""
    message = Message()
    message["Content-Type"] = value
    return message


def parts(content_type: str, body: bytes) -> tuple[bytes, str, bytes]:
    """The metadata, the content's type and the content.

    Lines end as the first boundary's own line does: a client that ends them in a bare LF, as Google's own does, may have a
    content that ends in CR.

    Raises:
        Refused: 400 where it is no such body.
    """
    boundary = header(content_type).get_param("boundary")
    if not isinstance(boundary, str):
        raise _wrong()
    mark = b"--" + boundary.encode()
    at = body.find(mark)
    if at < 0:
        raise _wrong()
    end = b"\r\n" if body.startswith(b"\r\n", at + len(mark)) else b"\n"
    found = []
    for section in (end + body[at:]).split(end + mark)[1:]:
        if section.startswith(b"--"):
            break
        head, _, content = section.removeprefix(end).partition(end + end)
        found.append((_type(head), content))
    if len(found) != 2:
        raise _wrong()
    return found[0][1], found[1][0], found[1][1]


def _type(head: bytes) -> str:
    for line in head.decode("latin-1").splitlines():
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-type":
            return value.strip()
    return "application/octet-stream"


def _wrong() -> Refused:
    return Refused(400, "badContent", "Malformed multipart body.")
