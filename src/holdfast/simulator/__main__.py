"""`python -m holdfast.simulator [MOUNTPOINT] [--api PORT]`: serve a simulated Drive until Ctrl-C."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path

from holdfast.simulator.clock import Clock
from holdfast.simulator.cloud import Cloud
from holdfast.simulator.drive_api import DriveApi, Faults
from holdfast.simulator.drive_api.certificates import NoCertificate
from holdfast.simulator.mounting import lacking
from holdfast.simulator.serve import SIGNALS, Service
from holdfast.simulator.setup import Setup
from holdfast.simulator.tree import ALIAS
from holdfast.simulator.uploads import Pace
from holdfast.simulator.weather import Weather


def main(arguments: list[str] | None = None) -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="python -m holdfast.simulator", description="Colab's Google Drive, simulated.")
    parser.add_argument("mountpoint", type=Path, nargs="?", help="an empty folder; made if missing; none for the API alone")
    parser.add_argument("--api", type=int, metavar="PORT", help="serve Drive's v3 API over HTTPS on this port too; 0: any")
    parser.add_argument("--cloud", type=Path, help="folder with what Google has; a fresh one in the temporary folder by default")
    parser.add_argument("--control", type=Path, help="path of the control socket; MOUNTPOINT.control by default")
    parser.add_argument("--seed", type=int, default=0, help="of everything that is drawn")
    parser.add_argument("--speed", type=float, default=1.0, help="virtual seconds in a real one; 0: moved over the control socket")
    parser.add_argument("--weather", type=json.loads, default={}, help="fields of Weather as JSON")
    parser.add_argument("--pace", type=json.loads, default={}, help="fields of Pace as JSON")
    parser.add_argument("--quota", type=int, help="bytes of the account")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end with the process that started this one")
    given = parser.parse_args(arguments)
    if given.mountpoint is None and given.api is None:
        parser.error("give a mountpoint, or --api PORT, or both")
    if given.mountpoint is not None and (missing := lacking()) is not None:
        parser.exit(2, f"nothing was mounted at {given.mountpoint}: {missing}\n")
    cloud = (given.cloud or Path(tempfile.mkdtemp(prefix="drive-cloud-"))).absolute()
    if given.mountpoint is None:
        _serve_alone(parser, given, cloud)
        return
    mountpoint = given.mountpoint.absolute()
    control = (given.control or mountpoint.with_name(f"{mountpoint.name}.control")).absolute()
    try:
        weather = Weather().changed(given.weather)
        pace = Pace(**{**given.pace, "lag": tuple(given.pace.get("lag", Pace.lag))})
    except (TypeError, ValueError) as error:
        parser.error(str(error))
    mountpoint.mkdir(parents=True, exist_ok=True)
    setup = Setup(mountpoint, cloud, control, seed=given.seed, speed=given.speed, weather=weather, pace=pace, quota=given.quota)
    service = Service(setup)
    if given.until_stdin_closes:
        service.until(sys.stdin.buffer.read)
    api = None if given.api is None else _api(parser, cloud, given.api, given.seed, service.clock)
    if api is not None:
        api.faults.before = lambda *_: service.settle()

    def announce() -> None:
        sys.stdout.write(
            f"Drive is simulated at {mountpoint / ALIAS}\n"
            f"  what Google has:  {cloud}\n"
            f"{'' if api is None else _told(api)}"
            f"  control socket:   {control}\n"
            f"  seed {setup.seed}, {setup.speed:g} virtual seconds in a second\n"
            "Ctrl-C takes the machine away: what is not uploaded by then is dropped.\n"
        )
        sys.stdout.flush()

    service.run(announce)


def _api(parser: argparse.ArgumentParser, cloud: Path, port: int, seed: int, clock: Clock) -> DriveApi:
    try:
        api = DriveApi(cloud, port=port, faults=Faults(seed=seed, clock=clock))
    except (OSError, NoCertificate) as error:
        parser.exit(2, f"Drive's API is not served at port {port}: {error}\n")
    api.start()
    return api


def _told(api: DriveApi) -> str:
    return f"  Drive's v3 API:   {api.address}\n  to be trusted:    {api.certificate}\n"


def _serve_alone(parser: argparse.ArgumentParser, given: argparse.Namespace, cloud: Path) -> None:
    """The API without a mount, where there is no FUSE."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    cloud.mkdir(parents=True, exist_ok=True)
    Cloud(cloud, quota=given.quota).close()
    api = _api(parser, cloud, given.api, given.seed, Clock(given.speed))
    sys.stdout.write(f"Drive is simulated, without a mount\n  what Google has:  {cloud}\n{_told(api)}Ctrl-C ends it.\n")
    sys.stdout.flush()
    if given.until_stdin_closes:
        sys.stdin.buffer.read()
    else:
        signal.sigwait(SIGNALS)
    api.close()


if __name__ == "__main__":
    main()
