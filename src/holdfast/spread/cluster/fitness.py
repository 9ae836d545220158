"""Whether a node can do what is done here, from what it says of itself. It decides, and asks nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.store.reporting.amounts import size

#: What decides the bits of a training, and of a study. What is not installed here is not asked for.
DISTRIBUTIONS = (
    "torch",
    "numpy",
    "optuna",
    "transformers",
    "tokenizers",
    "accelerate",
    "keras",
    "lightning",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "cloudpickle",
)


#: On a node, the folder in which it sees the store, where that is another one than on the driver's machine.
VARIABLE = "HOLDFAST_NODE_DRIVE"
#: On a node, what type of machine it is, where processor and GPU do not tell: pods of one processor that have other limits.
NAMING = "HOLDFAST_NODE_TYPE"
#: Ray counts each type of GPU under a name that begins so.
_ACCELERATOR = "accelerator_type:"


@dataclass(frozen=True)
class Facts:
    """What a machine says of itself. See `ray_probe.look`.

    Args:
        drive: The folder in which it looked for the store.
        python: Its version.
        versions: Of what is installed, by name.
        holdfast: Its version, and a digest of its modules.
        processor: Its name.
        named: What it says itself that its type is; empty where it says nothing.
        free: Bytes for temporary files.
        probe: What the driver's file says there.
        sentinel: What the store's own file says there.
        unseen: Why one of them could not be read.
    """

    drive: str
    python: str
    versions: Mapping[str, str | None]
    holdfast: tuple[str, str] | None
    processor: str
    named: str
    free: int
    probe: str | None
    sentinel: str | None
    unseen: str

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Facts:
        """From a node's answer."""
        found = answer["holdfast"]
        return cls(**{**answer, "holdfast": None if found is None else (found[0], found[1])})


def refusal(there: Facts, here: Facts, need: int) -> str:
    """Why a node can have no part, as a sentence goes on; empty where it can.

    Args:
        there: What it says.
        here: What is so on the driver's machine, with what was written for the probe.
        need: Bytes that it should have for temporary files.
    """
    if there.sentinel is None:
        return (
            f"does not see the store in {there.drive} ({there.unseen}); mount it there under the path that it has here, or set "
            f"{VARIABLE} there before Ray starts"
        )
    if there.sentinel != here.sentinel:
        return f"sees another store in {there.drive}; mount there the one that is in {here.drive} here"
    if there.probe != here.probe:
        return (
            f"sees in {there.drive} a copy of the store, without what was written here just now; mount there the one that is in "
            f"{here.drive} here"
        )
    if there.holdfast is None:
        return f"has no Holdfast; install version {_version(here)} there"
    if here.holdfast is not None and there.holdfast[0] != here.holdfast[0]:
        return f"has Holdfast {there.holdfast[0]}, and here is {_version(here)}; install the same there"
    if there.holdfast != here.holdfast:
        return f"has Holdfast {_version(here)} as here, with other modules; install the same there"
    for name in sorted(here.versions):
        ours, theirs = here.versions[name], there.versions.get(name)
        if ours is not None and ours != theirs:
            return f"has {name} {theirs or 'not installed'}, and here is {ours}; install the same there"
    if there.python != here.python:
        return f"has Python {there.python}, and here is {here.python}; install the same there"
    if there.free < need:
        return f"has {size(there.free)} free for temporary files, and {size(need)} are asked for; make room, or set TMPDIR there"
    return ""


def _version(facts: Facts) -> str:
    return facts.holdfast[0] if facts.holdfast is not None else "of here"


def differs_in_processor(there: Facts, here: Facts) -> str:
    """What is worth knowing of a node that can have a part, and whose last bits may be others; empty where nothing is."""
    if there.processor == here.processor:
        return ""
    return f"has another processor ({there.processor}, here {here.processor}), so a trial's last bits may depend on where it ran"


def type_of(there: Facts, resources: Mapping[str, float]) -> str:
    """The type of a node: what is measured on two of one type can be compared.

    Args:
        there: What it says.
        resources: What Ray says that it has.
    """
    gpus = sorted(name.removeprefix(_ACCELERATOR) for name in resources if name.startswith(_ACCELERATOR))
    return there.named or ", ".join((there.processor, *gpus))


def fits(resources: Mapping[str, float], used: Sequence[Mapping[str, float]], need: Mapping[str, float]) -> bool:
    """Whether a node with these resources has room, beside what is used of it, for what is needed."""
    return all(resources.get(name, 0.0) - sum(u.get(name, 0.0) for u in used) >= amount - 1e-9 for name, amount in need.items())
