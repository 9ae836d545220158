"""Colab's Google Drive on a real FUSE mount, with its delays and its faults, for tests, benchmarks and rehearsals.

It knows nothing of Holdfast's store: whatever works through it works through plain system calls on a mounted folder.
What it imitates was collected from the public source of google.colab and from public issue threads; what nobody has
measured is marked *(assumed)* where it stands.
"""

from holdfast.simulator.drive import SimulatedDrive
from holdfast.simulator.elsewhere import Elsewhere
from holdfast.simulator.fates import Change, Fate
from holdfast.simulator.limits import Limits
from holdfast.simulator.uploads import Pace
from holdfast.simulator.weather import Attributes, Death, Full, Hang, Latency, Listings, Spared, Trouble, Weather

__all__ = [
    "Attributes",
    "Change",
    "Death",
    "Elsewhere",
    "Fate",
    "Full",
    "Hang",
    "Latency",
    "Limits",
    "Listings",
    "Pace",
    "SimulatedDrive",
    "Spared",
    "Trouble",
    "Weather",
]
