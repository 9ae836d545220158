"""Point 3: the extended attributes `user.drive.*`."""

from __future__ import annotations

import errno
import hashlib
import os

from holdfast.simulator import Attributes, SimulatedDrive
from tests.simulator.support import attribute, error_of, run, write


def test_a_new_file_is_local_and_uncommitted_until_it_is_uploaded(drive: SimulatedDrive) -> None:
    place = write(drive, "a.txt", b"hello")
    assert attribute(place, "id").startswith("local-")
    assert attribute(place, "uncommitted") == "1"
    assert error_of(lambda: attribute(place, "md5")) == errno.ENODATA
    drive.drain()
    assert not attribute(place, "id").startswith("local-")
    assert attribute(place, "uncommitted") == "0"
    assert attribute(place, "md5") == hashlib.md5(b"hello").hexdigest()


def test_an_overwritten_file_keeps_its_cloud_id_while_uncommitted(drive: SimulatedDrive) -> None:
    place = write(drive, "a.txt", b"one")
    drive.drain()
    known = attribute(place, "id")
    place.write_bytes(b"two")
    assert attribute(place, "id") == known
    assert attribute(place, "uncommitted") == "1"
    assert attribute(place, "md5") == hashlib.md5(b"one").hexdigest()


def test_they_answer_by_name_and_are_not_listed(drive: SimulatedDrive) -> None:
    place = write(drive, "a.txt")
    assert os.listxattr(place) == []
    assert run("getfattr", "-d", "-m", "-", place).stdout == ""
    assert error_of(lambda: os.getxattr(place, "user.drive.nothing")) == errno.ENODATA
    assert error_of(lambda: os.getxattr(place, "user.other")) == errno.ENODATA
    assert error_of(lambda: os.setxattr(place, "user.other", b"1")) == errno.EOPNOTSUPP


def test_they_can_be_absent_unsupported_or_lying(drive: SimulatedDrive) -> None:
    place = write(drive, "a.txt")
    drive.weather(attributes=Attributes.ABSENT)
    assert error_of(lambda: attribute(place, "id")) == errno.ENODATA
    drive.weather(attributes=Attributes.UNSUPPORTED)
    assert error_of(lambda: attribute(place, "uncommitted")) == errno.EOPNOTSUPP
    drive.weather(attributes=Attributes.LYING)
    assert not attribute(place, "id").startswith("local-")
    assert attribute(place, "uncommitted") == "0"
    assert drive.elsewhere.files() == {}


def test_a_folder_has_an_id_too(drive: SimulatedDrive) -> None:
    folder = drive.my_drive / "folder"
    folder.mkdir()
    assert attribute(folder, "id").startswith("local-")
    drive.drain()
    assert attribute(folder, "uncommitted") == "0"
