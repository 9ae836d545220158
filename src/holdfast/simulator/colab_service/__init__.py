"""The service that the `colab` command talks to, on this machine: assignments, tokens, and real machines that vanish.

::

    with ColabService(tmp_path / "service") as service:
        subprocess.run(["colab", "new", "-s", "one"], env=service.environment)
        service.vanish(service.machines()[0].endpoint)

The real, unmodified command is led here by a proxy with a certificate of its own (`environment`). Each machine is a process
namespace with a `jupyter_server` and its kernels, a root folder of its own with an empty `/content`, and the simulated Drive.
Needs Linux, the rights to `unshare`, and the extra `simulator`.
"""

from holdfast.simulator.colab_service.book import Book, Held
from holdfast.simulator.colab_service.habits import Habits
from holdfast.simulator.colab_service.runtime import Line
from holdfast.simulator.colab_service.service import ColabService

__all__ = ["Book", "ColabService", "Habits", "Held", "Line"]
