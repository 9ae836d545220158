"""A Ray cluster of this machine whose nodes come, hang and die: real raylets and workers, with a folder of temporary files each.

It is held by a process of its own, `python -m tests.spread.cluster.nodes`, which is told what to do in lines of JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[3]
MEGABYTES = 80


class Nodes:
    """The cluster. Each node is known by a number, from 1 on; the head has no CPU, so nothing runs there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ray = Path(tempfile.mkdtemp(prefix="hf-", dir="/tmp"))  # short: paths of its sockets have a limit
        self.environment = {
            "RAY_AUTH_MODE": "disabled",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_TMPDIR": str(self._ray),
            "PYTHONPATH": os.pathsep.join([str(HERE / "src"), str(HERE)]),
        }
        with (folder / "nodes.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.spread.cluster.nodes"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=HERE,
                env={**os.environ, **self.environment},
            )
        self.address: str = self._told()["address"]
        self.count = 0
        self.alive: list[int] = []

    def add(self, cpus: int = 1, **environment: str) -> int:
        """A node joins. Its number."""
        self.count += 1
        temporary = self.folder / f"node-{self.count}"
        temporary.mkdir()
        self._ask({"add": self.count, "cpus": cpus, "environment": {"TMPDIR": str(temporary), **environment}})
        self.alive.append(self.count)
        return self.count

    def kill(self, number: int) -> None:
        """Its machine is gone: SIGKILL for all of its processes at once."""
        self._ask({"kill": number})
        self.alive.remove(number)

    def stop(self, number: int) -> None:
        """It hangs without dying: SIGSTOP."""
        self._ask({"stop": number})

    def wake(self, number: int) -> None:
        """It goes on."""
        self._ask({"wake": number})

    def kill_head(self) -> None:
        """The machine of the head is gone. What is left of the cluster is of no use."""
        self._ask({"head": True})

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
        assert self._process.stdout is not None
        self._process.stdout.close()
        shutil.rmtree(self._ray, ignore_errors=True)

    def _ask(self, what: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        self._told()

    def _told(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            if line.startswith("{"):  # and not what Ray prints
                told: dict[str, Any] = json.loads(line)
                return told
        raise AssertionError(f"the cluster ended: {(self.folder / 'nodes.log').read_text()[-2000:]}")


def _serve() -> None:
    import psutil
    from ray.cluster_utils import Cluster

    memory = {"object_store_memory": MEGABYTES << 20}
    keepalive = {"grpc_client_keepalive_time_ms": 10_000, "grpc_client_keepalive_timeout_ms": 10_000}
    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": keepalive, **memory}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    nodes: dict[int, Any] = {}

    def add(cpus: int, environment: dict[str, str]) -> Any:
        for again in (True, True, False):  # Ray gives a node half a minute to start, which a busy machine may need
            try:
                return cluster.add_node(num_cpus=cpus, env_vars=environment, **memory)
            except Exception:
                if not again:
                    raise
        raise AssertionError

    def processes(number: int) -> list[psutil.Process]:
        raylet = psutil.Process(nodes[number].all_processes["raylet"][0].process.pid)
        return [raylet, *raylet.children(recursive=True)]

    def send(number: int, what: signal.Signals) -> None:
        for process in processes(number):
            process.send_signal(what)

    def kill_head() -> None:
        for started in cluster.head_node.all_processes.values():
            for root in [psutil.Process(each.process.pid) for each in started]:
                for process in [*root.children(recursive=True), root]:
                    process.kill()

    print(json.dumps({"address": cluster.address}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        if "add" in asked:
            nodes[asked["add"]] = add(asked["cpus"], asked["environment"])
        elif "kill" in asked:
            send(asked["kill"], signal.SIGKILL)
            cluster.remove_node(nodes.pop(asked["kill"]), allow_graceful=False)
        elif "head" in asked:
            kill_head()
        elif "stop" in asked:
            send(asked["stop"], signal.SIGSTOP)
        else:
            send(asked["wake"], signal.SIGCONT)
        print("{}", flush=True)
    for number in nodes:
        send(number, signal.SIGCONT)
    for number in list(nodes):
        send(number, signal.SIGKILL)
    cluster.shutdown()


if __name__ == "__main__":
    _serve()
