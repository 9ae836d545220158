"""What people write into `config/paths.yaml`: used, left alone, or refused in one line with 2 that names the setting."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.bad_input.support import Site, everything_in, good, refused, sound

#: Text of the file, and a word that the line must hold beside the file's name.
WRONG: dict[str, tuple[str, str]] = {
    "no YAML": ("base: [unclosed", "YAML"),
    "tabs": ("base:\n\toutputs: x", "YAML"),
    "two documents": ("base: {}\n---\nbase: {}", "YAML"),
    "an object of Python": ("base: !!python/object/apply:os.system ['touch evil']", "YAML"),
    "a control character": ("base: \x07", "YAML"),
    "an unknown alias": ("base: *nowhere", "YAML"),
    "a date that is none": ("other: 2024-13-45", "YAML"),
    "a number that is none": ("other: !!int 'many'", "YAML"),
    "a key that is a list": ("? [a]\n: b", "YAML"),
    "very deep": ("other: " + "[" * 5000 + "]" * 5000, "YAML"),
    "a list": ("- base", "list"),
    "text": ("outputs", "str"),
    "a number": ("5", "int"),
    "base as text": ("base: outputs", "base"),
    "base as a list": ("base: [outputs]", "base"),
    "drive as text": ("drive: here", "drive"),
    "outputs as a number": ("base: {outputs: 5}", "base.outputs"),
    "outputs as nothing": ("base: {outputs: }", "base.outputs"),
    "outputs empty": ("base: {outputs: ''}", "base.outputs"),
    "outputs as a list": ("base: {outputs: [a]}", "base.outputs"),
    "outputs absolute": ("base: {outputs: /outputs}", "base.outputs"),
    "outputs with dots": ("base: {outputs: ../outputs}", "base.outputs"),
    "outputs with dots inside": ("base: {outputs: a/../../b}", "base.outputs"),
    "outputs is the project": ("base: {outputs: .}", "base.outputs"),
    "outputs is the project, with a slash": ("base: {outputs: ./}", "base.outputs"),
    "outputs is only slashes": ("base: {outputs: //}", "base.outputs"),
    "outputs with a NUL": ('base: {outputs: "a\\0b"}', "base.outputs"),
    "outputs of half a character": ('base: {outputs: "\\ud800"}', ""),
    "outputs with a name too long": (f"base: {{outputs: {'x' * 256}}}", "base.outputs"),
    "an unknown setting": ("drive: {folder: /x}", "drive.folder"),
    "an unknown setting that is a number": ("drive: {5: 6}", "drive.5"),
    "a setting in capitals": ("drive: {Parallel: 4}", "drive.Parallel"),
    "a store as a number": ("drive: {store_id: 5}", "drive.store_id"),
    "a store as nothing at all": ("drive: {store_id: ''}", "drive.store_id"),
    "a base folder with dots": ("drive: {backup_base_dir: ../x}", "drive.backup_base_dir"),
    "an absolute base folder": ("drive: {backup_base_dir: /x}", "drive.backup_base_dir"),
    "a base folder as a list": ("drive: {backup_base_dir: [x]}", "drive.backup_base_dir"),
    "a base folder that is empty": ("drive: {backup_base_dir: ''}", "drive.backup_base_dir"),
    "a mount point as a number": ("drive: {mount_point: 5}", "drive.mount_point"),
    "a mount point with a NUL": ('drive: {mount_point: "/a\\0b"}', "drive.mount_point"),
    "parallel as text": ("drive: {parallel: many}", "drive.parallel"),
    "parallel of none": ("drive: {parallel: 0}", "drive.parallel"),
    "parallel below none": ("drive: {parallel: -4}", "drive.parallel"),
    "parallel without end": ("drive: {parallel: .inf}", "drive.parallel"),
    "parallel that is no number": ("drive: {parallel: .nan}", "drive.parallel"),
    "parallel that is true": ("drive: {parallel: true}", "drive.parallel"),
    "parallel as a date": ("drive: {parallel: 2024-01-01}", "drive.parallel"),
    "a time-out of none": ("drive: {timeout: 0}", "drive.timeout"),
    "a time-out as text": ("drive: {timeout: 5 min}", "drive.timeout"),
    "a time-out that is no number": ("drive: {timeout: .nan}", "drive.timeout"),
}


def configured(site: Site, text: str | bytes) -> Path:
    machine = site.box()
    machine.write("config/paths.yaml", text)
    machine.write("outputs/a.txt", "x")
    return machine.root


@pytest.mark.parametrize("what", WRONG)
def test_a_setting_that_cannot_be_used_is_refused_with_2_in_one_line(site: Site, what: str) -> None:
    text, word = WRONG[what]
    machine = site.box(configured(site, text))
    before = everything_in(site.folder)
    refused(machine.run("backup", "outputs/a.txt"), 2, "paths.yaml", word)
    refused(machine.run("ensure", "outputs/b.txt"), 2, "paths.yaml", word)
    assert everything_in(site.folder) == before


@pytest.mark.parametrize("what", ["no YAML", "outputs absolute", "an unknown setting"])
def test_a_setting_that_cannot_be_used_is_refused_by_the_real_command(site: Site, what: str) -> None:
    text, word = WRONG[what]
    refused(site.box(configured(site, text)).spawn("backup", "outputs/a.txt"), 2, "paths.yaml", word)


@pytest.mark.parametrize("verb", ["status", "verify", "doctor", "prune"])
def test_every_verb_refuses_a_broken_file(site: Site, verb: str) -> None:
    refused(site.box(configured(site, "base: [")).run(verb), 2, "paths.yaml")


def test_a_file_that_is_no_text_is_refused(site: Site) -> None:
    refused(site.box(configured(site, b"base: \xff\xfe")).run("backup", "outputs/a.txt"), 2, "paths.yaml")


def test_a_file_that_may_not_be_read_is_refused(site: Site) -> None:
    machine = site.box(configured(site, "base: {}"))
    (machine.root / "config/paths.yaml").chmod(0)
    refused(machine.denied("backup", "outputs/a.txt"), 2, "paths.yaml", "ermission denied")


def test_a_config_folder_that_may_not_be_read_is_refused(site: Site) -> None:
    machine = site.box(configured(site, "base: {}"))
    (machine.root / "config").chmod(0)
    try:
        refused(machine.denied("backup", "outputs/a.txt"), 2, "config", "ermission denied")
    finally:
        (machine.root / "config").chmod(0o700)


def test_a_pipe_in_place_of_the_file_does_not_hang(site: Site) -> None:
    machine = site.box(configured(site, ""))
    (machine.root / "config/paths.yaml").unlink()
    os.mkfifo(machine.root / "config/paths.yaml")
    sound(machine.run("status", seconds=5))


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "---\n", "null\n", "{}", "base:\ndrive:\n", "\ufeffbase: {}\n"])
def test_a_file_that_says_nothing_changes_nothing(site: Site, text: str) -> None:
    machine = site.box(configured(site, text))
    good(machine.run("backup", "outputs/a.txt"))
    assert (site.store / "holdfast.json").is_file()


def test_sections_of_others_are_left_alone(site: Site) -> None:
    text = (
        "# of the whole pipeline\n"
        "base: {outputs: outputs, data: /data, models: [1, 2], parallel: many}\n"
        "hpo: {study: 2024-01-01, drive: {unknown: 1}}\n"
        "drives: {unknown: 1}\n"
        "42: [a, b]\n"
        "null: ~\n"
    )
    machine = site.box(configured(site, text))
    good(machine.run("backup", "outputs/a.txt"))
    assert (machine.root / "config/paths.yaml").read_text() == text


@pytest.mark.parametrize("outputs", ["results", "results/", "./results", "a/b", "généré", "with space", "generations"])
def test_outputs_may_have_another_name(site: Site, outputs: str) -> None:
    machine = site.box(configured(site, f"base: {{outputs: '{outputs}'}}\n"))
    name = outputs.removeprefix("./").rstrip("/")
    machine.write(f"{name}/d/b.txt", "y")
    machine.write(f"{name}/c.json", "{}")
    refused(machine.run("backup", "outputs/a.txt"), 2, "outputs/a.txt")
    good(machine.run("backup", f"{name}/d", f"{name}/c.json"))
    fresh = site.box(site.folder / "fresh" / "proj")
    fresh.write("config/paths.yaml", f"base: {{outputs: '{outputs}'}}\n")
    good(fresh.run("ensure", f"{name}/d", f"{name}/c.json"))
    assert fresh.tree(name) == {"d/b.txt": b"y", "c.json": b"{}"}
    good(fresh.run("verify"))
    good(fresh.run("prune", "--orphans", "--yes"))
    good(fresh.run("verify"))


# -- where the drive is ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["root in drive", "outputs in drive", "outputs is the drive", "outputs links into the drive"])
def test_outputs_on_the_drive_are_refused(site: Site, shape: str) -> None:
    if shape == "root in drive":
        machine, drive = site.box(site.drive / "somewhere" / "proj"), site.drive
    elif shape == "outputs links into the drive":
        machine, drive = site.box(), site.drive
        (drive / "there").mkdir()
        machine.outputs.symlink_to(drive / "there")
    else:
        machine = site.box()
        drive = machine.outputs if shape == "outputs is the drive" else machine.root
    machine.write("outputs/a.txt", "x")
    before = everything_in(site.folder)
    for words in (("backup", "outputs/a.txt"), ("ensure", "outputs/b.txt"), ("status",)):
        refused(machine.run(*words, "--drive", str(drive)), 2, "drive")
    assert everything_in(site.folder) == before


def test_a_drive_inside_outputs_is_refused(site: Site) -> None:
    machine = site.box()
    machine.write("outputs/a.txt", "x")
    (machine.outputs / "drive").mkdir()
    refused(machine.run("backup", "outputs", "--drive", str(machine.outputs / "drive")), 2, "drive")


def test_a_relative_drive_is_taken_from_where_one_is(site: Site) -> None:
    machine = site.box()
    machine.write("outputs/a.txt", "x")
    good(machine.run("backup", "outputs/a.txt", "--drive", "drive", "--root", str(machine.root), cwd=site.folder))
    assert (site.store / "holdfast.json").is_file()


@pytest.mark.parametrize("base", ["a/b", "a/b/", "./a/b", "Ünï/with space", "x"])
def test_a_nested_base_folder_holds_the_store(site: Site, base: str) -> None:
    machine = site.box(configured(site, f"drive: {{backup_base_dir: '{base}'}}\n"))
    assert sound(machine.run("ensure", "outputs/b.txt")).code == 3
    assert list(site.drive.iterdir()) == []
    done = sound(machine.run("doctor"))
    assert done.code == 0, f"nothing is wrong before the first backup: {done.out}"
    good(machine.run("backup", "outputs/a.txt"))
    name = base.removeprefix("./").rstrip("/")
    assert (site.drive / name / "holdfast.json").is_file()
    fresh = site.box(site.folder / "fresh" / "another-name")
    fresh.write("config/paths.yaml", f"drive: {{backup_base_dir: '{base}'}}\n")
    good(fresh.run("ensure", "outputs/a.txt"))
    good(fresh.run("verify"))
    good(fresh.run("doctor"))


def test_a_file_where_the_base_folder_must_be_is_never_absence(site: Site) -> None:
    machine = site.box(configured(site, "drive: {backup_base_dir: a/b}\n"))
    (site.drive / "a").write_text("a file")
    refused(machine.run("backup", "outputs/a.txt"), 1, "drive/a")
    refused(machine.run("ensure", "outputs/b.txt"), 4, "drive/a")


# -- which store -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["no store", "another store", "a plain folder"])
def test_a_store_that_is_not_the_one_asked_for_is_never_absence_and_never_made(site: Site, what: str) -> None:
    if what == "another store":
        other = site.box()
        other.write("outputs/b.txt", "of another store")
        good(other.run("backup", "outputs/b.txt"))
    elif what == "a plain folder":
        (site.store / "outputs").mkdir(parents=True)
        (site.store / "outputs/b.txt").write_text("plain")
    machine = site.box(configured(site, f"drive: {{store_id: {'ab' * 16}}}\n"))
    before = everything_in(site.drive)
    refused(machine.run("backup", "outputs/a.txt"), 1, "outputs/a.txt", "ab" * 16)
    refused(machine.run("ensure", "outputs/b.txt"), 4, "outputs/b.txt", "ab" * 16)
    refused(machine.run("restore", "outputs/b.txt"), 4, "ab" * 16)
    refused(machine.run("restore", "--unverified", "outputs/b.txt"), 4, "ab" * 16)
    refused(machine.run("verify"), 1, "ab" * 16)
    refused(machine.run("prune", "--orphans", "--yes"), 1, "ab" * 16)
    assert everything_in(site.drive) == before


def test_the_store_that_is_asked_for_is_used(site: Site) -> None:
    first = site.box()
    first.write("outputs/a.txt", "x")
    done = good(first.run("backup", "outputs/a.txt"))
    store_id = done.err.rpartition("store_id: ")[2].strip(")\n")
    machine = site.box()
    machine.write("config/paths.yaml", f"drive: {{store_id: '{store_id}'}}\n")
    good(machine.run("ensure", "outputs/a.txt"))
    machine.write("outputs/a.txt", "y")
    good(machine.run("backup", "outputs/a.txt"))
