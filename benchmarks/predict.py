"""Documents a second of `predict_files`, beside onnxruntime with the tokenizer alone, and the memory that it takes.

The models: one of the sample's size for 1 and 10 MB of text, one of DistilBERT's size for what it reads in minutes; random weights. The
other side does the least that gives tags: the tokenizer's own windows, batches of 16 in the order of the file, `argmax`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from holdfast import __version__

HERE = Path(__file__).parent
AIM = 0.8
MAX_LENGTH, STRIDE, BATCH = 256, 32, 16


def most_memory() -> int:
    """Kilobytes that this process had at most. Not `ru_maxrss`, which counts from the process that began this one."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))


def make_model(folder: Path, *, small: bool) -> None:
    import torch
    import transformers

    from holdfast.pipeline.conversion.onnx_export import export
    from holdfast.pipeline.data.entities import bio_tags
    from holdfast.pipeline.sample import LABELS, make_sample
    from holdfast.pipeline.training.tiny import make_tiny

    make_tiny(folder, make_sample().train)
    tags = bio_tags(LABELS)
    sizes = {"dim": 64, "hidden_dim": 128, "n_layers": 2, "n_heads": 2} if small else {"vocab_size": 30522}
    torch.manual_seed(0)
    config = transformers.DistilBertConfig(max_position_embeddings=512, id2label=dict(enumerate(tags)), **sizes)
    export(transformers.DistilBertForTokenClassification(config).eval(), folder / "model.onnx", opset=None)
    (folder / "labels.json").write_text(json.dumps({"tags": list(tags), "max_length": MAX_LENGTH, "stride": STRIDE}))


def write_texts(place: Path, size: int) -> int:
    """So many bytes of the sample's texts, a document a line."""
    from holdfast.pipeline.sample import make_sample

    documents, written, seed = 0, 0, 1
    with place.open("w") as file:
        while written < size:
            for document in make_sample(seed).train:
                written += file.write(json.dumps({"text": document.text}) + "\n")
                documents += 1
                if written >= size:
                    break
            seed += 1
    return documents


def ours(model: Path, texts: Path) -> None:
    from holdfast.pipeline.conversion.predict import Predictor
    from holdfast.pipeline.conversion.predict_files import predict_files

    predict_files(Predictor(model), [texts], column="text", kind="jsonl", output=str(texts.with_name(f"{time.time_ns()}.jsonl")))


def alone(model: Path, texts: Path) -> None:
    import numpy as np
    import onnxruntime
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_LENGTH, stride=STRIDE)
    session = onnxruntime.InferenceSession(str(model / "model.onnx"), providers=["CPUExecutionProvider"])

    def windows() -> Iterator[list[int]]:
        with texts.open() as file:
            while lines := list(islice(file, 64)):
                for encoding in tokenizer.encode_batch([json.loads(line)["text"] for line in lines]):
                    yield encoding.ids
                    yield from (more.ids for more in encoding.overflowing)

    every = windows()
    while batch := list(islice(every, BATCH)):
        longest = max(map(len, batch))
        ids = np.array([row + [0] * (longest - len(row)) for row in batch], dtype=np.int64)
        mask = np.array([[1] * len(row) + [0] * (longest - len(row)) for row in batch], dtype=np.int64)
        session.run(["logits"], {"input_ids": ids, "attention_mask": mask})[0].argmax(axis=-1)


@dataclass(frozen=True)
class Row:
    """One input, read by both sides in turn.

    Args:
        model: The model, for people.
        kb: Bytes of text in thousands.
        documents: So many.
        ours: Seconds, and kilobytes at most, of each turn of `predict_files`.
        alone: The same of onnxruntime with the tokenizer.
    """

    model: str
    kb: int
    documents: int
    ours: list[tuple[float, int]]
    alone: list[tuple[float, int]]

    def line(self) -> str:
        """A row of the table: medians, the ratio with the least and the most of the turns, and the most memory."""
        speeds = [self.documents / statistics.median(s for s, _ in rows) for rows in (self.ours, self.alone)]
        ratios = [b / a for (a, _), (b, _) in zip(self.ours, self.alone, strict=True)]
        memory = [max(m for _, m in rows) // 1024 for rows in (self.ours, self.alone)]
        return (
            f"| {self.model} | {self.kb:,} kB, {self.documents:,} documents | {speeds[0]:.1f} | {speeds[1]:.1f} | "
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) | {memory[0]} | {memory[1]} |"
        )


def measure(folder: Path, sizes: Sequence[int], turns: int, *, small: bool) -> Iterator[Row]:
    model = folder / ("small" if small else "large")
    make_model(model, small=small)
    for kb in sizes:
        texts = folder / f"{kb}.jsonl"
        row = Row("sample's size" if small else "DistilBERT", kb, write_texts(texts, kb * 1000), [], [])
        for turn in range(turns):
            for side in ("ours", "alone")[:: -1 if turn % 2 else 1]:
                command = [sys.executable, __file__, "--one", side, str(model), str(texts)]
                taken = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
                (row.ours if side == "ours" else row.alone).append((taken[0], taken[1]))
        yield row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a hundredth of it, once")
    parser.add_argument("--write", action="store_true", help="write benchmarks/predict.md")
    parser.add_argument("--one", nargs=3, metavar=("SIDE", "MODEL", "TEXTS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        side, model, texts = given.one
        began = time.perf_counter()
        (ours if side == "ours" else alone)(Path(model), Path(texts))
        print(json.dumps([time.perf_counter() - began, most_memory()]))
        return
    part, turns = (100, 1) if given.quick else (1, 3)
    lines = [
        "# Entities of files",
        "",
        "`.venv/bin/python benchmarks/predict.py --write` made this.",
        "",
        f"- {os.cpu_count()} CPUs, {platform.system()} {platform.release()}, load {os.getloadavg()[0]:.1f} at the beginning; holdfast "
        f"{__version__}, Python {platform.python_version()}.",
        f"- The sample's texts, {turns} turns each, the two in turn, each in a process of its own; medians, and the ratio of each turn.",
        f"- Alone: the tokenizer's own windows, batches of {BATCH} in the order of the file, `argmax`. `holdfast predict` also says where "
        "each entity lies and how sure the model is, and writes it.",
        "",
        "| model | text | predict, documents a second | onnxruntime and tokenizer alone | ratio (least to most) | MiB at most | alone |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    print("\n".join(lines), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for sizes, small in (((1000, 10_000), True), ((100,), False)):
            for row in measure(Path(folder), [max(10, kb // part) for kb in sizes], turns, small=small):
                lines.append(row.line())
                print(lines[-1], flush=True)
    lines += ["", f"Target: at least {AIM}, and memory that does not grow with the text.", ""]
    if given.write:
        (HERE / "predict.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
