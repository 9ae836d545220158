"""Exit codes. They are a contract (docs/command.md, "Exit codes")."""

OK, FAILED, USAGE, ABSENT, NOT_RESTORED, NOT_CONFIRMED, MADE_OTHERWISE = 0, 1, 2, 3, 4, 5, 6
