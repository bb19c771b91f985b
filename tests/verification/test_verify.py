"""`verify` finds planted faults, names the instruction, and counts what it says it counts."""

import copy
import csv
import json
import tracemalloc

import numpy as np
import pytest

import instmodel as im
from instmodel.cli import main
from instmodel.verification.differences import Differences, Tolerance

EXAMPLE = "instmodel/examples/breast_cancer_network.json"
RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(500, 6)).astype(np.float32)


def network(names=tuple("abcdef")):
    """Return six instructions of several kinds."""
    rng = np.random.default_rng(1)
    b = im.ModelBuilder()
    x = b.input(list(names) if names else 6)
    h = b.mul_elementwise(b.add_elementwise(x, rng.normal(size=6)), rng.normal(size=6))
    h = b.dense(h, rng.normal(size=(8, 6)), rng.normal(size=8))
    h = b.activation(h, "RELU")
    h = b.dense(h, rng.normal(size=(4, 8)), rng.normal(size=4), "TANH")
    return b.build(output=b.dense(h, rng.normal(size=(2, 4)), rng.normal(size=2), "SIGMOID"))


def types(info):
    return [item.TYPE for item in info.instructions]


def weight_changed(info):
    info.weights[1][0, 6] += 1e-3
    return types(info).index("DOT") + 2


def bias_changed(info):
    info.bias[2][0] -= 1e-3
    return len(info.instructions) - 1


def columns_swapped(info):
    info.weights[0][:, [1, 4]] = info.weights[0][:, [4, 1]]
    return types(info).index("DOT")


def parameter_changed(info):
    info.parameters[1][0] *= 1.001
    return types(info).index("MUL_ELEMENTWISE")


def activation_dropped(info):
    place = types(info).index("ACTIVATION")
    del info.instructions[place]
    return place


def activation_changed(info):
    place = len(info.instructions) - 2
    old = info.instructions[place]
    info.instructions[place] = im.Dot(old.input, old.output, old.weights, im.Activation.SIGMOID)
    return place


FAULTS = [
    weight_changed,
    bias_changed,
    columns_swapped,
    parameter_changed,
    activation_dropped,
    activation_changed,
]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_and_its_instruction_named(fault):
    good, bad = network(), network()
    place = fault(bad)
    found = im.verify(bad, ROWS, against=good)
    assert not found.same
    assert found.rows_different > 0
    assert found.divergence.instruction == place
    if found.divergence.reason == "values":
        assert found.divergence.actual != found.divergence.expected
    assert f"instruction {place} (" in str(found.divergence)


def test_a_verification_shows_itself_without_its_rows():
    bad = network()
    FAULTS[0](bad)
    found = im.verify(bad, ROWS, against=network())
    assert repr(found).startswith(f"Verification(same=False, against={found.against!r}, rows=500, ")
    assert "divergence=Divergence(" in repr(found)
    assert "inputs=" not in repr(found)


def test_the_same_model_is_the_same():
    for against in (network(), "reference", im.InstructionModel(network()).predict):
        found = im.verify(network(), ROWS, against=against)
        assert found.same
        assert found.divergence is None
        assert (found.rows, found.rows_different) == (500, 0)
    assert im.verify(network(), ROWS, against=network()).worst == []


def test_features_in_another_order_are_matched_by_name():
    good, other = network(), network(tuple("fbcdea"))
    order = [5, 1, 2, 3, 4, 0]
    other.weights[0] = other.weights[0][:, order].copy()
    for vector in other.parameters:
        vector[:] = vector[order]
    assert im.verify(good, ROWS, against=other).same is True
    # With only the names swapped, the first instruction already works on other numbers.
    wrong = network(tuple("fbcdea"))
    found = im.verify(wrong, ROWS, against=good)
    assert not found.same
    assert found.divergence.instruction == 0


