"""The notebook as a file: it agrees with its text, holds no outputs and no logic."""

from __future__ import annotations

import ast
import itertools

import jupytext
import nbformat

from tests.notebook.session import NOTEBOOK

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


def test_no_cell_holds_logic_but_the_question_whether_to_install() -> None:
    """The installation cannot be a function of what is not installed yet."""
    branches = []
    for source in cells("code"):
        found = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.stmt)]
        assert all(isinstance(n, ast.Assign | ast.Expr | ast.Import | ast.ImportFrom | ast.If) for n in found), source
        branches += [source for n in found if isinstance(n, ast.If)]
        calls = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.IfExp | ast.BoolOp | ast.Lambda | ast.comprehension)]
        assert calls == [], source
    assert len(branches) == 1
    assert 'find_spec("holdfast") is None' in branches[0]


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


def test_the_source_is_constrained_so_that_nothing_preinstalled_changes() -> None:
    settings = cells("code")[0]
    assert settings.count("\nsource =") + settings.startswith("source =") == 1
    assert "-c https://" in settings
    assert "constraints/colab.txt" in settings
