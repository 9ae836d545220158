"""SIGTERM: whoever handles it gets to the end of what it does, and what was backed up by then is in the store."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import PROJECT, Machine, Rig

SCRIPT = """
import functools, os, signal, sys, time, holdfast
root = sys.argv[1]

def save(name):
    with open(f"{root}/outputs/{name}", "w") as file:
        file.write(name)

def ends(number, frame):
    save("final")
    keep.backup("outputs/final")
    sys.exit(7)

# before
keep = holdfast.attach(root, drive=sys.argv[2])
save("first")
keep.backup("outputs/first")
found = signal.getsignal(signal.SIGTERM)
told = []
# after
print("ready", flush=True)
while not told:
    time.sleep(0.01)
save("final")
keep.backup("outputs/final")
"""

#: What is done before `attach`, what after it, and the code that the process ends with.
HANDLERS = {
    "none": ("", "", -signal.SIGTERM),
    "calls what it found, and the loop saves": (
        "",
        "def handler(number, frame):\n    found(number, frame)\n    told.append(number)\nsignal.signal(signal.SIGTERM, handler)",
        0,
    ),
    "saves, then calls what it found": (
        "",
        "def handler(number, frame):\n    told.append(number)\n    found(number, frame)\nsignal.signal(signal.SIGTERM, handler)",
        0,
    ),
    "a list of handlers, as Lightning composes them": (
        "",
        (
            "class Compose(list):\n    def __call__(self, *given):\n        for one in self: one(*given)\n"
            "signal.signal(signal.SIGTERM, Compose([lambda *_: told.append(1), found]))"
        ),
        0,
    ),
    "calls what it found, saves and exits": (
        "",
        "def handler(number, frame):\n    found(number, frame)\n    ends(number, frame)\nsignal.signal(signal.SIGTERM, handler)",
        7,
    ),
    "saves, puts back what it found and sends the signal again": (
        "",
        (
            "def handler(number, frame):\n    save('final')\n    keep.backup('outputs/final')\n    signal.signal(number, found)\n"
            "    os.kill(os.getpid(), number)\nsignal.signal(signal.SIGTERM, handler)"
        ),
        -signal.SIGTERM,
    ),
    "was there before": ("signal.signal(signal.SIGTERM, ends)", "", 7),
    "was there before, and is called by a later one": (
        "signal.signal(signal.SIGTERM, ends)",
        "signal.signal(signal.SIGTERM, functools.partial(lambda number, frame: found(number, frame)))",
        7,
    ),
}


def test_a_handler_of_sigterm_is_never_cut_off_by_ours_nor_ours_left_out(tmp_path: Path) -> None:
    processes = {}
    for name, (before, handler, _) in HANDLERS.items():
        root, drive = tmp_path / name / "root", tmp_path / name / "drive"
        for folder in (root / "outputs", root / "config", drive):
            folder.mkdir(parents=True)
        (root / "config/paths.yaml").write_text(f"drive: {{backup_base_dir: {PROJECT}}}")
        script = SCRIPT.replace("# before", before).replace("# after", handler)
        processes[name] = subprocess.Popen(
            [sys.executable, "-c", script, str(root), str(drive)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    for process in processes.values():
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.terminate()
    for name, process in processes.items():
        _, said = process.communicate(timeout=200)
        assert process.returncode == HANDLERS[name][2], f"{name}: {said}"
        machine = Machine(tmp_path / name / "fresh", tmp_path / name / "drive")
        for file in ("first",) if name == "none" else ("first", "final"):
            assert machine.keep.ensure(f"outputs/{file}"), f"{name}: {file}: {said}"


LIGHTNING = """
import sys, lightning, torch, holdfast
from pathlib import Path
root = sys.argv[1]
keep = holdfast.attach(root, drive=sys.argv[2])

class Model(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
    def training_step(self, batch, _):
        if self.global_step == 3:
            print("ready", flush=True)
        return self.layer(batch).sum()
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

class Saves(lightning.Callback):
    def on_exception(self, trainer, module, error):
        Path(root, "outputs/final").write_text(type(error).__name__)
        keep.backup("outputs/final")

trainer = lightning.Trainer(max_epochs=10**6, accelerator="cpu", logger=False, callbacks=[Saves()], enable_checkpointing=False,
    enable_progress_bar=False, enable_model_summary=False)
trainer.fit(Model(), torch.utils.data.DataLoader(torch.ones(64, 1), batch_size=1))
"""


@pytest.mark.torture
def test_lightning_ends_its_step_and_saves_before_the_process_ends(rig: Rig, tmp_path: Path) -> None:
    root = tmp_path / "root"
    for folder in (root / "outputs", root / "config"):
        folder.mkdir(parents=True)
    (root / "config/paths.yaml").write_text(f"drive: {{backup_base_dir: {PROJECT}}}")
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", LIGHTNING, str(root), str(rig.drive)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        while process.stdout.readline() not in ("ready\n", ""):
            pass
        process.terminate()
        _, said = process.communicate(timeout=200)
    assert process.returncode != -signal.SIGTERM, said
    machine = rig.machine()
    assert machine.keep.ensure("outputs/final"), said
    assert machine.read("outputs/final") == b"SIGTERMException"


IN_THE_MIDDLE = """
import os, signal, sys, holdfast
from holdfast.errors import NotBackedUp
from holdfast.session.background import worker
root, taken = sys.argv[1], []

def save(name):
    with open(f"{root}/outputs/run/{name}", "w") as file:
        file.write(name)

def ends(number, frame):
    save("final")
    print("backup", bool(keep.backup("outputs/run")), flush=True)
    try:
        keep.flush()
    except NotBackedUp as error:
        print("flush", error, flush=True)
    if sys.argv[3] == "exit":
        sys.exit(7)

def take(*given, **named):
    if not taken:
        taken.append(1)
        found = real(*given, **named)
        signal.raise_signal(signal.SIGTERM)  # the handler runs here, in the middle of the loop's own backup
        return found
    return real(*given, **named)

os.makedirs(f"{root}/outputs/run")
keep = holdfast.attach(root, drive=sys.argv[2], quiet=True)
signal.signal(signal.SIGTERM, ends)
real, worker.take_behind = worker.take_behind, take
save("first")
assert keep.backup("outputs/run")
print("went on", flush=True)
"""


@pytest.mark.parametrize(("then", "code"), [("exit", 7), ("return", 0)])
def test_a_handler_that_backs_up_in_the_middle_of_a_backup_neither_hangs_nor_loses_it(rig: Rig, then: str, code: int) -> None:
    root = rig.folder / "project"
    (root / "config").mkdir(parents=True)
    (root / "config/paths.yaml").write_text(f"drive:\n  backup_base_dir: {PROJECT}\n")
    done = subprocess.run(
        [sys.executable, "-c", IN_THE_MIDDLE, str(root), str(rig.drive), then],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == code, done.stderr
    said = "backup True\nflush not in the store: outputs/run: a signal came while a copy was taken"
    assert done.stdout.startswith(said), done.stdout
    assert ("went on" in done.stdout) == (then == "return")
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/run")
    assert fresh.tree() == {"run/first": b"first", "run/final": b"final"}
