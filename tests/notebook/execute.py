"""Runs a notebook in a fresh kernel until a cell fails, and writes it with its outputs. A process of its own.

python -m tests.notebook.execute NOTEBOOK FOLDER PYTHON runs it in FOLDER with the kernel of that PYTHON. It prints the kernel's
process id, and at the end `done`, or `failed` where a cell did, or `died`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbclient
import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

#: A cell is over long before; the limit is for tests that are broken.
LIMIT_SECONDS = 240


class Kernel(AsyncKernelManager):
    """One Python's kernel, whatever kernels are installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(argv=[sys.argv[3], "-m", "ipykernel_launcher", "-f", "{connection_file}"], language="python")


def main() -> None:
    place, folder = Path(sys.argv[1]), sys.argv[2]
    book = nbformat.read(place, as_version=4)
    manager = Kernel()
    client = nbclient.NotebookClient(book, km=manager, timeout=LIMIT_SECONDS, resources={"metadata": {"path": folder}})
    told = [False]

    def tell(cell: object, cell_index: int) -> None:
        if not told[0]:
            told[0] = True
            print(manager.provisioner.process.pid, flush=True)

    client.on_cell_start = tell
    try:
        client.execute()
        print("done")
    except nbclient.exceptions.DeadKernelError:
        print("died")
    except nbclient.exceptions.CellExecutionError:
        print("failed")
    nbformat.write(book, place)


if __name__ == "__main__":
    main()
