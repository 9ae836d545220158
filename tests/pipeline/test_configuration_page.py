"""The page of all settings is the one that the code makes, and its example works."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from holdfast.errors import ConfigurationError
from holdfast.pipeline.configuration_page import EXAMPLE, page
from holdfast.pipeline.experiment import load_experiment
from holdfast.pipeline.settings import Backbone, Experiment, Parameter
from holdfast.session.config import CONFIG_FILE, load_config

REPOSITORY = Path(__file__).parents[2]


def rows(title: str) -> dict[str, list[str]]:
    """The table of a section by key."""
    (text,) = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page(), re.MULTILINE | re.DOTALL)
    cells = [[c.strip() for c in line.strip("|").split(" | ")] for line in text.splitlines() if line.startswith("| `")]
    return {row[0].strip("`"): row[1:] for row in cells}


def test_the_page_in_the_repository_is_the_one_that_the_code_makes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "holdfast.pipeline.configuration_page"], capture_output=True, check=True, encoding="utf-8"
    )
    assert done.stderr == ""
    committed = (REPOSITORY / "docs/configuration.md").read_text(encoding="utf-8")
    assert committed == done.stdout, "python -m holdfast.pipeline.configuration_page > docs/configuration.md"


def sections(model: type[BaseModel], prefix: str = "") -> dict[str, type[BaseModel]]:
    found: dict[str, type[BaseModel]] = {}
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= {prefix + name: field.annotation, **sections(field.annotation, f"{prefix}{name}.")}
    return found


def test_every_setting_is_on_the_page_with_type_default_and_meaning() -> None:
    models = {f"`{name}`": model for name, model in sections(Experiment).items()}
    models |= {"The experiment": Experiment, "`backbones`": Backbone, "`hpo.search_space`": Parameter}
    assert len(models) == 14
    for title, model in models.items():
        found = rows(title)
        assert list(found) == list(model.model_fields), title
        assert all(len(row) == 3 and all(row) for row in found.values()), title


@pytest.mark.parametrize(
    ("title", "key", "row"),
    [
        ("`training`", "epochs", ["whole number, at least 1", "`3`", "passes over the training data"]),
        ("`training.checkpoint`", "every", ["duration, above 0, or `null`", "`5min`"]),
        ("`data`", "validation_share", ["number, above 0, below 1", "`0.1`"]),
        ("`data`", "labels", ["list of: text, or `null`", "`null`"]),
        ("`training`", "class_weights", ["`none`, `balanced`, or section, each value a number, above 0", "`none`"]),
        ("`benchmark`", "batch_sizes", ["list of: whole number, at least 1", "`[1, 8, 16]`"]),
        ("The experiment", "name", ["text", "the file's name"]),
        ("The experiment", "backbones", ["list of: section", "needed"]),
    ],
)
def test_types_and_defaults_are_in_words(title: str, key: str, row: list[str]) -> None:
    assert rows(title)[key][: len(row)] == row


def test_the_example_is_a_whole_experiment(tmp_path: Path) -> None:
    place = tmp_path / "people.yaml"
    place.write_text(EXAMPLE)
    experiment = load_experiment(str(place))
    assert f"```yaml\n{EXAMPLE}```" in page()
    assert (experiment.name, [b.name for b in experiment.backbones]) == ("people", ["distilbert--distilbert-base-cased", "small"])
    assert experiment.final({"learning_rate": 2e-5}).epochs == 8


def test_the_keys_of_the_paths_file_are_all_that_is_read_with_their_defaults(tmp_path: Path) -> None:
    table = rows(f"`{CONFIG_FILE.as_posix()}`")
    place = tmp_path / CONFIG_FILE
    place.parent.mkdir()
    place.write_text("drive: {unknown: 1}")
    with pytest.raises(ConfigurationError) as refused:
        load_config(tmp_path)
    known = str(refused.value).rpartition("known are ")[2].split(", ")
    assert sorted(table) == sorted(["base.outputs", *(f"drive.{key}" for key in known)])
    document: dict[str, dict[str, object]] = {"base": {}, "drive": {"backup_base_dir": tmp_path.name}}
    for key, (_, default, _) in table.items():
        section, _, name = key.partition(".")
        document[section].setdefault(name, yaml.safe_load(default.strip("`")))
    place.write_text(yaml.safe_dump(document))
    written = load_config(tmp_path)
    place.unlink()
    assert load_config(tmp_path) == written
