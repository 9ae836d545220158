"""Reading an experiment file: one line for whatever is wrong in it, with the nearest valid key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from holdfast.errors import ConfigurationError
from holdfast.pipeline.settings import SEARCHABLE, Experiment, Hpo, Parameter, Training, changed

_ODD = re.compile("[\0\ud800-\udfff]")

#: Experiments that come with the package; `holdfast run sample` needs no file.
BUILT_IN = {"sample": Path(__file__).parent / "sample.yaml"}


def load_experiment(place: str, overrides: Sequence[str] = ()) -> Experiment:
    """Read and check one experiment.

    Args:
        place: Path of a YAML file, or the name of a built-in experiment.
        overrides: `key=value` each, the key dotted, the value as YAML.

    Raises:
        ConfigurationError: one line: file, key, what is wrong, and the nearest valid key.
    """
    path = Path(place)
    if not path.exists() and place in BUILT_IN:
        path = BUILT_IN[place]
    document = _read(path)
    for override in overrides:
        _override(document, override)
    document.setdefault("name", re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._") or "experiment")
    return check(document, str(place))


def check(document: dict[str, Any], place: str) -> Experiment:
    """The experiment that a document describes, whole and consistent. Errors as in `load_experiment`."""
    refuse_half_characters(document, place)
    try:
        experiment = Experiment.model_validate(document)
    except ValidationError as error:
        raise ConfigurationError(explain(error, place)) from error
    _check_training(experiment, place)
    check_space(experiment.hpo, experiment.trial_training(), place)
    names = [b.name for b in experiment.backbones]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise ConfigurationError(f"{place}: backbones: two are called {twice[0]!r}; give each a name: {{name: ..., model: ...}}")
    storage = experiment.hpo.checkpoint
    if not storage.enabled:
        raise ConfigurationError(
            f"{place}: hpo.checkpoint.enabled: false keeps no study, so nothing could be selected from it or resumed; leave it true"
        )
    for key in ("on_restore_failure", "restore_patience"):
        if getattr(storage, key) is not None:
            raise ConfigurationError(
                f"{place}: hpo.checkpoint.{key} is for run_local_hpo_sweep alone; in an experiment set run.{key}"
            )
    folder, _, file = storage.storage_path.partition("/")
    if folder != "{backbone}" or not file or "/" in file or file == "..":
        raise ConfigurationError(
            f"{place}: hpo.checkpoint.storage_path: {storage.storage_path!r} should be '{{backbone}}/' and a file name, so that "
            "a study and its trials are kept together"
        )
    return experiment


def _read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        built_in = ", ".join(BUILT_IN)
        raise ConfigurationError(
            f"{path}: there is no such file; give the path of an experiment, or a built-in one: {built_in}"
        ) from error
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}; give the path of an experiment file") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        detail = " ".join(str(error).replace('in "<unicode string>", ', "").split())
        raise ConfigurationError(f"{path}: cannot be read as YAML: {detail}") from error
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path}: expected keys and values, got {type(document).__name__}")
    return {str(k): v for k, v in document.items()}


def refuse_half_characters(document: Any, place: str, where: str = "") -> None:
    """Refuse text that no file, path or tokenizer takes: half a character (a lone surrogate), or NUL.

    Args:
        document: Mappings and lists with text in them.
        place: The file, or whatever it stands in.
        where: The key, dotted.

    Raises:
        ConfigurationError: one line: file, key and text.
    """
    if isinstance(document, str):
        odd = _ODD.search(document)
        if odd is not None:
            what = "NUL" if odd[0] == "\0" else "half a character"
            raise ConfigurationError(f"{place}: {where}: {document!r}: has {what} in it ({odd[0]!r}); write it without")
        return
    if isinstance(document, Mapping):
        for key, value in document.items():
            refuse_half_characters(str(key), place, where or "a key")
            refuse_half_characters(value, place, f"{where}.{key}" if where else str(key))
    elif isinstance(document, list | tuple):
        for number, value in enumerate(document):
            refuse_half_characters(value, place, f"{where}.{number}")


def _override(document: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise ConfigurationError(f"--set {text}: give key=value, such as training.epochs=5")
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"--set {text}: the value is not YAML") from error
    section = document
    for part in parts[:-1]:
        inner = section.setdefault(part, {})
        if not isinstance(inner, dict):
            raise ConfigurationError(f"--set {text}: {part} is not a section")
        section = inner
    section[parts[-1]] = parsed


def _check_training(experiment: Experiment, place: str) -> None:
    for where, changes in (
        ("hpo.training", experiment.hpo.training),
        ("final_training.training", experiment.final_training.training),
    ):
        try:
            changed(experiment.training, changes)
        except ValidationError as error:
            raise ConfigurationError(explain(error, place, where, Training)) from error
    labels = experiment.data.labels
    sections = {
        "training": experiment.training,
        "hpo.training": experiment.trial_training(),
        "final_training.training": experiment.final({}),
    }
    for where, settings in sections.items():
        weights = settings.class_weights
        if isinstance(weights, dict) and labels is not None:
            for unknown in sorted(set(weights) - set(labels)):
                raise ConfigurationError(f"{place}: {where}.class_weights.{unknown} is not a label{nearest(unknown, labels)}")
    stops = experiment.final({}).early_stopping is not None or (
        "early_stopping" in experiment.hpo.search_space and "early_stopping" not in experiment.final_training.training
    )
    if experiment.final_training.data == "train+validation" and stops:
        raise ConfigurationError(
            f"{place}: final_training.data: train+validation leaves nothing to stop early by; set "
            "final_training.training.early_stopping: null, or data: train"
        )


def check_space(hpo: Hpo, training: Training, place: str) -> None:
    """Refuse a search space of which a value could not be used.

    Args:
        hpo: The search.
        training: Settings of a trial before its parameters.
        place: The file, or whatever they stand in.

    Raises:
        ConfigurationError: one line, as in `load_experiment`.
    """
    for key, parameter in hpo.search_space.items():
        where = f"hpo.search_space.{key}"
        if key not in SEARCHABLE:
            raise ConfigurationError(f"{place}: {where} cannot be searched{nearest(key, SEARCHABLE)}")
        for value in _ends(parameter):
            try:
                changed(training, {key: value})
            except ValidationError as error:
                raise ConfigurationError(f"{place}: {where}: {value!r}: {_reason(error.errors()[0])}") from error


def _ends(parameter: Parameter) -> Iterable[Any]:
    if parameter.type == "choice":
        return parameter.values or ()
    assert parameter.low is not None
    assert parameter.high is not None
    return (int(parameter.low), int(parameter.high)) if parameter.type == "int" else (parameter.low, parameter.high)


def explain(error: ValidationError, place: str, prefix: str = "", model: type[BaseModel] = Experiment) -> str:
    """One line for the first thing that is wrong."""
    first = min(error.errors(), key=lambda e: (e["type"] != "extra_forbidden", _follows(e), len(e["loc"])))
    where = [str(p) for p in first["loc"] if not _is_alternative(p)]
    dotted = ".".join(([prefix] if prefix else []) + where)
    if first["type"] == "extra_forbidden":
        return f"{place}: {dotted} is not a setting{nearest(where[-1], _keys(model, where[:-1]), dotted.rpartition('.')[0])}"
    if first["type"] == "missing":
        return f"{place}: {dotted} is missing; every experiment has one"
    shown = f": {first['input']!r}" if not isinstance(first["input"], dict) else ""
    return f"{place}: {dotted or 'the file'}{shown}: {_reason(first)}"


def _follows(error: Any) -> bool:
    """True of what pydantic says because of something else: a list is short of an item that cannot be, a mapping is no word."""
    return (error["type"] == "too_short" and bool(error["input"])) or (
        error["type"] == "literal_error" and isinstance(error["input"], dict)
    )


#: In words of YAML what pydantic says in words of Python.
_WORDS = {
    "model_type": "should be a section of keys and values",
    "dict_type": "should be a section of keys and values",
    "tuple_type": "should be a list",
    "too_short": "should have at least one item",
    "int_parsing": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_parsing": "should be a number",
    "string_type": "should be text",
    "string_pattern_mismatch": "should be letters, digits, dots, dashes and underscores, with a letter or a digit first",
}


def _reason(error: Any) -> str:
    if error["type"] == "string_type" and isinstance(error["input"], bool):
        return "should be text; YAML reads NO, OFF, YES and ON as false and true, so write it in quotes: 'NO'"
    if error["type"] == "string_type" and isinstance(error["input"], int | float):
        return "should be text; write it in quotes"
    text = _WORDS.get(error["type"]) or str(error["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return text[:1].lower() + text[1:]


def _is_alternative(part: Any) -> bool:
    """Pydantic names the branch of a union that it tried; users do not know branches."""
    return isinstance(part, str) and (
        part.startswith(("literal[", "dict[", "constrained", "function-")) or part in ("int", "float", "str")
    )


def _keys(model: type[BaseModel], path: Sequence[str]) -> Sequence[str]:
    for part in path:
        field = model.model_fields.get(part)
        inner = next((t for t in _types(field.annotation) if issubclass(t, BaseModel)), None) if field is not None else None
        if inner is None:
            continue  # an index of a list, or a key of a mapping
        model = inner
    return tuple(model.model_fields)


def _types(annotation: Any) -> list[type]:
    if isinstance(annotation, type):
        return [annotation]
    return [t for a in get_args(annotation) for t in _types(a)]


def nearest(word: str, known: Iterable[str], prefix: str = "") -> str:
    """The end of a message: the nearest known word, or all of them."""
    words = list(known)
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {prefix + '.' if prefix else ''}{close[0]}?"
    return f"; known are {', '.join(words)}"
