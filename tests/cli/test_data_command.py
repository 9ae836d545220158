"""`holdfast data`: what would be read, for people and for programs, and every problem."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.docs.pages import REPOSITORY

SAMPLES = REPOSITORY / "tests" / "pipeline" / "data" / "samples"


def data(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY / 'src'}"}
    command = [sys.executable, "-m", "holdfast", "data", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, encoding="utf-8", env=environment)


def test_a_folder_is_shown_whole_and_as_json_with_half_open_offsets(tmp_path: Path) -> None:
    done = data(SAMPLES / "brat")
    assert done.returncode == 0
    assert "3 documents" in done.stdout
    assert "[Ann Lee NAME]" in done.stdout
    given = json.loads(data(SAMPLES / "prodigy.jsonl", "--json").stdout)
    assert given["format"].startswith("Prodigy")
    assert given["documents"][1]["spans"][0] == [2, 8, "NAME"]
    assert given["problems"] == []
    assert [row["count"] for row in given["dropped"]] == [1, 1]
    written = tmp_path / "out.conll"
    done = data(SAMPLES / "doccano.jsonl", "--to", "conll", written)
    assert done.returncode == 0
    assert done.stdout.endswith(f"3 documents are in {written}\n")
    assert "Lee\tI-NAME\n" in written.read_text()
    done = data(SAMPLES / "iob1.conll", "--to", "conll", written)
    assert done.returncode == 2
    assert done.stderr == f"holdfast: --to {written}: something else is there already, and is left as it is; name another file\n"
    assert "Lee\tI-NAME\n" in written.read_text()


def test_what_the_command_refuses_is_shown_once_it_is_given_right(tmp_path: Path) -> None:
    two = tmp_path / "two.tsv"
    two.write_text("Helsingin\tB-ORG\tB-LOC\nSanomat\tI-ORG\tO\nsaid\tO\tO\n")
    refused = data(two, "--to", "jsonl", tmp_path / "a.jsonl")
    assert refused.returncode == 2
    assert "each hold tags" in refused.stdout
    assert "1 problem: a run is refused until it is mended\n" in refused.stdout
    assert refused.stdout.endswith("a.jsonl, because of the problems above\n")
    assert not (tmp_path / "a.jsonl").exists()
    assert data(two, "--set", "data.rows=1").returncode == 2
    assert data(two, "--set", "data.columns={token: 0, tag: 2}").returncode == 2
    done = data(two, "--set", "data.columns={token: 1, tag: 2}")
    assert done.returncode == 0, done.stdout
    assert "[Helsingin Sanomat ORG]" in done.stdout
    (tmp_path / "empty").mkdir()
    assert "no data file is in it" in data(tmp_path / "empty").stderr
    assert "give one of" in data(SAMPLES / "doccano.jsonl", "--to", "docx", tmp_path / "a").stderr
    assert data(SAMPLES / "doccano.jsonl", "--to", "jsonl", tmp_path / "a.jsonl").returncode == 0
