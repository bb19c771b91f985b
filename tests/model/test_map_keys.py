"""Arrays whose keys of maps float32 cannot hold: refused, in every way to run a model."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support.documents import build, everything
from support.table_models import identity, lookups

import instmodel as im

MODEL = lookups()
UNNAMED = im.InstructionModelInfo.from_dict(
    {key: value for key, value in lookups().info.to_dict().items() if key != "features"}
    | {"feature_size": 5}
)
WIDE = [np.int32, np.uint32, np.int64, np.uint64, np.float64, np.longdouble, ">i8", ">f8"]


def rows(shop, history=5, dtype=np.float64):
    """Four samples, of which the third has these keys."""
    x = np.full((4, 5), 5, dtype)
    x[2, 1], x[2, 3] = shop, history
    return x


def refused(x, run=MODEL.predict, model=MODEL):
    with pytest.raises(im.InstModelError) as caught:
        run(x)
    error = caught.value
    assert isinstance(error, im.InputError)
    assert error.code == "inexact_key"
    return error.column, error.row, error.actual


def test_the_inputs_that_are_keys():
    assert MODEL.key_inputs == (1, 3)
    assert identity(3).key_inputs == ()
    assert build(everything()).key_inputs == (4,)


@pytest.mark.parametrize("dtype", WIDE)
def test_every_wide_type(dtype):
    assert refused(rows(16777217, dtype=dtype)) == ("shop", 2, 16777217)
    assert refused(rows(5, 2**31 - 1, dtype)) == ("history[1]", 2, 2**31 - 1)
    assert MODEL.predict(rows(16777218, 16777216, dtype))[2].tolist() == [2, 1]
    x = rows(5, dtype=dtype)
    x[:, 0] = x[:, 2] = x[:, 4] = 16777217  # no keys
    assert MODEL.predict(x).tolist() == [[0, 0]] * 4


@pytest.mark.parametrize("order", ["C", "F", "every other row", "every other column", "backwards"])
def test_every_layout(order):
    x = rows(16777217, dtype=np.int64)
    if order == "every other row":
        x = np.repeat(x, 2, axis=0)[::2]
    elif order == "every other column":
        x = np.repeat(x, 2, axis=1)[:, 1::2]
    elif order == "backwards":
        x = x[::-1].copy()[::-1]
    else:
        x = np.asarray(x, order=order)
    x.flags.writeable = False
    assert refused(x) == ("shop", 2, 16777217)


@pytest.mark.parametrize(
    "run",
    [
        lambda x: MODEL.predict(x),
        lambda x: MODEL.predict(x.tolist()),
        lambda x: MODEL.predict(np.ma.masked_equal(x, 7)),
        lambda x: MODEL.predict(x, out=np.empty((4, 2), np.float32)),
        lambda x: MODEL.predict_parallel(x),
        lambda x: MODEL.predict_parallel(x.reshape(-1)),
        lambda x: MODEL.predict_parallel(x, im.PredictConfig(threads=2)),
        lambda x: MODEL.validate(x, np.zeros((4, 2))),
        lambda x: MODEL.validate(x.tolist(), np.zeros((4, 2))),
        lambda x: MODEL.validate([*x.astype(np.float32)[:2], *x[2:]], np.zeros((4, 2))),
    ],
)
def test_every_way_to_run(run):
    for dtype in (np.int64, np.float64):
        assert refused(rows(16777217, dtype=dtype), run) == ("shop", 2, 16777217)


@pytest.mark.parametrize("run", [MODEL.predict, MODEL.predict_single])
def test_one_sample(run):
    assert refused([0, 16777217, 0, 0, 0], run) == ("shop", None, 16777217)
    assert np.array_equal(run([0, 16777218, 0, 5, 0]), run(np.float32([0, 16777218, 0, 5, 0])))


def test_a_model_without_names_counts_its_columns_from_1():
    model = im.InstructionModel(UNNAMED)
    assert refused(rows(16777217), model.predict) == (2, 2, 16777217)


def test_data_frames():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(rows(16777217, dtype=np.int64), columns=MODEL.columns)
    assert refused(frame) == ("shop", 2, 16777217)
    assert refused(frame.iloc[2]) == ("shop", None, 16777217)
    frame["amount"] = np.float32(1.5)
    assert refused(frame) == ("shop", 2, 16777217)


def test_a_key_far_down():
    x = np.zeros((200_000, 5), np.int64)
    x[150_001, 3] = -16777217
    assert refused(x) == ("history[1]", 150_001, -16777217)
    assert refused(x, MODEL.predict_parallel) == ("history[1]", 150_001, -16777217)


def test_nothing_is_written_before_an_error():
    out = np.full((200_000, 2), 7, np.float32)
    x = np.zeros((200_000, 5))
    x[-1, 1] = 16777217
    assert refused(x, lambda x: MODEL.predict(x, out=out))[1] == 199_999
    assert (out == 7).all()


def test_what_int32_cannot_hold_takes_the_default_unless_it_would_become_a_key():
    for key in (2**31, 2**31 + 1, 2**40 + 1, 2**63 - 1, -(2**31) - 129, -(2**40) - 1, -(2**63)):
        assert MODEL.predict(rows(key, dtype=np.int64))[2].tolist() == [-1, 0]
    ends = lookups([-(2**31), 2147483520])
    assert ends.predict(rows(-(2**31), 2147483520, np.int64))[2].tolist() == [0, 1]
    # 2147483583 would be 2147483520, and -2147483649 the smallest key.
    for key in (2147483583, 2147483584, 2**31 - 1, -(2**31) - 1, -(2**31) - 128):
        assert refused(rows(key, dtype=np.int64), ends.predict)[2] == key


def test_fractions_nan_and_infinities_are_looked_up_as_ever():
    assert MODEL.predict(rows(4.6, 5.4))[2].tolist() == [0, 0]
    # float32 has the whole number below it, whose row it gets.
    assert MODEL.predict(rows(16777216.3, 16777217.7))[2].tolist() == [1, 2]
    assert MODEL.predict(rows(np.nan, np.inf))[2].tolist() == [-1, -1]
    assert MODEL.predict(rows(1e300, -1e300))[2].tolist() == [-1, -1]


def test_float32_is_what_it_is():
    x = rows(0).astype(np.float32)
    x[2, 1] = 16777217
    assert MODEL.predict(x)[2].tolist() == [1, 0]
    assert np.asarray(MODEL.predict_parallel(np.asfortranarray(x)))[2].tolist() == [1, 0]
    buffer = np.zeros(MODEL.required_memory, np.float32)
    buffer[:5] = x[2]
    MODEL.predict_with_buffer(buffer)
    assert MODEL.get_output(buffer, 0) == 1


def test_what_is_computed_is_no_key():
    document = json.loads(MODEL.info.to_json())
    document["instructions"].insert(
        0, {"type": "CLIP_ELEMENTWISE", "input": 0, "parameters_max": 0}
    )
    document["parameters"] = [[16777216.0] * 5]
    assert build(document).predict(rows(16777217))[2].tolist() == [1, 0]


def test_models_without_maps_take_any_number():
    x = [[16777217, 2**31 - 1]]
    assert identity(2).predict(x).tolist() == [[16777216, 2**31]]
    assert np.asarray(identity(2).predict_parallel(x)).tolist() == [[16777216, 2**31]]
    assert identity(2).validate(x, x) == 0


def test_errors_about_the_shape_stay_what_they_were():
    for x, code in (
        ([[1, 2]], "input_size_mismatch"),
        ([1] * 10, "input_size_mismatch"),
        ([[1], [2, 3]], "input_size_mismatch"),
        ([["a"] * 5], "invalid_type"),
    ):
        with pytest.raises(im.InstModelError) as caught:
            MODEL.predict(x)
        assert caught.value.code == code
    assert MODEL.predict(np.zeros((0, 5))).shape == (0, 2)
