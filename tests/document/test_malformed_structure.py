"""Malformed documents: each is refused with the right code and place."""

from __future__ import annotations

import json
from typing import NamedTuple

import pytest
from support.documents import build, dense, edited, everything, identity, one, refused

D, E = dense(), everything()
DOCUMENTS = {"D": D, "E": E, "I": identity(), "I1": identity(1), "I33": identity(3, 3)}

# What is changed in which document of `documents.py` (D dense, E everything, I identity), to which
# JSON value ("-": the key is removed), and which error that gives where ("7 size": field `size` of
# instruction 7; "?": any field).
TABLE = r"""
D buffer_sizes                  -               missing_field                 buffer_sizes
D instructions                  -               missing_field                 instructions
D weights                       -               missing_field                 weights
D bias                          -               missing_field                 bias
D wheights                      []              unknown_field                 wheights
D Features                      []              unknown_field                 Features
D activation                    "RELU"          unknown_field                 activation

D features                      "ab"            invalid_type                  features
D features                      {"a":1}         invalid_type                  features
D features/1                    1               invalid_type                  features[1]
D features/0                    null            invalid_type                  features[0]
D features                      ["a"]           feature_size_mismatch         ?
D features                      ["a","b","c"]   feature_size_mismatch         ?
D features/1                    "b[2]"          feature_size_mismatch         ?
D features/1                    "b[999999999]"  feature_size_mismatch         ?
I feature_size                  "3"             invalid_type                  feature_size
I feature_size                  3.0             invalid_type                  feature_size
I feature_size                  [3]             invalid_type                  feature_size
I1 feature_size                 true            invalid_type                  feature_size
I feature_size                  -3              invalid_feature_size          feature_size
I feature_size                  2               feature_size_mismatch         ?
I33 feature_size                4               feature_size_mismatch         ?
I33 feature_size                7               feature_size_mismatch         ?
I feature_size                  1180591620717411303424 feature_size_mismatch  ?

D buffer_sizes                  6               invalid_type                  buffer_sizes
D buffer_sizes                  null            invalid_type                  buffer_sizes
D buffer_sizes/1                3.0             invalid_type                  buffer_sizes[1]
D buffer_sizes/2                true            invalid_type                  buffer_sizes[2]
D buffer_sizes/2                [1]             invalid_type                  buffer_sizes[2]
D buffer_sizes/1                -3              invalid_buffer_size           buffer_sizes[1]
D buffer_sizes/1                2147483648      buffer_limit_exceeded         buffer_sizes
D buffer_sizes/1                9223372036854775808 buffer_limit_exceeded     buffer_sizes
D buffer_sizes [2,9223372036854775808,9223372036854775808,1] buffer_limit_exceeded ?

D instructions                  {}              invalid_type                  instructions
D instructions/1                null            invalid_type                  instructions[1]
D instructions/1                "DOT"           invalid_type                  instructions[1]
D instructions/1                ["DOT",0,1,0]   invalid_type                  instructions[1]
D instructions/0                {}              missing_field                 0 type
D instructions/1/type           -               missing_field                 1 type
D instructions/1/type           null            invalid_type                  1 type
D instructions/1/type           1               invalid_type                  1 type
D instructions/1/type           ["DOT"]         invalid_type                  1 type
D instructions/0/type           "dot"           unknown_instruction           0 type
D instructions/0/type           "Dot"           unknown_instruction           0 type
D instructions/0/type           "DOT\u0020"          unknown_instruction           0 type
D instructions/0/type           ""              unknown_instruction           0 type
D instructions/0/activation     1               invalid_type                  0 activation
D instructions/0/activation     ["RELU"]        invalid_type                  0 activation
D instructions/0/activation     true            invalid_type                  0 activation
D instructions/0/activation     "relu"          unknown_activation            0 activation
D instructions/0/activation     ""              unknown_activation            0 activation
D instructions/0/activation     "RELU\u0020"   unknown_activation            0 activation
E instructions/4/activation     null            invalid_type                  4 activation
E instructions/4/activation     "NONE"          unknown_activation            4 activation

E instructions/6/activation     "RELU"          unknown_field                 6 activation
E instructions/6/output         1               same_input_output             6 output
E instructions/6/output         0               same_input_output             6 output
E instructions/6/output         8               input_buffer_size_mismatch    6 input
E instructions/0/output         0               same_input_output             0 output
E instructions/0/indexes        1               invalid_type                  0 indexes
E instructions/0/indexes        "0"             invalid_type                  0 indexes
E instructions/0/indexes/1      0.0             invalid_type                  0 indexes[1]
E instructions/0/indexes/1      false           invalid_type                  0 indexes[1]
E instructions/0/indexes/1      null            invalid_type                  0 indexes[1]
E instructions/0/indexes/3      -1              mask_index_out_of_bounds      0 indexes[3]
E instructions/0/indexes/0      18446744073709551616 mask_index_out_of_bounds 0 indexes[0]
E instructions/14/internal_index 5             internal_index_out_of_bounds  14 internal_index
E instructions/12/output        4               invalid_buffer_size           12 output
E instructions/12/output        6               same_input_output             12 output
E instructions/12/input         [6]             invalid_type                  12 input
E instructions/10/input         []              insufficient_input_buffers    10 input
E instructions/10/input         1               invalid_type                  10 input
E instructions/10/input/2       10              buffer_index_out_of_bounds    10 input[2]
E instructions/10/input/2       -1              buffer_index_out_of_bounds    10 input[2]
E instructions/10/input/2       true            invalid_type                  10 input[2]
E instructions/10/output        4               input_buffer_size_mismatch    10 ?
E instructions/8/input          [3]             insufficient_input_buffers    8 input
E instructions/8/input          [3,4,4]         invalid_type                  8 input
E instructions/8/output         4               same_input_output             8 output
E instructions/8/output         8               input_buffer_size_mismatch    8 ?
E instructions/8/input/1        0               invalid_heads_size            8 input[1]
E instructions/7/size           -1              internal_output_index_out_of_bounds 7 ?
E instructions/7/size           0               internal_output_index_out_of_bounds 7 ?
E instructions/7/size           3               internal_output_index_out_of_bounds 7 ?
E instructions/7/default        1.0             invalid_type                  7 default
E instructions/7/default/1      "1"             invalid_type                  7 default[1]
E instructions/7/default/1      true            invalid_type                  7 default[1]
E instructions/7/default/0      1e39            non_finite_value              7 default[0]
E instructions/7/default        [1,2,3]         default_size_mismatch         7 default
E instructions/7/default        []              default_size_mismatch         7 default

D weights                       {}              invalid_type                  weights
D weights                       null            invalid_type                  weights
D weights/1                     [1.0,2.0,3.0]   invalid_type                  weights[1][0]
D weights/1                     [[[1.0]]]       invalid_type                  weights[1][0][0]
D weights/1                     []              bias_weights_size_mismatch    bias[1]
D weights/1                     [[]]            weights_column_size_mismatch  2 weights[1]
D weights/1                     [[1,2,3,4]]     weights_column_size_mismatch  2 weights[1]
D weights/0/2                   [1.0]           weights_column_size_mismatch  weights[0][2]
D weights/0/1                   [1,2,3]         weights_column_size_mismatch  weights[0][1]
D weights/0/1                   null            invalid_type                  weights[0][1]
D weights/0/1/1                 null            invalid_type                  weights[0][1][1]
D weights/0/1/1                 "0.75"          invalid_type                  weights[0][1][1]
D weights/0/1/1                 true            invalid_type                  weights[0][1][1]
D weights/0/1/1                 {}              invalid_type                  weights[0][1][1]
D weights/0/1/1                 3.4028236e38    non_finite_value              weights[0][1][1]
D weights/0/2                   -               bias_weights_size_mismatch    bias[0]
D weights/0                     [[1,2,3],[4,5,6]] bias_weights_size_mismatch  bias[0]
D bias                          {}              invalid_type                  bias
D bias/1                        0.05            invalid_type                  bias[1]
D bias/1                        [[0.05]]        invalid_type                  bias[1][0]
D bias/0/2                      "x"             invalid_type                  bias[0][2]
D bias/0/2                      -1e39           non_finite_value              bias[0][2]
D bias                          []              bias_weights_mismatch         bias
D bias                          [[1,1,1],[1],[1]] bias_weights_mismatch       bias

D parameters                    1               invalid_type                  parameters
D parameters/0                  1.5             invalid_type                  parameters[0]
D parameters/0/1                null            invalid_type                  parameters[0][1]
D parameters/0/1                1e300           non_finite_value              parameters[0][1]
D parameters/0                  [1,2,3,4]       parameters_size_mismatch      1 parameters[0]
D parameters/0                  []              parameters_size_mismatch      1 parameters[0]
D parameters                    -               parameters_index_out_of_bounds 1 parameters
E parameters/2                  [1]             parameters_size_mismatch      3 parameters[2]
E parameters/3                  [1]             parameters_size_mismatch      3 parameters[3]
E maps                          {}              invalid_type                  maps
E maps                          -               map_index_out_of_bounds       7 map
E maps/0                        [[1,[1.0,2.0]]] invalid_type                  maps[0]
E maps/0/1                      1.0             invalid_type                  maps[0]['1']
E maps/0/1                      [1.0,true]      invalid_type                  maps[0]['1'][1]
E maps/0/1                      [-1e39,1.0]     non_finite_value              maps[0]['1'][0]
E maps/0                        {"1":[1]}       map_value_size_mismatch       7 maps[0]
E maps/0                        {"1":[]}        map_value_size_mismatch       7 maps[0]
E maps/0/2                      [1,2,3]         map_value_size_mismatch       maps[0]['2']

D validation_data               []              invalid_type                  validation_data
D validation_data               {}              missing_field                 validation_data.inputs
D validation_data {"inputs":[]}                 missing_field    validation_data.expected_outputs
D validation_data {"inputs":[],"expected_output":[]} unknown_field validation_data.expected_output
D validation_data {"inputs":0,"expected_outputs":[]} invalid_type validation_data.inputs
D validation_data {"inputs":[],"expected_outputs":[[1]]} validation_count_mismatch validation_data
D validation_data {"inputs":[[0,""]],"expected_outputs":[[0]]} invalid_type ?
D validation_data {"inputs":[0,0],"expected_outputs":[[0]]} invalid_type validation_data.inputs[0]
D validation_data {"inputs":[[0,0]],"expected_outputs":[[]]} validation_output_size_mismatch ?
D validation_data {"inputs":[[0,0,0]],"expected_outputs":[[0]]} validation_input_size_mismatch ?
D validation_data {"inputs":[[0,0]],"expected_outputs":[[9]]} validation_mismatch ?
"""


