"""A `colab` command that does not work itself, and a supervisor that was killed before it knew what a machine costs."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from holdfast.unattended import ledger
from holdfast.unattended.cargo import Loading
from holdfast.unattended.command import ColabCommand
from holdfast.unattended.cost import rate_gone, rate_held
from holdfast.unattended.ledger import Fate, Ledger, Taken
from holdfast.unattended.news import News
from holdfast.unattended.place import Place
from holdfast.unattended.shipping import Cargo
from holdfast.unattended.supervisor import Supervisor
from holdfast.unattended.told import Outcome, Told
from holdfast.unattended.trouble import ATTEMPTS, Trouble
from holdfast.unattended.wish import Patience, Wish, asked_of

CRASH = "echo 'Traceback (most recent call last):'; echo \"ModuleNotFoundError: No module named 'jupyter_kernel_client'\"; exit 1"
NONE = "echo '[colab] No active sessions found on server.'"
LISTED = "echo '[holdfast-w-1] m-1 | Hardware: CPU | Shape: Standard | Variant: DEFAULT'"
DONE = {"work": "w", "mounted": True, "begun": True, "result": {"code": 0, "safe": True, "at": 1.0}}
ANSWERS = f"echo '<<holdfast:{json.dumps(DONE)}:holdfast>>'"


@dataclass
class Scene:
    """A project, and a program in the place of the command, which answers each verb in its own way.

    Args:
        folder: For both.
        lines: What was told.
    """

    folder: Path
    lines: list[str] = field(default_factory=list)

    @property
    def place(self) -> Place:
        return Place(self.folder)

    @property
    def program(self) -> Path:
        return self.folder / "colab"

    def answers(self, **verbs: str) -> None:
        """Words of a shell for each verb; a file `called-VERB` has a line for each call of it."""
        cases = "".join(f"{verb}) {words} ;;\n" for verb, words in verbs.items())
        self.program.write_text(
            f'#!/bin/sh\ncat > /dev/null\nverb=$5\necho x >> "{self.folder}/called-$verb"\n'
            f'calls=$(wc -l < "{self.folder}/called-$verb")\ncase $verb in\n{cases}esac\n'
        )
        self.program.chmod(0o755)

    def calls(self, verb: str) -> int:
        called = self.folder / f"called-{verb}"
        return len(called.read_text().splitlines()) if called.exists() else 0

    def supervisor(self, wish: Wish, *machines: Taken) -> Supervisor:
        self.place.folder.mkdir(parents=True, exist_ok=True)
        if machines:
            ledger.write(self.place.ledger, Ledger("w", time.time(), asked_of(wish), machines))
        loading = Loading(Cargo(self.folder, (), 0, ""), wish, lambda data: None)
        news = News(self.lines.append, self.place.lines)
        command = ColabCommand(str(self.program), self.place.records)
        return Supervisor(command, self.place, wish, loading, news, Patience(0.01, 0.01, 0.01))

    def said(self, words: str) -> int:
        return sum(words in line for line in self.lines)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def held(**fields: Any) -> Taken:
    return Taken(
        **{"name": "holdfast-w-1", "accelerator": "none", "asked": time.time(), "endpoint": "m-1", "fate": Fate.HELD, **fields}
    )


def test_a_command_that_crashes_is_no_lost_connection_and_ends_the_run_where_no_machine_is_held(scene: Scene) -> None:
    scene.answers(sessions=CRASH)
    ending = scene.supervisor(Wish(("python", "a.py"))).run()
    assert ending.code == 1
    assert ending.why.startswith(f"the colab command itself does not work: `{scene.program} sessions` failed {ATTEMPTS} times")
    assert "No module named 'jupyter_kernel_client'" in ending.why
    assert "install it anew" in ending.why
    assert not scene.said("no connection")
    assert scene.calls("sessions") == ATTEMPTS


def test_a_command_whose_python_is_gone_ends_the_run(scene: Scene) -> None:
    scene.program.write_text("#!/nowhere/python\n")
    scene.program.chmod(0o755)
    assert "the colab command itself does not work" in scene.supervisor(Wish(("python", "a.py"))).run().why


def test_a_command_that_cannot_take_a_machine_ends_the_run(scene: Scene) -> None:
    scene.answers(sessions=NONE, usage="", new=CRASH)
    assert f"`{scene.program} new` failed" in scene.supervisor(Wish(("python", "a.py"))).run().why


def test_a_crash_once_is_nothing(scene: Scene) -> None:
    scene.answers(sessions=f"if [ $calls -lt {ATTEMPTS} ]; then {CRASH}; fi; {NONE}", new="echo 'rejected accelerator'; exit 1")
    assert "no right to any of" in scene.supervisor(Wish(("python", "a.py"))).run().why


@pytest.mark.parametrize("verb", ["sessions", "exec"])
def test_a_machine_that_may_be_running_is_never_let_go_because_the_command_crashes(scene: Scene, verb: str) -> None:
    many = 3 * ATTEMPTS
    broken = f"if [ $calls -le {many} ]; then {CRASH}; fi; "
    silent = f"[ $(cat {scene.folder}/called-sessions | wc -l) -le {many} ] && exit 1; "
    listed = f"[ -e {scene.folder}/given-back ] && {NONE} || {LISTED}"
    scene.answers(
        sessions=(broken if verb == "sessions" else "") + listed,
        exec=(broken if verb == "exec" else silent) + ANSWERS,
        stop=f"touch {scene.folder}/given-back",
        usage="",
    )
    ending = scene.supervisor(Wish(("python", "a.py")), held()).run()
    assert ending.why == "done"
    assert scene.calls(verb) > many
    assert scene.said("the colab command itself does not work") == 1
    assert scene.said("machine m-1 works on and costs money; end it at colab.research.google.com") == 1
    known = ledger.read(scene.place.ledger)
    assert known is not None
    assert [machine.fate for machine in known.machines] == [Fate.GIVEN_BACK]


@pytest.mark.parametrize("verb", ["drivemount", "upload"])
def test_a_machine_on_which_nothing_begins_because_the_command_crashes_is_given_back(scene: Scene, verb: str) -> None:
    fresh = json.dumps({"work": "", "mounted": verb == "upload"})
    scene.answers(sessions=f"[ -e {scene.folder}/given-back ] && {NONE} || {LISTED}", exec=f"echo '<<holdfast:{fresh}:holdfast>>'",
                  stop=f"touch {scene.folder}/given-back", usage="", **{verb: CRASH})  # fmt: skip
    ending = scene.supervisor(Wish(("python", "a.py")), held()).run()
    assert f"`{scene.program} {verb}` failed" in ending.why
    assert scene.calls(verb) == ATTEMPTS
    assert (scene.folder / "given-back").exists()


def test_a_supervisor_killed_before_it_knew_the_price_counts_from_the_grant(scene: Scene) -> None:
    scene.answers(sessions=f"[ -e {scene.folder}/given-back ] && {NONE} || {LISTED}", exec=ANSWERS,
                  stop=f"touch {scene.folder}/given-back", usage="echo 'balance: 90.00'; echo 'rate: 5.00/hr'")  # fmt: skip
    left = held(asked=time.time() - 3600, others=("m-0",), before=3.0, balance=95.0)
    assert scene.supervisor(Wish(("python", "a.py"), budget=1), left).run().spent == pytest.approx(2.0, rel=0.05)


def test_a_machine_that_went_before_its_price_was_known_counts_what_is_missing_from_the_balance(scene: Scene) -> None:
    scene.answers(sessions=NONE, exec="exit 1", usage="echo 'balance: 90.00'; echo 'rate: 0.00/hr'")
    left = held(asked=time.time() - 3600, before=3.0, balance=95.0)
    ending = scene.supervisor(Wish(("python", "a.py"), budget=1), left).run()
    assert ending.spent == pytest.approx(2.0, rel=0.05)
    assert ending.why.startswith("the budget is used up: 2.")


def test_a_price_that_nobody_tells_is_none() -> None:
    assert rate_held(held(before=None), (90.0, 5.0)) is None
    assert rate_held(held(before=3.0), None) is None
    assert rate_gone(held(before=3.0), (90.0, 5.0), time.time() + 60) is None


def test_a_machine_that_is_only_to_be_given_back_is_not_worked_on_again(scene: Scene) -> None:
    scene.answers(sessions=f"[ -e {scene.folder}/given-back ] && {NONE} || {LISTED}", exec=ANSWERS,
                  stop=f"touch {scene.folder}/given-back", usage="")  # fmt: skip
    wish = Wish(("python", "a.py"), fetch=("outputs/run",))
    scene.supervisor(wish)
    known = Ledger("w", time.time(), asked_of(wish), (held(),), code=0, why="done")
    ledger.write(scene.place.ledger, known)
    ending = scene.supervisor(wish).run()
    assert (ending.code, ending.why) == (0, "done")
    assert scene.calls("download") == 0
    (scene.folder / "given-back").touch()
    ledger.write(scene.place.ledger, known)
    assert scene.supervisor(wish).run().why == "done"
    assert scene.calls("new") == 0


def test_only_a_row_of_crashes_counts() -> None:
    trouble, broken = Trouble("colab"), Told(Outcome.BROKEN, "", "TypeError")
    for _ in range(3):
        assert not any(trouble.after("sessions", broken) for _ in range(ATTEMPTS - 1))
        assert trouble.after("sessions", []) == ""


def test_a_sign_in_that_comes_back_between_stop_and_list_leaves_no_machine(scene: Scene) -> None:
    """The list has the machine still, because nobody was signed in when it was told to stop."""
    signed_out = "echo 'Please enter the authorization code: '; exit 1"
    scene.answers(
        exec=ANSWERS,
        stop=f'if [ "$calls" -le 3 ]; then {signed_out}; fi; touch "{scene.folder}/stopped"',
        sessions=f'if [ "$(wc -l < "{scene.folder}/called-stop" 2>/dev/null || echo 0)" -eq 1 ] '
        f'|| [ "$(wc -l < "{scene.folder}/called-stop" 2>/dev/null || echo 0)" -eq 2 ]; then {signed_out}; fi; '
        f'if [ -e "{scene.folder}/stopped" ]; then {NONE}; else {LISTED}; fi',
    )
    ending = scene.supervisor(Wish(("python", "a.py")), held()).run()
    assert ending.code == 0, ending
    assert scene.calls("stop") == 4
    assert scene.said("is given back") == 1


def test_what_is_lost_with_a_machine_and_what_is_not_fetched_is_told(scene: Scene) -> None:
    wish = Wish(("python", "a.py"), fetch=("results",))
    refused = {**DONE, "result": {"code": 2, "safe": True, "at": 1.0, "outside": ["logs/a.txt", "caf\udce9.txt"], "outsides": 7}}
    gone = f"if [ -e '{scene.folder}/called-stop' ]; then {NONE}; else {LISTED}; fi"
    scene.answers(exec=f"echo '<<holdfast:{json.dumps(refused)}:holdfast>>'", sessions=gone, stop="true")
    ending = scene.supervisor(wish, held()).run()
    assert "results: not fetched (--fetch); what was made below outputs/ is in the store" in ending.why
    assert (
        scene.said("7 file(s) that the work wrote outside of outputs/ are kept nowhere, and go with the machine: logs/a.txt") == 1
    )


def test_a_project_that_changed_since_it_was_sent_is_not_passed_off_as_sent(scene: Scene) -> None:
    wish = Wish(("python", "a.py"))
    (scene.folder / "a.py").write_text("first")
    sent = Loading(Cargo(scene.folder, ("a.py", "gone.py"), 5, ""), wish, lambda data: None).digest()
    scene.place.folder.mkdir(parents=True)

    gone = f"if [ -e '{scene.folder}/called-stop' ]; then {NONE}; else {LISTED}; fi"
    scene.answers(exec=ANSWERS, sessions=gone, stop="true")

    def said_after(text: str) -> int:
        (scene.folder / "a.py").write_text(text)
        (scene.folder / "called-stop").unlink(missing_ok=True)
        ledger.write(scene.place.ledger, Ledger("w", time.time(), asked_of(wish), (held(),), sent=sent))
        loading = Loading(Cargo(scene.folder, ("a.py", "gone.py"), 5, ""), wish, lambda data: None)
        news = News(scene.lines.append, scene.place.lines)
        command = ColabCommand(str(scene.program), scene.place.records)
        assert Supervisor(command, scene.place, wish, loading, news, Patience(0.01, 0.01, 0.01)).run().code == 0
        return scene.said("the project has changed since it was sent to that machine")

    assert said_after("first") == 0
    assert said_after("other") == 1
