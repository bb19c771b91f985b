"""Tables in memory: columns are found by name, and reports replace nothing that was read."""

import numpy as np
import pytest

import instmodel as im
from instmodel.cli import main
from instmodel.tables.rows import read_rows

NAMES = ["age", "income", "years"]
ROWS = np.random.default_rng(0).standard_normal((300, 3), np.float32)


def sums(weights):
    b = im.ModelBuilder()
    x = b.input(NAMES)
    return b.build(output=b.dense(x, [weights]))


@pytest.fixture
def info():
    return sums([1.0, 10.0, 100.0])


def table(names, rows=ROWS):
    return {name: rows[:, NAMES.index(name)] for name in names}


@pytest.mark.parametrize("batch_rows", [None, 7])
def test_columns_are_found_by_name(info, batch_rows):
    model = im.InstructionModel(info)
    data = table(reversed(NAMES)) | {"label": np.arange(300.0)}
    batches = list(read_rows(data, model, ["label"], batch_rows))
    np.testing.assert_array_equal(np.concatenate([b.inputs for b in batches]), ROWS)
    np.testing.assert_array_equal(np.concatenate([b.extra for b in batches])[:, 0], np.arange(300))


def test_a_frame_in_another_order_finds_the_same_differences(info):
    pandas = pytest.importorskip("pandas")
    other = sums([1.0, 10.0, 101.0])
    expected = im.verify(info, ROWS, against=other).rows_different
    assert expected > 200
    frame = pandas.DataFrame(table(reversed(NAMES)))
    assert im.verify(info, frame, against=other).rows_different == expected


def test_a_null_is_nan(info):
    model = im.InstructionModel(info)
    rows = [{"age": 1.0, "income": None, "years": 2.0}]
    (batch,) = read_rows(rows, model)
    np.testing.assert_array_equal(batch.inputs, [[1.0, np.nan, 2.0]])


def test_a_bad_cell_is_named_with_its_row(info):
    data = table(NAMES) | {"income": np.array([*["1"] * 299, "x"], object)}
    with pytest.raises(im.InstModelError) as caught:
        im.verify(info, data, against="reference")
    assert caught.value.column == "income"


def test_a_missing_column(info):
    with pytest.raises(im.InstModelError) as caught:
        im.verify(info, table(NAMES[:2]), against="reference")
    assert caught.value.code == "missing_column"


@pytest.mark.parametrize("command", ["verify", "compare"])
@pytest.mark.parametrize(
    ("victim", "why"),
    [("m.html", "report is also the"), ("x.npy", "does not end in .html")],
)
def test_a_report_never_replaces_what_was_read(
    info, tmp_path, monkeypatch, capsys, command, victim, why
):
    monkeypatch.chdir(tmp_path)
    info.save("m.html")
    np.save("x.npy", ROWS)
    before = (tmp_path / victim).read_bytes()
    models = ["m.html"] * (2 if command == "compare" else 1)
    assert main([command, *models, "--data", "x.npy", "--report", victim]) == 2
    assert why in capsys.readouterr().err
    assert (tmp_path / victim).read_bytes() == before


def test_recorded_outputs_without_their_data(info):
    for expected in ("target", [1.0, 2.0]):
        with pytest.raises(im.InstModelError, match="need the data they belong to"):
            im.verify(info, expected=expected)


@pytest.mark.parametrize("kind", ["csv", "parquet", "dict"])
def test_further_columns_may_be_inputs_or_the_same(info, tmp_path, kind):
    data = table(NAMES) | {"target": ROWS[:, 0] + 1}
    extra = ["target", "income", "target"]
    if kind != "dict":
        pa = pytest.importorskip("pyarrow")
        path = tmp_path / f"t.{kind}"
        if kind == "csv":
            __import__("pyarrow.csv").csv.write_csv(pa.table(data), path)
        else:
            __import__("pyarrow.parquet").parquet.write_table(pa.table(data), path)
        data = path
    batches = list(read_rows(data, im.InstructionModel(info), extra))
    found = np.concatenate([b.extra for b in batches])
    expected = np.stack([ROWS[:, 0] + 1, ROWS[:, 1], ROWS[:, 0] + 1], axis=1)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.concatenate([b.inputs for b in batches]), ROWS)


def test_a_folder_of_csv_without_a_header_loses_no_row(tmp_path):
    pytest.importorskip("pyarrow")
    b = im.ModelBuilder()
    model = im.InstructionModel(b.build(output=b.reduce_sum(b.input(2))))
    (tmp_path / "part.csv").write_text("1,2\n3,4\n")
    with pytest.raises(im.InputError, match=r"part\.csv, line 1: numbers where"):
        list(read_rows(tmp_path, model))
    (tmp_path / "part.csv").write_text("x,y\n1,2\n3,4\n")
    (batch,) = read_rows(tmp_path, model)
    assert batch.inputs.tolist() == [[1, 2], [3, 4]]
