"""From a checkpoint to ONNX, and the proof that it gives the same. Nothing is left where it does not.

Two conversions of the same checkpoint with the same versions give the same bytes, `conversion.json` included.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError, StageFailed, UsageError
from holdfast.pipeline.conversion.agreement import Agreement, compare, compare_shapes, share_of_words
from holdfast.pipeline.conversion.inference import open_session, predict_onnx, predict_torch
from holdfast.pipeline.conversion.onnx_export import export, quantise
from holdfast.pipeline.data.documents import Document
from holdfast.pipeline.data.encode import encode, word_predictions
from holdfast.pipeline.data.entities import word_tags
from holdfast.pipeline.training.checkpoint import (
    TOKENIZER,
    check_whole,
    load_tokenizer,
    load_torch,
    one_line,
    read_info,
    weights_identity,
)
from holdfast.pipeline.training.scores import score
from holdfast.session.files import write_json

MODEL = "model.onnx"
MODEL_INT8 = "model.int8.onnx"
LABELS = "labels.json"
REPORT = "conversion.json"
CARD = "README.md"

FORMAT = 1
BATCH_SIZE = 16

#: All that a conversion may leave in its folder. A folder that holds anything else is not ours to replace.
_OURS = frozenset({MODEL, f"{MODEL}.data", MODEL_INT8, f"{MODEL_INT8}.data", LABELS, TOKENIZER, REPORT, CARD})

_PACKAGES = ("onnx", "onnxruntime", "onnxscript", "torch", "transformers")


def convert(
    checkpoint: Path,
    output: Path,
    documents: Sequence[Document],
    *,
    int8: bool = True,
    opset: int | None = None,
    tolerance: float = 1e-4,
    int8_may_lose: float | None = None,
    say: Callable[[str], None] | None = None,
    warn: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Convert a checkpoint to ONNX and check it against torch on held-out documents.

    Writes `model.onnx`, with `int8` also `model.int8.onnx`, `tokenizer.json`, `labels.json` and `conversion.json`, first
    into a folder beside `output`, which takes its place only when everything agreed. With several shapes of input and on
    all documents, logits over real pieces may differ by at most `tolerance` times the largest absolute logit of torch
    (times 1 where that is smaller), and all words must get the same tags, so documents have the same entities. Words whose
    two highest logits in torch are closer than twice that bound are exempt, since there the bound itself allows another
    tag; they are counted. The 8-bit model is an approximation: it must run, its F1 is told beside the others, and one that loses
    more than it may is not kept.

    Args:
        checkpoint: A checkpoint, see `checkpoint.py`.
        output: The folder to make. What an earlier conversion left there is replaced.
        documents: Held-out documents, with their true entities.
        int8: Also make the 8-bit model.
        opset: Version of ONNX's operators, or None for the exporter's own.
        tolerance: See above.
        int8_may_lose: Entity F1, as a number from 0 to 1; None keeps any 8-bit model.
        say: Is told each step, one line.
        warn: Is told what should not be missed: that there is no 8-bit model. Default: as `say`.

    Returns:
        The content of `conversion.json`.

    Raises:
        StageFailed: the export failed or does not agree. `output` is as it was.
        NotRestored, BadData: the checkpoint is missing or damaged.
        UsageError: there is nothing to check with, or `output` holds files of others.
    """
    tell = say or (lambda _: None)
    check_whole(checkpoint)
    building, old = output.with_name(f".{output.name}.making"), output.with_name(f".{output.name}.old")
    _recover(output, building, old)
    if not documents:
        raise UsageError("conversion needs held-out documents to check the converted model on; none were given")
    _refuse_foreign(output)
    building.mkdir(parents=True)
    try:
        report = _make(checkpoint, building, documents, int8, opset, tolerance, tell)
        lost = report["f1"]["torch"] - report["f1"].get("int8", report["f1"]["torch"])
        if int8_may_lose is not None and lost > int8_may_lose:
            report = _without_int8(building, report, int8_may_lose)
    except HoldfastError:
        shutil.rmtree(building, ignore_errors=True)
        raise
    except Exception as error:  # exporter, quantiser and runtime document no errors, and none may leave a half-made folder
        shutil.rmtree(building, ignore_errors=True)
        raise StageFailed(f"{checkpoint}: cannot be converted: {type(error).__name__}: {one_line(error)}") from error
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    _replace(output, building, old)
    tell(f"converted to {output}")
    if "int8_refused" in report:
        (warn or tell)(
            f"the int8 model is NOT kept: its entity F1 is {report['f1']['int8']:.4f}, that of the trained model "
            f"{report['f1']['torch']:.4f}, and it may lose {int8_may_lose:g} (conversion.int8_may_lose; null keeps any). "
            f"{MODEL} is as good as the trained model"
        )
    return report


