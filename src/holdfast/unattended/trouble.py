"""The `colab` command itself may be what does not work: that no waiting mends, so it is said, after a few attempts."""

from __future__ import annotations

from holdfast.unattended.told import Outcome, Told

#: So many calls in a row that the command itself fails at are no chance any more, such as an upgrade in this moment.
ATTEMPTS = 5


class Trouble:
    """Counts the calls that the command itself failed at, in a row, of each kind.

    Args:
        program: Its path.
    """

    def __init__(self, program: str) -> None:
        self._program = program
        self._failed: dict[str, int] = {}

    def after(self, verb: str, told: object) -> str:
        """Count a call.

        Args:
            verb: Of the command.
            told: How it went; anything but a fault of the command's own ends the row.

        Returns:
            What is wrong, where, and what to do, once it is known to last; empty before, and where it is none of this.
        """
        if not (isinstance(told, Told) and told.outcome is Outcome.BROKEN):
            self._failed.pop(verb, None)
            return ""
        self._failed[verb] = self._failed.get(verb, 0) + 1
        if self._failed[verb] < ATTEMPTS:
            return ""
        return (
            f"the colab command itself does not work: `{self._program} {verb}` failed {ATTEMPTS} times ({told.line}); "
            "install it anew, as with uv tool install --reinstall google-colab-cli"
        )
