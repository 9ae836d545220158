"""Drive's v3 API over the simulator's cloud, on HTTPS: what a mount shows and what the API answers are one Drive.

What it answers was collected from Google's public pages, the discovery document, and what Google's own client and rclone
were seen to send; what nobody has measured is marked *(assumed)* where it stands.
"""

from holdfast.simulator.drive_api.faults import Fault, Faults, What
from holdfast.simulator.drive_api.server import DriveApi

__all__ = ["DriveApi", "Fault", "Faults", "What"]