def test_a_layer_of_another_size_is_named_as_such():
    sizes = []
    for size in (3, 4):
        b = im.ModelBuilder()
        hidden = b.dense(b.input(6), np.full((size, 6), 0.1), None, "RELU")
        sizes.append(b.build(output=b.dense(hidden, np.full((1, size), 0.1))))
    found = im.verify(sizes[0], ROWS, against=sizes[1])
    assert found.divergence.reason == "structure"
    assert str(found.divergence) == ("instruction 0 (DOT): buffer 1 has 3 values instead of 4")


def test_an_engine_that_leaves_the_reference_is_found(monkeypatch):
    # What the kernels compute is right, so the definition is made wrong instead.
    from instmodel import reference

    monkeypatch.setitem(reference.ACTIVATIONS, "TANH", lambda x: np.tanh(x) + 1e-3)
    found = im.verify(network(), ROWS)
    assert found.divergence.instruction == 4
    assert found.divergence.other_type is None


def test_recorded_scores_that_differ_are_not_the_engines_fault():
    info = network()
    scores = im.InstructionModel(info).predict(ROWS)
    assert im.verify(info, ROWS, expected=scores).same
    scores[7, 1] += 0.5
    found = im.verify(info, ROWS, expected=scores)
    assert (found.rows_different, found.divergence) == (1, None)
    assert found.worst[0].row == 7
    np.testing.assert_array_equal(np.float32(found.worst[0].inputs), ROWS[7])
    assert "other side" in found.note


def test_the_figures_are_those_of_numpy():
    rng = np.random.default_rng(2)
    b = rng.normal(size=(1000, 2)).astype(np.float32)
    a = (b + rng.normal(size=b.shape) * 1e-4).astype(np.float32)
    found = Differences(2, Tolerance(1e-4, 0.0), 3)
    for part in np.split(np.arange(1000), [10, 700]):
        found.add(b[part], a[part], b[part])
    wide_a, wide_b = a.astype(float), b.astype(float)
    error = np.abs(wide_a - wide_b)
    for column, output in enumerate(found.outputs()):
        e, base = error[:, column], np.abs(wide_b[:, column])
        assert output.max_absolute == e.max()
        assert output.mean_absolute == pytest.approx(e.mean())
        assert output.max_relative == (e / base).max()
        assert output.mean_relative == pytest.approx((e / base).mean())
        assert output.max_ulp == (e / np.spacing(base.astype(np.float32))).max()
        assert output.different == (e > 1e-4).sum()
    assert found.histogram.sum(axis=1).tolist() == [1000, 1000]
    worst = np.argsort(-error.max(axis=1))[:3]
    assert [row.row for row in found.worst] == worst.tolist()


def test_nan_and_infinity_count_when_only_one_side_has_them():
    nan, inf = np.nan, np.inf
    a = np.array([[nan, 1.0, inf, inf, -inf, nan, 1.0, 0.0]]).T
    b = np.array([[nan, nan, inf, -inf, 1.0, inf, 1.0, 0.0]]).T
    found = Differences(1, Tolerance(), 9)
    found.add(np.zeros((8, 1), np.float32), a, b)
    (output,) = found.outputs()
    assert (output.different, output.nan_mismatches, output.infinity_mismatches) == (4, 2, 2)
    assert output.max_absolute == 0.0
    assert {row.row for row in found.worst} == {1, 3, 4, 5}


def test_what_cannot_be_compared_is_an_error():
    info = network()
    one = im.ModelBuilder()
    other = one.build(output=one.reduce_sum(one.input(list("abcdef"))))
    renamed = network(tuple("abcdeg"))
    for arguments, code in [
        ({"against": other}, "output_size_mismatch"),
        ({"against": renamed}, "column_mismatch"),
        ({"against": 3}, "invalid_type"),
        ({"expected": np.zeros((500, 3))}, "output_size_mismatch"),
        ({"against": info, "expected": np.zeros((500, 2))}, "invalid_type"),
    ]:
        with pytest.raises(im.InstModelError) as caught:
            im.verify(info, ROWS, **arguments)
        assert caught.value.code == code
    with pytest.raises(im.InstModelError) as caught:
        im.verify(info, ROWS[:0])
    assert caught.value.code == "no_rows"
    with pytest.raises(im.InstModelError) as caught:
        im.verify(info)  # no validation data
    assert caught.value.code == "missing_field"


