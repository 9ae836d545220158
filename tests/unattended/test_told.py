"""The command's words, as version 0.7.5 prints them, and what they mean."""

from __future__ import annotations

import pytest

from holdfast.errors import UsageError
from holdfast.unattended.told import Assigned, Outcome, assigned_in, balance_in, of_any
from holdfast.unattended.wish import accelerators_in


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[colab] Session READY.\n", Outcome.DONE),
        ("[colab] Allocation refused (precondition failed). This can mean", Outcome.NO_MACHINE),
        ("[colab] Backend rejected accelerator 'L4'. You may not have quota", Outcome.NO_RIGHT),
        ("Enter the authorization code: Traceback\nEOFError", Outcome.SIGNED_OUT),
        ("No valid default credentials found. To authenticate, run:", Outcome.SIGNED_OUT),
        ("[colab] REQUIRED: Google Drive Authorization needed.\nPlease visit:\n\nhttps://a.b/c\n", Outcome.NO_CONSENT),
        ("[colab] Session 'one' appears to be lost (404/401). Cleaning up.", Outcome.LOST),
        ("[colab] Session 'one' not found.", Outcome.LOST),
        ("Traceback\nValueError: x", Outcome.FAILED),
        ("", Outcome.FAILED),
    ],
)
def test_words_are_told_apart(text: str, expected: Outcome) -> None:
    assert of_any(text, in_time=True, status=0, proof="READY").outcome is expected


@pytest.mark.parametrize(
    ("text", "status", "expected"),
    [
        ("Traceback (most recent call last):\nModuleNotFoundError: No module named 'rich'\n", 1, Outcome.BROKEN),
        ("│ x │\n╰───╯\nTypeError: assign() got an unexpected keyword argument 'shape'\n", 1, Outcome.BROKEN),
        (
            "pydantic_core._pydantic_core.ValidationError: 1 validation error for Assignment\nendpoint\n  Field required\n",
            1,
            Outcome.BROKEN,
        ),
        ("Usage: colab [OPTIONS] COMMAND\nNo such option: --auth\n", 2, Outcome.BROKEN),
        ("", 127, Outcome.BROKEN),
        ("", -11, Outcome.BROKEN),
        ("requests.exceptions.ConnectionError: HTTPSConnectionPool(host='colab.pa.googleapis.com')\n", 1, Outcome.FAILED),
        ("ReadTimeout: HTTPSConnectionPool: Read timed out.\n", 1, Outcome.FAILED),
        ("KeyError: 'x'\nrequests.exceptions.SSLError: EOF\n", 1, Outcome.FAILED),
        ("google.auth.exceptions.TransportError: Failed to resolve\n", 1, Outcome.FAILED),
        ("HTTPError: 502 Server Error: Bad Gateway\n", 1, Outcome.FAILED),
        ("\x1b[31mTypeError\x1b[0m: of what ran on the machine\n", 0, Outcome.FAILED),
    ],
)
def test_a_command_that_does_not_work_is_told_from_a_network_that_does_not(text: str, status: int, expected: Outcome) -> None:
    assert of_any(text, in_time=True, status=status, proof="what is never said").outcome is expected


def test_the_link_for_consent_is_the_line() -> None:
    told = of_any("Google Drive Authorization needed.\nPlease visit:\n\nhttps://a.b/c\n", in_time=False, status=None, proof="x")
    assert told.line == "https://a.b/c"


def test_machines_are_read_with_those_that_the_command_forgot() -> None:
    text = (
        "[one] m-1 | Hardware: T4 | Shape: Standard | Variant: GPU\n[?] m-2 | Hardware: CPU | Shape: Standard | Variant: DEFAULT\n"
    )
    assert assigned_in(text) == [Assigned("m-1", "T4", "one"), Assigned("m-2", "CPU", None)]
    assert assigned_in("[colab] No active sessions found on server.\n") == []
    assert assigned_in("Traceback (most recent call last):\nConnectionError") is None


def test_compute_units_are_read() -> None:
    assert balance_in("Current balance: 99.50 compute units\nUsage rate: 1.19/hr\n") == (99.5, 1.19)
    assert balance_in("[colab] Warning: failed") is None


def test_an_accelerator_that_would_silently_become_an_a100_is_refused() -> None:
    assert accelerators_in("t4,L4,none") == ("T4", "L4", "none")
    with pytest.raises(UsageError, match="--gpu V100: no such accelerator"):
        accelerators_in("T4,V100")
