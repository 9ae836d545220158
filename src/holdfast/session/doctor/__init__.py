"""Doctor: what a drive folder really offers, in a report to paste.

Nothing here may hang, however dead the mount is: every call on the drive folder is asked for with `Patience`. What was seen is
plain data; what it means is decided by `diagnosis` and `rules`, which touch no disk.
"""

from holdfast.session.doctor.examination import examine
from holdfast.session.doctor.findings import Finding

__all__ = ["Finding", "examine"]