# ------------------------------------------------------------------------------------ command line


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Write a model, a faulty twin, and data with recorded scores among shuffled columns."""
    monkeypatch.chdir(tmp_path)
    info, bad = network(), network()
    weight_changed(bad)
    info.save("good.json")
    bad.save("bad.instmodel")
    scores = im.InstructionModel(info).predict(ROWS)
    with open("data.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["no", "s0", *"fedcba", "s1"])
        for i, (row, score) in enumerate(zip(ROWS.tolist(), scores.tolist(), strict=True)):
            writer.writerow([i, score[0], *row[::-1], score[1]])
    np.save("data.npy", ROWS)
    np.save("recorded.npy", np.concatenate([ROWS, scores], axis=1))
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["good.json", "--data", "data.csv"], 0),
        (["good.json", "--data", "data.npy", "--against", "reference"], 0),
        (["good.json", "--data", "data.csv", "--expected", "s0,s1"], 0),
        (["good.json", "--data", "data.csv", "--expected", "s1,s0"], 1),
        (["good.json", "--data", "recorded.npy", "--expected", "6,7"], 0),
        (["bad.instmodel", "--data", "data.csv", "--expected", "s0,s1"], 1),
        (["bad.instmodel", "--data", "data.npy", "--against", "good.json"], 1),
        (["bad.instmodel", "--data", "data.npy", "--against", "good.json", "--atol", "1"], 0),
        (["good.json", "--data", "data.csv", "--expected", "s0"], 2),
        (["good.json", "--data", "none.csv"], 2),
        (["good.json", "--data", "data.npy", "--against", "none.onnx"], 2),
        (["good.json"], 2),
    ],
)
def test_the_exit_code_says_same_different_or_not_comparable(files, arguments, code):
    assert main(["verify", *arguments]) == code


def test_a_model_without_names_takes_the_other_columns_in_their_order(files):
    network(names=None).save("unnamed.json")
    scores = im.InstructionModel(network()).predict(ROWS)
    with open("ordered.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["s0", "u", "v", "w", "x", "s1", "y", "z"])
        for r, s in zip(ROWS.tolist(), scores.tolist(), strict=True):
            writer.writerow([s[0], *r[:4], s[1], *r[4:]])
    arguments = ["verify", "unnamed.json", "--data", "ordered.csv", "--expected"]
    assert main([*arguments, "s0,s1"]) == 0
    assert main([*arguments, "s1,s0"]) == 1
    assert main([*arguments, "s0,u"]) == 1
    assert main([*arguments, "s0,q"]) == 2


def test_the_output_names_the_instruction_and_the_rows(files, capsys):
    main(["verify", "bad.instmodel", "--data", "data.npy", "--against", "good.json"])
    shown = capsys.readouterr().out
    assert "DIFFERENT in" in shown
    assert "First difference: instruction 4 (DOT) writes other values" in shown
    main(["verify", "bad.instmodel", "--data", "data.npy", "--against", "good.json", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["divergence"]["instruction"] == 4
    assert found["rows"] == 500


def test_onnx_runtime_is_a_witness(files, capsys):
    pytest.importorskip("onnxruntime")
    network().to_onnx("good.onnx")
    arguments = ["--data", "data.csv", "--against", "good.onnx"]
    assert main(["verify", "good.json", *arguments]) == 0
    assert main(["verify", "bad.instmodel", *arguments]) == 1
    assert "No instruction is at fault" in capsys.readouterr().out


def test_memory_does_not_grow_with_the_data(tmp_path):
    rows = np.lib.format.open_memmap(
        tmp_path / "data.npy", mode="w+", dtype=np.float32, shape=(400_000, 6)
    )
    rows[:] = np.tile(ROWS, (800, 1))
    rows.flush()
    del rows
    info, bad = network(), copy.deepcopy(network())
    weight_changed(bad)
    peaks = []
    for name, count in (("small.npy", 40_000), ("data.npy", 400_000)):
        if name == "small.npy":
            np.save(tmp_path / name, np.tile(ROWS, (80, 1)))
        tracemalloc.start()
        found = im.verify(info, tmp_path / name, against=bad, batch_rows=10_000)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert found.rows == count
    assert peaks[1] < 1.2 * peaks[0]


@pytest.mark.parametrize("ending", ["parquet", "arrow", "jsonl", "folder"])
def test_tables_that_arrow_reads_are_verified(tmp_path, ending):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    info = network()
    scores = im.InstructionModel(info).predict(ROWS)
    scores[3, 0] += 1
    columns = {name: ROWS[:, i] for i, name in enumerate("abcdef")}
    table = pa.table({"no": ["text"] * 500, "s1": scores[:, 1], **columns, "s0": scores[:, 0]})
    path = tmp_path / f"data.{ending}"
    if ending == "parquet":
        pq.write_table(table, path)
    elif ending == "arrow":
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
    elif ending == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    else:
        path = tmp_path / "folder"
        path.mkdir()
        pq.write_table(table[:200], path / "0.parquet")
        pq.write_table(table[200:], path / "1.parquet")
    found = im.verify(info, path, expected=["s0", "s1"], batch_rows=64)
    assert (found.rows, found.rows_different) == (500, 1)
    assert found.worst[0].row == 3
    with pytest.raises(im.InstModelError) as caught:
        im.verify(info, path, expected=["s0", "no"])
    assert caught.value.code == "invalid_cell"


def test_validation_data_is_what_a_model_is_compared_with_by_default():
    info = network()
    expected = im.InstructionModel(info).predict(ROWS[:5])
    info.validation_data = im.ValidationData(ROWS[:5], expected)
    found = im.verify(info)
    assert (found.same, found.rows, found.against) == (True, 5, "its validation data")


def test_a_gpu_is_a_witness(monkeypatch):
    # A real GPU is the business of tests/gpu.
    from instmodel.gpu import session

    open_sessions = 0

    class Session:
        device_name = "a GPU"

        def __init__(self, model):
            self.model = model

        def __enter__(self):
            nonlocal open_sessions
            open_sessions += 1
            return self

        def __exit__(self, *_):
            nonlocal open_sessions
            open_sessions -= 1

        def predict(self, rows):
            assert open_sessions == 1
            return self.model.predict(rows)

    monkeypatch.setattr(session, "GpuSession", Session)
    found = im.verify(network(), ROWS, against="gpu")
    assert (found.same, found.against, open_sessions) == (True, "a GPU", 0)
    with pytest.raises(im.InstModelError):
        im.verify(network(), ROWS[:, :1], against="gpu")
    assert open_sessions == 0


@pytest.mark.parametrize(
    "arguments",
    [
        {"against": lambda rows: rows[:3, :1]},
        {"against": lambda rows: None},
        {"against": lambda rows: ["a"] * len(rows)},
        {"expected": np.zeros((7, 1))},
        {"expected": 1.0},
        {"expected": "score"},
        {"data": None, "expected": np.zeros((7, 1))},
        {"atol": np.nan},
        {"rtol": -1.0},
    ],
)
def test_what_is_nothing_to_compare_with_is_an_error(arguments):
    with pytest.raises(im.InstModelError):
        im.verify(**({"model": network(), "data": ROWS} | arguments))


@pytest.mark.parametrize(("x", "function"), [(35.0, "SIGMOID"), (0.0, "TANH"), (1e20, None)])
def test_scores_that_no_bins_tell_apart_are_verified(x, function):
    b = im.ModelBuilder()
    # 1 in float32, and 1 - 6e-16 in float64; 0 and 0; 1e20 and 1e20.
    info = b.build(output=b.dense(b.input(1), [[1.0]], [0.0], function))
    (scores,) = im.verify(info, np.full((20, 1), x)).scores
    assert sum(scores.actual) == sum(scores.expected) == 20
