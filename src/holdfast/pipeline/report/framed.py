"""The page in a notebook cell: in a frame of its own, so that neither changes the other's look."""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path

#: A notebook keeps what its cells show, so a page of more characters than this is only named.
MOST = 1_500_000


@dataclass(frozen=True)
class Framed:
    """A page to be shown in a cell.

    Args:
        page: Its HTML.
        place: Where it lies.
    """

    page: str
    place: Path

    def __repr__(self) -> str:
        return f"report: {self.place}"

    def _repr_html_(self) -> str:
        if len(self.page) > MOST:
            return f"<p>The report is large: download <code>{html.escape(str(self.place))}</code> and open it.</p>"
        # No script runs in it, and links stay inside.
        return (
            f'<iframe sandbox title="report" srcdoc="{html.escape(self.page)}" '
            'style="width:100%;height:640px;border:1px solid #8885;border-radius:6px"></iframe>'
        )
