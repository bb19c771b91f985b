"""Arguments of calls, checked before anything is done with them."""

from __future__ import annotations

import os
from collections.abc import Collection
from numbers import Real
from typing import Any

from instmodel.base.values import describe, integer_argument
from instmodel.errors import InputError


def count(value: Any, name: str, least: int = 1, code: str = "invalid_type") -> int:
    """Return a whole number of at least `least`; what is less has the code `code`."""
    number = integer_argument(value, name)
    if number < least:
        raise InputError(code, "too small", field=name, expected=f"≥ {least}", actual=number)
    return number


def real(value: Any, name: str, least: float | None = None) -> float:
    """Return a number, of `least` or more if that is given."""
    try:
        if isinstance(value, Real) and not isinstance(value, bool):
            number = float(value)
            if least is None or number >= least:
                return number
    except OverflowError:
        pass
    raise wrong_type(value, name, "a number" if least is None else f"a number of {least:g} or more")


def choice(value: Any, name: str, allowed: Collection[str], code: str = "invalid_type") -> str:
    """Return one of some texts."""
    # An array compares as an array: only a text is compared.
    if isinstance(value, str) and value in allowed:
        return value
    expected = " or ".join(map(repr, allowed))
    raise InputError(code, "no such choice", field=name, expected=expected, actual=describe(value))


def names(value: Any, name: str, code: str = "invalid_type") -> list[str]:
    """Return names of columns: several, or a text that is the only one."""
    if isinstance(value, str):
        return [value]
    try:
        found = list(value)
    except TypeError:
        found = [None]
    if all(isinstance(item, str) for item in found):
        return found
    raise wrong_type(value, name, "names of columns, as text", code)


def path(value: Any, name: str) -> str:
    """Return a path that is no bytes, to which nothing can be added."""
    if isinstance(value, str | os.PathLike):
        found = os.fspath(value)
        if isinstance(found, str):
            return found
    raise wrong_type(value, name, "a path")


def wrong_type(value: Any, name: str, expected: str, code: str = "invalid_type") -> InputError:
    """Build the error for an argument of the wrong type."""
    return InputError(code, "wrong type", field=name, expected=expected, actual=describe(value))
