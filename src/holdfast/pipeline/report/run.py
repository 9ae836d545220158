"""The run on the page: what was made from what, how its machines came and went, and what is safe where. Pure."""

from __future__ import annotations

from holdfast.pipeline.report.facts import Facts, Safety
from holdfast.pipeline.report.html import breakable, columns, paragraph, safe, section, table
from holdfast.pipeline.report.lives import Told, disconnects, moment, tell
from holdfast.session.seeing.sight import Tone
from holdfast.store.format.keys import printable
from holdfast.store.reporting.amounts import many

_TONES = {
    Tone.SAFE: "good",
    Tone.PLAIN: "quiet",
    Tone.ATTENTION: "fair",
    Tone.UNTOLD: "fair",
    Tone.UPLOADING: "fair",
    Tone.BAD: "bad",
}


def head(facts: Facts) -> str:
    """What is read first."""
    test = facts.scores.get("test")
    tiles = []
    if test is not None:
        low, high = test["micro"].get("intervals", {}).get("f1", (None, None))
        between = "on test" if low is None else f"on test, {low:.3f} to {high:.3f}"
        tiles.append((f"{test['micro']['f1']:.4f}", "entity F1", between))
    if facts.selection:
        tiles.append((str(facts.selection["backbone"]), "backbone", f"trial {facts.selection['trial']}"))
    if trials := sum(len(s.trials) for s in facts.studies):
        tiles.append((f"{trials:,}", "trials", f"of {sum(s.asked for s in facts.studies):,}"))
    cuts = sum(disconnects(life.sessions) for life in facts.lives)
    tiles.append((str(cuts), "disconnects", "gone on after each" if cuts else "in what is on record"))
    shown = "".join(f"<li><b>{safe(a)}</b> <span>{safe(b)}</span><small>{safe(c)}</small></li>" for a, b, c in tiles)
    state = "" if facts.over else paragraph("This run is not over: what is missing below is still to be made.", "warning")
    return (
        f"<header><h1>{safe(facts.name)}</h1>{paragraph(f'Made {moment(facts.made)}.', 'quiet')}{state}"
        f'<ul class="tiles">{shown}</ul>{_leaks(facts)}</header>'
    )


def _leaks(facts: Facts) -> str:
    """Whatever makes the scores too high is said beside them."""
    told = [note for note in facts.notes if note.endswith("come out too high")]
    return "".join(paragraph(note, "warning") for note in told)


def made_from(facts: Facts) -> str:
    """Documents, settings and machine."""
    splits = [[safe(split), f"{count:,}"] for split, count in facts.documents.items()]
    parameters = sorted(facts.selection.get("parameters", {}).items())
    chosen = [[breakable(k), safe(f"{v:.4g}" if isinstance(v, float) else v)] for k, v in parameters]
    reason = facts.selection.get("reason")
    machine = [[breakable(k), safe(v)] for k, v in facts.environment.items() if isinstance(v, str | int | float)]
    others = [note for note in facts.notes if not note.endswith("come out too high")]
    notes = "".join(f"<li>{safe(note)}</li>" for note in others)
    labels = f"Labels: {', '.join(facts.labels)}." if facts.labels else ""
    return section(
        "made",
        "What was made, and from what",
        columns(
            table(["stage", "state"], [[breakable(a), safe(b)] for a, b in facts.stages], words=2, caption="Stages"),
            table(["documents", "number"], splits, caption="Documents") if splits else "",
            table(["best configuration", "value"], chosen, caption="Best configuration") if chosen else "",
            table(["trained with", "what"], machine, words=2, caption="Trained with") if machine else "",
        ),
        paragraph(labels),
        paragraph(f"The configuration was chosen because: {reason}." if reason else "", "quiet"),
        f"<ul>{notes}</ul>" if notes else "",
    )


def life(facts: Facts) -> str:
    """Machines, disconnects, and what each cost."""
    parts = []
    for one in facts.lives:
        told = tell(one.sessions, one.unit)
        cuts = sum(t.cut for t in told)
        rows = [[breakable(t.machine), _time(t.began), safe(t.far) + _time(t.kept), _end(t), safe(t.cost)] for t in told]
        heads = ["machine", "began", "last kept", "end", "what that cost"]
        said = f"{one.stage}: {many(len(told), 'session')}, {many(cuts, 'disconnect')}."
        parts += [f"<h3>{safe(one.stage)}</h3>", paragraph(said), table(heads, rows, words=5, caption=f"Sessions of {one.stage}")]
    return section("life", "The run's life", *parts)


def _time(text: str) -> str:
    return f" <time>{safe(text)}</time>" if text else ""


def _end(told: Told) -> str:
    return f'<span class="{"bad" if told.cut else "quiet"}">{safe(told.end)}</span>'


def safety(facts: Facts) -> str:
    """What was safe when this was made."""
    found: Safety | None = facts.safety
    if found is None:
        return ""
    where = f" Store: {found.place}." if found.place else ""
    rows = [
        [
            breakable(printable(n.path)),
            safe(n.here),
            safe(n.held),
            f'<span class="{_TONES[n.tone]}">{n.tone.symbol} {safe(n.safe)}</span>',
            safe(n.loss),
        ]
        for n in found.lines
    ]
    heads = [found.heads[n] for n in (0, 1, 2, 3, 5)] if found.heads else []
    return section(
        "safe",
        "What is safe where",
        paragraph(f"{found.title.rstrip('.')}.{where}"),
        table(heads, rows, words=5, caption="What is safe where") if rows else "",
        paragraph(
            "As it was when this page was made, before the page itself was backed up; `holdfast status` says how it is now.",
            "quiet",
        ),
    )
