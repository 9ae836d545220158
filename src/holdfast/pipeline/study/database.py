"""The file of a study: its address, whatever its path looks like, and opening it."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import StageFailed

if TYPE_CHECKING:
    import optuna

#: What means something in a URL, in a URI of SQLite, or in the text that Optuna fills in; and bytes that are no UTF-8.
_ODD = re.compile("[%?#{}\ud800-\udfff]")


class OtherOptuna(StageFailed):
    """Another version of Optuna made the study. It is left as it is; running again does not help, and the text says what does."""


def database_url(path: Path) -> str:
    """The address of a SQLite file as SQLAlchemy and Optuna take it, whatever characters its path has.

    SQLAlchemy ends a path at `?`; from 2.1 on it decodes `%41`, before it does not; Optuna fills in `{...}`. So an odd path is
    given as a URI of SQLite, which decodes it itself, and encoded once more where SQLAlchemy decodes.
    """
    if not _ODD.search(str(path)):
        return f"sqlite:///{path}"
    from sqlalchemy.engine import make_url

    name = urllib.parse.quote(os.fsencode(path))
    decoded = make_url("sqlite:///%41").database == "A"
    return f"sqlite:///file:{urllib.parse.quote(name) if decoded else name}?uri=true"


@contextlib.contextmanager
def open_storage(uri: str, path: Path) -> Iterator[optuna.storages.RDBStorage]:
    """Optuna's storage in a file, and closed again.

    Raises:
        OtherOptuna: another version of Optuna made the study, in a form that this one does not read. It is left as it is.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        storage = optuna.storages.RDBStorage(uri)
    except RuntimeError as error:
        text = " ".join(str(error).split())
        if "table schema" not in text:
            raise
        maker, _, rest = text.partition("(set up by ")[2].partition(")")
        mend = f"optuna storage upgrade --storage {shlex.quote(uri)}"
        way = f"`{mend}` brings it to this one's" if "storage upgrade" in rest else "install the newer Optuna that made it"
        raise OtherOptuna(
            f"{path}: the study was made by {maker or 'another Optuna'}, and Optuna {optuna.__version__} does not read it; it "
            f"stays as it is, and every run ends here until one of them changes: {way}, or go on with the Optuna that made it"
        ) from error
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()
