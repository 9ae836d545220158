"""Lost uploads, on a simulated Drive: machines are taken away in the middle of commits and prunes, with several generations
queued, whatever the mount's attributes say. `account.py` lists the promises; none may be broken once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.properties.account import Account

pytestmark = pytest.mark.long

#: Each block is one account, with one machine after the other on it: 2 blocks of 50 are 100 disconnects, 20 of 500 are 10,000.
BLOCKS = 1
DISCONNECTS = 50
LONG_BLOCKS = 10
LONG = 500


def live(folder: Path, seed: int, disconnects: int, *, keeper_each: bool) -> Account:
    print(f"seed {seed}")
    account = Account(folder, seed, keeper_each=keeper_each)
    while account.disconnects < disconnects:
        account.session()
    print(*(f"{count:6} {what}" for what, count in sorted(account.tally.items())), sep="\n")
    return account


def judge(account: Account) -> None:
    assert not account.violations, "\n".join(account.violations)
    assert account.tally["RESTORED"] > account.disconnects // 2
    assert account.tally["with several generations queued"] > account.disconnects // 10
    assert account.tally["ended before a removal"] > account.disconnects // 50


KEEPERS = pytest.mark.parametrize("keeper_each", [False, True], ids=["one keeper", "a keeper for each command"])


@KEEPERS
@pytest.mark.parametrize("block", range(BLOCKS))
def test_after_a_disconnect_a_fresh_machine_gets_a_committed_generation_as_new_as_promised(
    tmp_path: Path, block: int, keeper_each: bool
) -> None:
    judge(live(tmp_path, 20261123 + block, DISCONNECTS, keeper_each=keeper_each))


@pytest.mark.torture
@KEEPERS
@pytest.mark.parametrize("block", range(LONG_BLOCKS))
def test_after_each_of_ten_thousand_disconnects_a_fresh_machine_gets_a_committed_generation_as_new_as_promised(
    tmp_path: Path, block: int, keeper_each: bool
) -> None:
    judge(live(tmp_path, 71_000 + block, LONG, keeper_each=keeper_each))
