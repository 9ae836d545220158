from __future__ import annotations

from dataclasses import asdict

from holdfast.spread.cluster.roster import Roster
from holdfast.spread.cluster.words import Machine
from tests.spread.cluster.test_fitness import HERE

ONE, TWO = Machine("1" * 8, "left", "10.0.0.1", {"CPU": 2.0}), Machine("2" * 8, "right", "10.0.0.2", {"CPU": 2.0})
SMALL = Machine("3" * 8, "head", "10.0.0.3", {"CPU": 0.0})


class Asked:
    """A roster, and what it asked."""

    def __init__(self, cpus: float = 1.0, node_type: str = "") -> None:
        self.questions: list[tuple[str, str]] = []
        self.roster = Roster(HERE, {"CPU": cpus}, 0, lambda name, node: self.questions.append((name, node)), node_type)

    def answer(self, **changes: object) -> list[str]:
        name, _ = self.questions.pop(0)
        return [f"{n.name}: {n.line}" for n in self.roster.answered(name, {**asdict(HERE), **changes})]


def test_a_node_has_a_part_once_it_has_answered() -> None:
    asked = Asked()
    assert asked.roster.alive([ONE]) == []
    assert asked.roster.place("a") is None
    assert asked.answer() == ["left (10.0.0.1, 111111): has a part: 2 CPUs"]
    assert asked.roster.place("a") == ONE
    assert asked.roster.place("b") == ONE
    assert asked.roster.place("c") is None
    asked.roster.leave("a")
    assert asked.roster.place("c") == ONE


def test_attempts_are_spread_over_the_nodes() -> None:
    asked = Asked()
    asked.roster.alive([ONE, TWO])
    asked.answer()
    asked.answer()
    assert [asked.roster.place("a"), asked.roster.place("b")] == [ONE, TWO]


def test_a_node_that_is_refused_is_named_with_why() -> None:
    asked = Asked()
    asked.roster.alive([ONE])
    assert asked.answer(python="3.9")[0].startswith("left (10.0.0.1, 111111): has Python 3.9, and here is 3.11.7")
    assert asked.roster.place("a") is None
    assert "no node can have a part: node left (10.0.0.1, 111111) has Python 3.9" in asked.roster.why_none


def test_nodes_that_are_too_small_are_not_asked_and_named_where_there_are_no_others() -> None:
    asked = Asked()
    asked.roster.alive([SMALL])
    assert asked.questions == []
    assert "no node has the 1 CPU that each trial needs (hpo.resources): node head" in asked.roster.why_none


def test_a_lost_node_is_said_once() -> None:
    asked = Asked()
    asked.roster.alive([ONE])
    asked.answer()
    news = asked.roster.alive([])
    assert [(n.line, n.gone) for n in news] == [("is lost", True)]
    assert asked.roster.alive([]) == []


def test_a_lost_node_of_which_an_attempt_was_lost_is_not_said_again() -> None:
    asked = Asked()
    asked.roster.alive([ONE])
    asked.answer()
    asked.roster.place("a")
    asked.roster.loses(ONE.id)
    asked.roster.leave("a")
    assert asked.roster.place("b") is None  # Ray lists it as alive for a while
    name, _ = asked.questions.pop()
    assert asked.roster.failed(name, "NodeDiedError", there=False) == []
    assert asked.roster.alive([]) == []


def test_a_node_that_hung_answers_again_and_has_a_part_again() -> None:
    asked = Asked()
    asked.roster.alive([ONE])
    asked.answer()
    asked.roster.question(ONE.id)
    assert asked.roster.place("a") is None
    assert asked.answer() == ["left (10.0.0.1, 111111): answers again"]
    assert asked.roster.place("a") == ONE


def test_an_answer_to_an_older_question_counts_for_nothing() -> None:
    asked = Asked()
    asked.roster.alive([ONE])
    asked.roster.question(ONE.id)
    assert asked.answer() == []
    assert asked.roster.place("a") is None
    asked.answer()
    assert asked.roster.place("a") == ONE


def test_another_processor_is_said_once_for_all_nodes_that_have_it() -> None:
    asked = Asked()
    asked.roster.alive([ONE, TWO])
    said = asked.answer(processor="B") + asked.answer(processor="B")
    assert sum("another processor" in line for line in said) == 1


def test_of_nodes_that_are_asked_for_by_their_type_no_others_have_a_part() -> None:
    asked = Asked(node_type="B")
    asked.roster.alive([ONE, TWO])
    assert asked.answer() == []
    assert asked.roster.place("a") is None
    assert "no node can have a part: node left (10.0.0.1, 111111) is of another type (A)" in asked.roster.why_none
    asked.answer(processor="B")
    assert asked.roster.place("a") == TWO
    assert [asked.roster.type_of(m.id) for m in (ONE, TWO, SMALL)] == ["A", "B", ""]
