"""What Drive's refusals mean, and what to do about each. Pure.

The reasons are those of the page "Resolve errors" of Drive's documentation (April 2026), and some that are only reported: those of
downloads. A reason that is not known here is shown as it came.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass

from holdfast.errors import StoreDenied, StoreError, StoreFull, StoreNotFound, StoreUnreachable, StoreUnreadable

#: Too fast: wait, and ask again.
RATE = frozenset({"userRateLimitExceeded", "rateLimitExceeded", "sharingRateLimitExceeded"})


@dataclass(frozen=True)
class Refusal:
    """One answer of the API that is not what was asked for.

    Args:
        status: Of HTTP.
        reason: The word in its body, or none.
    """

    status: int
    reason: str = ""

    @property
    def passes(self) -> bool:
        """Whether asking again, later, is the answer."""
        return self.status in (408, 429) or self.status >= 500 or (self.status == 403 and self.reason in RATE)

    def as_error(self, where: str) -> StoreError:
        """The typed error, with what to do.

        Args:
            where: What was asked for; nothing secret.
        """
        kind, number, text = _MEANINGS.get(self.reason) or self._by_status()
        said = f" ({self.status} {self.reason})" if self.reason else f" ({self.status})"
        return kind(number, f"{text}{said}", where)

    def _by_status(self) -> tuple[type[StoreError], int, str]:
        if self.status == 401:
            return StoreUnreachable, errno.EACCES, "Drive does not take this token any more: sign in again"
        if self.status == 404:
            return StoreNotFound, errno.ENOENT, "Drive shows no such file to this account: it is gone, or was never shared with it"
        if self.passes:
            return StoreUnreadable, errno.EAGAIN, "Drive does not answer well now: try again later"
        if self.status == 403:
            return StoreDenied, errno.EACCES, "Drive refuses it: look at the sharing of the folder in a browser"
        return StoreUnreadable, errno.EIO, "Drive does not understand the request"


_OF_FOLDER = "give this account the right to change the folder (Share, Editor), or take a folder of its own"
_MEANINGS: dict[str, tuple[type[StoreError], int, str]] = {
    "userRateLimitExceeded": (
        StoreUnreadable,
        errno.EAGAIN,
        (
            "Drive says that this account asks too fast, also after waiting: "
            "try again in some minutes; if it stays for hours, 750 GB were uploaded today, and it ends after a day"
        ),
    ),
    "rateLimitExceeded": (
        StoreUnreadable,
        errno.EAGAIN,
        "Drive says that it is asked too fast, also after waiting: try again in some minutes",
    ),
    "sharingRateLimitExceeded": (
        StoreUnreadable,
        errno.EAGAIN,
        "Drive says that it is asked too fast, also after waiting: try again in some minutes",
    ),
    "dailyLimitExceeded": (
        StoreDenied,
        errno.EDQUOT,
        (
            "the daily limit of the project that the OAuth client belongs to is used up: "
            "its owner raises it in Google's console, or it ends at midnight, Pacific time"
        ),
    ),
    "storageQuotaExceeded": (
        StoreFull,
        errno.EDQUOT,
        (
            "Drive is full: empty its trash or make room; a service account has no room of "
            "its own, so sign in as a person or use a shared drive"
        ),
    ),
    "teamDriveFileLimitExceeded": (
        StoreFull,
        errno.EDQUOT,
        "the shared drive holds 500,000 items, its trash counted: prune, and empty its trash",
    ),
    "numChildrenInNonRootLimitExceeded": (StoreFull, errno.EDQUOT, "the folder holds 500,000 items: prune, or give another folder"),
    "activeItemCreationLimitExceeded": (
        StoreFull,
        errno.EDQUOT,
        "this account has made as many items as Drive allows: delete some, for good",
    ),
    "myDriveHierarchyDepthLimitExceeded": (
        StoreDenied,
        errno.ENAMETOOLONG,
        "Drive allows 100 folders in one another: keep it flatter",
    ),
    "teamDriveHierarchyTooDeep": (
        StoreDenied,
        errno.ENAMETOOLONG,
        "a shared drive allows 100 folders in one another: keep it flatter",
    ),
    "teamDriveMembershipRequired": (StoreDenied, errno.EACCES, "this account is no member of the shared drive: have it added"),
    "teamDrivesFolderMoveInNotSupported": (StoreDenied, errno.EPERM, "folders cannot be moved into a shared drive: make it there"),
    "insufficientFilePermissions": (StoreDenied, errno.EACCES, f"this account may not change it: {_OF_FOLDER}"),
    "insufficientParentPermissions": (StoreDenied, errno.EACCES, f"this account may not write into the folder: {_OF_FOLDER}"),
    "insufficientPermissions": (
        StoreDenied,
        errno.EACCES,
        "the token was given for less than this: sign in again and allow access to Drive",
    ),
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": (
        StoreDenied,
        errno.EACCES,
        "the token was given for less than this: sign in again and allow access to Drive",
    ),
    "appNotAuthorizedToFile": (
        StoreDenied,
        errno.EACCES,
        "the token sees only what its own application made: sign in with the scope `drive`",
    ),
    "domainPolicy": (
        StoreDenied,
        errno.EACCES,
        "the administrator of the account's domain has switched Drive applications off: ask there",
    ),
    "accessNotConfigured": (
        StoreDenied,
        errno.EACCES,
        "the Drive API is not enabled for the project of the OAuth client: enable it in Google's console",
    ),
    "downloadQuotaExceeded": (
        StoreUnreadable,
        errno.EDQUOT,
        "Drive says that the file was read too often; it ends after about a day",
    ),
    "cannotDownloadAbusiveFile": (
        StoreDenied,
        errno.EACCES,
        "Drive took the file for malware and does not give it: ask for a review in a browser",
    ),
    "cannotDownloadFile": (StoreDenied, errno.EACCES, "its owner does not allow downloads: change its sharing in a browser"),
}
