"""A `Sight` in a terminal, by the library rich, and as plain text where nobody sees colours."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from holdfast.session.seeing.sight import QUIET, Line, Sight, Tone

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

#: Colours that a terminal has in a light and in a dark scheme alike, used with a word and a symbol that say the same.
_STYLES = {
    Tone.PLAIN: "",
    Tone.SAFE: "green",
    Tone.ATTENTION: "yellow",
    Tone.UNTOLD: "magenta",
    Tone.UPLOADING: "cyan",
    Tone.BAD: "bold red",
}
#: A terminal of fewer columns has no room for a table.
WIDE = 100


def text(sight: Sight, *, encoding: str = "utf-8") -> str:
    """The whole of it as plain lines, each cell under its title.

    Args:
        sight: What is to be shown.
        encoding: Of the output; where it lacks the symbols, plain ones stand in.
    """
    verdict = sight.verdict
    lines = [f"{_symbol(verdict.tone, encoding)} {verdict.title}: {verdict.text}"]
    width = max((len(f.name) for f in sight.facts), default=0)
    lines += [f"{f.name:{width}}  {f.text}" for f in sight.facts]
    if sight.lines:
        table = [sight.heads, *(_cells(line, encoding) for line in sight.lines)]
        widths = [max(len(row[i]) for row in table) for i in range(len(sight.heads))]
        lines += ["", *("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in table)]
    lines += [sight.folded] if sight.folded else []
    lines += ["", "what to do next", *(f"  {a}" for a in sight.advice)] if sight.advice else []
    return "\n".join(lines)


def show(sight: Sight, console: Console) -> None:
    """The whole of it on a console: coloured in a terminal, as plain text anywhere else."""
    encoding = console.encoding
    if not console.is_terminal:
        console.file.write(text(sight, encoding=encoding) + "\n")
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    verdict = sight.verdict
    style = _STYLES[verdict.tone]
    title = f" {_symbol(verdict.tone, encoding)} {verdict.title} "
    console.print(Text.assemble((title, f"{style} reverse bold"), (f"  {verdict.text}", style)))
    facts = Table.grid(padding=(0, 2))
    for fact in sight.facts:
        facts.add_row(Text(fact.name, style="bold"), Text(fact.text, style=_STYLES[fact.tone], overflow="fold"))
    console.print(facts)
    if sight.lines and console.width < WIDE:
        console.print()
        console.print(_narrow(sight, encoding))
        console.print()
    elif sight.lines:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for number, head in enumerate(sight.heads):
            table.add_column(head, overflow="fold", min_width=14 if number == 0 else None)
        for line in sight.lines:
            path, here, held, safe, age, loss = _cells(line, encoding)
            colour = _STYLES[line.tone]
            loud = "" if line.tone in QUIET else colour
            table.add_row(*(Text(c) for c in (path, here, held)), Text(safe, style=colour), Text(age), Text(loss, style=loud))
        console.print(table)
    if sight.folded:
        console.print(Text(sight.folded, style=_STYLES[Tone.SAFE]))
    if sight.advice:
        console.print(Text("what to do next", style="bold"))
        advice = Table.grid(padding=(0, 1))
        for text_ in sight.advice:
            advice.add_row(Text(" -"), Text(text_, overflow="fold"))
        console.print(advice)


def _narrow(sight: Sight, encoding: str) -> RenderableType:
    """The artifacts without columns: whether each is safe, its path, and below it the rest."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for line in sight.lines:
        _, _, _, safe, _, loss = _cells(line, encoding)
        colour = _STYLES[line.tone]
        rest = Text.assemble((f"here {line.here}, {sight.heads[2]} {line.held}, {sight.heads[4]} {line.age}", "dim"))
        if line.tone not in QUIET:
            rest = Text.assemble((f"{sight.heads[5]}: {loss}", colour), "\n", rest)
        table.add_row(Text(safe, style=colour), Text.assemble(line.path, "\n", rest, overflow="fold"))
    return table


def _cells(line: Line, encoding: str) -> tuple[str, ...]:
    return line.path, line.here, line.held, f"{_symbol(line.tone, encoding)} {line.safe}", line.age, line.loss


def _symbol(tone: Tone, encoding: str) -> str:
    try:
        codecs.encode(tone.symbol, encoding)
    except (UnicodeError, LookupError):
        return tone.plain_symbol
    return tone.symbol
