"""`run`, `plan` and `predict` as a contract: text, JSON, exit codes, and what they load."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.cli.show_pipeline import called
from tests.bad_input.support import Box, good, refused
from tests.once import once
from tests.pipeline.project import STAGES, make_project, write_settings

CONFIG = "config/micro.yaml"
ONNX = "outputs/conversion/micro/onnx"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """A machine on which the pipeline ran to its end, its drive, and what was printed. Not to be changed."""

    def make(folder: Path) -> None:
        make_project(folder / "template")
        write_settings(folder / "template")
        (folder / "drive").mkdir()
        shutil.copytree(folder / "template", folder / "proj")
        done = good(Box(folder / "proj", folder / "drive").run("run", CONFIG, seconds=300))
        (folder / "printed").write_text(done.out)

    folder = once(tmp_path_factory, "kept", make)
    return folder / "proj", folder / "drive", (folder / "printed").read_text()


@pytest.fixture(scope="module")
def template(kept: tuple[Path, Path, str]) -> Path:
    return kept[0].with_name("template")


@pytest.fixture
def box(kept: tuple[Path, Path, str], template: Path, tmp_path: Path) -> Box:
    """A fresh machine of the same project, with a drive of its own that holds the same."""
    shutil.copytree(kept[1], tmp_path / "drive")
    shutil.copytree(template, tmp_path / "proj")
    return Box(tmp_path / "proj", tmp_path / "drive")


def drive_of(box: Box) -> Path:
    assert box.drive is not None
    return box.drive


def test_run_ends_with_what_was_made_where_and_that_it_is_backed_up(kept: tuple[Path, Path, str]) -> None:
    root, drive, out = kept
    end = out.partition("Done: ")[2]
    assert "7 stage(s) ran, 0 were done before." in end
    for part in (
        "entity F1",
        f"{root}/{ONNX}/model.onnx",
        "metrics.json",
        "report.md",
        "everything is backed up, and safe",
        str(drive),
    ):
        assert part in end
    assert "as there is no GPU here" in out


def test_run_again_says_that_nothing_is_to_be_done(box: Box) -> None:
    done = good(box.run("run", CONFIG, seconds=120))
    assert "Nothing to do: every stage is done, and nothing was run again." in done.out
    assert [line.split(":")[0] for line in done.out.splitlines()[1:8]] == STAGES


def test_run_as_json_is_a_list_of_stages(box: Box) -> None:
    rows = good(box.run("run", CONFIG, "--json", seconds=120)).rows()
    assert [r["stage"] for r in rows] == STAGES
    assert {r["outcome"] for r in rows} == {"DONE"}
    assert all({"path", "outcome", "generation", "error"} <= r.keys() for r in rows)


def test_run_under_other_settings_is_6_with_the_difference(box: Box) -> None:
    done = box.run("run", CONFIG, "--set", "seed=5", seconds=120)
    refused(done, 6, "hpo/micro: outputs/hpo/micro was made under other settings: seed: 3 then, 5 now")


def test_report_names_the_page_of_a_run_that_is_over_and_brings_it(box: Box) -> None:
    done = good(box.run("report", CONFIG))
    assert done.out == f"{box.root}/outputs/report/report.html\n"
    assert "<h1>micro</h1>" in (box.root / "outputs/report/report.html").read_text()
    (row,) = good(box.run("report", CONFIG, "--json")).rows()
    assert (row["path"], row["outcome"]) == (f"{box.root}/outputs/report/report.html", "DONE")


def test_report_of_a_run_that_is_to_be_longer_is_made_beside_what_is_kept(box: Box) -> None:
    done = good(box.run("report", CONFIG, "--set", "hpo.trials=3"))
    place = box.root / ".holdfast/report.html"
    assert done.out == f"{place}  (the run is not over: as far as it is now)\n"
    assert "This run is not over" in place.read_text()
    assert "Study of micro" in place.read_text()


def test_report_where_the_store_cannot_be_read_is_4(box: Box) -> None:
    for manifest in (drive_of(box) / "proj/generations").iterdir():
        manifest.write_bytes(b"")
    done = box.run("report", CONFIG)
    assert done.code == 4
    assert "Traceback" not in done.err


def test_run_where_the_store_cannot_be_read_is_4(box: Box) -> None:
    for manifest in (drive_of(box) / "proj/generations").iterdir():
        manifest.write_bytes(b"")
    done = box.run("run", CONFIG, "--set", "run.restore_patience=0.1", seconds=120)
    assert done.code == 4
    assert "Traceback" not in done.err
    assert not (box.root / "outputs/hpo").exists()


def test_a_failing_stage_is_1_and_one_line(box: Box) -> None:
    for name in ("conversion", "report"):
        for manifest in (drive_of(box) / "proj/generations").glob(f"outputs~{name}*"):
            manifest.unlink()
    done = box.run("run", CONFIG, "--set", "conversion.tolerance=1e-14", seconds=120)  # nothing agrees that closely
    assert done.code == 1
    assert "the ONNX model differs from torch" in done.err
    assert "Traceback" not in done.err
    assert not (box.root / ONNX).exists()


@pytest.mark.torture
def test_a_conversion_that_the_tolerance_refused_is_made_once_it_allows_more(box: Box) -> None:
    test_a_failing_stage_is_1_and_one_line(box)
    assert box.run("run", CONFIG, seconds=120).code == 0
    assert (box.root / ONNX).exists()


def test_run_stops_after_the_time_and_says_so(box: Box) -> None:
    shutil.rmtree(drive_of(box) / "proj")
    done = good(box.run("run", CONFIG, "--stop-after", "0.001s", seconds=120))
    assert "Stopped as asked. What runs is saved; run the same command again to go on." in done.out


# -- plan ----------------------------------------------------------------------------------------------------------------


def test_plan_on_a_first_day_says_what_is_to_be_done_and_the_space(template: Path, tmp_path: Path) -> None:
    drive = tmp_path / "drive"
    drive.mkdir()
    shutil.copytree(template, tmp_path / "proj")
    machine = Box(tmp_path / "proj", drive)
    done = good(machine.run("plan", CONFIG))
    lines = done.out.splitlines()
    assert [line.split()[0] for line in lines[1:8]] == STAGES
    assert "to do" in lines[1]
    assert all("to do" in line for line in lines[1:8])
    assert "space here" in done.out
    assert "space in store" in done.out
    assert list(drive.iterdir()) == []
    assert not (machine.root / "outputs").exists()


def test_plan_says_what_is_in_the_store_with_its_bytes(box: Box) -> None:
    rows = good(box.run("plan", CONFIG, "--json")).rows()
    assert [r["outcome"] for r in rows] == ["DONE"] * 7
    assert all(r["in_store"] for r in rows)
    assert all(int(str(r["bytes_in_store"])) > 0 for r in rows)
    text = good(box.run("plan", CONFIG)).out
    assert "done           in the store (" in text
    assert not list((box.root / "outputs").rglob("*.safetensors"))


def test_plan_names_what_was_made_otherwise(box: Box) -> None:
    done = good(box.run("plan", CONFIG, "--set", "hpo.search_space.learning_rate.high=0.02"))
    assert "made otherwise hpo.search_space.learning_rate.high: 0.01 then, 0.02 now; set it back, or run with --fork" in done.out


def test_plan_says_where_a_study_goes_on(box: Box) -> None:
    done = good(box.run("plan", CONFIG, "--set", "hpo.trials=9"))
    assert "resume         2 of 9 trials: more is asked for: trials: 2 then, 9 now" in done.out


@pytest.mark.parametrize("words", [("plan", CONFIG), ("status",), ("--version",)])
def test_what_trains_nothing_loads_no_torch(box: Box, words: tuple[str, ...]) -> None:
    code = (
        "import sys; from holdfast.cli.entry import main\n"
        "try: main()\n"
        "finally: print('LOADED', *sorted({m.split('.')[0] for m in sys.modules} & {'torch', 'transformers', 'optuna', 'onnx'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        env={**os.environ, "HOLDFAST_DRIVE": str(box.drive)},
        cwd=box.root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.rstrip().endswith("LOADED"), done.stdout + done.stderr


def test_what_to_try_is_a_command_that_works_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "bin" / "holdfast"
    script.parent.mkdir()
    script.touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    assert called(str(script)) == "bin/holdfast"
    assert called("/x/holdfast/__main__.py") == f"{sys.executable} -m holdfast"
    monkeypatch.setenv("PATH", str(script.parent))
    assert called(str(script)) == "holdfast"


# -- predict -------------------------------------------------------------------------------------------------------------


def test_predict_prints_entities_with_onnxruntime_alone(kept: tuple[Path, Path, str]) -> None:
    root, _, _ = kept
    code = (
        "import sys; from holdfast.cli.entry import main\n"
        "try: main()\n"
        "finally: print('LOADED', *sorted({m.split('.')[0] for m in sys.modules} & {'torch', 'transformers', 'optuna'}))"
    )
    text = "Ada Lovelace walked to London ."
    done = subprocess.run(
        [sys.executable, "-c", code, "predict", str(root / ONNX), text, "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    body, _, loaded = done.stdout.rpartition("LOADED")
    assert loaded.strip() == ""
    for row in json.loads(body):
        assert text[row["start"] : row["end"]] == row["text"]
        assert row["label"] in ("PERSON", "PLACE")
        assert 0 <= row["score"] <= 1


def test_predict_brings_a_model_back_from_the_store(box: Box) -> None:
    done = good(box.run("predict", "outputs/conversion/micro", "Grace saw Rotterdam .", seconds=60))
    assert done.out.strip()
    assert (box.root / ONNX / "model.onnx").is_file()


def test_predict_reads_standard_input(kept: tuple[Path, Path, str]) -> None:
    root, drive, _ = kept
    assert good(Box(root, drive).run("predict", ONNX, "-", answer="Grace saw Rotterdam .", seconds=60)).out.strip()


def test_predict_says_in_one_line_where_bytes_are_no_utf_8(kept: tuple[Path, Path, str]) -> None:
    """An argument, and whatever comes by standard input, in a locale that is strict and in one that is not."""
    root, _, _ = kept
    asked: list[tuple[bytes, bytes, int]] = [
        (b"Ann\xff Lee", b"", 3),
        (b"-", "Jos\xe9".encode("latin-1"), 3),
        (b"-", "Ann".encode("utf-16"), 0),
        (b"-", b"Ann \xed\xa0\x80", 4),  # half a character, as UTF-8 would have it
    ]
    code = "import io, os, sys\nfrom holdfast.cli.entry import _run\n"
    for text, given, _ in asked:
        code += (
            f"sys.stdin = io.TextIOWrapper(io.BytesIO({given!r}), encoding='ascii')\n"
            f"sys.argv = ['holdfast', 'predict', {str(root / ONNX)!r}, os.fsdecode({text!r})]\n"
            "print('CODE', _run(), file=sys.stderr)\n"
        )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True)
    lines = done.stderr.splitlines()
    assert lines[1::2] == ["CODE 2"] * len(asked)
    for line, (_, _, place) in zip(lines[::2], asked, strict=True):
        assert f"the text is not UTF-8 (byte {place} is 0x" in line


def test_predict_without_a_model_is_one_line(box: Box) -> None:
    done = box.run("predict", "outputs/nothing", "text", seconds=60)
    assert done.code == 4
    assert "outputs/nothing: neither here nor in the store" in done.err
    assert "Traceback" not in done.err


def test_predict_of_files_is_a_line_a_document_and_says_how_much_was_written(kept: tuple[Path, Path, str], tmp_path: Path) -> None:
    root, drive, _ = kept
    box = Box(root, drive)
    (tmp_path / "a.txt").write_text("Grace saw Rotterdam .")
    (tmp_path / "b.jsonl").write_text('{"body": "Ada Lovelace walked to London ."}\n')
    given = (str(tmp_path / "a.txt"), str(tmp_path / "b.jsonl"), "--column", "body")
    done = good(box.run("predict", ONNX, *given, seconds=60))
    assert [json.loads(line)["text"] for line in done.out.splitlines()] == [
        "Grace saw Rotterdam .",
        "Ada Lovelace walked to London .",
    ]
    done = good(box.run("predict", ONNX, *given, "--to", "conll", str(tmp_path / "out.conll"), seconds=60))
    assert done.out.startswith("2 documents with ")
    assert done.out.endswith(f"are in {tmp_path / 'out.conll'}\n")
    assert (tmp_path / "out.conll").read_text().count("\n\n") == 1
    refused(box.run("predict", ONNX, str(tmp_path / "c.txt"), seconds=60), 2, "there is no such file")
