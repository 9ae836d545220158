"""A dataset from its files: which they are, how they fit together, and what is told about them."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import BadData, LocalError, UsageError
from holdfast.pipeline.data.dataset import load_dataset, summary
from holdfast.pipeline.data.drawing import draw
from holdfast.pipeline.data.files import bring_here
from holdfast.pipeline.data.splits import Splits, find_splits


def put(path: Path, *sentences: Sequence[str]) -> Path:
    """A CoNLL file; each token is written `word` or `word/TAG`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join([*token.split("/"), "O"][:2]) for sentence in sentences for token in [*sentence, ""]]
    path.write_text("\n".join("" if line == "\tO" else line for line in lines), encoding="utf-8")
    return path


def many(count: int, *, start: int = 0) -> list[list[str]]:
    return [[f"word{n}", "Oslo/B-LOC"] for n in range(start, start + count)]


def splits_in(folder: Path, *, validation: bool = True) -> Splits:
    return Splits(
        put(folder / "train.conll", *many(30)),
        put(folder / "dev.conll", *many(3, start=30)) if validation else None,
        put(folder / "test.conll", ["at/O", "Rome/B-LOC"], ["Ada/B-PER", "Obi/I-PER", "left"]),
    )


@pytest.mark.parametrize("name", ["validation.json", "dev.conll", "valid.txt", "val.JSONL"])
def test_splits_are_found_by_their_names(name: str, tmp_path: Path) -> None:
    for file in ("train.json", "test.tsv", name, "README.md", "train.csv", "training.json"):
        (tmp_path / file).touch()
    (tmp_path / "train.conll").mkdir()
    assert find_splits(tmp_path) == Splits(tmp_path / "train.json", tmp_path / name, tmp_path / "test.tsv")


def test_a_validation_file_may_be_missing(tmp_path: Path) -> None:
    (tmp_path / "train.json").touch()
    (tmp_path / "test.json").touch()
    assert find_splits(tmp_path).validation is None


@pytest.mark.parametrize(
    ("names", "what"),
    [
        ((), "no train data; looked for train.*"),
        (("test.json",), "no train data; looked for train.*"),
        (("train.json", "testing.json"), "no test data; looked for test.*"),
        (("one.json", "two.json"), "no train data; looked for train.*"),
        (("train.json", "train.conll", "test.json"), "train.conll, train.json could each be the train data"),
        (("train.json", "dev.json", "val.json", "test.json"), "dev.json, val.json could each be the validation data"),
    ],
)
def test_missing_and_ambiguous_splits_are_refused_with_what_was_looked_for(
    names: tuple[str, ...], what: str, tmp_path: Path
) -> None:
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(BadData) as caught:
        find_splits(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}: {what}")
    assert str(caught.value).isprintable()


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("file", "missing", "a\0b"):
        with pytest.raises(BadData, match="cannot be read"):
            find_splits(tmp_path / name)


def test_labels_are_those_of_all_splits_and_one_without_an_example_is_told(tmp_path: Path) -> None:
    dataset = load_dataset(splits_in(tmp_path))
    assert dataset.labels == ("LOC", "PER")
    assert [len(d) for d in (dataset.train, dataset.validation, dataset.test)] == [30, 3, 2]
    assert dataset.notes == ("no example in the training data, so it cannot be learnt: PER",)


@pytest.mark.parametrize(
    ("labels", "mend"),
    [(["LOC", "PERS"], "did you mean 'PERS'"), (["LOC", "per"], "did you mean 'per'"), (["LOC", "X"], "known are LOC, X")],
)
def test_a_label_that_is_not_configured_is_refused_with_its_place_and_the_nearest_known(
    labels: list[str], mend: str, tmp_path: Path
) -> None:
    splits = splits_in(tmp_path)
    with pytest.raises(BadData) as caught:
        load_dataset(splits, labels=labels)
    place = f"{splits.test}: document 2, characters 0 to 7: label 'PER' is not in the configuration; "
    assert str(caught.value) == place + mend


def test_configured_labels_are_sorted_and_stay_without_examples(tmp_path: Path) -> None:
    dataset = load_dataset(splits_in(tmp_path), labels=["PER", "MISC", "LOC", "LOC"])
    assert dataset.labels == ("LOC", "MISC", "PER")
    assert any("MISC, PER" in note for note in dataset.notes)


