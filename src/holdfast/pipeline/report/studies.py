"""The studies on the page: how the score rose, what decides it, the trials themselves, and how fast the best ones are. Pure."""

from __future__ import annotations

from typing import Any

from holdfast.pipeline.report.charts import Axis, Path, Points, axis, chart
from holdfast.pipeline.report.facts import Facts, Study, Trial
from holdfast.pipeline.report.html import figure, figures, folded, paragraph, safe, section, table
from holdfast.store.reporting.amounts import duration

#: So many parameters get a picture of their own, so many trials a curve, and so many a row.
PARAMETERS, CURVES, ROWS = 6, 60, 20

#: A curve of more points than this is thinned.
_POINTS = 100
#: Of fewer complete trials, importances are mostly chance.
_FEW = 20


def sections(facts: Facts) -> str:
    """One section for each study, and one for latency."""
    return "".join(_study(study, n) for n, study in enumerate(facts.studies)) + _speeds(facts)


def _study(study: Study, number: int) -> str:
    states: dict[str, int] = {}
    for trial in study.trials:
        states[trial.state.lower()] = states.get(trial.state.lower(), 0) + 1
    counted = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none yet"
    best = study.best
    found = "" if best is None else f" Best: trial {best.number} with {best.value:.4f}{_deviation(best)} ({parameters(best)})."
    spent = sum(t.seconds for t in study.trials)
    how = f" Each score is the mean of {study.folds} folds, with its standard deviation." if study.folds else ""
    said = f"{len(study.trials)} of {study.asked} trials ({counted}), {duration(spent)} of work.{how}{found}"
    return section(
        f"study-{number}",
        f"Study of {study.backbone}",
        paragraph(said),
        figures(_history(study), _curves(study)),
        _importances(study),
        figures(*(_slice(study, name) for name in _decisive(study)[:PARAMETERS])),
        folded(f"The {min(ROWS, len(study.complete))} best trials", _best(study)),
        folded("Trials that failed", _failed(study)),
    )


def _deviation(trial: Trial) -> str:
    return f" \N{PLUS-MINUS SIGN} {trial.deviation:.4f}" if trial.folds else ""


def parameters(trial: Trial) -> str:
    """What varied of a trial."""
    shown = ", ".join(f"{k} {_value(v)}" for k, v in sorted(trial.params.items()))
    return shown or "nothing varies"


