"""What an error of a library means: for the trial that met it, and for whoever runs it again. Pure."""

from __future__ import annotations

import sqlite3

from holdfast.errors import ConfigurationError, HoldfastError
from holdfast.flow import failing
from holdfast.flow.stage import Stopped

#: Out of memory in the words of torch and its libraries. Of the last three it is the cause most often.
_MEMORY = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
    "cublas_status_not_initialized",
    "cudnn_status_not_initialized",
    "unable to find an engine",
)

#: The disk, in words of libraries that raise no OSError for it.
_DISK = (*failing.DISK, "pytorchstreamwriter")

#: Nothing that a process asks of the GPU afterwards is answered.
_BROKEN = ("device-side assert", "illegal memory access", "unspecified launch failure", "misaligned address", "illegal instruction")

#: Libraries whose errors are about the study's file, not about a trial.
_STORAGE = ("sqlalchemy", "optuna.exceptions", "optuna.storages", "alembic")

#: Libraries whose errors are about the network.
_NETWORK = (*failing.NETWORK, "huggingface_hub")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the device, or this machine, is too small for it."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(words in text for words in _MEMORY))


def is_of_the_trial(error: Exception) -> bool:
    """Whether an error may come of a trial's parameters, so that the study goes on without that trial.

    Not the end of the time, nor what says that this machine, its disk, its libraries, the store or the study's file is not well:
    of that no other trial would be spared, and a later run finishes this one.
    """
    if isinstance(error, Stopped):
        return False
    if isinstance(error, HoldfastError):  # settings that do not go together are; a hub that does not answer is none of them
        return isinstance(error, ConfigurationError) and not isinstance(error.__cause__, OSError)
    if isinstance(error, OSError | ImportError | sqlite3.Error) or type(error).__module__.startswith(_STORAGE + _NETWORK):
        return False
    text = str(error).lower()
    return not any(words in text for words in _DISK)


def breaks_the_device(error: BaseException) -> bool:
    """Whether this process can do nothing more on its GPU."""
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in text for words in _BROKEN)


def may_pass(error: BaseException) -> bool:
    """Whether the same may go well another time: what disk, network, device or memory said, not what follows from settings."""
    if type(error).__module__.startswith(_NETWORK) or failing.may_pass(error):
        return True
    missing = isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError)
    says_disk = any(words in str(error).lower() for words in _DISK)
    return (says_disk and not missing) or is_out_of_memory(error) or breaks_the_device(error)
