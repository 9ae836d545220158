"""Texts a second of `holdfast serve`, beside onnxruntime called directly with batches of 8; and a minute of requests that mean harm.

The model has DistilBERT's size and random weights. `wrk` asks the server on loopback, one text a request, as many connections as
two batches have texts. The other side is a process that reads the same texts with the tokenizer, eight at a time, and takes `argmax`.
The two take turns. For harm, a thousand connections send texts of a megabyte, no JSON, other types, wrong shapes, and real texts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE))

from predict import make_model, write_texts  # noqa: E402
from tests.pipeline.serving.served import Served  # noqa: E402

from holdfast._version import __version__  # noqa: E402

BATCH, CONNECTIONS, MAX_LENGTH = 8, 16, 256
AIM = 0.8

_ASK = """
local texts = {}
for line in io.lines("%s") do texts[#texts + 1] = line end
local n = 0
request = function()
  n = n + 1
  return wrk.format("POST", "/predict", {["Content-Type"] = "application/json"}, texts[n %% #texts + 1])
end
"""
_HARM = """
local n, big, json = 0, string.rep("a", 1000000), {["Content-Type"] = "application/json"}
request = function()
  n = n + 1
  local kind = n % 5
  if kind == 0 then return wrk.format("POST", "/predict", json, big) end
  if kind == 1 then return wrk.format("POST", "/predict", json, '{"text": ') end
  if kind == 2 then return wrk.format("POST", "/predict", {["Content-Type"] = "text/plain"}, "x") end
  if kind == 3 then return wrk.format("POST", "/predict", json, '{"texts": [1, 2]}') end
  return wrk.format("POST", "/predict", json, '{"text": "Jane Roe, jane.roe@example.com, knows Python"}')
end
"""


def wrk(port: int, script: Path, connections: int, seconds: int) -> dict[str, float]:
    """What wrk counted: `requests`, `seconds`, `refused`."""
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "--timeout",
        "60s",
        "-s",
        str(script),
        f"http://127.0.0.1:{port}/",
    ]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"(\d+) requests in ([\d.]+)(s|m)", told)
    assert found, told
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", told)
    passed = float(found[2]) * (60 if found[3] == "m" else 1)
    return {"requests": float(found[1]), "seconds": passed, "refused": float(refused[1]) if refused else 0.0}


def alone(model: Path, texts: Path, seconds: float) -> None:
    """Print texts a second."""
    import numpy as np
    import onnxruntime
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_LENGTH)
    session = onnxruntime.InferenceSession(str(model / "model.onnx"), providers=["CPUExecutionProvider"])
    rows = [json.loads(line)["text"] for line in texts.read_text().splitlines()]
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        batch = [rows[(done + n) % len(rows)] for n in range(BATCH)]
        ids = [encoding.ids for encoding in tokenizer.encode_batch(batch)]
        longest = max(map(len, ids))
        padded = np.array([row + [0] * (longest - len(row)) for row in ids], dtype=np.int64)
        mask = np.array([[1] * len(row) + [0] * (longest - len(row)) for row in ids], dtype=np.int64)
        session.run(["logits"], {"input_ids": padded, "attention_mask": mask})[0].argmax(axis=-1)
        done += BATCH
    print(done / (time.perf_counter() - began))


def memory(process: int) -> dict[str, int]:
    """Resident memory in kB, now and at most, and open files."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
    kb = {name: int(status[key].split()[0]) for name, key in (("now", "VmRSS"), ("most", "VmHWM"))}
    return {**kb, "files": len(os.listdir(f"/proc/{process}/fd"))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small model, and seconds")
    parser.add_argument("--write", action="store_true", help="write benchmarks/serve.md")
    parser.add_argument("--alone", nargs=3, metavar=("MODEL", "TEXTS", "SECONDS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.alone:
        alone(Path(given.alone[0]), Path(given.alone[1]), float(given.alone[2]))
        return
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed; on Debian: apt-get install wrk")
    turns, seconds, harm = (1, 3, 5) if given.quick else (5, 15, 60)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, texts = folder / "model", folder / "texts.jsonl"
        make_model(model, small=given.quick)
        write_texts(texts, 100_000)
        ask, hostile = folder / "ask.lua", folder / "harm.lua"
        ask.write_text(_ASK % texts)
        hostile.write_text(_HARM)
        served = Served(model, folder)
        ours, theirs = list[float](), list[float]()
        try:
            for turn in range(turns):
                for mine in (True, False)[:: 1 if turn % 2 else -1]:
                    if mine:
                        told = wrk(served.port, ask, CONNECTIONS, seconds)
                        assert not told["refused"], told
                        ours.append(told["requests"] / told["seconds"])
                    else:
                        command = [sys.executable, __file__, "--alone", str(model), str(texts), str(seconds)]
                        theirs.append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
            before = memory(served.process.pid)
            told = wrk(served.port, hostile, 1000, harm)
            time.sleep(10)
            after = memory(served.process.pid)
            answered = served.predict({"text": "Jane Roe knows Python"}).status
        finally:
            code = served.end()
        printed = served.log.read_text()
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    page = "\n".join(
        [
            "# A model as a server",
            "",
            "`.venv/bin/python benchmarks/serve.py --write` made this (wrk is needed).",
            "",
            f"- {os.cpu_count()} CPUs, {platform.system()} {platform.release()}, load {os.getloadavg()[0]:.1f} at the end; holdfast "
            f"{__version__}, Python {platform.python_version()}.",
            f"- {'A small model' if given.quick else 'DistilBERT, random weights'}, the sample's texts; {turns} turns of {seconds} s each, medians.",
            "",
            "| | texts a second |",
            "| --- | ---: |",
            f"| `holdfast serve`, {CONNECTIONS} connections, one text a request | {statistics.median(ours):.1f} |",
            f"| onnxruntime and tokenizer called directly, batches of {BATCH} | {statistics.median(theirs):.1f} |",
            f"| ratio (least to most) | {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |",
            "",
            f"Target: at least {AIM}. The server also says where each entity lies and how sure the model is.",
            "",
            "## A minute of harm",
            "",
            f"1,000 connections for {harm} s: texts of 1 MB, no JSON, other types, wrong shapes, real texts.",
            "",
            "| | |",
            "| --- | ---: |",
            f"| requests answered | {told['requests']:,.0f} |",
            f"| of them refused | {told['refused']:,.0f} |",
            f"| memory before, after, at most (MiB) | {before['now'] // 1024}, {after['now'] // 1024}, {after['most'] // 1024} |",
            f"| open files before, 10 s after | {before['files']}, {after['files']} |",
            f"| a real text after it | {answered} |",
            f"| printed by the server | {len(printed.splitlines())} lines |",
            f"| exit code at Ctrl-C | {code} |",
            "",
        ]
    )
    print(page, end="")
    if given.write:
        (HERE / "serve.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
