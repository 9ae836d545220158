"""How much one request may bring, and how much may wait."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What the server takes. Beyond it a request is refused at once, so that memory does not grow with what comes.

    Args:
        size: Bytes of a request's body.
        texts: Texts of a request.
        waiting: Texts that wait for the model, of all requests together.
        body_seconds: Until a body has come as a whole.
        seconds: Until there is an answer, from then on.
        connections: Open at a time.
    """

    size: int = 200_000
    texts: int = 64
    waiting: int = 64
    body_seconds: float = 20.0
    seconds: float = 60.0
    connections: int = 800
