"""Documents a second of `predict_files`, beside onnxruntime with the tokenizer alone, and the memory that it takes.

The model has DistilBERT's size and random weights, or the sample's size with `--small`. The other side does the least that gives
tags: the tokenizer's own windows, batches of 16 in the order of the file, `argmax`. Both take turns in processes of their own.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

HERE = Path(__file__).parent
MAX_LENGTH, STRIDE, BATCH = 256, 32, 16


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a model of the sample's size")
    parser.add_argument("--kb", type=int, default=10_000, help="text to read, in thousands of bytes")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--one", nargs=3, metavar=("SIDE", "MODEL", "TEXTS"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        side, model, texts = args.one
        began = time.perf_counter()
        (ours if side == "ours" else alone)(Path(model), Path(texts))
        print(json.dumps([time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))
        return
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        make_model(model, small=args.small)
        for kb in (args.kb // 10, args.kb):
            texts = Path(folder) / f"{kb}.jsonl"
            documents = write_texts(texts, kb * 1000)
            taken: dict[str, list[tuple[float, int]]] = {"ours": [], "alone": []}
            for _ in range(args.turns):
                for side, rows in taken.items():
                    command = [sys.executable, __file__, "--one", side, str(model), str(texts)]
                    rows.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
            speed = {side: documents / statistics.median(s for s, _ in rows) for side, rows in taken.items()}
            memory = {side: max(m for _, m in rows) // 1024 for side, rows in taken.items()}
            print(
                f"{kb} kB, {documents} documents: predict {speed['ours']:.1f}/s in {memory['ours']} MiB, "
                f"onnxruntime and tokenizer alone {speed['alone']:.1f}/s in {memory['alone']} MiB, "
                f"ratio {speed['ours'] / speed['alone']:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
