from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.spread.cluster.fitness import Facts, differs_in_processor, fits, refusal, type_of

HERE = Facts(
    drive="/drive",
    python="3.11.7",
    versions={"torch": "2.13.0", "numpy": "2.4.6", "keras": None},
    holdfast=("0.1.0", "abcd"),
    processor="A",
    named="",
    free=10 << 30,
    probe="token",
    sentinel="store",
    unseen="",
)


def test_a_node_like_this_machine_can_have_a_part() -> None:
    assert refusal(HERE, HERE, 1 << 30) == ""


def test_what_is_not_installed_here_is_not_asked_of_a_node() -> None:
    assert refusal(replace(HERE, versions={"torch": "2.13.0", "numpy": "2.4.6", "keras": "3.9"}), HERE, 0) == ""


@pytest.mark.parametrize(
    ("there", "why"),
    [
        (replace(HERE, sentinel=None, probe=None, unseen="No such file"), "does not see the store in /drive (No such file); mount"),
        (replace(HERE, sentinel="another", drive="/mnt"), "sees another store in /mnt; mount there the one that is in /drive here"),
        (replace(HERE, probe=None), "sees in /drive a copy of the store, without what was written here just now"),
        (replace(HERE, holdfast=None), "has no Holdfast; install version 0.1.0 there"),
        (replace(HERE, holdfast=("0.2.0", "abcd")), "has Holdfast 0.2.0, and here is 0.1.0"),
        (replace(HERE, holdfast=("0.1.0", "ef01")), "has Holdfast 0.1.0 as here, with other modules"),
        (replace(HERE, versions={"torch": "2.12.0", "numpy": "2.4.6"}), "has torch 2.12.0, and here is 2.13.0"),
        (replace(HERE, versions={"torch": "2.13.0"}), "has numpy not installed, and here is 2.4.6"),
        (replace(HERE, python="3.12.1"), "has Python 3.12.1, and here is 3.11.7"),
        (replace(HERE, free=1000), "free for temporary files, and 1.0 GiB are asked for; make room"),
    ],
)
def test_each_difference_is_said_with_what_to_do(there: Facts, why: str) -> None:
    assert why in refusal(there, HERE, 1 << 30)


def test_another_processor_is_worth_knowing_and_no_refusal() -> None:
    there = replace(HERE, processor="B")
    assert refusal(there, HERE, 0) == ""
    assert "another processor (B, here A)" in differs_in_processor(there, HERE)
    assert differs_in_processor(HERE, HERE) == ""


def test_a_node_has_room_beside_what_runs_there() -> None:
    has, need = {"CPU": 4.0, "GPU": 1.0}, {"CPU": 1.0, "GPU": 0.5}
    assert fits(has, [], need)
    assert fits(has, [need], need)
    assert not fits(has, [need, need], need)  # no GPU is left
    assert not fits({"CPU": 8.0}, [], need)
    assert fits({"CPU": 8.0}, [{"CPU": 7.0}], {"CPU": 1.0})


def test_the_type_of_a_node_is_its_processor_and_its_gpus_or_what_it_says_itself() -> None:
    assert type_of(HERE, {"CPU": 4.0}) == "A"
    assert type_of(HERE, {"CPU": 4.0, "GPU": 1.0, "accelerator_type:T4": 1.0}) == "A, T4"
    assert type_of(replace(HERE, named="pods of 2 CPUs"), {"accelerator_type:T4": 1.0}) == "pods of 2 CPUs"