def _value(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _history(study: Study) -> str:
    complete = study.complete
    if not complete:
        return ""
    values = [t.value or 0.0 for t in complete]
    x = axis("trial", [0.0, float(max(t.number for t in study.trials))], whole=True)
    y = axis(study.objective, values)
    best, high = [], values[0]
    for trial, value in zip(complete, values, strict=True):
        high = max(high, value)
        best.append((float(trial.number), high))
    cut = [(float(t.number), y.low) for t in study.trials if t.state in {"PRUNED", "FAIL"}]
    texts = [f"trial {t.number}: {t.value:.4f}{_deviation(t)}" for t in complete]
    points = [(float(t.number), v) for t, v in zip(complete, values, strict=True)]
    picture = chart(
        f"Score of each trial of {study.backbone}",
        x,
        y,
        [Points(cut, kind="cut"), Points(points, texts), Path(best, "best", steps=True)],
    )
    return figure(
        picture, "Score of each trial; the line is the best so far" + (", marks below are pruned or failed" if cut else "")
    )


def _curves(study: Study) -> str:
    """What trials scored epoch by epoch, or fold by fold, the best one stressed."""
    ranked = sorted((t for t in study.trials if len(t.reports) > 1), key=lambda t: (-t.reports[-1][1], t.number))[:CURVES]
    if not ranked:
        return ""
    x = axis("folds" if study.folds else "epoch", [float(epoch) for t in ranked for epoch, _ in t.reports], whole=True)
    y = axis(study.objective, [value for t in ranked for _, value in t.reports])
    best = study.best
    lines = [Path(_thin(t), "best" if best is not None and t.number == best.number else "line") for t in reversed(ranked)]
    lines.sort(key=lambda line: line.kind == "best")
    of = "each trial" if len(ranked) == len(study.trials) else f"{len(ranked)} trials"
    what = "Mean of the folds so far" if study.folds else "Learning curves"
    return figure(chart(f"{what} of {study.backbone}", x, y, lines), f"{what}, of {of}; the best is stressed")


def _thin(trial: Trial) -> list[tuple[float, float]]:
    every = max(1, -(-len(trial.reports) // _POINTS))
    return [
        (float(epoch), value) for n, (epoch, value) in enumerate(trial.reports) if n % every == 0 or n == len(trial.reports) - 1
    ]


def _importances(study: Study) -> str:
    if not study.importances:
        return paragraph(f"Which parameter matters cannot be told: {study.untold}.", "quiet") if study.untold else ""
    rows = "".join(
        f'<li><span>{safe(name)}</span><i style="width:{max(share, 0.002) * 100:.1f}%"></i><b>{share:.0%}</b></li>'
        for name, share in sorted(study.importances.items(), key=lambda item: -item[1])
    )
    return f'<h3>What decides the score</h3><ul class="bars">{rows}</ul>' + paragraph(
        "How much each parameter tells the best tenth of the trials from the others (PED-ANOVA, by Optuna).", "quiet"
    )


def _decisive(study: Study) -> list[str]:
    names = sorted({name for t in study.complete for name in t.params})
    return sorted(names, key=lambda name: -study.importances.get(name, 0.0))


def _slice(study: Study, name: str) -> str:
    trials = [t for t in study.complete if name in t.params]
    values = [t.params[name] for t in trials]
    if len({str(v) for v in values}) < 2:
        return ""
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    if numbers:
        x = axis(name, [float(v) for v in values], by_magnitude=name in study.by_magnitude)
        at = [float(v) for v in values]
    else:
        names = sorted({str(v) for v in values})
        x, at = Axis(name, -0.5, len(names) - 0.5, names=tuple(names)), [float(names.index(str(v))) for v in values]
    scores = [t.value or 0.0 for t in trials]
    y = axis(study.objective, scores)
    return figure(
        chart(f"{name} against the score", x, y, [Points(list(zip(at, scores, strict=True)))]), f"{name} against the score"
    )


def _best(study: Study) -> str:
    names = sorted({name for t in study.complete for name in t.params})
    ranked = sorted(study.complete, key=lambda t: (-(t.value or 0.0), t.number))[:ROWS]
    folds = [f"fold {n}" for n in range(1, study.folds + 1)]
    rows = [
        [
            str(t.number),
            f"{t.value:.4f}{_deviation(t)}",
            *(f"{score:.4f}" for score in t.folds),
            *(safe(_value(t.params.get(n, ""))) for n in names),
            duration(t.seconds),
        ]
        for t in ranked
    ]
    heads = ["trial", study.objective, *folds, *names, "time"]
    return table(heads, rows, caption=f"Best trials of {study.backbone}") if rows else ""


def _failed(study: Study) -> str:
    rows = [[str(t.number), safe(t.failed[:300])] for t in study.trials if t.failed][:ROWS]
    return table(["trial", "why"], rows, words=2, caption="Trials that failed") if rows else ""


def _speeds(facts: Facts) -> str:
    if not facts.speeds:
        return ""
    first = [(s, min(s.rows, key=lambda r: int(r["batch_size"]))) for s in facts.speeds]
    picture = ""
    if len(first) > 1:
        at = [(float(row["mean_ms"]), s.value) for s, row in first]
        x, y = axis("milliseconds for one call", [a for a, _ in at]), axis(facts.objective, [b for _, b in at])
        texts = [f"{s.backbone}: {row['mean_ms']:.1f} ms, {s.value:.4f}" for s, row in first]
        picture = figure(chart("Latency against quality", x, y, [Points(at, texts)]), "Each point is the best trial of a backbone")
    rows = [
        [
            safe(s.backbone),
            f"{s.value:.4f}",
            str(r["batch_size"]),
            f"{r['mean_ms']:.1f}",
            _number(r, "p95_ms"),
            f"{r['windows_per_second']:.0f}",
        ]
        for s in facts.speeds
        for r in s.rows
    ]
    heads = ["backbone", facts.objective, "batch", "mean ms", "p95 ms", "windows/s"]
    where = sorted({s.device for s in facts.speeds if s.device})
    types = {s.node_type for s in facts.speeds}
    unlike = "These were measured on machines of different types, so their latencies say nothing about each other."
    return section(
        "latency",
        "Latency against quality",
        picture,
        table(heads, rows, caption="Latency of the best trial of each backbone"),
        paragraph(f"Measured on {', '.join(where)}." if where else "", "quiet"),
        paragraph(unlike if len(types) > 1 else "", "warning"),
    )


def _number(row: Any, name: str) -> str:
    return f"{row[name]:.1f}" if isinstance(row.get(name), int | float) else ""
