"""Each code is raised by a case of its own, with its place, and the message that the docs show."""

from __future__ import annotations

import ast
import copy
import json
import pickle
import re
from pathlib import Path

import pytest
from support.documents import build, dense, edited, everything, identity
from support.error_cases import CASES
from support.error_cases_elsewhere import ELSEWHERE
from support.error_page import PAGE, page

import instmodel as im
from instmodel.error_codes import CODES
from instmodel.errors import InputError

# Codes that were promised, whatever becomes of the rules.
PROMISED = [
    "missing_features",
    "invalid_feature_format",
    "feature_size_mismatch",
    "invalid_feature_size",
    "no_buffers",
    "invalid_buffer_size",
    "no_instructions",
    "bias_weights_mismatch",
    "bias_weights_size_mismatch",
    "too_many_weights",
    "weight_limit_exceeded",
    "buffer_limit_exceeded",
    "buffer_index_out_of_bounds",
    "weights_index_out_of_bounds",
    "parameters_index_out_of_bounds",
    "map_index_out_of_bounds",
    "weights_row_size_mismatch",
    "weights_column_size_mismatch",
    "bias_output_size_mismatch",
    "parameters_size_mismatch",
    "same_input_output",
    "internal_index_out_of_bounds",
    "internal_input_index_out_of_bounds",
    "internal_output_index_out_of_bounds",
    "mask_index_out_of_bounds",
    "too_many_mask_indexes",
    "insufficient_input_buffers",
    "input_buffer_size_mismatch",
    "invalid_heads_size",
    "default_size_mismatch",
    "map_value_size_mismatch",
    "invalid_map_key",
    "unused_weights",
    "unused_parameters",
    "unused_map",
    "unused_computation",
    "unknown_instruction",
    "unknown_activation",
    "missing_field",
    "unknown_field",
    "invalid_type",
    "duplicate_key",
    "non_finite_value",
    "invalid_document",
    "unsupported_version",
    "digest_mismatch",
    "validation_count_mismatch",
    "validation_input_size_mismatch",
    "validation_output_size_mismatch",
    "validation_mismatch",
    "input_size_mismatch",
    "buffer_too_small",
    "invalid_thread_count",
    "invalid_slice",
    "slice_out_of_bounds",
    "result_index_out_of_bounds",
    "destination_size_mismatch",
]

D, E = dense(), everything()
BY_CODE = {case.code: case for case in CASES + ELSEWHERE}
every_code = pytest.mark.parametrize("code", CODES)
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.code)


@pytest.fixture
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def raised(provoke):
    with pytest.raises(im.InstModelError) as caught:
        provoke()
    return caught.value


# --------------------------------------------------------------------------------- the register


def test_every_registered_code_has_one_case_and_every_case_a_registered_code():
    assert sorted(case.code for case in CASES + ELSEWHERE) == sorted(CODES)
    assert set(PROMISED) <= set(CODES)


@every_code
@pytest.mark.usefixtures("_here")
def test_the_message_is_the_one_that_the_register_shows(code):
    error = raised(BY_CODE[code].provoke)
    assert error.code == code
    said = str(error).replace(f" [{code}]", "", 1)
    assert said != str(error)
    shown = re.escape(CODES[code].example).replace(re.escape("…"), "(.+)")
    assert re.fullmatch(shown, said), said


def test_the_page_shows_the_register():
    assert page() == PAGE.read_text("utf-8"), "run python -m support.error_page"


def test_an_error_without_a_registered_code_cannot_be_made():
    with pytest.raises(AssertionError, match="no_such_code"):
        InputError("no_such_code", "something is wrong")


def test_every_code_in_the_sources_is_registered():
    # One that no test runs would only show when it is raised.
    errors = {name for name in dir(im.errors) if name.endswith("Error")}
    package = Path(im.__file__).parent
    found = set()
    for path in package.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") in errors:
                found |= {item.value for item in call.args[:1] if isinstance(item, ast.Constant)}
    for path in package.rglob("*.pyx"):
        found |= set(re.findall(r'Error\(\s*"(\w+)",', path.read_text("utf-8")))
    assert len(found) > 60
    assert found <= set(CODES)


# ------------------------------------------------------------------------------------- the place


@every_case
def test_code_and_place(case):
    error = raised(case.provoke)
    assert error.code == case.code
    assert isinstance(error, ValueError)
    assert error.instruction == case.instruction
    if case.instruction_type is not None:
        assert error.instruction_type == case.instruction_type
    if case.field is not None:
        assert error.field == case.field


