"""The splits of a dataset may be files or folders of files: found, brought from a mount, fingerprinted and read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import BadData
from holdfast.pipeline.data.dataset import load_dataset, problems_of
from holdfast.pipeline.data.files import data_files
from holdfast.pipeline.data.formats.shape import Asked
from holdfast.pipeline.data.looking import look
from holdfast.pipeline.data.sources import describe_draw, describe_source, find_sources
from holdfast.pipeline.data.splits import Splits, find_splits
from holdfast.pipeline.settings import Data

SAMPLES = Path(__file__).parent / "samples"


def put(folder: Path, *names: str) -> Path:
    """Samples, copied under the same names, or under `new=old`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        new, _, old = name.rpartition("=")
        shutil.copy(SAMPLES / old, folder / (new or Path(old).name))
    return folder


BRAT = ("brat/d1.ann", "brat/d1.txt", "brat/d2.ann", "brat/d2.txt", "brat/d3.ann", "brat/d3.txt")
FOLDERS = {
    "brat": BRAT,
    "WebAnno": ("webanno-d1.tsv", "webanno-d2.tsv", "webanno-d3.tsv"),
    "XMI": ("uima-d1.xmi", "uima-d2.xmi", "uima-d3.xmi", "TypeSystem.xml=uima-TypeSystem.xml"),
    "UIMA JSON": ("uima-cas-d1.json", "uima-cas-d2.json", "uima-cas-d3.json"),
    "datasets": (
        "datasets-save_to_disk/train/data-00000-of-00001.arrow",
        "datasets-save_to_disk/train/dataset_info.json",
        "datasets-save_to_disk/train/state.json",
    ),
}


@pytest.mark.parametrize("kind", FOLDERS)
@pytest.mark.parametrize("on_drive", [False, True])
def test_a_split_may_be_a_folder_also_on_the_drive(kind: str, on_drive: bool, tmp_path: Path) -> None:
    mount = tmp_path / "drive"
    base = mount / "MyDrive" / "data" if on_drive else tmp_path / "data"
    for split in ("train", "test"):
        put(base / split, *FOLDERS[kind])
    if kind == "datasets":
        put(base, "datasets-save_to_disk/dataset_dict.json")
    truth = load_dataset(Splits(SAMPLES / "conll2003.conll", None, SAMPLES / "conll2003.conll")).labels
    found = []
    for data in (Data(folder=str(base)), Data(train=str(base / "train"), test=str(base / "test"))):
        sources = find_sources(data, tmp_path, mount, tmp_path / "cache")
        assert sources.keys() == {"train", "test"}
        assert all(p.is_relative_to(tmp_path / "cache") == on_drive for p in sources.values())
        dataset = load_dataset(Splits(sources["train"], None, sources["test"]))
        assert dataset.labels == truth
        found.append((dataset.identity, json.dumps(describe_source(data, sources))))
        assert problems_of(sources.values(), None, Asked()) == []
    assert found[0] == found[1]
    assert [d.text for d in look(base / "train").documents] == [d.text for d in dataset.test]


def test_files_of_a_folder_are_read_in_the_order_of_their_names_and_what_is_hidden_or_beside_is_not(tmp_path: Path) -> None:
    put(tmp_path, *BRAT, ".d0.ann=brat/d1.ann", "dataset_info.json=truth.json")
    put(tmp_path / "b", "conll2002.conll")
    put(tmp_path / ".b", "conll2002.conll")
    names = [str(p.relative_to(tmp_path)) for p in data_files(tmp_path)]
    assert names == ["b/conll2002.conll", "d1.ann", "d2.ann", "d3.ann"]
    assert list(dict.fromkeys(name.split(":")[0] for name in look(tmp_path).ids)) == names


