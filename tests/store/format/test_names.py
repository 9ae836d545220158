"""The grammar of names: injective, reversible, and never longer than a file system takes."""

from __future__ import annotations

from itertools import islice

from hypothesis import example, given
from hypothesis import strategies as st

from holdfast.store.format.keys import Key, check_component
from holdfast.store.format.names import (
    CommitId,
    ManifestName,
    decode_key,
    key_code,
    parse_manifest_name,
    parse_payload_name,
    payload_folder,
    payload_names,
    twin_of,
)

components = st.text(min_size=1, max_size=60).filter(lambda t: check_component(t) is None)
keys = st.lists(components, min_size=1, max_size=5).map(lambda parts: Key("/".join(parts)))
commits = st.builds(CommitId, st.integers(1, 10**9), st.text("0123456789abcdef", min_size=8, max_size=8))


@given(keys, keys)
@example(Key("a~b"), Key("a/b"))
@example(Key("a%7Eb"), Key("a~b"))
@example(Key("A"), Key("a"))
@example(Key("e\u0301"), Key("\u00e9"))
def test_two_keys_never_share_a_code(one: Key, two: Key) -> None:
    assert (key_code(one) == key_code(two)) == (one == two)


@given(keys, commits)
def test_a_manifest_name_says_what_it_was_made_of(key: Key, commit: CommitId) -> None:
    name = ManifestName(key_code(key), commit, None)
    assert len(name.file.encode()) <= 255
    assert name.file.isascii()
    parsed = parse_manifest_name(name.file)
    assert parsed == name
    assert decode_key(key_code(key)) in (key, None)


@given(components, commits)
def test_payload_names_are_ours_short_and_all_different(local: str, commit: CommitId) -> None:
    names = list(islice(payload_names(local, commit), 5))
    assert len(set(names)) == 5
    for name in names:
        assert parse_payload_name(name) == commit
        assert len(name.encode()) <= 255
        assert "/" not in name
        assert name.isprintable() or all(ord(c) > 31 for c in name)


def test_names_read_like_the_files_they_hold() -> None:
    commit = CommitId(41, "9f31c2ab")
    assert next(payload_names("study.db", commit)) == "study@000041-9f31c2ab.db"
    assert list(islice(payload_names("study.db", commit), 2))[1] == "study@000041-9f31c2ab-2.db"
    assert next(payload_names(".hidden", commit)) == ".hidden@000041-9f31c2ab"
    assert next(payload_names("study@000041-9f31c2ab.db", commit)) == "study@000041-9f31c2ab@000041-9f31c2ab.db"
    assert payload_folder(Key("outputs/hpo/distilbert"), "trial_1/model.bin") == "outputs/hpo/distilbert/trial_1"
    assert payload_folder(Key("outputs/benchmark.json"), "") == "outputs"
    assert key_code(Key("outputs/hpo/distilbert")) == "outputs~hpo~distilbert"


def test_long_names_are_cut_and_closed_with_a_hash() -> None:
    one, two = Key("outputs/" + "a" * 255 + "/x"), Key("outputs/" + "a" * 255 + "/y")
    assert key_code(one) != key_code(two)
    assert len(ManifestName(key_code(one), CommitId(1, "9f31c2ab"), "9f31c2ab").file) <= 255
    name = next(payload_names("b" * 251 + ".bin", CommitId(1, "9f31c2ab")))
    assert len(name) <= 255
    assert parse_payload_name(name) == CommitId(1, "9f31c2ab")


def test_twins_are_known_by_drives_way_of_naming_them() -> None:
    assert twin_of("hpo (1)") == "hpo"
    assert twin_of("study@000001-9f31c2ab (2).db") == "study@000001-9f31c2ab.db"
    assert twin_of("hpo") is None


def test_what_we_never_write_is_not_ours() -> None:
    for name in (
        "x.json",
        "a@1-9f31c2ab-00000000.json",
        "%6fut@000001-9f31c2ab-00000000.json",
        "outputs~a@000001-9F31C2AB-00000000.json",
    ):
        assert parse_manifest_name(name) is None
    assert parse_payload_name("study.db") is None
    assert parse_payload_name("me@example.com") is None