def test_validation_is_taken_out_of_training_and_every_document_is_in_one_of_them(tmp_path: Path) -> None:
    whole = load_dataset(splits_in(tmp_path)).train
    dataset = load_dataset(splits_in(tmp_path, validation=False), validation_share=0.2, seed=3)
    assert (len(dataset.train), len(dataset.validation)) == (24, 6)
    chosen = draw(alone(30), 30, 0.2, 3)
    assert dataset.validation == tuple(d for n, d in enumerate(whole) if n in chosen)
    assert dataset.train == tuple(d for n, d in enumerate(whole) if n not in chosen)
    assert any("6 of 30 training documents" in note and "seed 3" in note for note in dataset.notes)


def test_the_same_seed_takes_the_same_documents_everywhere_and_another_takes_others() -> None:
    assert sorted(draw(alone(20), 20, 0.2, 0)) == EXPECTED
    assert draw(alone(20), 20, 0.2, 1) != frozenset(EXPECTED)


#: Written down: a study that goes on elsewhere must not learn from what it is measured by.
EXPECTED = [10, 13, 16, 18]


def alone(count: int) -> list[tuple[int, ...]]:
    return [(n,) for n in range(count)]


def test_at_least_one_document_is_taken_and_one_is_left(tmp_path: Path) -> None:
    assert len(draw(alone(2), 2, 0.01, 0)) == 1
    assert len(draw(alone(2), 2, 0.99, 0)) == 1
    splits = splits_in(tmp_path, validation=False)
    for share in (0, 1, -0.1, float("nan")):
        with pytest.raises(UsageError, match="validation_share"):
            load_dataset(splits, validation_share=share)
    put(splits.train, *many(1))
    with pytest.raises(BadData, match="too few"):
        load_dataset(splits)


def test_texts_that_training_shares_with_test_and_validation_are_told(tmp_path: Path) -> None:
    splits = splits_in(tmp_path)
    put(splits.test, *many(2), ["new", "Oslo/B-LOC"])
    notes = load_dataset(splits).notes
    assert notes == ("2 of 3 test documents are also in the training data, so its scores come out too high",)


def test_texts_that_validation_shares_with_test_are_told_and_near_duplicates_of_them(tmp_path: Path) -> None:
    splits = splits_in(tmp_path)
    own = [[f"word{n}" for n in range(20)] + ["Oslo/B-LOC"], ["only", "here", "Rome/B-LOC"]]
    assert splits.validation is not None
    put(splits.validation, *own)
    put(splits.test, own[1], [*own[0], "more"], ["new", "Oslo/B-LOC"])
    high = "so its scores come out too high"
    assert load_dataset(splits).notes == (
        f"1 of 3 test documents are also in the validation data, by which the model is chosen, {high}",
        f"1 of 3 test documents are near-duplicates of validation documents, which choose the model, {high}",
    )


def test_notes_of_the_files_are_kept(tmp_path: Path) -> None:
    splits = splits_in(tmp_path)
    put(splits.train, *many(5), ["Oslo/I-LOC"])
    assert any(str(splits.train) in note and "I-" in note for note in load_dataset(splits).notes)


def test_an_empty_split_and_training_without_entities_are_refused(tmp_path: Path) -> None:
    splits = splits_in(tmp_path)
    splits.test.write_text("")
    with pytest.raises(BadData, match=r"test\.conll: it is empty"):
        load_dataset(splits)
    splits = splits_in(tmp_path)
    put(splits.train, ["no", "entity"])
    with pytest.raises(BadData, match=r"train\.conll: no document has an entity"):
        load_dataset(splits)


def test_identity_is_of_the_content_and_not_of_the_files(tmp_path: Path) -> None:
    here, there = splits_in(tmp_path / "here"), splits_in(tmp_path / "there")
    identity = load_dataset(here).identity
    assert len(identity) == 64
    assert load_dataset(there).identity == identity
    (train, _, _), items = (there.train, there.validation, there.test), []
    for n in range(30):
        text = f"word{n} Oslo"
        items.append({"text": text, "annotations": [[len(text) - 4, len(text), "LOC"]]})
    as_json = train.with_suffix(".json")
    as_json.write_text(json.dumps(items))
    assert load_dataset(Splits(as_json, there.validation, there.test)).identity == identity