def test_the_fingerprint_of_a_folder_is_of_all_that_is_read_and_that_of_a_file_is_as_it_was(tmp_path: Path) -> None:
    put(tmp_path / "train", *BRAT)
    data = Data(train=str(tmp_path / "train"))

    def described() -> Any:
        return describe_source(data, {"train": tmp_path / "train"})

    seen = [described()]
    assert seen[0]["train"].keys() == {"files", "bytes", "blake3"}
    (tmp_path / "train" / "notes.md").write_text("not read")
    (tmp_path / "train" / "d3.ann").rename(tmp_path / "train" / "e.ann")
    (tmp_path / "train" / "d3.txt").rename(tmp_path / "train" / "e.txt")
    assert described() == seen[0], "the content, not the place"
    for change in ("e.txt", "e.ann"):
        path = tmp_path / "train" / change
        path.write_text(path.read_text() + "\n")
        seen.append(described())
    (tmp_path / "train" / "e.ann").rename(tmp_path / "train" / "a.ann")
    (tmp_path / "train" / "e.txt").rename(tmp_path / "train" / "a.txt")
    seen.append(described())
    assert len({json.dumps(s) for s in seen}) == 4
    one = describe_source(data, {"train": SAMPLES / "conll2002.conll"})["train"]
    assert one.keys() == {"bytes", "format", "blake3"}
    assert describe_source(data, {"train": SAMPLES / "brat" / "d1.ann"})["train"].keys() == {"bytes", "format", "blake3", "beside"}


def test_what_is_drawn_is_in_the_fingerprint_only_where_it_is_drawn() -> None:
    data, here = Data(train="a"), Path("a")
    both = {"train": here, "test": here}
    assert describe_draw(data, {**both, "validation": here}, 7) == {"validation": {}}
    assert describe_draw(data, both, 7) == {"validation": {"share": 0.1, "seed": 7}}, "as version 0.1.0 wrote it"
    assert describe_draw(data, {"train": here}, 7) == {"validation": {"share": 0.1, "seed": 7}, "test": {"share": 0.1, "seed": 7}}
    assert describe_draw(Data(sample=True), {}, 7) == {"validation": {}}


def test_of_a_folder_with_training_data_alone_or_one_file_of_any_name_the_rest_is_drawn(tmp_path: Path) -> None:
    put(tmp_path / "a", "train.conll=conll2002.conll", "train.csv=kaggle-ner.csv")
    (tmp_path / "a" / "README.md").touch()
    assert find_splits(tmp_path / "a") == Splits(tmp_path / "a" / "train.conll", None, None)
    put(tmp_path / "b", "project-7-export.json=label-studio.json")
    assert find_splits(tmp_path / "b") == Splits(tmp_path / "b" / "project-7-export.json", None, None)
    put(tmp_path / "c", "brat/d1.ann", "brat/d1.txt")
    assert find_splits(tmp_path / "c").train == tmp_path / "c" / "d1.ann"
    put(tmp_path / "d", *FOLDERS["datasets"])
    assert find_splits(tmp_path / "d") == Splits(tmp_path / "d", None, None)
    put(tmp_path / "e", *(f"{s}-00000-of-00001.parquet=datasets-classlabel.parquet" for s in ("train", "validation", "test")))
    end = "-00000-of-00001.parquet"
    assert look(tmp_path / "e").splits == f"train train{end}, validation validation{end}, test test{end}"
    put(tmp_path / "f", "train.conll=conll2002.conll", "dev.conll=conll2002.conll")
    assert find_splits(tmp_path / "f").test is None
    assert look(tmp_path / "f").splits == "train train.conll, validation dev.conll, test drawn from train"


def test_a_name_that_is_none_is_not_taken_for_missing_test_data(tmp_path: Path) -> None:
    put(tmp_path / "a", "train.conll=conll2002.conll", "tset.conll=conll2002.conll")
    with pytest.raises(
        BadData, match=r"no test data; .* there is train.conll, tset.conll; name it so, or give the training file as"
    ):
        find_splits(tmp_path / "a")
    put(tmp_path / "b", *BRAT)
    with pytest.raises(
        BadData, match=r"no train data; .*; to read all files as one, and draw validation and test, give data.train: "
    ):
        find_splits(tmp_path / "b")
    put(tmp_path / "c" / "train", *BRAT)
    put(tmp_path / "c", "train.json=label-studio.json")
    with pytest.raises(
        BadData, match=r"train, train.json could each be the train data; leave one file .*, or a folder train with all"
    ):
        find_splits(tmp_path / "c")
    (tmp_path / "d" / "train").mkdir(parents=True)
    with pytest.raises(BadData, match=r"no train data"):
        find_splits(tmp_path / "d")


