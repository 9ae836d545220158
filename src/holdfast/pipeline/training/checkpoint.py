"""A checkpoint: a local `transformers` folder, and beside it how the text was cut for it.

A folder that is only partly there (a copy cut short, a training killed while saving) is told from a whole one before any
library opens it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from holdfast.errors import BadData, NotRestored
from holdfast.pipeline.quiet import quiet
from holdfast.session.files import file_identity, write_json

if TYPE_CHECKING:
    from tokenizers import Tokenizer

INFO = "holdfast.json"  #: the tags, and how the text was cut
CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
WEIGHTS = "model.safetensors"

#: Names of weights as `transformers` looks for them, in its order. An index names the shards beside it.
_WEIGHTS = (WEIGHTS, f"{WEIGHTS}.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")

_MEND = "it was copied or saved only in part: restore or train it again"


@dataclass(frozen=True)
class CheckpointInfo:
    """How a model reads text.

    Args:
        tags: BIO tag of each column of its logits.
        max_length: The most pieces in a window, with the special ones.
        stride: Pieces that a window shares with the one before it.
    """

    tags: tuple[str, ...]
    max_length: int
    stride: int

    def document(self) -> dict[str, Any]:
        """As it is written to JSON."""
        return {"tags": list(self.tags), "max_length": self.max_length, "stride": self.stride}


def write_info(folder: Path, info: CheckpointInfo) -> None:
    """Write `holdfast.json` into the folder, whole or not at all."""
    write_json(folder / INFO, info.document())


def read_info(folder: Path) -> CheckpointInfo:
    """Read `holdfast.json` of a checkpoint. Errors as `parse_info`, and those of a partial folder."""
    _require(folder, (INFO,))
    return parse_info(folder / INFO)


def parse_info(place: Path) -> CheckpointInfo:
    """The tags and lengths in a JSON file.

    Raises:
        BadData: the file cannot be read or does not hold them.
    """
    try:
        document = json.loads(place.read_bytes())
        tags = tuple(document["tags"])
        info = CheckpointInfo(tags, document["max_length"], document["stride"])
        named = len(tags) > 0 and all(type(tag) is str for tag in tags)
        whole = all(type(n) is int and n >= 0 for n in (info.max_length, info.stride))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadData(f"{place}: cannot be read: {one_line(error)}; expected tags, max_length and stride") from error
    if not (named and whole):
        raise BadData(f"{place}: expected tags as texts, max_length and stride as whole numbers")
    return info


def check_whole(folder: Path) -> None:
    """Pass silently where everything that a checkpoint has is there and the weights are not cut short.

    Raises:
        NotRestored: there is no such folder.
        BadData: something is missing or cut short; the text names it.
    """
    _require(folder, (CONFIG, TOKENIZER, INFO))
    weight_files(folder)


def load_torch(folder: Path) -> Any:
    """The model on the CPU, in float32, in evaluation mode.

    Raises:
        NotRestored: there is no such folder.
        BadData: something is missing or cut short, or `transformers` cannot read it as a token classifier.
    """
    _require(folder, (CONFIG,))
    weight_files(folder)
    try:
        with quiet():
            import torch
            from transformers import AutoModelForTokenClassification
            from transformers.utils import logging as transformers_logging

            shown: Any = transformers_logging  # not typed
            bars = shown.is_progress_bar_enabled()
        with quiet():
            shown.disable_progress_bar()
            try:
                model, report = AutoModelForTokenClassification.from_pretrained(
                    str(folder), local_files_only=True, dtype=torch.float32, output_loading_info=True
                )
            finally:
                if bars:
                    shown.enable_progress_bar()
    except ImportError as error:
        raise BadData(f"{folder}: {one_line(error)}; torch and transformers are needed: install holdfast[pipeline]") from error
    except Exception as error:  # the library documents no errors: whatever it is, the folder is not a checkpoint
        raise BadData(f"{folder}: transformers cannot load it: {one_line(error)}") from error
    missing = sorted(report["missing_keys"])
    if missing:  # the library would go on with random numbers in their place
        raise BadData(f"{folder}: the weights lack {_few(missing)}; is it a trained token classifier?")
    return model.float().eval()


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer, without the padding and truncation that its file may ask for: how text is cut is said elsewhere.

    Raises:
        NotRestored: there is no such folder.
        BadData: `tokenizer.json` is missing or is none.
    """
    _require(folder, (TOKENIZER,))
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    except Exception as error:  # the library raises plain Exception
        raise BadData(f"{folder / TOKENIZER}: cannot be read as a tokenizer: {one_line(error)}") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def weights_identity(folder: Path) -> str:
    """BLAKE3 of `model.safetensors`, 64 hex digits. With several weight files, of their sorted names and hashes.

    Raises:
        NotRestored: there is no such folder.
        BadData: weights are missing or cut short.
    """
    files = weight_files(folder)
    if [file.name for file in files] == [WEIGHTS]:
        return file_identity(files[0])
    rows = "".join(f"{file.name}\0{file_identity(file)}\n" for file in sorted(files))
    return blake3(rows.encode()).hexdigest()


def weight_files(folder: Path) -> list[Path]:
    """The files that hold the weights, an index first. Errors as `check_whole`."""
    _require(folder, ())
    main = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)
    if main is None:
        raise BadData(f"{folder}: not a whole checkpoint: {WEIGHTS} is missing; {_MEND}")
    files = [main]
    if main.suffix == ".json":
        try:
            shards = sorted(set(json.loads(main.read_bytes())["weight_map"].values()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadData(f"{main}: cannot be read as an index of weights; {_MEND}") from error
        absent = [name for name in shards if not (folder / name).is_file()]
        if absent:
            raise BadData(f"{folder}: not a whole checkpoint: {_few(absent)} missing; {_MEND}")
        files += [folder / name for name in shards]
    for file in files:
        if file.suffix == ".safetensors":
            _check_safetensors(file)
    return files


def _require(folder: Path, names: Sequence[str]) -> None:
    if not folder.is_dir():
        raise NotRestored(f"{folder}: there is no checkpoint here; train it, or restore it")
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        missing += [] if any((folder / name).is_file() for name in _WEIGHTS) else [WEIGHTS]
        raise BadData(f"{folder}: not a whole checkpoint: {_few(missing)} missing; {_MEND}")


def _check_safetensors(file: Path) -> None:
    """Compare the length of the file with what its header says.

    Source of the layout: the format's description, https://huggingface.co/docs/safetensors (8 bytes little-endian: length
    of the header; the header, JSON; then the data, to the byte).
    """
    size = file.stat().st_size
    try:
        with file.open("rb") as handle:
            length = int.from_bytes(handle.read(8), "little")
            if size < 8 or length > size - 8:
                raise ValueError("cut short")
            header = json.loads(handle.read(length))
        end = max((row["data_offsets"][1] for name, row in header.items() if name != "__metadata__"), default=0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise BadData(f"{file}: not a whole checkpoint: its header is cut short or damaged; {_MEND}") from error
    if size != 8 + length + end:
        raise BadData(f"{file}: not a whole checkpoint: {size} bytes of {8 + length + end}; {_MEND}")


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def one_line(error: BaseException) -> str:
    """The text of an error on one line, at most 300 characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:299] + "…"
