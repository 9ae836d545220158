"""The notebook as a file: it agrees with its text, holds no outputs and no logic."""

from __future__ import annotations

import ast
import itertools

import jupytext
import nbformat

import holdfast
from tests.notebook.session import NOTEBOOK, SOURCE

CALLS = "pipeline.hpo() benchmark() verify_benchmarks() select() train() restore_training() convert() summary()"


def cells(kind: str) -> list[str]:
    return [c.source for c in nbformat.read(NOTEBOOK, as_version=4).cells if c.cell_type == kind]


def test_the_notebook_and_its_text_twin_agree() -> None:
    book, twin = nbformat.read(NOTEBOOK, as_version=4), jupytext.read(NOTEBOOK.with_suffix(".py"))
    assert [(c.cell_type, c.source) for c in book.cells] == [(c.cell_type, c.source) for c in twin.cells]
    assert book.metadata.kernelspec == twin.metadata.kernelspec


def test_outputs_are_stripped() -> None:
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


def test_no_cell_holds_logic_but_the_one_that_installs() -> None:
    """The installation cannot be a function of what is not installed yet."""
    found = {source: ast.parse(source).body for source in cells("code")}
    simple = ast.Assign | ast.Expr | ast.Import | ast.ImportFrom
    (installing,) = [source for source, lines in found.items() if not all(isinstance(n, simple) for n in lines)]
    (question,) = [n for n in found[installing] if not isinstance(n, ast.Import | ast.ImportFrom)]
    assert isinstance(question, ast.If)
    assert ast.unparse(question.test) == "importlib.util.find_spec('holdfast') is None"
    assert question.orelse == []
    for source in found.keys() - {installing}:
        calls = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.IfExp | ast.BoolOp | ast.Lambda | ast.comprehension)]
        assert calls == [], source


def test_every_code_cell_has_words_above_it_and_says_what_a_disconnect_means() -> None:
    book = nbformat.read(NOTEBOOK, as_version=4).cells
    for above, cell in itertools.pairwise(book):
        if cell.cell_type == "code":
            assert above.cell_type == "markdown"
            assert above.source.startswith("## ")
    words = "\n".join(cells("markdown"))
    assert words.count("After a disconnect") >= 6
    assert "Runtime → Run all" in words


def test_the_plans_steps_are_all_there_in_their_order() -> None:
    code = "\n".join(cells("code"))
    places = [code.index(f"{name.removeprefix('pipeline.')}") for name in CALLS.split()]
    assert places == sorted(places)
    for name in ("holdfast.attach()", "ensure_restored_from_drive(", "BACKUP_ENABLED", "open_pipeline(keep, experiment)"):
        assert name in code


def test_the_source_is_one_line_and_names_the_wheel_of_this_version() -> None:
    settings = cells("code")[0]
    assert settings.startswith(f'source = "{SOURCE}"\n')
    assert len([n for n in ast.walk(ast.parse(settings)) if isinstance(n, ast.Name) and n.id == "source"]) == 1
    assert f"/holdfast-{holdfast.__version__}-py3-none-any.whl[pipeline]" in SOURCE
