"""What data never reached in a model is told, and nothing else."""

import numpy as np
import pytest

import instmodel as im
from instmodel.verification.coverage import CoverageWatch

RNG = np.random.default_rng(0)


def model(make, names=("a", "b")):
    b = im.ModelBuilder()
    return im.InstructionModel(b.build(output=make(b, b.input(list(names)))))


def gaps(compiled, rows):
    """Return the names of what no row reached, by kind."""
    watch = CoverageWatch(compiled)
    for part in np.array_split(np.asarray(rows, np.float32), 3):
        watch.add(part)
    found = watch.result()
    assert found.reached == found.states - sum(gap.unseen for gap in found.gaps)
    return {gap.kind: gap.names for gap in found.gaps}


LOOKUP = model(
    lambda b, x: b.map_transform(x, 1, {1: [0.1], 2: [0.2], 5: [0.5], 300: [3.0]}, [0.0])
)


def test_keys_and_defaults_that_were_never_looked_up():
    rows = np.column_stack([RNG.normal(size=4), [0.6, 5.4, 5, 1.4]])
    assert gaps(LOOKUP, rows) == {"key": ["2", "300"], "default": [], "missing": ["a", "b"]}
    watch = CoverageWatch(LOOKUP)
    watch.add(np.float32([[0, 3], [1, np.nan], [2, 3e9], [3, 2.5], [4, 2], [5, 1], [6, 5]]))
    (keys, _) = watch.result().gaps  # 2.5 rounds to 3
    assert (keys.kind, keys.names, keys.inputs, keys.default_rows) == ("key", ["300"], ["b"], 4)
    assert "3" not in keys.names
    assert str(keys) == "1 of 4 keys never looked up (input b): 300; 4 rows took the default"


def test_keys_of_every_row_count_and_not_only_those_of_the_sample():
    keys = np.r_[np.full(5000, 1), 2, 5, 300, 7]
    watch = CoverageWatch(LOOKUP, 5)
    watch.add(np.column_stack([np.arange(len(keys)), keys]).astype(np.float32))
    found = watch.result()
    assert (found.rows, found.traced_rows) == (5004, 5)
    assert {gap.kind for gap in found.gaps} == {"missing"}


def activation(name):
    return model(lambda b, x: b.dense(x, [[1.0, 0.0], [0.0, 1.0]], None, name))


POSITIVE = [[1.0, 2.0], [2.0, 0.5], [3.0, 4.0]]
# The activation, the rows, and what is told of its two values.
ACTIVATIONS = [
    ("RELU", [[1, -1], [2, -2]], {"active": ["1"], "inactive": ["0"]}),
    ("RELU", [[1, -1], [-1, 2]], {}),
    ("SQRT", POSITIVE, {"inactive": ["0", "1"]}),
    ("LOG", [[1, -1], [0, 3]], {}),
    ("LOG10", [[-1, 0], [-2, -3]], {"active": ["0", "1"]}),
    ("SIGMOID", [[9, 0], [8, 1]], {"bent": ["0"], "flat": ["1"]}),
    ("SIGMOID", [[-9, 0], [0, 9]], {}),
    ("TANH", [[-9, 9], [-8, 0.5]], {"bent": ["0"]}),
    ("TANH", [[-1, 1], [0.5, 0]], {"flat": ["0", "1"]}),
    ("SIGN", [[-1, 0], [1, 3]], {"sign": ["0 of value 0", "-1 of value 1"]}),
]


@pytest.mark.parametrize(("name", "rows", "expected"), ACTIVATIONS)
def test_branches_that_no_row_took(name, rows, expected):
    found = gaps(activation(name), rows)
    found.pop("missing", None)
    found.pop("constant", None)
    assert found == expected


def test_limits_that_never_cut_and_values_that_were_always_cut():
    clip = model(lambda b, x: b.clip_elementwise(x, [-1.0, -1.0], [1.0, 1.0]))
    assert gaps(clip, [[0.5, 3], [2, 4]]) == {
        "limit": ["lower of value 0", "lower of value 1"],
        "inside": ["1"],
    }
    one_sided = model(lambda b, x: b.clip_elementwise(x, [0.0, 0.0], None))
    assert gaps(one_sided, [[1, 1], [-1, -2], [2, 3]]) == {}


def test_inputs_that_never_varied_and_those_never_missing_although_they_may():
    filled = model(lambda b, x: b.add_buffers(b.activation(b.copy_masked(x, [0]), "SQRT")
                                              , b.copy_masked(x, [1])))  # fmt: skip
    assert gaps(filled, [[-1, 2], [3, 2]]) == {"constant": ["b"], "missing": ["a"]}
    assert gaps(filled, [[np.nan, 2], [3, np.nan], [-1, 5]]) == {}
    # To be missing is one of the values of an input.
    assert gaps(filled, [[np.nan, 2], [np.nan, 3]])["constant"] == ["a"]
    assert "constant" not in gaps(filled, [[np.nan, 2], [4, 3]])


def test_the_input_of_a_value_is_named_wherever_it_went():
    moved = model(
        lambda b, x: b.activation(b.add_elementwise(b.copy_masked(x, [1, 0]), [1.0, 1.0]), "RELU")
    )
    watch = CoverageWatch(moved)
    watch.add(np.float32([[-5, 3], [3, 4]]))
    (gap,) = watch.result().gaps
    assert (gap.kind, gap.names, gap.inputs) == ("inactive", ["0"], ["b"])
    assert (gap.instruction, gap.type) == (2, "ACTIVATION RELU")


def test_verify_says_what_the_data_never_reached_unless_it_is_told_not_to():
    found = im.verify(LOOKUP, np.float32([[0, 1], [1, 2]]))
    assert found.coverage.rows == 2
    assert found.to_dict()["coverage"]["gaps"][0]["kind"] == "key"
    assert im.verify(LOOKUP, np.float32([[0, 1]]), coverage=False).coverage is None


def test_compare_says_what_the_data_never_reached_in_the_new_model():
    pytest.importorskip("sklearn")
    from instmodel.comparison.summary import comparison_summary

    old = model(lambda b, x: b.reduce_sum(x), ("b", "a"))
    found = im.compare(old, LOOKUP, np.float32([[1, 0], [2, 3], [1, 4]]))
    keys = found.coverage.gaps[0]
    assert (keys.kind, keys.names, keys.default_rows) == ("key", ["5", "300"], 0)
    assert [gap.kind for gap in found.coverage.gaps[1:]] == ["default", "missing"]
    told = comparison_summary(found, "old", "new", 6)
    assert "states of the new model" in told.notes[-1]
    assert told.tables[-1].id == "coverage"
    assert im.compare(old, LOOKUP, np.float32([[1, 0], [2, 3]]), coverage=False).coverage is None


def test_memory_does_not_grow_with_the_rows_of_a_wide_model():
    wide = im.InstructionModel(
        im.InstructionModelInfo(
            feature_size=100_000,
            buffer_sizes=[100_000, 1],
            instructions=[im.ReduceSum(0, 1)],
        )
    )
    watch = CoverageWatch(wide)
    rows = np.zeros((100, 100_000), np.float32)
    for _ in range(4):
        watch.add(rows)
    found = watch.result()
    assert (found.rows, found.traced_rows) == (400, 83)
