"""The command line: words to calls. Nothing is decided here."""

from holdfast.cli.entry import main

__all__ = ["main"]
