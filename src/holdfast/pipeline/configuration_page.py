"""`docs/configuration.md`: every setting with type, default and meaning, made from the classes that read them.

`python -m holdfast.pipeline.configuration_page > docs/configuration.md`
"""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Lt
from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from holdfast.pipeline.settings import SEARCHABLE, Backbone, Experiment, Parameter, seconds
from holdfast.session.config import CONFIG_FILE, DEFAULT_MOUNT_POINT, Config
from holdfast.store.reporting.markdown import wrapped

EXAMPLE = """\
# config/people.yaml; run it with: holdfast run config/people.yaml
seed: 7
backbones:
  - distilbert/distilbert-base-cased
  - {name: small, model: tiny}
data:
  folder: data            # train.jsonl, validation.jsonl, test.jsonl
  labels: [PERSON, PLACE]
  max_length: 256
training:
  epochs: 5
  batch_size: 16
  class_weights: balanced
  checkpoint: {every: 5min}
hpo:
  trials: 30
  timeout: 8h
  pruner: median
  objective: f1_micro
  training: {epochs: 3}   # trials are shorter than the final training
  search_space:
    learning_rate: {type: loguniform, low: 1.0e-5, high: 1.0e-4}
    batch_size: {type: choice, values: [8, 16, 32]}
    dropout: {type: uniform, low: 0.0, high: 0.3}
selection: {by: latency, tolerance: 0.005}
final_training: {training: {epochs: 8}}
conversion: {int8: true}
"""

_HEAD = """\
# Configuration

This page is made from the code by `python -m holdfast.pipeline.configuration_page`.

An experiment is one YAML file. Only `backbones` and `data` are needed; every other key has a default. A key that is not on
this page is refused, with the nearest one that is. `--set KEY=VALUE` on the command line changes one key, written with
dots: `--set hpo.trials=5`.

- Relative paths start at the project folder.
- A duration is a number of seconds, or a number with a unit: `90s`, `30min`, `8h`, `1d`.
- `null` stands for nothing: the setting is off, or what its meaning says.

## Example
"""

_SPACE = f"""\
Each key names a setting of `training` that may vary: {", ".join(f"`{key}`" for key in SEARCHABLE)}.
"""

_PATHS_HEAD = f"""\
A file of the whole project, which may have other sections too. Only these keys are read; without the file, the defaults hold.
An unknown key below `drive` is refused in `{CONFIG_FILE.as_posix()}`, other sections are left alone.
"""

#: Key, name in `Config`, type, default where that is no constant of `Config`, meaning.
_PATHS = (
    ("base.outputs", "outputs", "relative path", "`outputs`", "the outputs folder, below the project folder"),
    (
        "drive.backup_base_dir",
        "project",
        "relative path",
        "name of the project folder; `holdfast` for `/content`",
        "the store's folder, below My Drive or the folder given by `--drive`",
    ),
    ("drive.mount_point", "mount_point", "path", f"`{DEFAULT_MOUNT_POINT}`", "where Drive is mounted on Colab"),
    ("drive.store_id", "store_id", "text", "", "identity that the store must have; `null` takes any"),
    ("drive.parallel", "parallel", "whole number, at least 1", "", "transfers at a time"),
    ("drive.timeout", "timeout", "number, above 0", "", "seconds without progress after which a mount counts as dead"),
    (
        "drive.durable",
        "durable",
        "`fsync`, `close`, or `null`",
        "",
        "what makes work safe on a mount that does not tell; `close` for rclone without a cache; `holdfast doctor` tries it first",
    ),
    (
        "drive.remembers",
        "remembers",
        "number, at least 0, or `null`",
        "",
        "for so many seconds the mount may show a listing as it was; default: what its kind does (rclone 300, davfs 60, sshfs 20)",
    ),
    (
        "drive.api",
        "api",
        "`auto`, `off` or `only`",
        "",
        "Drive's API beside its mount: `auto` uses it where there is a token, `only` needs no mount ([drive-api.md](drive-api.md))",
    ),
    (
        "drive.ignore",
        "ignore",
        "list of text",
        "",
        "patterns of what is left out, in gitignore's syntax, from the project folder; they come after those of `.holdfastignore`",
    ),
    (
        "drive.follow",
        "follow",
        "list of paths below outputs",
        "",
        "symbolic links that are followed: what they lead to is kept in their place, and comes back as a folder or file",
    ),
    (
        "drive.accept",
        "accept",
        "list of paths below outputs",
        "",
        "what cannot be kept and may be lost, with all below it: status goes on listing it, and is `SAFE` without it",
    ),
)


