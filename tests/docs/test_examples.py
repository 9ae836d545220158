"""The examples of the documentation, run as they stand: every `python` and every `sh` block of README.md and docs/.

The blocks of a page are run in their order, in one temporary project with a folder as its drive, as a reader would. One that
cannot run here carries a marker with the reason, and is checked as far as it can be.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

import holdfast
from holdfast.cli.app import app
from holdfast.pipeline.experiment import check
from holdfast.session.config import load_config
from tests.docs.pages import REPOSITORY, RUNNABLE, Block, blocks, commands, examples, pages

#: Blocks of each page by what is done with them; a block that is added or lost has to be counted here.
EXPECTED = {
    "README.md": {"run": 1, "checked, not run": 1},
    "docs/backends.md": {"not run": 1},
    "docs/cluster.md": {"checked, not run": 1, "not run": 2},
    "docs/colab.md": {"run": 2},
    "docs/data.md": {"checked, not run": 1},
    "docs/doctor.md": {"not run": 1},
    "docs/drive-api.md": {"not run": 2},
    "docs/drill.md": {"run": 1, "checked, not run": 1},
    "docs/files-in-use.md": {"run": 1},
    "docs/hpo-checkpoints.md": {"run": 2, "checked, not run": 1},
    "docs/pipeline.md": {"checked, not run": 5},
    "docs/rescue.md": {"run": 1, "checked, not run": 1},
    "docs/session-died.md": {"run": 1},
    "docs/simulator.md": {"run": 1, "checked, not run": 3},
    "docs/steps.md": {"run": 3},
    "docs/tracking.md": {"checked, not run": 1},
    "docs/using.md": {"checked, not run": 2, "not run": 1},
    "docs/what-is-kept.md": {"run": 2},
    "docs/your-own-notebook.md": {"run": 12},
    "docs/your-own-training.md": {"run": 1, "checked, not run": 5},
}

#: What a page's examples print on the second machine, where it shows that they went on.
SECOND = {
    "docs/hpo-checkpoints.md": "of 5 - went on",
    "docs/what-is-kept.md": "latest is step-200.bin 0o100640\nTrue [('scratch.tmp',)]",
}

COMMAND = typer.main.get_command(app)


def treatment(block: Block) -> str:
    return block.marker or "run"


def marked(marker: str, language: str) -> list[Any]:
    found = [b for page in pages() for b in examples(page) if b.marker == marker and b.language == language]
    return [pytest.param(b, id=b.where) for b in found]


# -- what is there to run --------------------------------------------------------------------------------------------------


def test_the_blocks_are_as_many_as_they_were() -> None:
    found = {page: dict(Counter(treatment(b) for b in examples(page))) for page in pages()}
    assert {page: counts for page, counts in found.items() if counts} == EXPECTED


def test_every_block_has_a_language_that_somebody_checks() -> None:
    for page in pages():
        for block in blocks(page):
            assert block.language in (*RUNNABLE, "yaml", ""), block.where
            if not block.language and not commands(block):
                assert not re.search(r"\bholdfast \w|^import |^from ", block.text, re.MULTILINE), (
                    f"{block.where}: give it a language"
                )


# -- blocks that run -------------------------------------------------------------------------------------------------------


def read_aloud(page: str, folder: Path, *only: str) -> str:
    """Run a page's blocks as `tests.docs.reader` does, or only those with these words. Gives what they printed."""
    usual = {k: v for k, v in os.environ.items() if k not in ("COLAB_RELEASE_TAG", "VERTEX_PRODUCT", "KAGGLE_KERNEL_RUN_TYPE")}
    paths = {"PYTHONPATH": f"{REPOSITORY / 'src'}{os.pathsep}{REPOSITORY}", "HOLDFAST_DRIVE": str(folder / "drive")}
    done = subprocess.run(
        [sys.executable, "-m", "tests.docs.reader", page, *only],
        cwd=folder / "project",
        env={**usual, **paths},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("page", [p for p in pages() if any(not b.marker for b in examples(p))])
def test_the_examples_of_a_page_run_in_their_order_and_again_on_a_fresh_machine(page: str, tmp_path: Path) -> None:
    (tmp_path / "drive").mkdir()
    told = ""
    for _ in range(2):
        (tmp_path / "project").mkdir()
        told = read_aloud(page, tmp_path)
        shutil.rmtree(tmp_path / "project")
    assert SECOND.get(page, "") in told


def test_three_minutes_to_safety(tmp_path: Path) -> None:
    """The words for whose session just died, followed by hand: no cell is run, and all is back."""
    for name in ("drive", "project"):
        (tmp_path / name).mkdir()
    read_aloud("README.md", tmp_path)
    made = tmp_path / "project" / "outputs" / "benchmark.json"
    before = made.read_bytes()
    for name in ("outputs", ".holdfast"):
        shutil.rmtree(tmp_path / "project" / name)
    told = read_aloud("docs/session-died.md", tmp_path)
    assert made.read_bytes() == before
    assert "all good" in told
    assert "outputs/benchmark.json: restored from generation" in told


def test_the_script_on_the_page_of_the_drill_is_the_one_that_is_drilled() -> None:
    (shown,) = [b.text for b in examples("docs/drill.md") if b.language == "python"]
    assert (REPOSITORY / "examples" / "ten_steps.py").read_text(encoding="utf-8").endswith(f'"""\n\n{shown}')


def test_the_quickstart_runs(tmp_path: Path) -> None:
    """`ten_steps.py` is drilled in tests/drill."""
    own = {
        "hf_trainer.py",
        "keras_mnist.py",
        "lightning_autoencoder.py",
        "optuna_study.py",
        "pytorch_loop.py",
        "quickstart.py",
        "ten_steps.py",
        "trl_peft.py",
    }
    assert {p.name for p in (REPOSITORY / "examples").glob("*.py")} == own
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src"), "TMPDIR": str(tmp_path)}
    environment.pop("HOLDFAST_DRIVE", None)
    command = [sys.executable, str(REPOSITORY / "examples" / "quickstart.py")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "damages found there: []" in done.stdout


# -- blocks that are too heavy, and lines outside of blocks that run ---------------------------------------------------------


def parse(line: str) -> None:
    """Have the command line read its words as the command would, and do nothing."""
    words = shlex.split(line, comments=True)
    assert words[0] == "holdfast"
    name, rest = words[1], words[2:]
    if name.startswith("-"):
        return
    command = COMMAND.get_command(None, name)  # type: ignore[attr-defined, arg-type]
    assert command is not None, f"{line}: there is no such command"
    command.make_context(name, rest, resilient_parsing=False)


def every_command_line() -> list[Any]:
    found = [(b, line) for page in pages() for b in blocks(page) for line in commands(b) if b.language or "CONFIG" not in b.text]
    return [pytest.param(line, id=f"{b.where}-{line}") for b, line in found if b.marker or b.language not in RUNNABLE]


@pytest.mark.parametrize("line", every_command_line())
def test_a_command_that_is_only_shown_has_options_that_exist(line: str) -> None:
    parse(line)


@pytest.mark.parametrize("block", marked("checked, not run", "python"))
def test_an_example_that_is_too_heavy_names_what_exists_with_arguments_that_fit(block: Block) -> None:
    names = {"holdfast": holdfast, "Path": Path}
    tree = ast.parse("\n" * (block.line - 1) + block.text, block.page)
    for node in [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]:
        exec(compile(ast.Module([node], []), block.page, "exec"), names)
    keeper = {"keep": holdfast.Keeper}
    checked = 0
    for node in [n for n in ast.walk(tree) if isinstance(n, ast.Call)]:
        called = _resolve(node.func, {**names, **keeper, **_made(tree, names)})
        if called is None:
            continue
        given = [inspect.Parameter.empty] * (len(node.args) + _is_method(node.func, keeper, _made(tree, names)))
        try:
            signature = inspect.signature(called)
        except ValueError:  # some of Python's own functions do not say theirs (os.utime)
            continue
        signature.bind(*given, **{k.arg: None for k in node.keywords if k.arg})
        checked += 1
    assert checked, f"{block.where}: nothing in it could be checked"


def _made(tree: ast.Module, names: dict[str, Any]) -> dict[str, Any]:
    """Variables that hold what a known function returns: the class that its signature names."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and isinstance(node.targets[0], ast.Name):
            called = _resolve(node.value.func, names)
            returns = inspect.signature(called).return_annotation if callable(called) else None
            if isinstance(returns, str) and hasattr(sys.modules[called.__module__], returns):
                found[node.targets[0].id] = getattr(sys.modules[called.__module__], returns)
    return found


def _is_method(node: ast.expr, *instances: dict[str, Any]) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and any(node.value.id in i for i in instances)


def _resolve(node: ast.expr, names: dict[str, Any]) -> Any:
    """What a name or an attribute of one is; None where the block made it itself. An attribute that is not there fails."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = _resolve(node.value, names)
        return None if owner is None else getattr(owner, node.attr)
    return None


def test_what_the_text_calls_by_name_has_that_name() -> None:
    names = {"holdfast": holdfast, "keep": holdfast.Keeper, "keeper": holdfast.Keeper}
    seen = 0
    for page in pages():
        text = re.sub(r"^ *```.*?^ *```$", "", (REPOSITORY / page).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for owner, name in re.findall(r"`(holdfast|keep|keeper)\.(\w+)\b(?!\.|/)", text):
            if name not in ("json", "pipeline"):  # a file of the store, and a package
                assert hasattr(names[owner], name), f"{page}: {owner}.{name}"
                seen += 1
    assert seen > 20


def test_what_other_programs_are_told_exists() -> None:
    """Targets of make, extras of pip, modules that are run: in every block, whatever its language."""
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    targets = re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    seen = Counter[str]()
    for page in pages():
        for block in blocks(page):
            for line in commands(block, "make"):
                assert line.split()[1] in targets, f"{block.where}: {line}"
                seen["make"] += 1
        text = (REPOSITORY / page).read_text(encoding="utf-8")
        for extra in re.findall(r"pip install '[^'\[]*\[(\w+)\]'", text):
            assert extra in extras, f"{page}: {extra}"
            seen["pip"] += 1
        for module in re.findall(r"python -m (holdfast[\w.]*)", text):
            importlib.import_module(module)
            seen["python -m"] += 1
    assert min(seen["make"], seen["pip"], seen["python -m"]) > 0, seen


def test_the_synopsis_names_every_command_with_every_option_of_its_own() -> None:
    block = next(b for b in blocks("docs/command.md") if "holdfast backup PATH..." in b.text)
    said = re.findall(r"holdfast (\w+)((?:(?!holdfast )[^\n])*)", block.text)
    shown = {name: set(re.findall(r"--[\w-]+", words)) for name, words in said}
    common = {"--root", "--drive", "--json", "--help"}
    context = typer.Context(COMMAND)
    there = {
        name: {o for p in COMMAND.get_command(context, name).params for o in p.opts if o.startswith("--")} - common  # type: ignore[attr-defined]
        for name in COMMAND.list_commands(context)  # type: ignore[attr-defined]
    }
    assert shown == there


# -- settings --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [pytest.param(b, id=b.where) for p in pages() for b in blocks(p) if b.language == "yaml"])
def test_settings_that_are_shown_are_settings(block: Block, tmp_path: Path) -> None:
    document, *others = yaml.safe_load_all(block.text)
    if "apiVersion" in document:  # a manifest of Kubernetes: all that can be told here is that each part says what it is
        assert all({"apiVersion", "kind", "metadata", "spec"} == part.keys() for part in (document, *others))
        return
    assert not others
    if {"drive", "base"} & document.keys():
        (tmp_path / "config").mkdir()
        (tmp_path / "config/paths.yaml").write_text(block.text)
        load_config(tmp_path)
    else:
        whole = {"name": "example", "backbones": ["tiny"], "data": {"sample": True}, **document}
        check(whole, block.where)
