"""How fast data files are read, and in how much memory, beside what only parses them. Writes benchmarks/reading.md.

    python benchmarks/reading.py [--size 1000] [--slow 20] [--folder FOLDER]

One file of JSON lines with spans and one of CoNLL-2003's four columns, of so many megabytes, are made by seed. Each is read in a process
of its own: by Holdfast, to documents that are checked; by json.loads, line by line, keeping every value; by conllu, sentence by
sentence, keeping nothing (it is slow, so of a file of `--slow` megabytes; it needs `pip install conllu==6.0.0`). What the documents need is what the process is larger by
once it has read and holds nothing else.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
MEGABYTE = 1_000_000
LABELS = ("PER", "ORG", "LOC", "MISC")


def sentences(seed: int) -> Iterator[list[tuple[str, str]]]:
    """Sentences of invented words with a tag each, without an end."""
    draw = random.Random(seed)
    syllables = [
        "an",
        "ber",
        "co",
        "de",
        "el",
        "fi",
        "go",
        "hün",
        "is",
        "ka",
        "lo",
        "mi",
        "no",
        "ol",
        "pe",
        "ra",
        "sé",
        "ta",
        "ul",
        "vo",
    ]
    words = ["".join(draw.choices(syllables, k=draw.randint(1, 4))) for _ in range(20_000)] + ["\U0001f600", ",", "."]
    while True:
        tags = [f"B-{draw.choice(LABELS)}" if draw.random() < 0.06 else "O" for _ in range(draw.randint(8, 30))]
        yield [(word, tag) for word, tag in zip(draw.choices(words, k=len(tags)), tags, strict=True)]


def write_jsonl(path: Path, size: int) -> None:
    """Documents of ten sentences each."""
    written, source = 0, sentences(1)
    with path.open("wb") as file:
        while written < size:
            text, spans = "", []
            for _ in range(10):
                for word, tag in next(source):
                    if tag != "O":
                        spans.append([len(text), len(text) + len(word), tag[2:]])
                    text += word + " "
            row = {"text": text.rstrip(), "annotations": spans}
            written += file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")


def write_conll(path: Path, size: int) -> None:
    """Token, part of speech, chunk and tag."""
    written, source = 0, sentences(2)
    with path.open("wb") as file:
        while written < size:
            rows = "".join(f"{word}\tNN\tB-NP\t{tag}\n" for word, tag in next(source))
            written += file.write(rows.encode() + b"\n")


def read(how: str, path: Path) -> int:
    """Read the file in one of the ways; how many documents or sentences there are."""
    kept: object = None
    if how == "holdfast":
        from holdfast.pipeline.data.reading import examine

        before = resident("VmRSS")
        began, used = time.perf_counter(), time.process_time()
        examined = examine(path)
        assert not examined.problems, examined.problems[:3]
        kept, count = examined.reading.documents, len(examined.reading.documents)
    elif how == "json":
        before = resident("VmRSS")
        began, used = time.perf_counter(), time.process_time()
        with path.open(encoding="utf-8") as file:
            values = [json.loads(line) for line in file]
        kept, count = values, len(values)
    else:
        import conllu

        before = resident("VmRSS")
        began, used = time.perf_counter(), time.process_time()
        with path.open(encoding="utf-8") as file:
            count = sum(1 for _ in conllu.parse_incr(file, fields=["form", "upos", "chunk", "ner"]))
    seconds, cpu, peak = time.perf_counter() - began, time.process_time() - used, resident("VmHWM")
    gc.collect()
    needs = resident("VmRSS") - before
    del kept
    print(json.dumps({"count": count, "seconds": seconds, "cpu": cpu, "peak": peak - before, "needs": needs}))
    return count


def resident(key: str) -> int:
    """Of the process, in bytes: `VmRSS` now, `VmHWM` at the most."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(key))


def measured(how: str, path: Path) -> list[str]:
    """A row of the table."""
    given = [sys.executable, __file__, "--how", how, "--folder", str(path)]
    made = json.loads(subprocess.run(given, check=True, capture_output=True, text=True).stdout)
    size = path.stat().st_size / MEGABYTE
    cells = [path.suffix[1:], how, f"{size:,.0f}", f"{made['count']:,}", f"{size / made['cpu']:.1f}", f"{made['seconds']:.0f}"]
    if how == "conllu":
        return [*cells, "-", "-", "-"]
    return [*cells, f"{made['needs'] / MEGABYTE:,.0f}", f"{made['peak'] / MEGABYTE:,.0f}", f"{made['peak'] / made['needs']:.2f}"]


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--size", type=int, default=1000, help="megabytes of each file")
    given.add_argument("--slow", type=int, default=20, help="megabytes of the file that conllu reads")
    given.add_argument("--folder", type=Path, default=None, help="where the files are made; default a temporary folder")
    given.add_argument("--how", default=None, help=argparse.SUPPRESS)
    asked = given.parse_args()
    if asked.how:
        read(asked.how, asked.folder)
        return
    rows = []
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        jsonl, conll, small = Path(folder) / "data.jsonl", Path(folder) / "data.conll", Path(folder) / "small.conll"
        write_jsonl(jsonl, asked.size * MEGABYTE)
        rows += [measured("holdfast", jsonl), measured("json", jsonl)]
        jsonl.unlink()
        write_conll(small, asked.slow * MEGABYTE)
        rows += [measured("conllu", small), measured("holdfast", small)]
        write_conll(conll, asked.size * MEGABYTE)
        rows.append(measured("holdfast", conll))
    head = ["file", "read by", "MB", "documents", "MB/s of CPU", "seconds", "documents need, MB", "peak, MB", "peak / need"]
    lines = [
        "# Reading data files",
        "",
        f"Made by `benchmarks/reading.py --size {asked.size} --slow {asked.slow}`: {platform.machine()}, Python {platform.python_version()}.",
        "",
        "Holdfast checks every span against the edges of words, every row against the others, and proves how offsets count;",
        "json.loads and conllu only parse, and conllu keeps nothing.",
        "",
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
    ]
    (HERE / "reading.md").write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
