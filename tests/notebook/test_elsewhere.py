"""The same notebook, unchanged, where there is no Drive; and a Drive that dies under it."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from tests.notebook.conftest import Colab, the_same
from tests.notebook.session import Session, load, make_machine
from tests.support import Machine, read_tree

KAGGLE = {"KAGGLE_KERNEL_RUN_TYPE": "Interactive", "KAGGLE_URL_BASE": "https://www.kaggle.com"}


def test_on_a_laptop_without_drive_it_comes_to_the_end_and_again(tmp_path: Path, template: Path, reference: Machine) -> None:
    one = Session(make_machine(tmp_path / "laptop", template, tmp_path / "content/drive"), {})
    ran = one.run_all()
    assert ran.end == "done", ran
    the_same(one.root, reference)
    assert ran.of("open_pipeline").count("nothing is backed up") == 1
    assert "set HOLDFAST_DRIVE to a folder that outlives the machine" in ran.of("open_pipeline")
    before = read_tree(one.root / "outputs")
    again = one.run_all()
    assert again.end == "done", again
    assert "begins" not in again.text
    assert read_tree(one.root / "outputs") == before


def test_on_kaggle_with_a_folder_that_lasts_the_next_session_goes_on(tmp_path: Path, template: Path, reference: Machine) -> None:
    (tmp_path / "lasting").mkdir()
    variables = {**KAGGLE, "HOLDFAST_DRIVE": str(tmp_path / "lasting")}
    ran = Session(make_machine(tmp_path / "first", template, tmp_path / "content/drive"), variables).run_all()
    assert ran.end == "done", ran
    second = Session(make_machine(tmp_path / "second", template, tmp_path / "content/drive"), variables)
    again = second.run_all()
    assert again.end == "done", again
    assert "begins" not in again.text
    onnx = "outputs/conversion/micro/onnx/model.onnx"
    assert (second.root / onnx).read_bytes() == reference.read(onnx)


@pytest.mark.parametrize(
    ("name", "variables"),
    [("Kaggle", KAGGLE), ("Colab Enterprise", {"COLAB_RELEASE_TAG": "release", "VERTEX_PRODUCT": "COLAB_ENTERPRISE"})],
)
def test_where_there_is_no_drive_it_is_said_once_and_work_stays_local(
    tmp_path: Path, template: Path, name: str, variables: dict[str, str]
) -> None:
    one = Session(make_machine(tmp_path / "machine", template, tmp_path / "content/drive"), variables)
    back_up = "(keep.root / 'outputs').mkdir(exist_ok=True)\n(keep.root / 'outputs/a').write_text('a')\nkeep.backup('outputs/a')"
    ran = one.run_all(through="open_pipeline", after=[back_up, back_up])
    assert ran.end == "done", ran
    said = f"{name} has no Drive: nothing is backed up, and work stays on this machine; to keep it, set HOLDFAST_DRIVE"
    assert (ran.text.count(said)) == 1
    assert "backups are on: False" in ran.text
    assert "Traceback" not in ran.text


def test_drive_dies_in_the_middle_of_a_trial_and_running_all_again_in_the_same_kernel_saves_everything(
    machines: Colab, reference: Machine
) -> None:
    """What is backed up waits; what is dear and may lie there stops with a line; attaching mounts Drive anew, and all goes."""
    one = machines.machine(timeout=5)
    book = load()
    code = [c for c in book.cells if c.cell_type == "code"]
    last = next(n for n, c in enumerate(code) if "pipeline.train()" in c.source)
    code[last].metadata.tags = ["raises-exception"]
    book.cells = [*code[: last + 1], *(nbformat.v4.new_code_cell(c.source) for c in code)]
    ran = one.run_all(book, before=dying(machines, r"machine-\d+/outputs/hpo/micro/trials/trial-0001/checkpoints/checkpoint-4/"))
    assert ran.end == "done", ran
    assert "Traceback" not in ran.text
    assert "Transport endpoint is not connected" in ran.of("pipeline.hpo()")
    assert "hpo/micro: done" in ran.of("pipeline.hpo()")
    assert ran.error.startswith("NotRestored: outputs/final_training")
    assert ran.error.count("\n") == 0
    attached = ran.cells[last + 2 :]
    assert "mounted anew by force" in "".join(text for _, text in attached)
    assert not [text for _, text in attached if "hpo/micro: begins" in text or "hpo/micro: goes on" in text]
    assert "hpo/micro: done (" in "".join(text for _, text in attached)
    assert "Everything is safe" in ran.text
    the_same(one.root, reference)


def dying(machines: Colab, pattern: str) -> str:
    """Code that has the mount die when a file is opened whose path matches."""
    drive = machines.fake.drive
    return (
        "import re, sys\nfrom pathlib import Path\nfrom holdfast.simulator import Death\n"
        "from holdfast.simulator.controls import Controls\n_died = []\n"
        "def _watch(event, args):\n"
        f"    if event == 'open' and isinstance(args[0], str) and not _died and re.search({pattern!r}, args[0]):\n"
        "        _died.append(True)\n"
        f"        mount = Controls(Path({str(drive.socket)!r}), Path({str(drive.cloud)!r}))\n"
        "        mount.drain()\n"
        "        mount.weather(death=Death.ENOTCONN)\n"
        "sys.addaudithook(_watch)"
    )