def test_a_folder_that_holds_other_splits_is_not_read_as_one_of_them(tmp_path: Path) -> None:
    put(tmp_path / "data", "train.conll=conll2002.conll", "test.conll=conll2002.conll")
    put(tmp_path / "more", *BRAT)
    put(tmp_path / "more" / "held", *BRAT)

    def found(**data: str) -> Any:
        return find_sources(Data(**data), tmp_path, tmp_path / "drive", tmp_path / "cache")

    with pytest.raises(
        BadData, match=r"data.train is a folder that holds test.conll, train.conll, and all in it would be read as one"
    ):
        found(train="data")
    with pytest.raises(
        BadData, match=r"data.train is a folder that holds data.test, and all .*; give it as data.folder, or give each"
    ):
        found(train="more", test="more/held")
    assert found(folder="data").keys() == {"train", "test"}
    assert found(train="more/held", test="data/test.conll").keys() == {"train", "test"}


def test_all_that_is_wrong_in_a_folder_is_one_list_and_its_notes_are_counted_together(tmp_path: Path) -> None:
    put(tmp_path / "train", *BRAT)
    for n in (1, 2, 3):
        path = tmp_path / "train" / f"d{n}.ann"
        path.write_text(path.read_text() + "R1\tOf Arg1:T1 Arg2:T2\t\n")
    dataset = load_dataset(Splits(tmp_path / "train", SAMPLES / "conll2002.conll", SAMPLES / "conll2002.conll"), compared=False)
    note = f"{tmp_path / 'train'}/d1.ann: relations, events, notes and attributes, dropped: 3, first at line 6"
    assert dataset.notes == (note,)
    (tmp_path / "train" / "d1.ann").write_text("T1\tbroken\n")
    (tmp_path / "train" / "d2.txt").unlink()
    (tmp_path / "train" / "empty.json").touch()
    with pytest.raises(BadData) as caught:
        load_dataset(Splits(tmp_path / "train", None, SAMPLES / "conll2002.conll"))
    assert str(caught.value).startswith("3 problems in the data:\n")
    for part in ("d1.ann: line 1", "d2.ann: its text d2.txt is not beside it", "empty.json: it is empty"):
        assert part in str(caught.value)


def test_of_a_folder_on_the_drive_only_what_can_be_a_split_is_brought(tmp_path: Path) -> None:
    drive = tmp_path / "drive"
    put(drive / "data", "train.conll=conll2002.conll")
    put(drive / "data" / "test", *BRAT)
    put(drive / "data" / "outputs", "label-studio.json")
    put(drive / "data" / ".trash", "label-studio.json")
    data = Data(folder=str(drive / "data"))
    for _ in range(2):
        find_sources(data, tmp_path, drive, tmp_path / "cache")
        here = tmp_path / "cache" / "data"
        names = sorted(str(p.relative_to(here)) for p in here.rglob("*") if p.is_file())
        assert names == ["test/d1.ann", "test/d1.txt", "test/d2.ann", "test/d2.txt", "test/d3.ann", "test/d3.txt", "train.conll"]
    (drive / "data" / "test" / "d2.ann").unlink()
    (drive / "data" / "test" / "d2.txt").unlink()
    assert len(data_files(find_sources(data, tmp_path, drive, tmp_path / "cache")["test"])) == 2
    one = find_sources(Data(train=str(drive / "data" / "test" / "d1.ann")), tmp_path, drive, tmp_path / "other")["train"]
    assert one.with_suffix(".txt").is_file(), "brat's text comes with its annotations"


def test_a_folder_that_does_not_end_is_read_once(tmp_path: Path) -> None:
    put(tmp_path / "train", *BRAT)
    (tmp_path / "train" / "again").symlink_to(tmp_path / "train")
    assert len(data_files(tmp_path / "train")) == 3