def _without_int8(folder: Path, report: dict[str, Any], may_lose: float) -> dict[str, Any]:
    """Nobody should take it for a smaller form of the same model. What it came to stays in the report."""
    for name in (MODEL_INT8, f"{MODEL_INT8}.data"):
        (folder / name).unlink(missing_ok=True)
    sizes = {name: size for name, size in report["bytes"].items() if not name.startswith(MODEL_INT8)}
    refused = {**report, "bytes": sizes, "int8_refused": {"may_lose": may_lose, "bytes": report["bytes"][MODEL_INT8]}}
    write_json(folder / REPORT, refused)
    return refused


def _make(
    checkpoint: Path,
    folder: Path,
    documents: Sequence[Document],
    int8: bool,
    opset: int | None,
    tolerance: float,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    import numpy as np

    info, tokenizer, model = read_info(checkpoint), load_tokenizer(checkpoint), load_torch(checkpoint)
    tell("exporting to ONNX")
    used = export(model, folder / MODEL, opset=opset)
    session = open_session(folder / MODEL)
    tell(f"checking on {len(documents)} documents")
    windows = encode(documents, tokenizer, max_length=info.max_length, stride=info.stride, tag_ids=None)
    if not windows:
        raise UsageError("no document holds a word, so the converted model cannot be checked")
    shapes = compare_shapes(model, session, vocabulary=tokenizer.get_vocab_size(), longest=info.max_length, tolerance=tolerance)
    before = predict_torch(model, windows, batch_size=BATCH_SIZE, device="cpu")
    after = predict_onnx(session, windows, batch_size=BATCH_SIZE)
    agreement = compare(documents, windows, before, after, info.tags, tolerance=tolerance)
    _check(shapes, agreement)
    true = [word_tags(document) for document in documents]
    predicted = {
        "torch": word_predictions(documents, windows, before, info.tags),
        "onnx": word_predictions(documents, windows, after, info.tags),
    }
    if int8:
        tell("quantising to 8 bits")
        quantise(folder / MODEL, folder / MODEL_INT8)
        logits = predict_onnx(open_session(folder / MODEL_INT8), windows, batch_size=BATCH_SIZE)
        if not all(np.isfinite(rows).all() for rows in logits):
            raise StageFailed(f"{checkpoint}: the 8-bit model gives logits that are no numbers; convert without int8")
        predicted["int8"] = word_predictions(documents, windows, logits, info.tags)
    shutil.copyfile(checkpoint / TOKENIZER, folder / TOKENIZER)
    write_json(folder / LABELS, info.document())
    report = {
        "format": FORMAT,
        "checkpoint": weights_identity(checkpoint),
        "opset": used,
        "tolerance": tolerance,
        "bytes": {file.name: file.stat().st_size for file in sorted(folder.iterdir())},
        "shapes": shapes,
        "agreement": agreement.document(),
        "f1": {name: score(true, tags)["micro"]["f1"] for name, tags in predicted.items()},
        "same_tags_as_torch": {name: share_of_words(predicted["torch"], tags) for name, tags in predicted.items()},
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
    }
    write_json(folder / REPORT, report)
    return report


def _check(shapes: Sequence[Mapping[str, Any]], agreement: Agreement) -> None:
    """Raise StageFailed where the two models do not agree."""
    found = [(row["max_difference"], row["allowed"], f"for a batch of {row['batch']} x {row['length']}") for row in shapes]
    for difference, allowed, where in [*found, (agreement.max_difference, agreement.allowed, "on the documents")]:
        if not difference <= allowed:  # so written, what is not a number fails too
            raise StageFailed(f"the ONNX model differs from torch by {difference:.2g} {where}; {allowed:.2g} is allowed")
    if agreement.differing:
        raise StageFailed(
            f"the ONNX model gives other entities than torch in {len(agreement.differing)} documents, "
            f"first in document {agreement.differing[0] + 1}"
        )


def _refuse_foreign(output: Path) -> None:
    if not output.exists():
        return
    if not output.is_dir():
        raise UsageError(f"{output}: is a file; name a folder for the converted model")
    foreign = sorted(entry.name for entry in output.iterdir() if entry.name not in _OURS)
    if foreign:
        raise UsageError(f"{output}: holds {foreign[0]}, which no conversion makes; name another folder, or move it away")


def _recover(output: Path, building: Path, old: Path) -> None:
    """Tidy up after a conversion that was killed."""
    shutil.rmtree(building, ignore_errors=True)
    if old.exists():
        if output.exists():
            shutil.rmtree(old)
        else:
            os.rename(old, output)


def _replace(output: Path, building: Path, old: Path) -> None:
    """Put the finished folder in place. A kill between the two renames is mended by `_recover`."""
    if output.exists():
        os.rename(output, old)
    os.rename(building, output)
    shutil.rmtree(old, ignore_errors=True)
