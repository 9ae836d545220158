"""A real kernel that backed up first, and the script that it starts: neither locks the other out."""

from __future__ import annotations

import sys
import textwrap

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

from tests.support import PROJECT, Rig

SCRIPT = """
    import sys
    from pathlib import Path
    import holdfast
    root = Path(sys.argv[1])
    keep = holdfast.attach(root, sys.argv[2])
    for number in range(3):
        (root / "outputs/run" / f"checkpoint-{number}").write_text(f"{number}")
        assert keep.backup("outputs/run", progress=number)
    keep.flush()
    print("flushed")
"""
FIRST = """
    import os, signal, sys
    from pathlib import Path
    import holdfast
    root = Path({root!r})
    (root / "outputs/run").mkdir(parents=True)
    (root / "outputs/run/config.json").write_text("config")
    keep = holdfast.attach(root, {drive!r}, quiet=True)
    assert keep.backup("outputs/run/config.json")
    keep.flush()
    print("backed up")
"""
THEN = "!{sys.executable} {root}/train.py {root} " + "{drive}"
AFTER = """
    (root / "outputs/run/notes").write_text("of the kernel")
    assert keep.backup("outputs/run")
    keep.flush()
    print("went on")
"""


class Kernel(KernelManager):
    """This Python's kernel, whatever kernels are installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"], language="python")


def test_a_kernel_that_backed_up_and_the_script_that_it_starts_both_get_in(rig: Rig) -> None:
    root = rig.folder / "project"
    (root / "config").mkdir(parents=True)
    (root / "config/paths.yaml").write_text(f"drive:\n  backup_base_dir: {PROJECT}\n")
    (root / "train.py").write_text(textwrap.dedent(SCRIPT))
    manager = Kernel()
    manager.start_kernel(cwd=str(root))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=120)
        first = FIRST.format(root=str(root), drive=str(rig.drive))
        for code, wanted in ((first, "backed up"), (THEN.replace("{drive}", str(rig.drive)), "flushed"), (AFTER, "went on")):
            assert wanted in _said(client, textwrap.dedent(code))
    finally:
        manager.shutdown_kernel(now=True)  # SIGKILL, as when the machine goes
        client.stop_channels()
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/run")
    checkpoints = {f"run/checkpoint-{n}": f"{n}".encode() for n in range(3)}
    assert fresh.tree() == {"run/config.json": b"config", "run/notes": b"of the kernel", **checkpoints}
    assert all(sum(e.head for e in fresh.keep.history(row.key.value)) == 1 for row in fresh.keep.status())


def _said(client: object, code: str) -> str:
    """What a cell printed."""
    said: list[str] = []

    def hear(message: dict[str, object]) -> None:
        content = message["content"]
        assert isinstance(content, dict)
        said.append(str(content.get("text", content.get("traceback", ""))))

    client.execute_interactive(code, timeout=240, output_hook=hear)  # type: ignore[attr-defined]
    return "".join(said)