def page() -> str:
    """The whole page."""
    lines = [_HEAD, "```yaml", EXAMPLE + "```", ""]
    lines += _section("The experiment", "", Experiment)
    lines += _section("`backbones`", "A list. An item is the name or folder alone, or a section:\n", Backbone)
    for name, model in _sections(Experiment):
        lines += _section(f"`{name}`", "", model)
        if name == "hpo":
            lines += _section("`hpo.search_space`", _SPACE, Parameter)
    lines += [f"## `{CONFIG_FILE.as_posix()}`", "", _PATHS_HEAD, *_table(_paths())]
    return wrapped("\n".join(lines) + "\n")


def _sections(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """The sections below a model with their dotted names, in order."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield prefix + name, field.annotation
            yield from _sections(field.annotation, f"{prefix}{name}.")


def _section(title: str, text: str, model: type[BaseModel]) -> list[str]:
    about = (model.__doc__ or "").strip()
    rows = [(f"`{name}`", _type(f), _default(f), f.description or "") for name, f in model.model_fields.items()]
    return [f"## {title}", "", f"{about}\n", *([text] if text else []), *_table(rows), ""]


def _table(rows: list[tuple[str, str, str, str]]) -> list[str]:
    head = [("key", "type", "default", "meaning"), ("---",) * 4]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in (*head, *rows)]


def _paths() -> list[tuple[str, str, str, str]]:
    defaults = {f.name: f.default for f in dataclasses.fields(Config)}
    return [(f"`{key}`", kind, default or _shown(defaults[name]), meaning) for key, name, kind, default, meaning in _PATHS]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        found = re.fullmatch("default: (.*)", field.description or "")
        return found[1] if found else "needed"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "see below"
    if isinstance(value, float) and _is_duration(field.metadata, field.annotation):
        return f"`{value / 60:g}min`" if value % 60 == 0 else f"`{value:g}s`"
    return _shown(value)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"`{value:g}`"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _type(field: FieldInfo) -> str:
    return _words(field.annotation, list(field.metadata))


def _words(annotation: Any, limits: list[Any]) -> str:
    """A type in words, with its limits."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _words(inner[0], [*_flat(inner[1:]), *limits])
    if origin in (Union, types.UnionType):
        return ", or ".join("`null`" if part is type(None) else _words(part, limits) for part in inner)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin is tuple:
        return "list" if inner[0] is Any else f"list of: {_words(inner[0], [])}"
    if origin is dict:
        return "section" if isinstance(inner[1], type) or inner[1] is Any else f"section, each value a {_words(inner[1], [])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    if _is_duration(limits, annotation):
        return "duration" + _limits(limits)
    return {bool: "`true` or `false`", int: "whole number", float: "number", str: "text"}[annotation] + _limits(limits)


def _flat(metadata: Any) -> list[Any]:
    """What pydantic keeps beside a type, that of nested `Field`s included."""
    return [m for given in metadata for m in (given.metadata if isinstance(given, FieldInfo) else [given])]


def _is_duration(metadata: list[Any], annotation: Any) -> bool:
    found = [*metadata]
    for part in (annotation, *get_args(annotation)):
        found += _flat(get_args(part)[1:]) if get_origin(part) is Annotated else []
    return any(isinstance(m, BeforeValidator) and m.func is seconds for m in found)


def _limits(metadata: list[Any]) -> str:
    words = {Ge: ("at least", "ge"), Gt: ("above", "gt"), Lt: ("below", "lt")}
    return "".join(f", {words[type(m)][0]} {getattr(m, words[type(m)][1])}" for m in metadata if type(m) in words)


if __name__ == "__main__":
    sys.stdout.write(page())
