"""The errors of instmodel: one family, and a stable ``code`` for every rule.

A caller that wants to react reads `InstModelError.code` and the attributes; a person reads the
message, which says the same in words.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Sequence
from typing import Any, Self

from instmodel.error_codes import CODES

# Characters of a part of a message; a document's names may be megabytes.
_LONGEST = 120
# Columns that a message lists.
_LISTED = 20

# What URLs may hold that no log should: a user and a password, perhaps with slashes in it (a number
# behind the colon is a port), and a signed query. pathlib leaves one slash of a URL.
_USER = re.compile(r"(://)[^/\s]*@|(:/{1,2})[^/\s@:]*:(?!\d+/)\S*@")
_QUERY = re.compile(r"((?:https?://[^\s?]+|://[^\s?]+(?=\?\S*=))\?)\S+")
# Characters at the most of what is hidden in a text that is cut anyway.
_HIDDEN = 4096


class InstModelError(Exception):
    """Base of every error that instmodel raises.

    Parameters
    ----------
    code : str
        Stable snake_case name of the rule that was broken: one of `instmodel.error_codes.CODES`.
    message : str
        What is wrong, in one sentence, without the location.
    instruction : int, optional
        Index of the instruction at fault.
    instruction_type : str, optional
        Its ``type`` in the document, such as ``"DOT"``.
    field : str, optional
        The field at fault, as a path into the document: ``"weights[0][2]"``.
    expected, actual : optional
        What the rule asks for, and what came instead.
    file : path-like, optional
        The file at fault.
    row : int, optional
        The row at fault: of what is in memory from 0, as Python counts; of a file from 1, its
        header not counted.
    column : str or int, optional
        The column at fault by name; where columns have no names, its number, from 1. Beside a
        `line` without a `row`, the character in the line.
    line : int, optional
        The line of a text file, from 1.
    columns : sequence of str, optional
        All columns at fault, where several may be; `column` is the first.

    Attributes
    ----------
    code, message, instruction, instruction_type, field, expected, actual, row, column, line
        As above; None where they do not apply.
    file : str or None
    columns : list of str
        All of them, however many; a message lists some.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        instruction: int | None = None,
        instruction_type: str | None = None,
        field: str | None = None,
        expected: Any = None,
        actual: Any = None,
        file: str | bytes | os.PathLike[Any] | None = None,
        row: int | None = None,
        column: str | int | None = None,
        line: int | None = None,
        columns: Sequence[str] = (),
    ) -> None:
        if code not in CODES:
            raise AssertionError(f"no entry in instmodel.error_codes: {code!r}")
        self.code = code
        self.message = message
        self.instruction = instruction
        self.instruction_type = instruction_type
        self.field = field
        self.expected = expected
        self.actual = actual
        self.file = None if file is None else os.fsdecode(file)
        self.row = row
        self.column = column
        self.line = line
        self.columns = list(columns)
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        place = ", ".join(self._place())
        facts = []
        if self.expected is not None:
            facts.append(f"expected {printable(self.expected, _LONGEST)}")
        if self.actual is not None:
            facts.append(f"got {printable(self.actual, _LONGEST)}")
        where = f"{place}: " if place else ""
        values = f" ({', '.join(facts)})" if facts else ""
        return f"{where}{self._words()}{values} [{self.code}]"

    def _words(self) -> str:
        return printable(self.message, 2 * _LONGEST)

    def _place(self) -> list[str]:
        place = [] if self.file is None else [printable(self.file, _LONGEST)]
        if self.instruction is not None:
            name = f" ({self.instruction_type})" if self.instruction_type else ""
            place.append(f"instruction {self.instruction}{name}")
        elif self.instruction_type is not None:
            place.append(self.instruction_type)
        if self.field is not None:
            place.append(f"field '{printable(self.field, _LONGEST)}'")
        return place + self._cell()

    def _cell(self) -> list[str]:
        row = [] if self.row is None else [f"row {self.row}"]
        if self.line is not None:
            row = [f"{row[0]} (line {self.line})" if row else f"line {self.line}"]
        if self.column is None:
            return row
        if not isinstance(self.column, str):
            return [*row, f"column {self.column}"]
        column = f"column '{printable(self.column, _LONGEST)}'"
        if len(self.columns) > 1:
            shown = [f"'{printable(name, _LONGEST)}'" for name in self.columns[:_LISTED]]
            more = len(self.columns) - len(shown)
            column = f"columns {', '.join(shown)}" + (f" and {more} more" if more else "")
        # In a text, one goes to the line first.
        return [column, *row] if self.line is None else [*row, column]

    def at(self, instruction: int | None, instruction_type: str | None) -> Self:
        """Return the same error, located at an instruction."""
        return self._with(instruction=instruction, instruction_type=instruction_type)

    def inside(self, prefix: str) -> Self:
        """Return the same error with its field under `prefix`: ``weights`` → ``prefix.weights``."""
        return self._with(field=f"{prefix}.{self.field}" if self.field else prefix)

    def in_row(self, row: int) -> Self:
        """Return the same error, in another row."""
        return self._with(row=row)

    def in_file(self, path: str | bytes | os.PathLike[Any]) -> Self:
        """Return the same error, of a file."""
        return self._with(file=os.fsdecode(path))

    def _with(self, **changes: Any) -> Self:
        twin = copy.copy(self)
        twin.__dict__ |= changes
        twin.args = (twin._sentence(),)
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        # Not through __init__: a subclass may have another, and another version other codes.
        return (_bare, (type(self), *self.args), self.__dict__)


def _bare(kind: type[InstModelError], *args: str) -> InstModelError:
    return kind.__new__(kind, *args)


def printable(value: Any, longest: int | None = None) -> str:
    """Return a text that is safe in one line of a terminal or a log, whatever a file holds.

    Control characters are escaped, so that no name can move the cursor or break a line. The users,
    passwords and signatures of URLs are left out.

    Parameters
    ----------
    value : object
        Anything with a `str`.
    longest : int, optional
        What is longer is cut to so many characters.
    """
    text = str(value)
    if longest is not None:
        text = text[: longest + _HIDDEN]
    text = without_secrets(text)
    if longest is not None and len(text) > longest:
        text = text[: longest - 1] + "…"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def without_secrets(text: str) -> str:
    """Return a URL, or a text with URLs, without what may be secret in it."""
    if ":/" not in text:
        return text
    return _QUERY.sub(r"\1…", _USER.sub(r"\1\2…@", text))


class DocumentError(InstModelError, ValueError):
    """The text, the file or a value in it is not what a model document may hold."""


class StructureError(InstModelError, ValueError):
    """The document is well formed, but its parts do not fit together."""


class ValidationDataError(InstModelError, ValueError):
    """The model does not reproduce its validation data, or the data does not fit the model."""


class InputError(InstModelError, ValueError):
    """An argument of a call (an array, a slice, a thread count) does not fit the model."""


class UnsupportedModelError(InstModelError, ValueError):
    """A model from elsewhere holds pieces that no instructions express; nothing was imported.

    Attributes
    ----------
    pieces : list of str
        Every piece that is in the way, with its place and the reason.
    """

    def __init__(
        self, code: str, message: str, *, pieces: Sequence[str] = (), **places: Any
    ) -> None:
        self.pieces = list(pieces)
        super().__init__(code, message, **places)

    def _words(self) -> str:
        # All of them, however many: who mends a model wants the whole list.
        listed = "; ".join(printable(piece, 2 * _LONGEST) for piece in self.pieces)
        return f"{super()._words()}: {listed}" if listed else super()._words()
