"""Keeping what libraries print of themselves off the terminal, and showing it where they fail."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

#: Whose loggers speak while models are loaded, exported and quantised. The root logger stands for bare `logging.warning`.
_SPEAKERS = ("torch", "transformers", "onnx", "onnx_ir", "onnxruntime", "onnxscript")

#: Lines of a library that a failure shows.
_SHOWN = 20


class _Collect(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(f"{record.name}: {record.getMessage()}")


@contextmanager
def quiet() -> Iterator[list[str]]:
    """Hold back warnings and log lines of the libraries named above; what other loggers say goes on.

    A library that is imported within sets its loggers up anew: import in one block, work in the next.

    Yields:
        The lines held back, growing. An error that leaves the block carries the last of them as a note, which a traceback
        shows.
    """
    lines: list[str] = []
    collect = _Collect(lines)
    loggers = [
        logging.getLogger(name)
        for name in sorted(logging.root.manager.loggerDict)
        if name.partition(".")[0] in _SPEAKERS and "." in name
    ] + [logging.getLogger(name) for name in _SPEAKERS]
    before = [(logger, logger.handlers, logger.propagate) for logger in loggers]

    def of_root(record: logging.LogRecord) -> bool:
        """A filter of a logger sees only what is logged on it directly: here, what libraries say by `logging.warning`."""
        collect.handle(record)
        return False

    stand_in = logging.NullHandler()  # with no handler at all, a bare `logging.warning` would install one for good
    for logger in loggers:
        top = "." not in logger.name
        logger.handlers, logger.propagate = ([collect] if top else []), not top
    logging.root.addFilter(of_root)
    logging.root.addHandler(stand_in)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                yield lines
            except Exception as error:
                held = lines + [f"{w.category.__name__}: {w.message}" for w in caught]
                if held:
                    error.add_note("What the library said before:\n" + "\n".join(held[-_SHOWN:]))
                raise
    finally:
        logging.root.removeHandler(stand_in)
        logging.root.removeFilter(of_root)
        for logger, handlers, propagate in before:
            if logger.handlers in ([], [collect]):  # else an import has set it up
                logger.handlers = handlers
            logger.propagate = propagate