class Row(NamedTuple):
    document: dict
    code: str
    instruction: int | None
    field: str | None


def read(line):
    name, path, value, code, *place = line.split()
    steps = [int(s) if s.isdecimal() and name + path[:4] != "Emaps" else s for s in path.split("/")]
    if steps[0] == "maps":
        steps[1:2] = [int(steps[1])] if len(steps) > 1 else []
    value = ... if value == "-" else json.loads(value)
    index = int(place.pop(0)) if place[0].isdecimal() else None
    field = None if place[0] == "?" else place[0]
    return Row(edited(DOCUMENTS[name], *steps, to=value), code, index, field)


ROWS = {" ".join(line.split()): read(line) for line in TABLE.splitlines() if line}

# What takes more than one change.
MAP_INTO_INPUT = {**E["instructions"][7], "input": 1, "output": 2}
COPY_THEN_DOT = [
    {"type": "COPY", "input": 0, "output": 1, "internal_index": 0},
    {"type": "DOT", "input": 0, "output": 1, "weights": 0},
]
CLIP = {"type": "CLIP_ELEMENTWISE", "input": 0}
DOTS = D["instructions"]
ROWS |= {
    "an empty document": Row({}, "missing_field", None, None),
    "an empty key": Row({**D, "": 1}, "unknown_field", None, None),
    "a key that is no text": Row({**D, 7: 1}, "unknown_field", None, None),
    "features that nothing reads": Row(
        one(MAP_INTO_INPUT, [2, 5, 2], 2, maps=E["maps"]) | {"features": [], "feature_size": None},
        *("missing_features", None, "features"),
    ),
    "a million buffers of one": Row(
        identity(1, *[1] * 1_000_000), "buffer_limit_exceeded", None, "buffer_sizes"
    ),
    "a clip without bounds": Row(one(CLIP, [2]), "missing_field", 0, None),
    "a clip with null bounds": Row(
        one({**CLIP, "parameters_min": None, "parameters_max": None}, [2]),
        *("missing_field", 0, None),
    ),
    "an attention that writes its key": Row(
        one(
            {"type": "ATTENTION", "input": 0, "key": 1, "output": 1, "weights": 0},
            [2, 2],
            weights=[[[1.0, 1.0]] * 2],
            bias=[[0.0, 0.0]],
        ),
        *("same_input_output", 0, "output"),
    ),
    "a sum onto itself": Row(
        one({"type": "REDUCE_SUM", "input": 0, "output": 0}, [1]),
        *("same_input_output", 0, "output"),
    ),
    "a map of size 0": Row(
        edited(edited(E, "instructions", 7, "size", to=0), "instructions", 7, "default", to=[]),
        *("internal_output_index_out_of_bounds", 7, None),
    ),
    "an empty matrix": Row(
        edited(edited(D, "weights", 1, to=[]), "bias", 1, to=[]),
        *("weights_row_size_mismatch", 2, "weights[1]"),
    ),
    "a transposed matrix": Row(
        edited(edited(D, "weights", 0, to=[[1.0] * 3] * 2), "bias", 0, to=[1.0] * 2),
        *("weights_row_size_mismatch", 0, "weights[0]"),
    ),
    "a weight that is NaN": Row(
        edited(D, "weights", 0, 1, 1, to=float("nan")),
        *("non_finite_value", None, "weights[0][1][1]"),
    ),
    "a dense output overwritten unread": Row(
        {**D, "instructions": [DOTS[0], *DOTS]}, "unused_computation", 1, "output"
    ),
    "an in-place result overwritten unread": Row(
        {**D, "instructions": [*DOTS[:2], DOTS[0], DOTS[2]]}, "unused_computation", 2, "output"
    ),
    "a copy overwritten unread": Row(
        one(None, [2, 3], weights=[[[1.0, 1.0]] * 3], bias=[[0.0] * 3])
        | {"instructions": COPY_THEN_DOT},
        *("unused_computation", 1, "output"),
    ),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=[str(name) for name in ROWS])
def test_malformed_structure(row):
    error = refused(row.document)
    assert error.code == row.code
    assert error.instruction == row.instruction
    if row.instruction is not None and row.field != "type":
        kind = row.document["instructions"][row.instruction]["type"]
        assert error.instruction_type == kind
    if row.field is not None:
        assert error.field == row.field


JSON_ROWS = {name: row for name, row in ROWS.items() if name != "a weight that is NaN"}


@pytest.mark.parametrize("row", JSON_ROWS.values(), ids=[str(name) for name in JSON_ROWS])
def test_malformed_structure_as_text_gets_the_same_error(row):
    error = refused(json.dumps(row.document))
    assert (error.code, error.instruction) == (row.code, row.instruction)
    if row.field is not None:
        assert error.field == row.field


def test_there_are_more_than_a_hundred():
    assert len(ROWS) > 100


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=list(DOCUMENTS))
def test_the_documents_that_are_damaged_are_valid(document):
    build(document)
