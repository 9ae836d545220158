"""A data file as bytes and as text: whole where a format needs that, else piece by piece, with the numbers of its lines."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NoReturn

from holdfast.errors import BadData
from holdfast.store.format.keys import printable
from holdfast.store.transfer.progress import Progress, Silent

#: How much is read at a time, and how much of the beginning is looked at to tell what a file is.
_PIECE = 1 << 20
_HEAD = 100_000
#: A first line of more is no line of a file of lines.
_LONGEST = 1 << 26
#: Of a larger file a sample is looked at: its beginning, and pieces spread evenly over the rest.
_WHOLE = 2 << 20
_PIECES, _SAMPLED = 28, 1 << 16


def line_of(path: Path, where: str, what: str, mend: str) -> str:
    """A problem as a person reads it: which file, where in it, what, and what to do."""
    place = f"{path}: {where}" if where else str(path)
    return printable(f"{place}: {what}; {mend}")


def refuse(path: Path, where: str, what: str, mend: str, cause: BaseException | None = None) -> NoReturn:
    """Raise a problem that ends the reading.

    Raises:
        BadData: always.
    """
    raise BadData(line_of(path, where, what, mend)) from cause


class Source:
    """A data file, open for reading; closed at the end of its `with`.

    Args:
        path: The file.
        progress: Follows the bytes of all that is read of it.

    Raises:
        BadData: it is not there or cannot be read; and, when it is read as text, it is not UTF-8.
    """

    def __init__(self, path: Path, progress: Progress | None = None) -> None:
        self.path = path
        self._progress = progress or Silent()
        self._file = self._opened()
        self.head = self._read(_HEAD)
        self._first: bytes | None = None

    def __enter__(self) -> Source:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def _opened(self) -> BinaryIO:
        try:
            file = self.path.open("rb")
            self.size = self.path.stat().st_size
        except FileNotFoundError as error:
            refuse(self.path, "", "there is no such file", "check the path", error)
        except IsADirectoryError as error:
            refuse(self.path, "", "it is a folder", "name the file in it", error)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            self._unreadable(error)
        return file

    def _unreadable(self, error: OSError | ValueError) -> NoReturn:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        refuse(self.path, "", f"it cannot be read: {reason}", "make it readable and try again", error)

    def _read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except OSError as error:
            self._unreadable(error)

    def data(self) -> bytes:
        """All its bytes."""
        self._file.seek(0)
        return self._read(-1)

    def text(self) -> str:
        """All its text, without the mark that some editors put before it."""
        data = self.data()
        return self._decoded(data, 0, 0).removeprefix("\ufeff")

    def begun(self) -> str:
        """Its beginning as text, whatever in it is not."""
        return codecs.getincrementaldecoder("utf-8")("replace").decode(self.head).removeprefix("\ufeff")

    def first_line(self) -> str | None:
        """Its first line that is not blank, without its end; None where it is very long, or nothing stands after it."""
        self._file.seek(0)
        while line := self._file.readline(_LONGEST):
            if line.strip(b" \t\r\n\xef\xbb\xbf"):
                more = line.endswith(b"\n") and self._has_more()
                return line.decode("utf-8", "replace").strip("\ufeff\r\n") if more else None
        return None

    def _has_more(self) -> bool:
        while piece := self._read(_PIECE):
            if piece.strip():
                return True
        return False

    def blocks(self) -> Iterator[tuple[int, str]]:
        """Its text in pieces of whole lines, each with the number of its first line, counted by line feeds."""
        self._file.seek(0)
        line, offset, kept = 1, 0, b""
        self._progress.begin("reading", self.path.name, 1, self.size)
        try:
            while True:
                piece = self._read(_PIECE)
                data = kept + piece if kept else piece
                if not data:
                    break
                cut = data.rfind(b"\n", len(kept)) + 1 if piece else len(data)
                kept, data = data[cut:], data[:cut]
                if data:
                    text = self._decoded(data, offset, line - 1)
                    yield line, text.removeprefix("\ufeff") if offset == 0 else text
                    line += text.count("\n")
                    offset += len(data)
                self._progress.advance(len(piece))
            self._progress.file_done()
        finally:
            self._progress.end()

    def lines(self) -> Iterator[tuple[int, str]]:
        """Its lines with their numbers, without their ends. Only a line feed ends a line."""
        for number, text in self.blocks():
            yield from enumerate(text.removesuffix("\n").split("\n"), start=number)

    def sample(self) -> Iterator[tuple[int, str]]:
        """Pieces of whole paragraphs over all of the file, each with the number of its first line; of a small one, all of it."""
        if self.size <= _WHOLE:
            yield 1, self.text()
            return
        line, at = 1, 0
        for n in range(_PIECES + 1):
            start = n * (self.size - _SAMPLED) // _PIECES
            line += self._line_feeds(at, start)
            self._file.seek(start)
            data = self._read(_SAMPLED)
            at = start + len(data)
            begin = _behind_blank(data, first=True) if n else 0
            end = _behind_blank(data, first=False) if n < _PIECES else len(data)
            first = line + data.count(b"\n", 0, begin)
            text = self._decoded(data[begin : max(begin, end)], start + begin, first - 1)
            yield first, text if n else text.removeprefix("\ufeff")
            line += data.count(b"\n")

    def _line_feeds(self, start: int, end: int) -> int:
        self._file.seek(start)
        count = 0
        while start < end and (piece := self._read(min(_PIECE, end - start))):
            count += piece.count(b"\n")
            start += len(piece)
        return count

    def _decoded(self, data: bytes, offset: int, lines: int) -> str:
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            line = lines + data.count(b"\n", 0, error.start) + 1
            what = f"not UTF-8 (0x{data[error.start]:02x}, on line {line})"
            written = "UTF-16" if self.head.startswith((b"\xff\xfe", b"\xfe\xff")) else "WINDOWS-1252"
            mend = f"save the file as UTF-8, for example with iconv -f {written} -t UTF-8"
            refuse(self.path, f"byte {offset + error.start}", what, mend, error)


def _behind_blank(data: bytes, *, first: bool) -> int:
    """Where a paragraph begins: behind the first or the last blank line, else behind the first or the last line."""
    blank = re.compile(rb"\n[ \t\r]*\n")
    found = blank.search(data)
    if found is None:
        return (data.find(b"\n") if first else data.rfind(b"\n")) + 1
    return found.end() if first else max(match.end() for match in blank.finditer(data))
