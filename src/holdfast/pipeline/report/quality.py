"""The finished model on the page: its scores and how sure they are, its learning, what it gets wrong, and its int8 form. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.pipeline.report.charts import Path, axis, chart, interval
from holdfast.pipeline.report.facts import Facts
from holdfast.pipeline.report.html import breakable, figure, figures, folded, paragraph, safe, section, table
from holdfast.pipeline.report.mistakes import KINDS, NOTHING, Mistake, Mistakes, Piece, excerpt
from holdfast.pipeline.training.intervals import DRAWS, SHARE
from holdfast.store.reporting.amounts import size

#: So many mistakes of each kind are shown, and so many labels in the table of confusion.
SHOWN, LABELS = 25, 25

_WHAT = {
    "boundary": "the label is right, an edge is not",
    "type": "found, under another label",
    "missed": "not found at all",
    "invented": "found where there is none",
}


def sections(facts: Facts) -> str:
    """Scores, learning, mistakes and conversion."""
    return "".join((_scores(facts), _learning(facts), _mistakes(facts), _conversion(facts)))


# -- scores --------------------------------------------------------------------------------------------------------------


def _scores(facts: Facts) -> str:
    test = facts.scores.get("test")
    if test is None:
        return ""
    rows = [_row(label, test["by_label"][label]) for label in sorted(test["by_label"])]
    rows += [_row(f"all, {average}", test[average]) for average in ("micro", "macro")]
    heads = ["label", "F1 with interval", "from 0 to 1", "precision", "recall", "entities"]
    told = (
        f"On {facts.documents.get('test', 0)} test documents, counted by whole entities. An interval holds {SHARE} % of {DRAWS:,} "
        "draws of as many documents: another test set like this one would most likely score within it."
    )
    floor = "" if facts.floor is None else f"A dictionary of the training entities, with patterns, reaches F1 {facts.floor:.4f}."
    others = [_other(split, scores["micro"]) for split, scores in facts.scores.items() if split != "test"]
    return section(
        "scores",
        "Scores on test",
        table(heads, rows, caption="Scores by label"),
        paragraph(told, "quiet"),
        paragraph(" ".join([floor, *others]).strip()),
    )


def _row(label: str, figures: Mapping[str, Any]) -> list[str]:
    low, high = figures.get("intervals", {}).get("f1", (None, None))
    bar = "" if low is None else interval(low, figures["f1"], high)
    between = "" if low is None else f" <small>{low:.3f}\N{EN DASH}{high:.3f}</small>"
    numbers = [f"{figures[name]:.4f}" for name in ("precision", "recall")]
    return [breakable(label), f"{figures['f1']:.4f}{between}", bar, *numbers, str(figures["support"])]


def _other(split: str, figures: Mapping[str, Any]) -> str:
    low, high = figures.get("intervals", {}).get("f1", (None, None))
    between = "" if low is None else f" ({low:.4f} to {high:.4f})"
    return f"On {split}, which chose the model, F1 is {figures['f1']:.4f}{between}."


def _learning(facts: Facts) -> str:
    rows = facts.learning
    if not rows:
        return ""
    x = axis("epoch", [float(r["epoch"]) for r in rows], whole=True)
    pictures = []
    for what in ("loss", facts.objective):
        at = [(float(r["epoch"]), float(r[what])) for r in rows if what in r]
        if at:
            picture = chart(f"{what} by epoch", x, axis(what, [v for _, v in at]), [Path(at, "best")])
            pictures.append(figure(picture, f"{what} on validation, by epoch of the final training"))
    return section("learning", "Learning curves of the final training", figures(*pictures))


# -- mistakes ------------------------------------------------------------------------------------------------------------


def _mistakes(facts: Facts) -> str:
    found = facts.mistakes
    if found is None:
        return ""
    counts = "".join(f"<li><b>{found.count(kind)}</b> <span>{kind}</span><small>{_WHAT[kind]}</small></li>" for kind in KINDS)
    legend = (
        '<p class="quiet">In the examples <mark class="want">is so, and was not found so</mark>, '
        '<mark class="got">was found, and is not so</mark>, <mark class="both">both</mark>.</p>'
    )
    return section("confusion", "Confusion", _confusion(found)) + section(
        "errors",
        "Errors by kind",
        f'<ul class="tiles"><li><b>{found.right}</b> <span>right</span><small>edges and label</small></li>{counts}</ul>',
        legend if found.all else "",
        *(_examples(facts, found, kind) for kind in KINDS),
    )


def _confusion(found: Mistakes) -> str:
    often: Counter[str] = Counter()
    for (true, given), count in found.confusion.items():
        often[true] += count
        often[given] += count
    del often[NOTHING]
    labels = sorted(label for label, _ in often.most_common(LABELS))
    if not labels:
        return ""
    columns = [*labels, NOTHING]
    most = max(found.confusion.values())
    rows = []
    for true in columns:
        cells = [_cell(found.confusion.get((true, given), 0), most, right=true == given) for given in columns]
        if true == NOTHING:
            cells[-1] = ""
        rows.append([f"<b>{breakable(true or 'nothing')}</b>", *cells])
    left = len(often) - len(labels)
    return (
        paragraph("Each row is a true label, each column what was found in its place, with the same edges or others.", "quiet")
        + table(["true \\ found", *labels, "nothing"], rows, caption="Confusion of labels")
        + paragraph(f"{left} rarer labels are left out." if left else "", "quiet")
    )


def _cell(count: int, most: int, *, right: bool) -> str:
    if not count:
        return '<span class="h0">0</span>'
    level = 1 + round(3 * count / most)
    return f'<span class="{"r" if right else "w"}{level}">{count}</span>'


def _examples(facts: Facts, found: Mistakes, kind: str) -> str:
    those = [m for m in found.all if m.kind == kind]
    shown = _spread(those)
    rows = "".join(f"<li>{_example(facts, m)}</li>" for m in shown)
    more = f", {len(shown)} of them shown" if len(shown) < len(those) else ""
    return folded(f"{kind}: {len(those)}{more}", f'<ol class="examples">{rows}</ol>') if rows else ""


def _spread(mistakes: Sequence[Mistake]) -> Sequence[Mistake]:
    """As many as are shown, from all over the documents."""
    every = max(1, -(-len(mistakes) // SHOWN))
    return mistakes[::every]


def _example(facts: Facts, mistake: Mistake) -> str:
    pieces = excerpt(facts.test[mistake.document], mistake)
    return f"<p>{''.join(_piece(p) for p in pieces)}</p><small>document {mistake.document + 1}: {safe(_labels(mistake))}</small>"


def _labels(mistake: Mistake) -> str:
    if mistake.true is None and mistake.found is not None:
        return f"found as {mistake.found.label}"
    if mistake.found is None and mistake.true is not None:
        return f"is {mistake.true.label}"
    assert mistake.true is not None
    assert mistake.found is not None
    if mistake.true.label == mistake.found.label:
        return f"{mistake.true.label}, with other edges"
    return f"is {mistake.true.label}, found as {mistake.found.label}"


def _piece(piece: Piece) -> str:
    kind = "both" if piece.true and piece.found else "want" if piece.true else "got" if piece.found else ""
    return f'<mark class="{kind}">{safe(piece.text)}</mark>' if kind else safe(piece.text)


# -- conversion ----------------------------------------------------------------------------------------------------------


def _conversion(facts: Facts) -> str:
    found = facts.conversion
    if not found:
        return ""
    refused = found.get("int8_refused")
    files = {"onnx": "model.onnx", "int8": "model.int8.onnx"}
    sizes = {**found["bytes"], **({} if refused is None else {files["int8"]: refused["bytes"]})}
    rows = []
    for name, f1 in found["f1"].items():
        file = files.get(name, "")
        same = found.get("same_tags_as_torch", {}).get(name)
        called = {"torch": "as trained (fp32)", "onnx": "ONNX (fp32)", "int8": "ONNX (int8)"}.get(name, name)
        amount = size(sizes[file]) if file in sizes else ""
        rows.append([safe(called), f"{f1:.4f}", f"{f1 - found['f1']['torch']:+.4f}", "" if same is None else f"{same:.2%}", amount])
    warning = ""
    if refused is not None:
        warning = (
            f"The int8 model is not kept: it loses {found['f1']['torch'] - found['f1']['int8']:.4f} of entity F1, and may lose "
            f"{refused['may_lose']:g} (conversion.int8_may_lose)."
        )
    return section(
        "int8",
        "fp32 against int8",
        paragraph(warning, "warning"),
        table(["model", "entity F1", "against trained", "same tags", "size"], rows, caption="The converted models"),
    )
