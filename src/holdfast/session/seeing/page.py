"""A `Sight` as HTML for the output of a notebook cell.

Self-contained: inline style only, no script, nothing fetched. Text takes the colour of the notebook, whatever its theme is; what
has a colour of its own has its own background too, so that it reads the same in a light and in a dark one. Every value is escaped.
"""

from __future__ import annotations

from html import escape

from holdfast.session.seeing.sight import QUIET, Fact, Line, Sight, Tone

#: White on these has a contrast of at least 4.5 to 1, which WCAG 2 asks of text.
BACKGROUNDS = {
    Tone.PLAIN: "#4a5561",
    Tone.SAFE: "#12703a",
    Tone.ATTENTION: "#8f5300",
    Tone.UNTOLD: "#6a4c93",
    Tone.UPLOADING: "#0b62b8",
    Tone.BAD: "#b3261e",
}
INK = "#ffffff"
_RULE = "1px solid rgba(128,128,128,0.35)"
_CELL = "padding:4px 10px 4px 0;text-align:left;vertical-align:top;background:transparent;color:inherit"


def html(sight: Sight) -> str:
    """The whole of it."""
    parts = [_verdict(sight), _facts(sight.facts), _table(sight), _advice(sight.advice)]
    style = "font-family:system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;font-size:14px;line-height:1.45;max-width:1100px"
    return f'<div class="holdfast" style="{style};color:inherit;margin:4px 0 8px 0">{"".join(parts)}</div>'


def _verdict(sight: Sight) -> str:
    verdict = sight.verdict
    return (
        f'<div style="background:{BACKGROUNDS[verdict.tone]};color:{INK};padding:8px 14px;border-radius:6px;margin-bottom:8px">'
        f'<b style="font-size:16px;color:{INK};white-space:nowrap">{verdict.tone.symbol}&nbsp; {escape(verdict.title)}</b>'
        f'<span style="color:{INK}">&ensp;{escape(verdict.text)}</span></div>'
    )


def _badge(tone: Tone, text: str) -> str:
    style = f"background:{BACKGROUNDS[tone]};color:{INK};padding:1px 8px;border-radius:9px;font-size:13px"
    return f'<span style="{style}">{tone.symbol} {escape(text)}</span>'


def _facts(facts: tuple[Fact, ...]) -> str:
    name = f"{_CELL};padding-top:1px;padding-bottom:1px;border:0"
    value = f"{name};white-space:normal;overflow-wrap:anywhere"
    rows = "".join(
        f'<tr style="background:transparent"><td style="{name};white-space:nowrap"><b>{escape(f.name)}</b></td>'
        f'<td style="{value}">{_breakable(f.text) if f.tone is Tone.PLAIN else _badge(f.tone, f.text)}</td></tr>'
        for f in facts
    )
    return f'<table style="border-collapse:collapse;border:0;margin:0 0 6px 0">{rows}</table>' if rows else ""


def _table(sight: Sight) -> str:
    if not sight.lines:
        return ""
    head = "".join(f'<th style="{_CELL};border:0;border-bottom:{_RULE}">{escape(t)}</th>' for t in sight.heads)
    rows = "".join(_row(line) for line in sight.lines)
    if sight.folded:
        rows += (
            f'<tr style="background:transparent"><td colspan="{len(sight.heads)}" style="{_CELL};border:0">'
            f"{_badge(Tone.SAFE, sight.folded)}</td></tr>"
        )
    return (
        '<div style="overflow-x:auto"><table style="border-collapse:collapse;border:0;margin:0 0 6px 0">'
        f'<thead><tr style="background:transparent">{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _row(line: Line) -> str:
    short = f"{_CELL};border:0;border-bottom:{_RULE};white-space:nowrap"
    path = f"{_CELL};border:0;border-bottom:{_RULE};white-space:normal;overflow-wrap:anywhere;min-width:9em"
    loss = escape(line.loss) if line.tone in QUIET else f"<b>{escape(line.loss)}</b>"
    cells = [
        f'<td style="{path}">{_breakable(line.path)}</td>',
        f'<td style="{short}">{escape(line.here)}</td>',
        f'<td style="{short}">{escape(line.held)}</td>',
        f'<td style="{short}">{_badge(line.tone, line.safe)}</td>',
        f'<td style="{short}">{escape(line.age)}</td>',
        f'<td style="{short};white-space:normal">{loss}</td>',
    ]
    return f'<tr style="background:transparent">{"".join(cells)}</tr>'


def _advice(advice: tuple[str, ...]) -> str:
    if not advice:
        return ""
    lines = "".join(f'<li style="color:inherit;margin:1px 0;overflow-wrap:anywhere">{_with_code(a)}</li>' for a in advice)
    return f'<div style="margin-top:4px"><b>What to do next</b><ul style="margin:2px 0 0 0;padding-left:20px">{lines}</ul></div>'


def _breakable(text: str) -> str:
    """Escaped, and broken after a slash where a line is too long."""
    return escape(text).replace("/", "/<wbr>")


def _with_code(text: str) -> str:
    """Escaped, with what stands between backticks as code."""
    parts = escape(text).split("`")
    if len(parts) % 2 == 0:  # a name brings a backtick of its own
        return escape(text)
    code = '<code style="color:inherit;background:rgba(128,128,128,0.18);padding:0 4px;border-radius:3px">{}</code>'
    return "".join(code.format(part) if number % 2 else part for number, part in enumerate(parts))


def transfer_html(what: str, text: str, share: float) -> str:
    """How far a transfer is, as a bar and in words.

    Args:
        what: What is moved.
        text: How far it is.
        share: The same from 0 to 1.
    """
    colour = BACKGROUNDS[Tone.SAFE if share >= 1 else Tone.UPLOADING]
    return (
        '<div class="holdfast" style="font-family:system-ui,-apple-system,sans-serif;font-size:14px;color:inherit;max-width:640px">'
        f"<b>{escape(what)}</b>: {escape(text)}"
        '<div style="background:rgba(128,128,128,0.3);border-radius:4px;height:8px;margin:3px 0">'
        f'<div style="background:{colour};border-radius:4px;height:8px;width:{100 * share:.1f}%"></div></div></div>'
    )
