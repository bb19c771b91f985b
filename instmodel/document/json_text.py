"""JSON text to plain Python values and back, stricter than the standard library's parser.

Repeated keys, ``NaN`` and ``Infinity`` literals, wrong encodings, trailing text and deep nesting
are errors; the standard parser takes the first two silently and runs out of stack on the last.
"""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Any, NoReturn

from instmodel.errors import DocumentError, InstModelError

MAX_DEPTH = 32

# Possessive: the engine keeps no way back, which would take a hundred bytes for each character.
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_CONSTANT = re.compile("NaN|-?Infinity")
_NOT_BRACKETS = re.compile(r"[^\[\]{}]+")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_NOT_STRUCTURE = bytes(set(range(256)) - set(b'[]{}"'))
_EMPTY_PAIR = re.compile(r"\[\]|\{\}")

_ADVICE = (
    "`instmodel convert` imports files that end in .onnx, .keras, .pt2, .joblib, .pkl or .pickle"
)


def parse(text: str | bytes) -> Any:
    """Return the value of a JSON text.

    Raises
    ------
    DocumentError
        ``invalid_document``, ``duplicate_key`` or ``non_finite_value``.
    """
    if isinstance(text, (bytes, bytearray, memoryview)):
        text = _decode(bytes(text))
    elif not isinstance(text, str):
        raise DocumentError(
            "invalid_type", "not a JSON text", expected="str or bytes", actual=type(text).__name__
        )
    try:
        value = json.loads(
            text, object_pairs_hook=unique_keys, parse_constant=partial(_refuse, text)
        )
    except json.JSONDecodeError as error:
        start = text[:1000].lstrip()[:1]
        reason = error.msg if start else "it is empty"
        advice = "" if start in ("", "{", "[") else f"; {_ADVICE}"
        raise DocumentError(
            "invalid_document",
            f"neither a binary model nor valid JSON: {reason}{advice}",
            line=error.lineno,
            column=error.colno,
        ) from None
    except InstModelError:
        raise
    except ValueError as error:  # an int of thousands of digits
        raise DocumentError("invalid_document", f"not valid JSON: {error}") from None
    except RecursionError:
        raise _too_deep() from None
    _check_depth(text)
    _check_pairs(text, value)
    return value


def format_document(document: Any, *, sort_keys: bool = False) -> str:
    """Return a document as JSON text that `parse` takes; floats read back to the bit.

    Raises
    ------
    DocumentError
        ``non_finite_value`` for NaN and infinities, ``invalid_type`` for what JSON cannot hold,
        ``invalid_document`` for too deep a nesting, ``duplicate_key`` for keys that are the same
        as text.
    """
    try:
        text = json.dumps(
            document,
            ensure_ascii=False,
            allow_nan=False,
            separators=(",", ":"),
            sort_keys=sort_keys,
        )
        text.encode()  # half a surrogate pair is no text
    except (TypeError, ValueError, RecursionError) as error:
        if "Out of range float" in str(error):
            raise DocumentError(
                "non_finite_value", "JSON holds finite numbers only", expected="a finite number"
            ) from None
        raise DocumentError("invalid_type", f"JSON cannot hold this document: {error}") from None
    _check_depth(text)
    return text


def _decode(data: bytes) -> str:
    try:
        # A byte order mark is refused with the rest of what JSON does not allow (RFC 8259, 8.1).
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DocumentError(
            "invalid_document",
            f"neither a binary model nor UTF-8 text; {_ADVICE}",
            field=f"byte {error.start}",
        ) from None


def _check_depth(text: str) -> None:
    """Refuse nesting beyond `MAX_DEPTH` in a text that parsed, without a loop over its values.

    Without strings and everything but brackets, each round takes the innermost pairs away, so the
    number of rounds is the depth.
    """
    if "\\" not in text:  # a quote is a quote: numbers can go first, which is much faster
        text = text.encode("utf-8", "surrogatepass").translate(None, _NOT_STRUCTURE).decode()
    brackets = _NOT_BRACKETS.sub("", _STRING.sub("", text))
    for _ in range(MAX_DEPTH):
        if not brackets:
            return
        brackets = _EMPTY_PAIR.sub("", brackets)
    if brackets:
        raise _too_deep()


def _check_pairs(text: str, value: Any) -> None:
    """Refuse half a surrogate pair: it is no text, and no file could hold the document again."""
    try:
        if not text.isascii():
            text.encode()  # a str may hold one as it is
        if "\\u" in text and _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise DocumentError("invalid_document", "half a surrogate pair in a text") from None


def _too_deep() -> DocumentError:
    return DocumentError(
        "invalid_document", "nested too deep", expected=f"at most {MAX_DEPTH} levels"
    )


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its pairs, and refuse a key that comes twice."""
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise DocumentError(
                    "duplicate_key", "the same key twice in one object", field=key[:100]
                )
            seen.add(key)
    return result


def _refuse(text: str, literal: str) -> NoReturn:
    # The parser gives no place. All before was JSON, so it is the first one outside of strings.
    found = _CONSTANT.search(_STRING.sub(lambda string: " " * len(string.group()), text))
    assert found is not None  # by the parser, in this text
    start = found.start()
    raise DocumentError(
        "non_finite_value",
        "JSON has no such number",
        line=text.count("\n", 0, start) + 1,
        column=start - text.rfind("\n", 0, start),
        expected="a finite number",
        actual=literal,
    )
