"""The processes that train one model together on one machine: what the first of them does for all, and where they meet."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from torch import distributed

from holdfast.errors import ConfigurationError, StageFailed


class Ranks:
    """This process among those that train together; alone where nobody else does.

    Args:
        what: The training, for the lines of errors.

    Raises:
        ConfigurationError: there are several, and they do not know of each other; or they are on several machines.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        together = distributed.is_available() and distributed.is_initialized()
        said = int(os.environ.get("WORLD_SIZE") or 1)
        if said > 1 and not together:
            raise ConfigurationError(f"{what}: {said} processes train together; call torch.distributed.init_process_group() before")
        self.rank: int = distributed.get_rank() if together else 0
        self.count: int = distributed.get_world_size() if together else 1
        here = int(os.environ.get("LOCAL_WORLD_SIZE") or self.count)
        if here != self.count:
            raise ConfigurationError(f"{what}: {self.count} processes on several machines; a training is kept on one machine only")

    @property
    def first(self) -> bool:
        """Whether this one does what is done once."""
        return self.rank == 0

    def told(self, act: Callable[[], Any]) -> Any:
        """What the first one found, in all of them.

        Raises:
            StageFailed: it came to an error there; there itself that error is raised.
        """
        if self.count == 1:
            return act()
        box: list[Any] = [None, None]
        failed: BaseException | None = None
        if self.first:
            try:
                box[0] = act()
            except Exception as error:  # noqa: BLE001 - the others have to be told, and it is raised here after that
                failed, box[1] = error, str(error)
        distributed.broadcast_object_list(box, src=0)
        if failed is not None:
            raise failed
        if box[1] is not None:
            raise StageFailed(f"{self._what}: the first process cannot go on ({box[1]})")
        return box[0]

    def any(self, asked: bool) -> bool:
        """Whether one of them asks for it."""
        if self.count == 1:
            return asked
        device = "cuda" if "nccl" in distributed.get_backend() else "cpu"
        flag = torch.tensor([int(asked)], device=device)
        distributed.all_reduce(flag, distributed.ReduceOp.MAX)
        return bool(flag.item())

    def meet(self) -> None:
        """All of them have come so far."""
        if self.count > 1:
            distributed.barrier()
