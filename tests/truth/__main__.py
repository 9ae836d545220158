"""`python -m tests.truth --sessions 300 --seed 1 --jobs 2`: random sessions, and whether status tells the truth of them."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time

from tests.truth.dice import WEIGHTS
from tests.truth.faults import FAULTS, Fault
from tests.truth.judging import Violation
from tests.truth.running import Found, Outcome, replay, run, shrink
from tests.truth.session import Counts, Crew

_BATCH = 8


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.truth", description=__doc__)
    parser.add_argument("--sessions", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1, help="of the first session; the others follow")
    parser.add_argument("--jobs", type=int, default=1, help="processes that run sessions side by side")
    parser.add_argument("--at-once", type=int, default=4, help="sessions of a process that go on while another rests")
    parser.add_argument("--minutes", type=float, default=None, help="begin none after that")
    parser.add_argument(
        "--only", nargs="*", default=None, metavar="MOVE", help="moves that count; backup, check and rest always do"
    )
    parser.add_argument("--faults", action="store_true", help="the five faults, each by its own moves and by loaded dice")
    parser.add_argument("--shrink", type=float, default=0.0, help="seconds to spend on each that is found")
    parser.add_argument("--show", type=int, default=3, help="so many of each kind are shown with their moves")
    parser.add_argument("--first", action="store_true", help="end with the first that is found")
    parser.add_argument("--as-json", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    """Run them, print what was looked at, and give 1 where anything contradicts status."""
    given = _arguments()
    begun = time.monotonic()
    if given.faults:
        return _faults(given)
    if given.jobs > 1:
        outcome_counts, kinds, texts = _side_by_side(given)
    else:
        outcome = _here(given)
        outcome_counts, kinds, texts = outcome.counts, dict(outcome.kinds), [str(f) for f in outcome.found]
    if given.as_json:
        sys.stdout.write(json.dumps([vars(outcome_counts), kinds, texts]) + "\n")
        return 0
    counts = ", ".join(f"{name} {value}" for name, value in vars(outcome_counts).items() if name != "words")
    print(f"{counts}; {outcome_counts.words}; {time.monotonic() - begun:.0f} s")
    print(f"violations: {len(texts)} session(s); {kinds or 'none'}")
    return 1 if texts else 0


def _here(given: argparse.Namespace) -> Outcome:
    shown: dict[str, int] = {}
    weights = None
    if given.only is not None:
        keep = {*given.only, "backup", "check", "rest", "make_folder", "write"}
        weights = {name: (weight if name in keep else 0.0) for name, weight in WEIGHTS.items()}
    until = None if given.minutes is None else time.monotonic() + 60 * given.minutes

    def say(found: Found) -> None:
        kinds = sorted({v.kind for v in found.violations})
        if all(shown.get(k, 0) >= given.show for k in kinds):
            print(f"seed {found.seed}: {kinds}", file=sys.stderr, flush=True)
            return
        for kind in kinds:
            shown[kind] = shown.get(kind, 0) + 1
        if given.shrink:
            crew = Crew()
            found = shrink(found, crew, given.shrink)
            crew.end()
        print(found, file=sys.stderr, flush=True)

    seeds = range(given.seed, given.seed + given.sessions)
    if not given.first:
        return run(seeds, weights=weights, at_once=given.at_once, until=until, say=say)
    total = Outcome()
    for seed in seeds:
        outcome = run([seed], weights=weights, until=until, say=say)
        total.counts.add(outcome.counts)
        total.found += outcome.found
        if total.found:
            break
    return total


def _faults(given: argparse.Namespace) -> int:
    """Whether each is found by its moves, and after how many random sessions: with dice that are loaded for it, and without."""
    found, crew = 0, Crew()
    plain = run(range(given.seed, given.seed + given.sessions), stops=False)
    for name, fault in FAULTS.items():
        directed = [v for v in replay(fault.moves, crew, background=True, stops=False) if _is_of(fault, v)]
        tried = _loaded(fault, given), _first(fault, plain, given)
        found += bool(directed) + sum(t is not None for t in tried)
        words = [f"in session {t}" if t else f"not in {given.sessions} sessions" for t in tried]
        print(f"{name}: {directed[0] if directed else 'not found'}; loaded dice: {words[0]}; plain dice: {words[1]}", flush=True)
    crew.end()
    return 1 if found else 0


def _loaded(fault: Fault, given: argparse.Namespace) -> int | None:
    for seed in range(given.seed, given.seed + given.sessions, _BATCH):
        seeds = range(seed, min(seed + _BATCH, given.seed + given.sessions))
        if number := _first(fault, run(seeds, weights=fault.weights, stops=False, at_once=_BATCH), given):
            return number
    return None


def _first(fault: Fault, outcome: Outcome, given: argparse.Namespace) -> int | None:
    seeds = [f.seed for f in outcome.found if any(_is_of(fault, v) for v in f.violations)]
    return min(seeds) - given.seed + 1 if seeds else None


def _is_of(fault: Fault, violation: Violation) -> bool:
    return any(kind in str(violation) for kind in fault.kinds)


def _side_by_side(given: argparse.Namespace) -> tuple[Counts, dict[str, int], list[str]]:
    counts, kinds, texts = Counts(), {}, []
    each, processes = -(-given.sessions // given.jobs), []
    for job in range(given.jobs):
        number = min(each, given.sessions - job * each)
        command = [
            sys.executable,
            "-m",
            "tests.truth",
            "--as-json",
            "--sessions",
            str(number),
            "--seed",
            str(given.seed + job * each),
        ]
        command += ["--at-once", str(given.at_once), "--shrink", str(given.shrink), "--show", str(given.show)]
        command += [] if given.minutes is None else ["--minutes", str(given.minutes)]
        command += [] if given.only is None else ["--only", *given.only]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    for process in processes:
        told, _ = process.communicate()
        one, some, those = json.loads(told.splitlines()[-1])
        counts.add(Counts(**one))
        for kind, number in some.items():
            kinds[kind] = kinds.get(kind, 0) + number
        texts += those
    return counts, kinds, texts


if __name__ == "__main__":
    sys.exit(main())
