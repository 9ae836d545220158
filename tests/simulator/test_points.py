"""What the simulator must have, and which tests show it, each through the mounted file system.

`POINTS` is the map: point, clause, tests. A test that is renamed or removed is missed here.
"""

from __future__ import annotations

import importlib

import pytest

POINTS: dict[int, dict[str, tuple[str, ...]]] = {
    0: {
        "a FUSE file system that tests mount, with the type that Colab's has": (
            "test_two_stores::test_it_is_mounted_as_colab_mounts_drive",
            "test_two_stores::test_both_names_lead_to_the_same_folder",
        ),
        "a control channel: the weather changes while mounted, the counters are read": (
            "test_serving::test_the_weather_is_changed_and_the_counters_are_read_while_it_is_mounted",
            "test_serving::test_one_connection_answers_many_lines_and_survives_nonsense",
        ),
        "virtual latencies scale by a factor": (
            "test_latency::test_with_a_running_clock_calls_wait",
            "test_latency::test_a_clock_that_stands_still_never_makes_a_call_wait",
        ),
        "ordinary tools work on it": (
            "test_tools::test_df_shows_a_drive_of_the_accounts_size",
            "test_tools::test_ls_shows_names_kinds_sizes_and_modes",
            "test_tools::test_cp_copies_onto_it_and_a_fresh_machine_copies_the_same_from_it",
            "test_tools::test_rclone_copies_onto_it_and_a_fresh_machine_copies_the_same_from_it",
        ),
        "whatever happens to a client or to the server, nothing stays mounted": (
            "test_serving::test_it_ends_with_the_process_that_started_it",
            "test_serving::test_an_unmount_by_somebody_else_ends_the_server",
            "test_serving::test_work_of_a_killed_client_is_like_any_other_work",
        ),
    },
    1: {
        "this machine sees its own writes at once, and the cloud does not": (
            "test_two_stores::test_own_writes_are_seen_at_once_and_are_not_in_the_cloud",
            "test_two_stores::test_files_are_uploaded_as_time_passes",
        ),
        "fsync says nothing about the cloud": ("test_two_stores::test_fsync_succeeds_and_says_nothing_about_the_cloud",),
        "a disconnect drops what is not uploaded": (
            "test_two_stores::test_a_disconnect_drops_what_is_not_uploaded_and_a_fresh_machine_sees_the_rest",
        ),
        "with no signal": ("test_two_stores::test_a_disconnect_sends_no_signal_and_what_was_open_is_not_connected",),
        "another session's changes come after seconds, minutes, or at the next mount": (
            "test_two_stores::test_another_machines_change_is_seen_after_a_delay",
            "test_two_stores::test_another_machines_change_can_be_seen_only_at_the_next_mount",
        ),
    },
    2: {
        "parallel slots": ("test_uploads::test_a_mount_uploads_no_more_files_at_a_time_than_it_has_slots",),
        "creates per second": ("test_latency::test_creates_reach_the_cloud_at_their_rate",),
        "bandwidth": (
            "test_latency::test_a_large_upload_takes_its_time",
            "test_uploads::test_a_mount_shares_its_bandwidth_between_the_uploads_under_way",
        ),
        "random lag": ("test_uploads::test_an_upload_begins_after_a_lag_that_is_drawn_for_each_file",),
        "any order": ("test_uploads::test_files_arrive_in_another_order_than_they_were_written",),
        "a rewrite restarts the file's clock, and an open file is not uploaded": (
            "test_uploads::test_a_file_that_is_rewritten_again_and_again_is_never_uploaded",
            "test_uploads::test_a_file_that_is_open_for_writing_is_not_uploaded",
        ),
        "at a disconnect each pending file is whole, torn, empty or missing": (
            "test_uploads::test_after_a_disconnect_each_pending_file_is_as_its_fate_says",
            "test_uploads::test_a_test_can_choose_the_fate_of_a_path",
        ),
        "by seed": ("test_uploads::test_the_same_seed_has_the_same_fates_and_another_seed_others",),
    },
    3: {
        "the id begins with local- until a new file is uploaded; uncommitted; md5": (
            "test_attributes::test_a_new_file_is_local_and_uncommitted_until_it_is_uploaded",
            "test_attributes::test_a_folder_has_an_id_too",
        ),
        "for an overwritten file a cloud id proves nothing": (
            "test_attributes::test_an_overwritten_file_keeps_its_cloud_id_while_uncommitted",
        ),
        "they are asked for by name": ("test_attributes::test_they_answer_by_name_and_are_not_listed",),
        "a mode where they do not exist": ("test_attributes::test_they_can_be_absent_unsupported_or_lying",),
    },
    4: {
        "flush_and_unmount drains the queue": ("test_colab::test_flush_and_unmount_uploads_everything",),
        "or is slow": (
            "test_colab::test_a_slow_flush_waits_for_the_uploads",
            "test_colab::test_a_slow_flush_gives_up_after_its_timeout",
            "test_colab::test_a_flush_that_hangs_ends_when_it_is_let_go",
        ),
        "or raises, and mounting again fails": (
            "test_colab::test_a_flush_that_raises_leaves_drive_mounted",
            "test_colab::test_mounting_again_after_a_flush_can_fail",
        ),
        "mount hangs": ("test_colab::test_consent_that_hangs_is_ended_by_an_interrupt",),
        "mount fails": (
            "test_colab::test_refused_consent_and_failed_mounts_raise_what_colab_raises",
            "test_colab::test_an_unfit_mountpoint_is_refused",
        ),
        "mount needs force_remount, which drops what is pending": (
            "test_colab::test_after_a_death_only_a_forced_remount_works_and_it_drops_what_was_pending",
            "test_colab::test_a_forced_remount_of_a_healthy_mount_drops_what_was_pending",
        ),
        "already mounted is only a folder's being there": ("test_colab::test_a_plain_folder_called_my_drive_passes_for_a_mount",),
    },
    5: {
        "ENOTCONN on every call": (
            "test_death::test_a_dead_mount_answers_enotconn_to_everything_and_stays_in_the_mount_table",
            "test_death::test_a_killed_drivefs_is_a_dead_mount",
        ),
        "ENOENT for paths that exist": ("test_death::test_a_dead_mount_can_deny_that_anything_exists",),
        "in the middle of a read": ("test_death::test_the_mount_dies_in_the_middle_of_a_read",),
        "a dead mount uploads nothing": ("test_death::test_a_dead_mount_uploads_nothing",),
    },
    6: {
        "EIO by path": ("test_faults::test_reads_of_some_paths_fail",),
        "EIO by share of calls": ("test_faults::test_a_share_of_the_calls_fails_and_the_seed_says_which",),
        "EIO for a folder with very many files": ("test_faults::test_a_folder_with_too_many_files_fails_to_list",),
        "any call may hang": (
            "test_faults::test_every_kind_of_call_can_hang",
            "test_faults::test_a_call_hangs_until_it_is_released_and_others_go_on",
            "test_faults::test_a_client_that_hangs_can_be_killed_once_the_machine_is_gone",
        ),
        "short reads": ("test_faults::test_reads_can_be_short_and_lose_nothing",),
        "stale listings": ("test_faults::test_a_stale_listing_shows_what_was_there_before",),
        "incomplete listings": ("test_faults::test_an_incomplete_listing_leaves_the_same_names_out_every_time",),
    },
    7: {
        "full with ENOSPC, full with EDQUOT": ("test_quota::test_a_full_drive_can_refuse_to_write",),
        "full and silent": (
            "test_quota::test_a_full_drive_can_be_silent_and_never_upload",
            "test_quota::test_a_full_drive_can_keep_empty_files",
        ),
        "a burst of small files": ("test_quota::test_a_burst_of_small_files_is_refused_however_empty_drive_is",),
        "trash counts, an emptied file and an old revision do not": (
            "test_quota::test_what_is_in_the_trash_counts_unless_it_was_emptied_before",
            "test_quota::test_a_file_overwritten_in_place_counts_once",
        ),
        "statvfs answers with the quota": ("test_quota::test_statvfs_answers_with_the_quota",),
    },
    8: {
        "cold and warm reads": (
            "test_latency::test_a_cold_read_costs_much_and_a_warm_one_little",
            "test_latency::test_what_this_machine_wrote_is_warm",
        ),
        "creates per second": ("test_latency::test_creates_reach_the_cloud_at_their_rate",),
        "bandwidth": (
            "test_latency::test_a_large_file_is_limited_by_the_bandwidth",
            "test_latency::test_a_large_upload_takes_its_time",
        ),
    },
    9: {
        "symlink and hard link": (
            "test_names::test_links_are_refused",
            "test_faults::test_any_error_can_be_raised_by_any_operation",
        ),
        "chmod and times": ("test_names::test_modes_and_times_are_accepted_and_forgotten",),
        "locks": ("test_names::test_a_lock_holds_on_one_machine_only",),
        "twins": (
            "test_names::test_twins_are_shown_with_a_number",
            "test_names::test_a_twins_shown_name_stays_when_the_first_is_gone_until_the_next_mount",
            "test_two_stores::test_two_machines_that_make_the_same_folder_make_twins",
        ),
        "a rename is not atomic": (
            "test_names::test_renames_move_files_and_whole_folders",
            "test_uploads::test_a_replacing_rename_is_two_changes_and_each_can_happen_alone",
        ),
        "documents of Google's editors": ("test_names::test_editor_documents_cannot_be_opened",),
    },
    10: {
        "every operation is counted": (
            "test_counters::test_every_operation_is_counted_once",
            "test_counters::test_a_stat_counts_what_the_kernel_asks",
            "test_counters::test_failed_calls_count_too",
            "test_counters::test_a_reset_begins_at_zero_and_every_name_is_there",
        ),
    },
}


@pytest.mark.parametrize("point", POINTS)
def test_every_clause_of_a_point_is_shown_by_tests_that_exist(point: int) -> None:
    for clause, named in POINTS[point].items():
        assert named, clause
        for name in named:
            module, _, function = name.partition("::")
            found = getattr(importlib.import_module(f"tests.simulator.{module}"), function, None)
            assert callable(found), f"{clause}: {name} is gone"


def test_no_point_is_left_out() -> None:
    assert sorted(POINTS) == list(range(11))
