"""What a machine's `google.colab.drive` has done, in a process outside of the machine's Python.

python -m holdfast.simulator.colab_service.mounting FOLDER mount|flush_and_unmount …
"""

from __future__ import annotations

import sys
from pathlib import Path

from holdfast.simulator.colab_drive import ColabDrive


def main(folder: str, verb: str, *rest: str) -> None:
    """Mount Drive, or flush and unmount it, as the settings in the folder say."""
    drive = ColabDrive(Path(folder))
    if verb == "mount":
        point, force, readonly = rest
        drive.mount(point, force_remount=force == "1", readonly=readonly == "1")
    else:
        drive.flush_and_unmount()


if __name__ == "__main__":
    main(*sys.argv[1:])
