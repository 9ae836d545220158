"""The real, unmodified `colab` command takes a machine, works on it and gives it back."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from holdfast.simulator.colab_service import ColabService
from tests.colab_command import outside
from tests.folding import folding

pytestmark = pytest.mark.long


def test_command_takes_a_machine_works_on_it_and_gives_it_back(colab_program: Path, service: ColabService, tmp_path: Path) -> None:
    def colab(*words: str, told: str = "") -> str:
        command, environment = [colab_program, *words], outside(service)
        done = subprocess.run(command, env=environment, input=told, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    colab("new", "-s", "one")
    (machine,) = service.machines()
    here = tmp_path / "here.txt"
    here.write_text("from here")
    colab("upload", "-s", "one", str(here), "content/there.txt")
    assert (machine.content / "there.txt").read_text() == "from here"
    colab("drivemount", "-s", "one")
    code = "import os; open('/content/drive/MyDrive/kept', 'w').write('x'); print(os.getcwd(), sorted(os.listdir('.')))"
    assert colab("exec", "-s", "one", told=code).strip() == "/content ['drive', 'there.txt']"
    back = tmp_path / "back.txt"
    colab("download", "-s", "one", "content/there.txt", str(back))
    assert back.read_text() == "from here"
    # Gone means all of it: processes and folder, without a word to the one who had it.
    work = "import subprocess; subprocess.Popen(['sleep', '4321'], start_new_session=True)"
    colab("exec", "-s", "one", told=work)
    assert any("sleep 4321" in line for line in machine.processes().values())
    colab("stop", "-s", "one")
    assert not machine.processes()
    assert not machine.folder.exists()
    assert [(held.accelerator, held.how) for held in service.book.machines()] == [("NONE", "given back")]
    assert not service.book.events("asked elsewhere")


def test_a_machine_has_none_of_the_mounts_outside_and_keeps_none_in_use(
    colab_program: Path, service: ColabService, tmp_path: Path
) -> None:
    with folding(tmp_path / "a disk") as place:
        subprocess.run([colab_program, "new", "-s", "one"], env=outside(service), capture_output=True, check=True)
        (machine,) = service.machines()
        seen = {Path(f"/proc/{number}/mounts").read_text() for number in machine.processes()}
        assert seen
        assert "folding" in Path("/proc/mounts").read_text()
        assert not any("folding" in mounts for mounts in seen)
        assert place.is_dir()
