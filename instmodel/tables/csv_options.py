"""How the text of a CSV file is written."""

from __future__ import annotations

import codecs
import functools
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from instmodel.base import arguments
from instmodel.errors import InputError

_MARK = "instmodel.mark"
# Never in text that was decoded; it becomes a byte that is never in UTF-8.
_MARKED = ("\udcff", b"\xff")


def _mark(error: UnicodeError) -> tuple[str | bytes, int]:
    if isinstance(error, UnicodeDecodeError):
        return _MARKED[0], error.end
    if isinstance(error, UnicodeEncodeError):
        return _MARKED[1] * (error.end - error.start), error.end
    raise error


codecs.register_error(_MARK, _mark)


@dataclass(frozen=True)
class CsvOptions:
    r"""How CSV files are written; cells are quoted with double quotes, which are doubled inside.

    Parameters
    ----------
    delimiter : str
        Between cells: one ASCII character such as ``;``, ``|`` or a tab.
    null_values : sequence of str
        What is a null beside the empty cell, such as ``NA``; in quotes it is text.
    encoding : str
        Any of Python's, such as ``latin-1``, ``cp1252``, ``utf-16``. A byte order mark is skipped.
    decimal : {".", ","}
        The mark in numbers. With a comma, a point is in none: ``1.234`` could be a thousand.
    """

    delimiter: str = ","
    null_values: Sequence[str] = ()
    encoding: str = "utf-8"
    decimal: str = "."

    def check(self) -> None:
        """Refuse what makes no sense.

        Raises
        ------
        InputError
            ``invalid_table``, ``invalid_type``.
        """
        arguments.choice(self.decimal, "decimal", (".", ","), "invalid_table")
        arguments.names(self.null_values, "null_values")
        given = self.delimiter
        if (
            not isinstance(given, str)
            or len(given) != 1
            or not (given.isprintable() or given == "\t")
            or not given.isascii()
            or given.isalnum()
            or given in '"+-.'
            or given == self.decimal
        ):
            raise InputError(
                "invalid_table",
                "not what may stand between cells",
                field="delimiter",
                expected="an ASCII character that is in no number, no quote, not the decimal mark",
                actual=repr(given),
            )
        try:
            known = isinstance(self.encoding, str) and "1".encode(self.encoding) != b""
        except (LookupError, ValueError):  # unknown, or no encoding of text
            known = False
        if not known:
            raise InputError(
                "invalid_table",
                "no such encoding of text",
                field="encoding",
                expected="one of Python's, such as utf-8, latin-1, cp1252 or utf-16",
                actual=repr(self.encoding),
            )

    def check_used(self, form: str) -> None:
        """Refuse options of CSV for an input of another format.

        Raises
        ------
        InputError
            ``invalid_table``
        """
        if form != "csv" and self.meaning() != CsvOptions().meaning():
            raise InputError(
                "invalid_table",
                "says how CSV is written, and the input is none",
                field="csv",
                expected="a .csv file, or `input_format` (`--input-format`)",
                actual=form,
            )

    def meaning(self) -> dict[str, Any]:
        """Return the options as JSON."""
        return {
            "delimiter": self.delimiter,
            "null_values": self.nulls,
            "encoding": self.codec,
            "decimal": self.decimal,
        }

    @functools.cached_property
    def nulls(self) -> list[str]:
        """What is a null beside the empty cell."""
        return arguments.names(self.null_values, "null_values")

    @functools.cached_property
    def codec(self) -> str:
        """The encoding by the name that Python has for it."""
        return codecs.lookup(self.encoding).name.removesuffix("-sig")

    def text(self, file: BinaryIO) -> io.TextIOWrapper:
        """Return an open file as text; what is not of the encoding fails `is_text`."""
        return io.TextIOWrapper(file, self.encoding, _MARK, newline="")

    def to_utf8(self) -> Callable[[bytes, bool], bytes]:
        """Return what turns the bytes of a file, the last part of them or not, into UTF-8.

        What is not of the encoding becomes, or stays, what is not UTF-8.
        """
        if self.codec == "utf-8":
            return lambda data, last: data
        decode = codecs.getincrementaldecoder(self.encoding)(_MARK).decode

        def to_utf8(data: bytes, last: bool) -> bytes:
            try:
                return decode(data, last).encode("utf-8", _MARK)
            except UnicodeError:  # all is lost: UTF-16 without its mark
                message, expected = self.misfit()
                raise InputError("invalid_table", message, expected=expected) from None

        return to_utf8

    def misfit(self) -> tuple[str, str]:
        """Return what to say of bytes that are not of the encoding, and what was expected."""
        name = "UTF-8" if self.codec == "utf-8" else self.codec
        return f"the text is not {name}; `encoding` (`--encoding`) says what it is", name


def is_text(text: str) -> bool:
    """Whether all of a text was of its encoding."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
