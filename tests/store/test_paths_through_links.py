"""A path that goes through a symbolic link inside outputs means what lies at its end, here and on a fresh machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.errors import OutsideOutputs
from holdfast.store.reporting.outcomes import Outcome
from tests.support import Machine, Rig


def hub(machine: Machine) -> Path:
    """As a hub keeps a model: blobs, and names that lead to them."""
    machine.write("outputs/run/blobs/3f", b"weights" * 10)
    machine.write("outputs/run/epoch-3/model.pt", "three")
    run = machine.outputs / "run"
    (run / "snapshots" / "main").mkdir(parents=True)
    (run / "snapshots" / "main" / "config.json").symlink_to("../../blobs/3f")
    (run / "latest").symlink_to("epoch-3")
    (run / "again").symlink_to("latest")
    (run / "round").symlink_to("round")
    (run / "nowhere").symlink_to("gone")
    machine.write("outputs/other/data.txt", "another artifact")
    (run / "beside").symlink_to("../other")
    return run


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("outputs/run/latest/model.pt", b"three"),
        ("outputs/run/again/model.pt", b"three"),
        ("outputs/run/snapshots/main/config.json", b"weights" * 10),
        ("outputs/run/beside/data.txt", b"another artifact"),
        ("outputs/run/latest", None),
        ("outputs/run/again", None),
        ("outputs/run/beside", None),
    ],
)
def test_what_a_link_leads_to_is_made_present_with_it(rig: Rig, path: str, content: bytes | None) -> None:
    machine = rig.machine()
    hub(machine)
    assert machine.keep.backup("outputs/run", "outputs/other")
    assert machine.keep.ensure(path).outcome is Outcome.LOCAL
    fresh = rig.machine()
    assert fresh.keep.ensure(path).outcome is Outcome.RESTORED
    place = fresh.root / path
    assert place.exists()
    if content is not None:
        assert place.read_bytes() == content
    assert fresh.keep.ensure(path).outcome is Outcome.LOCAL
    assert fresh.keep.require(path).exists()


@pytest.mark.parametrize("name", ["round", "nowhere"])
def test_a_link_that_leads_nowhere_comes_back_as_it_was(rig: Rig, name: str) -> None:
    machine = rig.machine()
    run = hub(machine)
    assert machine.keep.backup("outputs/run")
    fresh = rig.machine()
    assert fresh.keep.ensure(f"outputs/run/{name}")
    assert (fresh.outputs / "run" / name).readlink() == (run / name).readlink()
    if name == "round":
        with pytest.raises(OutsideOutputs):
            fresh.keep.ensure("outputs/run/round/model.pt")
    else:
        assert fresh.keep.ensure("outputs/run/nowhere/model.pt").outcome is Outcome.ABSENT


def test_a_path_through_a_link_that_leads_out_is_refused(rig: Rig, tmp_path: Path) -> None:
    machine = rig.machine()
    run = hub(machine)
    (run / "out").symlink_to(tmp_path)
    with pytest.raises(OutsideOutputs, match="out"):
        machine.keep.ensure("outputs/run/out/x")


def test_what_is_backed_up_through_a_link_is_what_it_leads_to(rig: Rig) -> None:
    machine = rig.machine()
    hub(machine)
    assert machine.keep.backup("outputs/run")
    machine.write("outputs/run/epoch-3/model.pt", "more")
    (done,) = machine.keep.backup("outputs/run/latest/model.pt").results
    assert done.key.value == "outputs/run"
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/run")
    assert fresh.read("outputs/run/latest/model.pt") == b"more"
    assert (fresh.outputs / "run" / "latest").is_symlink()
