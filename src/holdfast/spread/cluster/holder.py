"""The process that holds Ray, and does with it what the engine says.

Ray ends the process that drives it when the head of the cluster is lost, without an exception and without a `finally`; and it
prints what its nodes say. So it lives in a process of its own: a lost head is an end of the pipe for the engine, and not for the
notebook. It ends with the process that started it, and Ray ends its tasks then.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import sys
import time
from typing import Any

from holdfast.spread.cluster import alone, probe
from holdfast.spread.cluster.remote import work
from holdfast.spread.cluster.words import (
    Begin,
    Broke,
    Forget,
    Joined,
    Leave,
    Machine,
    Machines,
    NotJoined,
    Put,
    Returned,
    Submit,
    Withdraw,
    Word,
)
from holdfast.store.apart.child import Gone, Pipe

_LOOK_SECONDS, _LIST_SECONDS = 0.2, 1.0
_SHOWN = 300


def serve(pipe: Pipe) -> None:
    """Hold Ray for whoever is at the other end."""
    with contextlib.suppress(Gone):
        _Holder(pipe).hold()


class _Holder:
    """Ray, and what was submitted to it."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._names: dict[Any, str] = {}
        self._put: dict[str, Any] = {}
        self._functions: dict[str, Any] = {}
        self._alive: tuple[Machine, ...] | None = None
        self._listed = 0.0
        self._bell, self._ringing = os.pipe()  # rung when something ended that was submitted
        for end in (self._bell, self._ringing):
            os.set_blocking(end, False)

    def hold(self) -> None:
        """Join a cluster or start one, then do what is said until the other side leaves."""
        begin = self._hear()
        assert isinstance(begin, Begin)
        with contextlib.ExitStack() as stack:
            try:
                more = stack.enter_context(alone.to_start()) if begin.address == alone.HERE else {}
                # A grammar for jsonschema that notebooks bring. Ray takes a second to load it, and nothing is asked of it here.
                sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
                import ray  # it reads its environment as it is loaded

                ray.init(address=begin.address, log_to_driver=False, configure_logging=False, **more)
            except BaseException as error:  # noqa: BLE001 - whatever it is, a person is to read it in one line
                self._say(NotJoined(_line(error)))
                return
            self._say(Joined(ray.get_runtime_context().gcs_address))
            self._do()

    def _do(self) -> None:
        import ray

        try:
            ray.cloudpickle.register_pickle_by_value(probe)
            self._functions = {"probe": ray.remote(probe.look), "work": ray.remote(work)}
            while self._did_what_was_said():
                self._tell_ended()
                self._tell_machines()
        finally:
            ray.shutdown()

    def _say(self, word: Word) -> None:
        self._pipe.send(pickle.dumps(word))

    def _hear(self) -> Word:
        word: Word = pickle.loads(self._pipe.receive())  # noqa: S301 - from the process that started this one
        return word

    def _did_what_was_said(self) -> bool:
        """False where that is to leave."""
        import ray

        ready = select.select([self._pipe.reading, self._bell], [], [], _LOOK_SECONDS)[0]
        if self._bell in ready:
            os.read(self._bell, 1 << 16)
        while select.select([self._pipe.reading], [], [], 0)[0]:
            said = self._hear()
            if isinstance(said, Leave):
                return False
            if isinstance(said, Put):
                self._put[said.name] = ray.put(said.data)
            elif isinstance(said, Forget):
                del self._put[said.name]
            elif isinstance(said, Submit):
                self._submit(said)
            elif isinstance(said, Withdraw):
                self._withdraw(said.name)
        return True

    def _submit(self, said: Submit) -> None:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        counted = dict(said.resources)
        function = self._functions[said.function].options(
            num_cpus=counted.pop("CPU", 0),
            num_gpus=counted.pop("GPU", 0),
            resources=counted,
            max_retries=0,  # whether to try again is decided by whoever knows what was saved
            runtime_env={"env_vars": dict(said.environment)},
            scheduling_strategy=NodeAffinitySchedulingStrategy(said.node, soft=False),
        )
        put = {name: self._put[name] for name in said.put}
        ref = function.remote(said.argument, put) if put else function.remote(said.argument)
        self._names[ref] = said.name
        ref.future().add_done_callback(self._ring)

    def _ring(self, _: object) -> None:
        with contextlib.suppress(OSError):  # it is rung already, many times over
            os.write(self._ringing, b".")

    def _withdraw(self, name: str) -> None:
        import ray

        for ref in [r for r, n in self._names.items() if n == name]:
            del self._names[ref]
            with contextlib.suppress(Exception):  # its node may be gone, or hang; then it ends by itself
                ray.cancel(ref, force=True)

    def _tell_ended(self) -> None:
        import ray

        if not self._names:
            return
        ready, _ = ray.wait(list(self._names), num_returns=len(self._names), timeout=0)
        for ref in ready:
            name = self._names.pop(ref)
            try:
                value = ray.get(ref)
            except ray.exceptions.RayTaskError as error:
                self._say(Broke(name, f"raised {_line(error.cause or error)}", process=True))
            except ray.exceptions.OutOfMemoryError:
                self._say(Broke(name, "was ended, because its node was short of memory", process=True))
            except ray.exceptions.WorkerCrashedError:
                self._say(Broke(name, "ended by itself, or by a signal", process=True))
            except ray.exceptions.RayError as error:
                self._say(Broke(name, _line(error), process=False))
            else:
                self._say(Returned(name, value))

    def _tell_machines(self) -> None:
        import ray

        if time.monotonic() - self._listed < _LIST_SECONDS:
            return
        self._listed = time.monotonic()
        alive = tuple(
            Machine(n["NodeID"], n["NodeManagerHostname"], n["NodeManagerAddress"], dict(n["Resources"]))
            for n in ray.nodes()
            if n["Alive"]
        )
        if alive != self._alive:
            self._alive = alive
            self._say(Machines(alive))


def _line(error: BaseException) -> str:
    said = " ".join(str(error).split())[:_SHOWN]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