def test_identity_changes_with_any_text_entity_word_label_or_split(tmp_path: Path) -> None:
    splits = splits_in(tmp_path)
    seen = {load_dataset(splits).identity, load_dataset(splits, labels=["LOC", "MISC", "PER"]).identity}
    assert splits.validation is not None
    changes: list[Any] = [
        lambda: put(splits.validation, ["word30", "Oslo"], *many(2, start=31)),
        lambda: put(splits.validation, ["word30", "Oslo/B-PER"], *many(2, start=31)),
        lambda: put(splits.validation, ["word30 Oslo/B-LOC"], *many(2, start=31)),
        lambda: put(splits.validation, ["word30", "Rome/B-LOC"], *many(2, start=31)),
        lambda: put(splits.validation, *many(2, start=30)),
        lambda: put(splits.train, *reversed(many(30))),
    ]
    for change in changes:
        change()
        seen.add(load_dataset(splits).identity)
    seen.add(load_dataset(Splits(splits.train, splits.test, splits.validation)).identity)
    assert len(seen) == len(changes) + 3


def test_the_summary_shows_sizes_labels_and_notes(tmp_path: Path) -> None:
    lines = summary(load_dataset(splits_in(tmp_path)))
    shown = "\n".join(lines)
    assert "train       30 documents, 60 words, 30 entities" in lines
    assert "train       train.conll: 2 columns, token in 1, tag in 2 (tags of the scheme IOB)" in lines
    assert "test        2 documents, 5 words, 2 entities" in lines
    assert "LOC            30           3           1" in lines
    assert "PER             0           0           1" in lines
    assert "note: no example" in shown


def test_data_on_the_drive_is_copied_once_and_again_when_it_changes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive, cache = tmp_path / "drive", tmp_path / "cache"
    source = put(drive / "MyDrive" / "data" / "train.conll", *many(2))
    caplog.set_level(logging.INFO)
    here = bring_here(source, drive, cache)
    assert here == cache / "MyDrive" / "data" / "train.conll"
    assert here.read_bytes() == source.read_bytes()
    assert len(caplog.messages) == 1
    real = shutil.copyfile
    copied: list[Any] = []
    monkeypatch.setattr(shutil, "copyfile", lambda *paths: (copied.append(paths), real(*paths)))
    assert bring_here(source, drive, cache) == here
    assert (copied, len(caplog.messages)) == ([], 1)
    stamp = source.stat().st_mtime_ns + 1_000_000_000
    os.utime(source, ns=(stamp, stamp))
    assert bring_here(source, drive, cache) == here
    put(source, *many(3))
    bring_here(source, drive, cache)
    assert len(copied) == 2
    assert here.read_bytes() == source.read_bytes()
    assert [p.name for p in here.parent.iterdir()] == ["train.conll"]


def test_of_a_folder_the_data_files_are_brought_and_a_renamed_one_is_not_there_twice(tmp_path: Path) -> None:
    drive, cache = tmp_path / "drive", tmp_path / "cache"
    splits_in(drive / "data")
    (drive / "data" / "model.bin").write_bytes(b"large")
    here = bring_here(drive / "data", drive, cache)
    assert sorted(p.name for p in here.iterdir()) == ["dev.conll", "test.conll", "train.conll"]
    (drive / "data" / "dev.conll").rename(drive / "data" / "validation.conll")
    assert bring_here(drive / "data", drive, cache) == here
    assert find_splits(here).validation == here / "validation.conll"


def test_data_elsewhere_stays_where_it_is(tmp_path: Path) -> None:
    path = put(tmp_path / "data" / "train.conll", *many(2))
    (tmp_path / "drive").mkdir()
    assert bring_here(path, None, tmp_path / "cache") == path
    assert bring_here(path, tmp_path / "drive", tmp_path / "cache") == path
    assert not (tmp_path / "cache").exists()


def test_data_that_is_reached_by_a_link_onto_the_drive_is_brought_too(tmp_path: Path) -> None:
    put(tmp_path / "drive" / "train.conll", *many(2))
    (tmp_path / "data").symlink_to(tmp_path / "drive")
    assert bring_here(tmp_path / "data" / "train.conll", tmp_path / "drive", tmp_path / "cache").parent == tmp_path / "cache"


def test_a_copy_that_fails_leaves_what_was_here_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drive, cache = tmp_path / "drive", tmp_path / "cache"
    source = put(drive / "train.conll", *many(2))
    here = bring_here(source, drive, cache)
    before = here.read_bytes()
    put(source, *many(9))
    monkeypatch.setattr(shutil, "copyfile", lambda _, target: Path(target).write_bytes(b"half"))
    with pytest.raises(BadData, match="4 bytes came instead of"):
        bring_here(source, drive, cache)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(LocalError, match="no space"):
        bring_here(source, drive, cache)
    assert here.read_bytes() == before
    assert [p.name for p in cache.iterdir()] == ["train.conll"]
    with pytest.raises(BadData, match="cannot be copied"):
        bring_here(drive / "missing.json", drive, cache)
