"""What the Colab lane calls a change, decided from pip's reports."""

from __future__ import annotations

from typing import Any

import pytest

from tests.colab.keeps import Changes, here, there


def report(**packages: tuple[str, list[str]]) -> Any:
    """As pip writes it: name, version and requirements of each package that it would install."""
    return {
        "environment": {"python_version": "3.11", "python_full_version": "3.11.7"},
        "install": [
            {"metadata": {"name": name, "version": version, "requires_dist": needs}} for name, (version, needs) in packages.items()
        ],
    }


HOLDFAST = ("0.1.0", ["PyYAML>=6", "onnx>=1.22; extra == 'pipeline'", "pytest>=8; extra == 'dev'"])


def test_what_is_not_installed_is_added() -> None:
    assert here(report(holdfast=HOLDFAST, Onnx=("1.22.0", [])), {"protobuf": "5.29.6"}) == {"holdfast": "0.1.0", "onnx": "1.22.0"}


def test_another_version_of_what_is_installed_is_a_change() -> None:
    with pytest.raises(Changes, match=r"^protobuf 5\.29\.6 to 7\.36\.2$"):
        here(report(holdfast=HOLDFAST, onnx=("1.23.2", []), protobuf=("7.36.2", [])), {"protobuf": "5.29.6"})


def test_a_requirement_that_the_image_does_not_meet_is_a_change_whoever_has_it() -> None:
    found = report(
        holdfast=HOLDFAST,
        onnx=("1.23.2", ["helper"]),
        helper=("1.0", ["Protobuf>=6.31.1"]),
        protobuf=("7.36.2", []),
        pyyaml=("7.0", []),
    )
    with pytest.raises(Changes, match=r"^protobuf 5\.29\.6, since helper 1\.0 needs >=6\.31\.1$"):
        there(found, {"protobuf": "5.29.6", "pyyaml": "6.0.3"}, "3.13")


def test_on_the_image_only_what_it_has_not_is_added_and_newer_ones_elsewhere_do_not_count() -> None:
    found = report(
        holdfast=HOLDFAST,
        onnx=("1.22.0", ["protobuf>=4.25.1", "old; python_version < '3.13'"]),
        protobuf=("7.36.2", ["strange"]),
        pyyaml=("7.0", ["strange"]),
        strange=("1.0", ["protobuf>=99"]),
    )
    assert there(found, {"protobuf": "5.29.6", "pyyaml": "6.0.3"}, "3.13") == {"holdfast": "0.1.0", "onnx": "1.22.0"}
