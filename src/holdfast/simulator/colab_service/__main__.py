"""`python -m holdfast.simulator.colab_service --folder DIR`: the service for a person, until Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import random
import shlex
import signal
import sys
import time
from pathlib import Path

from holdfast.simulator.colab_service.service import ColabService


def main() -> None:
    """Serve, and take machines away by chance where that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m holdfast.simulator.colab_service", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="for machines, the book, and a home with credentials")
    parser.add_argument("--life", type=float, default=0.0, metavar="S", help="mean life of a machine; 0: none vanishes")
    parser.add_argument("--seed", type=int, default=0, help="of the chance")
    parser.add_argument("--speed", type=float, default=1.0, help="virtual seconds of Drive in a real one")
    parser.add_argument("--drive-api", action="store_true", help="the home has credentials for Drive's API too")
    parser.add_argument("--no-consent", action="store_true", help="Drive's mount was not allowed")
    asked = parser.parse_args()
    chance = random.Random(asked.seed)  # noqa: S311 - a seed, not a secret
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # machines are processes, and end with it
    with ColabService(asked.folder, speed=asked.speed) as service, contextlib.suppress(KeyboardInterrupt):
        if asked.drive_api:
            service.sign_in_to_drive()
        service.habits.consent = not asked.no_consent
        for name, value in service.environment.items():
            sys.stdout.write(f"export {name}={shlex.quote(value)}\n")
        sys.stdout.flush()
        ends: dict[str, float] = {}
        while True:
            time.sleep(1.0)
            for machine in service.machines() if asked.life else ():
                if ends.setdefault(machine.endpoint, time.monotonic() + chance.expovariate(1 / asked.life)) < time.monotonic():
                    sys.stdout.write(f"{machine.endpoint} vanishes\n")
                    sys.stdout.flush()
                    service.vanish(machine.endpoint)


if __name__ == "__main__":
    main()
