"""What the API says when it refuses: Google's JSON, with a status and a reason."""

from __future__ import annotations

import json
from typing import Any

_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    416: "OUT_OF_RANGE",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
#: What a client reads in place of the reason, where the words are known.
MESSAGES = {
    "userRateLimitExceeded": "User Rate Limit Exceeded",
    "rateLimitExceeded": "Rate Limit Exceeded",
    "dailyLimitExceeded": "Daily Limit Exceeded",
    "storageQuotaExceeded": "The user's Drive storage quota has been exceeded.",
    "numChildrenInNonRootLimitExceeded": "The limit for this folder's number of children (files and folders) has been exceeded.",
    "myDriveHierarchyDepthLimitExceeded": "Your My Drive can't contain more than 100 levels of folders.",
    "teamDriveHierarchyTooDeep": "The shared drive hierarchy depth will exceed the limit.",
    "teamDriveFileLimitExceeded": "The file limit for this shared drive has been exceeded.",
    "insufficientFilePermissions": "The user does not have sufficient permissions for this file.",
    "downloadQuotaExceeded": "The download quota for this file has been exceeded.",
    "authError": "Invalid Credentials",
    "backendError": "Backend Error",
}
_USAGE = ("RateLimitExceeded", "rateLimitExceeded", "dailyLimitExceeded")


class Refused(Exception):
    """A request that is answered with an error.

    Args:
        status: Of HTTP.
        reason: Google's word for it.
        message: For a person; by default the known one for the reason.
        headers: To send along.
        location: Name of the parameter that is meant.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        message: str | None = None,
        *,
        headers: dict[str, str] | None = None,
        location: str | None = None,
    ) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason
        self.headers = headers or {}
        self._message = message or MESSAGES.get(reason, reason)
        self._location = location

    def body(self) -> bytes:
        """The answer's JSON."""
        domain = "usageLimits" if self.reason.endswith(_USAGE) else "global"
        detail: dict[str, Any] = {"message": self._message, "domain": domain, "reason": self.reason}
        if self._location is not None:
            detail.update(location=self._location, locationType="parameter")
        error = {"code": self.status, "message": self._message, "errors": [detail]}
        if self.status in _STATUS:
            error["status"] = _STATUS[self.status]
        return json.dumps({"error": error}, indent=1).encode()


def not_found(id_: str) -> Refused:
    """No such file, or nothing that this token may see: the two are answered alike."""
    return Refused(404, "notFound", f"File not found: {id_}.", location="fileId")


def invalid(parameter: str, message: str = "Invalid Value") -> Refused:
    """A parameter that will not do."""
    return Refused(400, "invalidParameter", message, location=parameter)
