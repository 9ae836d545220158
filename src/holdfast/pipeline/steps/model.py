"""The conversion of finished weights, and where these are."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from holdfast.errors import BadData, NotRestored
from holdfast.flow.stage import Made
from holdfast.integrations.watching import Copies
from holdfast.pipeline.conversion.card import Subject, card
from holdfast.pipeline.conversion.convert import CARD, convert
from holdfast.pipeline.data.reading import read_documents
from holdfast.pipeline.layout import DATASET, METRICS, ONNX, TRAINING_CACHE
from holdfast.pipeline.settings import TINY
from holdfast.pipeline.stages import Workbench
from holdfast.pipeline.training.checkpoint import check_whole, weights_identity

log = logging.getLogger(__name__)


def convert_final(bench: Workbench) -> Made:
    """Convert the final model, once cache and checkpoint are here."""
    held_out, cache = (bench.path(k) for k in bench.stage.inputs)
    checkpoint = find_checkpoint(cache, bench.keeper.root, bench.restore, bench.copies)
    settings = bench.experiment.conversion
    report = convert(
        checkpoint,
        bench.folder / ONNX,
        read_documents(held_out).documents,
        int8=settings.int8,
        opset=settings.opset,
        tolerance=settings.tolerance,
        int8_may_lose=settings.int8_may_lose,
        say=lambda line: bench.narration.say(f"  {line}"),
        warn=lambda line: bench.narration.warn(f"  {line}"),
    )
    _write_card(bench, held_out, cache, report)
    summary: dict[str, Any] = {k: report[k] for k in ("f1", "bytes", "int8_refused") if k in report}
    return Made(str(weights_identity(checkpoint))[:32], summary)


def _write_card(bench: Workbench, held_out: Path, cache: Path, conversion: dict[str, Any]) -> None:
    """The card lies with the model, so that it goes where that goes."""
    about = json.loads(cache.read_bytes())
    checkpoint, dataset = bench.keeper.root / str(about["checkpoint"]), held_out.with_name(DATASET)
    metrics = checkpoint.with_name(METRICS)
    missing = [place.name for place in (metrics, dataset) if not bench.restore(place)]
    if missing:
        bench.narration.warn(f"  there is no model card, as {', '.join(missing)} is neither here nor in the backup")
        return
    experiment, data = bench.experiment, json.loads(dataset.read_bytes())
    backbone = next(b for b in experiment.backbones if b.name == about["backbone"])
    is_public = backbone.model != TINY and not (bench.keeper.root / Path(backbone.model).expanduser()).is_dir()
    settings = experiment.final(about["configuration"]).model_dump(mode="json", exclude_none=True)
    subject = Subject(
        name=experiment.name,
        backbone=backbone.model if is_public else backbone.name,
        is_public=is_public,
        labels=data["labels"],
        documents=data["documents"],
        notes=data.get("notes", ()),
        metrics=json.loads(metrics.read_bytes()),
        configuration=about["configuration"],
        settings={**{k: v for k, v in settings.items() if k not in ("checkpoint", "report_to")}, "seed": experiment.seed},
        conversion=conversion,
        weights=about["weights"],
    )
    (bench.folder / ONNX / CARD).write_text(card(subject), encoding="utf-8")


def find_checkpoint(cache: Path, root: Path, restore: Callable[[Path], Any], copies: Copies | None = None) -> Path:
    """The trained weights that a training cache speaks of, restored if need be, and no more than is needed.

    First the cache, then the checkpoint that it names, then, if that is missing or partial, the output directory around it. A
    checkpoint that is damaged here is moved aside for that of the backup.

    Args:
        cache: `training_cache.json`.
        root: The project folder, where its keys start.
        restore: Makes a path present, or answers that it is not.
        copies: Moves aside what is damaged. Default: to a free name beside it.

    Raises:
        NotRestored: the weights are neither here nor in the backup, or are not those that the cache speaks of.
        BadData: the cache is no cache.
    """
    if not restore(cache) or not cache.is_file():
        raise NotRestored(f"{cache}: the training cache is neither here nor in the backup; run the final training first")
    try:
        document = json.loads(cache.read_bytes())
        wanted, folder, around = str(document["weights"]), root / str(document["checkpoint"]), root / str(document["output_dir"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadData(f"{cache}: is no {TRAINING_CACHE}; move it away, and it is restored or made again") from error
    restore(folder)
    problem = _problem(folder, wanted)
    if problem and folder.is_dir() and _replaced(folder, wanted, restore, copies or Copies()):
        log.warning("%s: %s; that of the backup is taken, and this one is moved aside", folder, problem)
        problem = ""
    if not problem:
        return folder
    log.warning("%s: %s; looking in %s", folder, problem, around)
    restore(around)
    for place in [folder, *sorted(p.parent for p in around.rglob("config.json"))]:
        if not _problem(place, wanted):
            return place
    raise NotRestored(
        f"{folder}: {_problem(folder, wanted)}; neither it nor {around} in the backup holds the weights of {cache.name}"
    )


def _replaced(folder: Path, wanted: str, restore: Callable[[Path], Any], copies: Copies) -> bool:
    """What is here counts as here, so it is moved aside before the backup is asked; back again where nothing comes."""
    aside = copies.set_aside(folder)
    try:
        restore(folder)
    finally:
        if not folder.exists():
            os.replace(aside, folder)
    return not _problem(folder, wanted)


def _problem(folder: Path, wanted: str) -> str:
    try:
        check_whole(folder)
    except (NotRestored, BadData) as error:
        return str(error).removeprefix(f"{folder}: ")
    return "" if weights_identity(folder) == wanted else "holds other weights than those that were trained"
