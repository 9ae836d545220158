"""What a disconnect would cost now, as a progress line shows it: never less than what is lost."""

from __future__ import annotations

from holdfast.session.background.stake import Ledger
from holdfast.store.format.keys import Key
from holdfast.store.reporting.durability import Durability
from tests.support import Rig

STUDY = Key("outputs/hpo/tiny")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_it_counts_from_the_newest_that_is_known_to_be_safe() -> None:
    clock = Clock()
    ledger, own = Ledger(clock), dict[str, Durability]()
    clock.now = 1010
    found = ledger.at_stake(STUDY, own)
    assert (found.seconds, found.safe, found.untold) == (10, False, False)
    assert found.words("from step 4") == "a disconnect now costs 10 s, from where this session began"
    for second, id_ in ((1020, "a"), (1030, "b"), (1040, "c")):
        own[id_] = Durability.WRITTEN
        ledger.backed_up(STUDY, id_, second, float(second), own)
    clock.now = 1050
    assert ledger.at_stake(STUDY, own).seconds == 50, "nothing has arrived"
    own["a"] = Durability.CONFIRMED
    found = ledger.at_stake(STUDY, own)
    assert (found.seconds, found.progress) == (30, 1020.0)
    assert found.words("from step 1020") == "a disconnect now costs 30 s, from step 1020"
    own["c"] = Durability.CONFIRMED
    assert ledger.at_stake(STUDY, own).seconds == 10
    ledger.backed_up(STUDY, "d", 1050, None, own)  # nothing is known against it: it was in the store already
    assert ledger.at_stake(STUDY, own).seconds == 0
    assert ledger.at_stake(Key("outputs/other"), own).seconds == 50


def test_what_nobody_worked_on_before_counts_from_when_its_work_began() -> None:
    clock, other = Clock(), Key("outputs/other")
    ledger, own = Ledger(clock), {"a": Durability.WRITTEN}
    clock.now = 1100
    ledger.begins(STUDY)
    clock.now = 1110
    ledger.begins(STUDY)  # a second try, in the same session
    assert [ledger.at_stake(k, own).seconds for k in (STUDY, other)] == [10, 110]
    ledger.backed_up(STUDY, "a", 1105, 1.0, own)
    ledger.begins(STUDY)
    assert ledger.at_stake(STUDY, own).seconds == 10, "nothing has arrived"
    anew = ledger.over_another_mount(own)
    clock.now = 1120
    anew.begins(STUDY)
    assert anew.at_stake(STUDY, {}).seconds == 20
    own["a"] = Durability.CONFIRMED
    assert ledger.at_stake(STUDY, own).seconds == 15


def test_a_claim_is_the_beginning_of_work(rig: Rig) -> None:
    keeper = rig.machine().keeper()
    keeper.claim("outputs/hpo/tiny")
    stakes = [keeper.at_stake(f"outputs/hpo/{name}") for name in ("tiny", "other")]
    assert None not in stakes
    assert stakes[0].seconds < stakes[1].seconds  # type: ignore[union-attr]


def test_where_the_store_cannot_tell_it_says_so() -> None:
    clock = Clock()
    ledger, own = Ledger(clock), {"a": Durability.UNKNOWN}
    ledger.backed_up(STUDY, "a", 1000, 3.0, own)
    clock.now = 1060
    found = ledger.at_stake(STUDY, own)
    assert found.untold
    assert found.seconds == 60
    assert "this place does not tell whether newer ones arrived" in found.words("")


def test_over_a_mount_that_was_made_anew_nothing_counts_as_safe_that_was_not() -> None:
    clock = Clock()
    ledger, own = Ledger(clock), {"a": Durability.CONFIRMED, "b": Durability.WRITTEN}
    ledger.backed_up(STUDY, "a", 1010, 1.0, own)
    ledger.backed_up(STUDY, "b", 1020, 2.0, own)
    clock.now = 1030
    anew = ledger.over_another_mount(own)
    clock.now = 1040
    found = anew.at_stake(STUDY, {})
    assert (found.seconds, found.safe) == (30, False)
    assert Ledger(clock, 990).over_another_mount({}).at_stake(STUDY, {}).seconds == 50


def test_over_a_mount_that_was_made_anew_each_artifact_counts_from_its_own_work() -> None:
    clock, other, new = Clock(), Key("outputs/other"), Key("outputs/new")
    ledger, own = Ledger(clock, 100), {"a": Durability.CONFIRMED, "b": Durability.CONFIRMED}
    ledger.backed_up(STUDY, "a", 1010, 1.0, own)
    ledger.backed_up(other, "b", 500, 1.0, own)
    clock.now = 1030
    anew = ledger.over_another_mount(own)
    clock.now = 1040
    assert [anew.at_stake(k, {}).seconds for k in (STUDY, other, new)] == [30, 540, 940]
    again = anew.over_another_mount({})
    assert [again.at_stake(k, {}).seconds for k in (STUDY, other, new)] == [30, 540, 940]


def test_a_keeper_knows_without_asking_the_store(rig: Rig) -> None:
    machine, counting = rig.counted()
    keeper = machine.keeper()
    machine.write("outputs/hpo/tiny/study", "1")
    assert keeper.backup("outputs/hpo/tiny", progress=2.5, wait=0)
    before = dict(counting.counts)
    stake = keeper.at_stake("outputs/hpo/tiny")
    assert stake is not None
    assert stake.safe
    assert stake.progress == 2.5
    assert stake.seconds < 30
    assert dict(counting.counts) == before
