"""A Ray cluster of this machine whose nodes come, hang and die: real raylets and workers, with a folder of temporary files each.

It is held by a process of its own, `python -m tests.spread.cluster.nodes`, which is told what to do in lines of JSON.
"""

from __future__ import annotations

import contextlib
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
            "RAY_worker_niceness": "0",  # else whatever else runs here comes first
            "RAY_TMPDIR": str(self._ray),
            "PYTHONPATH": os.pathsep.join([str(_without_grammar(folder)), str(HERE / "src"), str(HERE)]),
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

    def add(self, cpus: int = 1, gpus: int = 0, **environment: str) -> int:
        """A node joins. Its number."""
        self.count += 1
        temporary = self.folder / f"node-{self.count}"
        temporary.mkdir()
        self._ask({"add": self.count, "cpus": cpus, "gpus": gpus, "environment": {"TMPDIR": str(temporary), **environment}})
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


def _without_grammar(folder: Path) -> Path:
    """A folder that has Ray's processes do without a grammar that notebooks bring with jsonschema, and that takes each a second."""
    place = folder / "quick"
    place.mkdir()
    (place / "rfc3987_syntax.py").write_text('raise ImportError("not in this environment")\n')
    return place


class _Cluster:
    """What the process does that holds it."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self._memory = {"object_store_memory": MEGABYTES << 20}
        keepalive = {"grpc_client_keepalive_time_ms": 10_000, "grpc_client_keepalive_timeout_ms": 10_000}
        self.cluster = Cluster()
        self._join(num_cpus=0, include_dashboard=False, _system_config=keepalive)
        self._nodes: dict[int, Any] = {}

    def do(self, asked: Mapping[str, Any]) -> None:
        if "add" in asked:
            self._nodes[asked["add"]] = self._join(num_cpus=asked["cpus"], num_gpus=asked["gpus"], env_vars=asked["environment"])
        elif "kill" in asked:
            self._send(asked["kill"], signal.SIGKILL)
            self.cluster.remove_node(self._nodes.pop(asked["kill"]), allow_graceful=False)
        elif "head" in asked:
            for started in self.cluster.head_node.all_processes.values():
                for each in started:
                    _send(each.process.pid, signal.SIGKILL)
        elif "stop" in asked:
            self._send(asked["stop"], signal.SIGSTOP)
        else:
            self._send(asked["wake"], signal.SIGCONT)

    def end(self) -> None:
        for what in (signal.SIGCONT, signal.SIGKILL):
            for number in self._nodes:
                self._send(number, what)
        self.cluster.shutdown()

    def _join(self, **node: Any) -> Any:
        for again in (True, True, False):  # Ray gives a node half a minute to start, which a busy machine may need
            try:
                return self.cluster.add_node(**node, **self._memory)
            except Exception:
                if not again:
                    raise
        raise AssertionError

    def _send(self, number: int, what: signal.Signals) -> None:
        _send(self._nodes[number].all_processes["raylet"][0].process.pid, what)


def _send(root: int, what: signal.Signals) -> None:
    """To a process and all that it started, where it is not gone by itself."""
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        for process in [psutil.Process(root), *psutil.Process(root).children(recursive=True)]:
            process.send_signal(what)


def _serve() -> None:
    held = _Cluster()
    print(json.dumps({"address": held.cluster.address}), flush=True)
    for line in sys.stdin:
        held.do(json.loads(line))
        print("{}", flush=True)
    held.end()


if __name__ == "__main__":
    _serve()
