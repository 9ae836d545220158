"""A ten-step run is killed at random moments, each time with its whole machine, and goes on until it is finished.

Every start is a process of its own on an empty project, and the kill is a real SIGKILL. Checked at the end: no step whose
backup had returned ran again, and the result equals that of a run which nobody interrupted.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import SystemRandom

import holdfast

STEPS, KILLS, STEP_SECONDS = 10, 4, 0.15


def train(root: Path, drive: Path, journal: Path) -> None:
    """Ten steps, each from the weights of the last one. The journal belongs to the drill and outlives the machine."""
    keep = holdfast.attach(root=root, drive=drive)
    weights = b"seed"
    for step in range(STEPS):
        path = root / "outputs" / f"weights-{step}.bin"
        if not keep.ensure(path):  # the universal pattern: ensure, else make and back up
            note(journal, "start", step)
            time.sleep(STEP_SECONDS)
            path.parent.mkdir(exist_ok=True)
            (root / "unfinished").write_bytes(hashlib.shake_256(weights).digest(4_000_000))
            os.replace(root / "unfinished", path)  # what is below outputs is whole
            if not keep.backup(path, wait=0):  # 0: in the store when it returns
                sys.exit(f"step {step} could not be backed up")
            note(journal, "safe", step)
        weights = keep.require(path).read_bytes()
    (root / "result").write_text(hashlib.sha256(weights).hexdigest())


def note(journal: Path, event: str, step: int) -> None:
    """Add a line to the journal."""
    with journal.open("a") as handle:
        handle.write(f"{event} {step}\n")


def run(folder: Path, *, kill: bool) -> tuple[list[int], list[int], str]:
    """One machine's life. Gives the steps that were started, those that became safe, and the result if it finished."""
    root, drive, journal = folder / "machine", folder / "drive", folder / "journal"
    shutil.rmtree(root, ignore_errors=True)  # the machine of the run before is gone, and its outputs with it
    (root / "config").mkdir(parents=True)
    (root / "config" / "paths.yaml").write_text("drive:\n  backup_base_dir: training\n")
    drive.mkdir(exist_ok=True)
    journal.write_text("")
    process = subprocess.Popen([sys.executable, __file__, root, drive, journal])  # noqa: S603 - it is this file
    if kill:  # somewhere in the first or second step that this run does, or just after it
        chosen = SystemRandom().randint(1, 2)
        while process.poll() is None and journal.read_text().count("start") < chosen:
            time.sleep(0.005)
        time.sleep(SystemRandom().uniform(0, 1.5 * STEP_SECONDS))
        process.send_signal(signal.SIGKILL)
    code = process.wait()
    assert code == (-signal.SIGKILL if kill else 0), f"the run ended with {code}"
    events = [line.split() for line in journal.read_text().splitlines()]
    started, safe = ([int(step) for event, step in events if event == wanted] for wanted in ("start", "safe"))
    return started, safe, "" if kill else (root / "result").read_text()


def main() -> None:
    """The drill."""
    with tempfile.TemporaryDirectory() as name:
        killed, calm = Path(name, "killed"), Path(name, "calm")
        killed.mkdir()
        calm.mkdir()
        all_started, all_safe, result = list[int](), set[int](), ""
        for number in range(KILLS + 1):
            started, safe, result = run(killed, kill=number < KILLS)
            again = all_safe & set(started)
            assert not again, f"steps {again} were safe and ran again"
            print(f"run {number + 1} started steps {started}, and {'finished' if result else 'was killed'}")
            all_started += started
            all_safe |= set(safe)
        assert set(all_started) == set(range(STEPS))
        assert result == run(calm, kill=False)[2], "the result differs from that of an uninterrupted run"
        print(f"{KILLS} kills, {len(all_started)} starts for {STEPS} steps: no step ran again once its backup had returned,")
        print(f"and the result equals that of an uninterrupted run: {result[:16]}...")


if __name__ == "__main__":
    if len(sys.argv) == 4:
        train(*map(Path, sys.argv[1:]))
    else:
        main()