@every_case
def test_the_message_says_code_and_place_in_words(case):
    message = str(raised(case.provoke))
    assert case.code in message
    assert "\n" not in message
    assert len(message) < 500
    if case.instruction is not None:
        assert f"instruction {case.instruction}" in message
    for part in (case.instruction_type, case.field):
        assert part is None or part in message


PLACES = {
    r"\brow (\d+)": "row",
    r"\bline (\d+)": "line",
    r"\bcolumn '?(\w+)": "column",
}


@every_code
@pytest.mark.usefixtures("_here")
def test_what_the_message_says_of_the_place_is_an_attribute_and_said_once(code):
    error = raised(BY_CODE[code].provoke)
    place = str(error).partition(error.message)[0]
    assert error.file is None or place.startswith(error.file)
    for pattern, name in PLACES.items():
        value = getattr(error, name)
        assert re.findall(pattern, place) == ([] if value is None else [str(value)])
        assert value is None or not re.search(pattern, error.message)


def test_each_case_starts_from_a_valid_document():
    for valid in (D, E, identity(), identity(3, 1)):
        build(valid)


@pytest.mark.parametrize("case", CASES[:3] + CASES[-3:], ids=lambda case: case.code)
def test_errors_travel_between_processes(case):
    with pytest.raises(im.InstModelError) as caught:
        case.provoke()
    for twin in (pickle.loads(pickle.dumps(caught.value)), copy.copy(caught.value)):
        assert type(twin) is type(caught.value)
        assert str(twin) == str(caught.value)
        assert twin.__dict__ == caught.value.__dict__


class OtherError(InputError):
    """An error with another way to be made, as a user's may be."""

    def __init__(self, number):
        super().__init__("invalid_table", f"number {number}")
        self.number = number


def test_an_error_of_a_subclass_or_of_another_version_travels(monkeypatch):
    error = OtherError(7).in_file("t.csv")
    assert (error.number, str(error)) == (7, "t.csv: number 7 [invalid_table]")
    packed = pickle.dumps(error)
    monkeypatch.delitem(CODES, "invalid_table")  # a code that this version does not know
    twin = pickle.loads(packed)
    assert (type(twin), twin.number, str(twin)) == (OtherError, 7, str(error))


def test_a_refused_model_travels_with_all_its_pieces():
    pieces = [f"layer {i}: no" for i in range(100)]
    error = im.UnsupportedModelError("unsupported_model", "too much", pieces=pieces).in_file("m")
    twin = pickle.loads(pickle.dumps(error))
    assert (str(twin), twin.pieces, twin.file) == (str(error), pieces, "m")
    assert str(twin) == f"m: too much: {'; '.join(pieces)} [unsupported_model]"


def test_expected_and_actual_are_values_not_only_words():
    with pytest.raises(im.InstModelError) as caught:
        build(edited(D, "weights", 1, to=[[1.0, 2.0]]))
    assert (caught.value.expected, caught.value.actual) == (3, 2)


UGLY = ["a\nb", "\x1b[31mred", "\x00", "\u202egnp", "\ud800", "k" * 100_000]


@pytest.mark.parametrize("ugly", UGLY, ids=lambda ugly: ascii(ugly)[:12])
@pytest.mark.parametrize(
    "damage",
    [
        lambda ugly: {**D, ugly: 1},
        lambda ugly: edited(D, "instructions", 0, ugly, to=1),
        lambda ugly: edited(D, "instructions", 0, "type", to=ugly),
        lambda ugly: edited(D, "instructions", 0, "activation", to=ugly),
        lambda ugly: edited(D, "instructions", 0, "input", to=ugly),
        lambda ugly: edited(D, "features", 0, to=ugly + "["),
        lambda ugly: edited(D, "weights", 0, 0, 0, to=ugly),
        lambda ugly: edited(E, "maps", 0, ugly, to=[1.0, 2.0]),
        lambda ugly: {**D, "validation_data": {"inputs": [], "expected_outputs": [], ugly: 1}},
    ],
)
def test_a_message_is_one_short_printable_line_whatever_the_document_holds(damage, ugly):
    with pytest.raises(im.InstModelError) as caught:
        build(damage(ugly))
    message = str(caught.value)
    assert message.isprintable(), ascii(message[:200])
    assert len(message) < 500


@pytest.mark.parametrize("ugly", UGLY, ids=lambda ugly: ascii(ugly)[:12])
def test_a_message_about_a_repeated_key_is_one_short_printable_line(ugly):
    key = json.dumps(ugly)
    with pytest.raises(im.InstModelError) as caught:
        im.InstructionModelInfo.from_json(f"{{{key}: 1, {key}: 2}}")
    assert caught.value.code == "duplicate_key"
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500
