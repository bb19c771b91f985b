"""One way to write a JSON value as bytes, so that a digest or a signature is of the value.

RFC 8785 (JSON Canonicalization Scheme): keys sorted by their UTF-16 code units, no spaces, UTF-8,
and numbers as ECMAScript writes a double. Other tools that know the RFC write the same bytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

EXACT = 2**53
"""Whole numbers up to this are told apart as doubles."""


def canonical(value: Any) -> bytes:
    """Return the canonical bytes of plain data.

    Raises
    ------
    ValueError
        A number that is not finite, or a whole one that no double holds for sure; half of a
        surrogate pair.
    """
    return _text(value).encode()


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(f"{_string(name)}:{_text(value[name])}" for name in names) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_text, value)) + "]"
    if isinstance(value, str):
        return _string(value)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return _number(value)


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _number(value: int | float) -> str:
    if isinstance(value, int):
        if abs(value) > EXACT:
            raise ValueError(f"not a number that every double holds: {value}")
        return str(value)
    if not math.isfinite(value):
        raise ValueError(f"not a JSON number: {value}")
    # The shortest decimal that gives the double back: Python and ECMAScript agree on its digits,
    # and differ in where they put the point.
    _, digits, exponent = Decimal(repr(float(value))).normalize().as_tuple()
    assert isinstance(exponent, int)
    text, count = "".join(map(str, digits)), len(digits)
    point = count + exponent  # digits before the point
    sign = "-" if value < 0 else ""
    if value == 0:
        return "0"
    if count <= point <= 21:
        return sign + text + "0" * (point - count)
    if 0 < point <= 21:
        return f"{sign}{text[:point]}.{text[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{text}"
    rest = f".{text[1:]}" if count > 1 else ""
    return f"{sign}{text[0]}{rest}e{point - 1:+d}"
