"""Malformed texts: each is refused with the right code, and nothing else happens."""

from __future__ import annotations

import gzip
import json

import pytest
from support.documents import dense, everything, refused

import instmodel as im

E = everything()
TEXT = json.dumps(dense())

TEXTS = {
    "empty": ("", "invalid_document"),
    "blank": (" \n\t", "invalid_document"),
    "only an opening brace": ("{", "invalid_document"),
    "only a closing brace": ("}", "invalid_document"),
    "a word": ("nul", "invalid_document"),
    "null": ("null", "invalid_type"),
    "a boolean": ("true", "invalid_type"),
    "a number": ("1", "invalid_type"),
    "a string": ('"model"', "invalid_type"),
    "a list": ("[]", "invalid_type"),
    "a list of models": (f"[{TEXT}]", "invalid_type"),
    "truncated by one character": (TEXT[:-1], "invalid_document"),
    "truncated in the middle": (TEXT[: len(TEXT) // 2], "invalid_document"),
    "trailing text": (TEXT + "x", "invalid_document"),
    "trailing brace": (TEXT + "}", "invalid_document"),
    "two documents": (TEXT + TEXT, "invalid_document"),
    "two lines of documents": (TEXT + "\n" + TEXT, "invalid_document"),
    "trailing comma": (TEXT[:-1] + ",}", "invalid_document"),
    "missing comma": (TEXT.replace("], ", "] ", 1), "invalid_document"),
    "missing colon": (TEXT.replace(":", "", 1), "invalid_document"),
    "single quotes": (TEXT.replace('"', "'"), "invalid_document"),
    "unquoted key": ("{features: []}", "invalid_document"),
    "line comment": ("// a model\n" + TEXT, "invalid_document"),
    "block comment": (TEXT + "/* end */", "invalid_document"),
    "newline inside a string": ('{"features": ["a\nb"]}', "invalid_document"),
    "control character inside a string": ('{"features": ["a\x00b"]}', "invalid_document"),
    "unknown escape": ('{"features": ["\\x41"]}', "invalid_document"),
    "short unicode escape": ('{"features": ["\\u12"]}', "invalid_document"),
    "leading zero": (TEXT.replace("1.0", "01.0", 1), "invalid_document"),
    "leading plus": (TEXT.replace("1.0", "+1.0", 1), "invalid_document"),
    "leading point": (TEXT.replace("0.5", ".5", 1), "invalid_document"),
    "trailing point": (TEXT.replace("1.0", "1.", 1), "invalid_document"),
    "hexadecimal": (TEXT.replace("1.0", "0x1", 1), "invalid_document"),
    "exponent without digits": (TEXT.replace("1.0", "1e", 1), "invalid_document"),
    "underscore in a number": (TEXT.replace("1.0", "1_0", 1), "invalid_document"),
    "an integer of 5000 digits": (TEXT.replace("1.0", "9" * 5000, 1), "invalid_document"),
    "NaN": (TEXT.replace("1.0", "NaN", 1), "non_finite_value"),
    "Infinity": (TEXT.replace("1.0", "Infinity", 1), "non_finite_value"),
    "-Infinity": (TEXT.replace("1.0", "-Infinity", 1), "non_finite_value"),
    "nan in lower case": (TEXT.replace("1.0", "nan", 1), "invalid_document"),
    "a number that overflows float64": (TEXT.replace("1.0", "1e999", 1), "non_finite_value"),
    "a number that overflows float32": (TEXT.replace("1.0", "-3.5e38", 1), "non_finite_value"),
    "an integer that overflows float64": (TEXT.replace("1.0", "9" * 400, 1), "non_finite_value"),
    "100,000 nested lists": ("[" * 100_000, "invalid_document"),
    "100,000 nested and closed lists": ("[" * 100_000 + "]" * 100_000, "invalid_document"),
    "100,000 nested objects": ('{"a":' * 100_000, "invalid_document"),
    "500 levels of metadata": (
        TEXT[:-1] + ', "metadata": ' + "[" * 500 + "]" * 500 + "}",
        "invalid_document",
    ),
    "a key twice": (TEXT[:-1] + ', "features": ["a", "b"]}', "duplicate_key"),
    "a key twice in an instruction": (
        TEXT.replace('"input": 0', '"input": 0, "input": 0', 1),
        "duplicate_key",
    ),
    "a key twice in metadata": (TEXT[:-1] + ', "metadata": {"a": 1, "a": 1}}', "duplicate_key"),
    "a key twice, once escaped": (
        TEXT[:-1] + ', "feature\\u0073": ["a", "b"]}',
        "duplicate_key",
    ),
    "a map key twice": (
        json.dumps(E).replace('"1": [1.0, 2.0]', '"1": [1.0, 2.0], "1": [1.0, 2.0]'),
        "duplicate_key",
    ),
    "a map key twice, once with a zero before it": (
        json.dumps(E).replace('"1": [1.0, 2.0]', '"1": [1.0, 2.0], "01": [1.0, 2.0]'),
        "invalid_map_key",
    ),
    "no bytes": (b"", "invalid_document"),
    "byte order mark": (b"\xef\xbb\xbf" + TEXT.encode(), "invalid_document"),
    "UTF-16": (TEXT.encode("utf-16"), "invalid_document"),
    "UTF-16 without a mark": (TEXT.encode("utf-16-le"), "invalid_document"),
    "UTF-32": (TEXT.encode("utf-32"), "invalid_document"),
    "Latin-1": (TEXT.replace('"a"', '"é"').encode("latin-1"), "invalid_document"),
    "a surrogate in UTF-8": (TEXT.encode().replace(b'"a"', b'"\xed\xa0\x80"'), "invalid_document"),
    "overlong UTF-8": (TEXT.encode().replace(b'"a"', b'"\xc1\x81"'), "invalid_document"),
    "gzip": (gzip.compress(TEXT.encode()), "invalid_document"),
    "zeros": (bytes(1000), "invalid_document"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "invalid_document"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_malformed_text(name):
    text, code = TEXTS[name]
    assert refused(text).code == code


@pytest.mark.parametrize("length", range(0, len(TEXT), 7))
def test_a_text_cut_anywhere_is_not_a_document(length):
    assert refused(TEXT[:length]).code == "invalid_document"
    assert refused(TEXT[:length].encode()).code == "invalid_document"


def test_a_syntax_error_names_line_and_column():
    error = refused('{\n  "features": ["a",\n  "b"\n  "c"]}')
    assert "line 4" in str(error)
    assert "column 3" in str(error)


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_json_has_not_names_line_and_column(literal):
    error = refused('{\n"Infinity \\" NaN": "é -Infinity",\n  "weights": [1, ' + literal + ", NaN]")
    assert (error.code, error.actual) == ("non_finite_value", literal)
    assert (error.line, error.column) == (3, 18)
    assert refused(literal).column == 1


@pytest.mark.parametrize("text", [None, 1, [], {}, TEXT.split()], ids=repr)
def test_a_text_that_is_no_text(text):
    with pytest.raises(im.InstModelError) as caught:
        im.InstructionModelInfo.from_json(text)
    assert caught.value.code == "invalid_type"
