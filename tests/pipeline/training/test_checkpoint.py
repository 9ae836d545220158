"""A checkpoint that is only partly there is told from a whole one, in one line that names what is missing."""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path

import pytest
from blake3 import blake3

from holdfast.errors import BadData, NotRestored
from holdfast.pipeline.quiet import quiet
from holdfast.pipeline.training.checkpoint import (
    CheckpointInfo,
    check_whole,
    load_tokenizer,
    load_torch,
    read_info,
    weight_files,
    weights_identity,
    write_info,
)
from tests.pipeline.conftest import MAX_LENGTH, STRIDE, TAGS


def test_a_whole_checkpoint_is_read_without_a_word(
    checkpoint: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    check_whole(checkpoint)
    model = load_torch(checkpoint)
    assert not model.training
    assert {str(p.dtype) for p in model.parameters()} == {"torch.float32"}
    assert read_info(checkpoint) == CheckpointInfo(TAGS, MAX_LENGTH, STRIDE)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_the_tokenizer_forgets_truncation_and_padding_of_its_file(checkpoint: Path) -> None:
    tokenizer = load_tokenizer(checkpoint)
    assert tokenizer.truncation is None
    assert tokenizer.padding is None
    assert len(tokenizer.encode("old mill by the river and the rain").ids) == 10


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "holdfast.json", "model.safetensors"])
def test_a_missing_file_is_named(checkpoint: Path, name: str) -> None:
    (checkpoint / name).unlink()
    with pytest.raises(BadData, match=rf"not a whole checkpoint: {name} (is )?missing") as caught:
        check_whole(checkpoint)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("keep", [0, 5, 300, -1])
def test_weights_that_are_cut_short_are_told_before_torch_opens_them(checkpoint: Path, keep: int) -> None:
    weights = checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:keep])
    for load in (check_whole, load_torch, weights_identity):
        with pytest.raises(BadData, match="not a whole checkpoint"):
            load(checkpoint)


def test_no_folder_is_not_restored(tmp_path: Path) -> None:
    for load in (check_whole, load_torch, load_tokenizer, read_info, weights_identity):
        with pytest.raises(NotRestored, match="no checkpoint here"):
            load(tmp_path / "nothing")


def test_weights_without_a_classifier_are_refused(checkpoint: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(checkpoint / "model.safetensors")
    save_file({k: v for k, v in tensors.items() if not k.startswith("classifier.")}, checkpoint / "model.safetensors")
    with pytest.raises(BadData, match=r"the weights lack classifier.bias, classifier.weight"):
        load_torch(checkpoint)


@pytest.mark.parametrize(
    ("name", "load"), [("tokenizer.json", load_tokenizer), ("holdfast.json", read_info), ("config.json", load_torch)]
)
def test_a_damaged_file_is_named_in_one_line(checkpoint: Path, name: str, load: object) -> None:
    (checkpoint / name).write_text('{"x": 1')
    with pytest.raises(BadData, match=r"cannot (be read|load)") as caught:
        load(checkpoint)  # type: ignore[operator]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "document", [{}, [], {"tags": [], "max_length": 8, "stride": 0}, {"tags": ["O"], "max_length": "8", "stride": 0}]
)
def test_an_info_that_says_something_else_is_refused(tmp_path: Path, document: object) -> None:
    (tmp_path / "holdfast.json").write_text(json.dumps(document))
    with pytest.raises(BadData, match="expected tags"):
        read_info(tmp_path)


def test_identity_is_the_hash_of_the_weights(checkpoint: Path) -> None:
    before = weights_identity(checkpoint)
    assert before == blake3((checkpoint / "model.safetensors").read_bytes()).hexdigest()
    write_info(checkpoint, CheckpointInfo(TAGS, 9, 1))
    assert weights_identity(checkpoint) == before


def test_shards_are_all_needed_and_all_in_the_identity(checkpoint: Path) -> None:
    one = (checkpoint / "model.safetensors").read_bytes()
    (checkpoint / "model.safetensors").unlink()
    shards = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    for shard in shards:
        (checkpoint / shard).write_bytes(one)
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": shards[0], "b": shards[1]}}))
    assert [f.name for f in weight_files(checkpoint)] == ["model.safetensors.index.json", *shards]
    identity = weights_identity(checkpoint)
    (checkpoint / shards[1]).write_bytes(one[:-1] + bytes([one[-1] ^ 1]))
    assert weights_identity(checkpoint) != identity
    (checkpoint / shards[1]).unlink()
    with pytest.raises(BadData, match=shards[1]):
        check_whole(checkpoint)


def test_what_libraries_say_is_held_back_and_shown_on_failure(capfd: pytest.CaptureFixture[str]) -> None:
    ours, theirs = logging.getLogger("holdfast.test"), logging.getLogger("transformers.test")
    before = list(logging.getLogger("transformers").handlers)
    heard: list[str] = []
    listener = logging.Handler()
    listener.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    logging.root.addHandler(listener)
    try:
        with pytest.raises(ValueError, match="broken") as caught, quiet():  # noqa: PT012 - what comes before the error is the point
            theirs.warning("loading slowly")
            logging.warning("bare")  # as the quantiser does
            warnings.warn("old name", FutureWarning, stacklevel=1)
            ours.warning("ours")
            raise ValueError("broken")
    finally:
        logging.root.removeHandler(listener)
    assert heard == ["ours"]
    assert all(part in caught.value.__notes__[0] for part in ("loading slowly", "bare", "old name"))
    assert logging.getLogger("transformers").handlers == before
    assert capfd.readouterr() == ("", "")
