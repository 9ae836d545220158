"""The `google.colab` of a machine: it asks the front end through the kernel, as Colab's own does."""

from __future__ import annotations

import sys
from pathlib import Path

# `google.colab` of a machine. It knows nothing of holdfast, which may not be installed there: a process of ours mounts.
_PACKAGE = {
    "__init__.py": "from google.colab import _message, drive, runtime\n",
    "_message.py": """
class MessageError(Exception):
    pass

def blocking_request(kind):
    # As Colab's own: the front end is asked through the kernel, and its reply is waited for.
    import time, uuid
    from IPython import get_ipython
    kernel = getattr(get_ipython(), "kernel", None)
    if kernel is None:
        raise AttributeError("'NoneType' object has no attribute 'kernel'")
    identity = uuid.uuid4().hex
    kernel.session.send(
        kernel.iopub_socket, "colab_request", {"request": {"authType": kind}}, parent=kernel.get_parent("shell"),
        metadata={"colab_msg_id": identity, "colab_request_type": "request_auth"},
    )
    while True:
        _, message = kernel.session.recv(kernel.stdin_socket, mode=1, copy=True)
        if message is None:
            time.sleep(0.05)
            continue
        value = message["content"].get("value")
        if isinstance(value, dict) and value.get("colab_msg_id") == identity:
            return value
""",
    "drive.py": """
import os, pathlib, subprocess, sys

def _ask(*words):
    folder = pathlib.Path(__file__).resolve().parents[2]
    told = subprocess.run([PYTHON, "-m", "holdfast.simulator.colab_service.mounting", str(folder), *words],
                          env={**os.environ, "PYTHONPATH": SOURCE}, capture_output=True, text=True)
    sys.stdout.write(told.stdout)
    if told.returncode:
        raise ValueError(told.stderr.strip().splitlines()[-1] if told.stderr.strip() else "mount failed")

def mount(mountpoint, force_remount=False, timeout_ms=120000, readonly=False):
    if force_remount or not os.path.isdir(os.path.join(mountpoint, "My Drive")):
        from google.colab import _message
        _message.blocking_request("dfs_ephemeral")
    _ask("mount", mountpoint, str(int(force_remount)), str(int(readonly)))

def flush_and_unmount(timeout_ms=86_400_000):
    _ask("flush_and_unmount")
""",
    "runtime.py": "def unassign():\n    pass\n",
}


def lay_out(folder: Path) -> None:
    """Write the package into this folder, in the place of another."""
    own = f"PYTHON, SOURCE = {sys.executable!r}, {str(Path(__file__).parents[3])!r}\n"
    for name, text in _PACKAGE.items():
        (folder / name).write_text(own + text, encoding="utf-8")
