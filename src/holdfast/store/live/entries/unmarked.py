"""Entries of the page for what nobody can recognise by its content."""

from __future__ import annotations

from holdfast.store.live.entries.words import SAVE
from holdfast.store.live.kind import FileKind, Treatment

_UNMARKED = "What has no mark of its own"

#: What nobody can recognise, for the page.
UNMARKED = (
    FileKind(
        "mapped array",
        _UNMARKED,
        "`np.memmap`, `torch.from_file(shared=True)`",
        "a program that has it mapped for writing",
        Treatment.REST,
        worth="holds parts of two states, and nothing tells so",
        whole="nothing is written to it for a quarter of a second",
        advice="`flush()` and delete the array, then back up",
    ),
    FileKind(
        "text",
        _UNMARKED,
        "`to_csv`, YAML, vocabularies",
        "",
        Treatment.REST,
        worth="may lack its last rows, and opens all the same",
        whole="it was the same before and after it was copied",
        advice=SAVE,
    ),
    FileKind(
        "anything else",
        _UNMARKED,
        "faiss, hnswlib, usearch, formats of your own",
        "",
        Treatment.REST,
        worth="holds whatever was written so far",
        whole="it was the same before and after it was copied",
        advice=SAVE,
    ),
)
