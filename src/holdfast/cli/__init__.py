"""The command line: words to calls. Nothing is decided here."""

from holdfast.cli.app import main

__all__ = ["main"]
