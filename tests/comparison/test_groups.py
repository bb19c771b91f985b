"""`compare --by`: groups of any kind of column, from any kind of table, each with its figures."""

import csv
import datetime
import json
import tracemalloc

import numpy as np
import pytest

import instmodel as im
from instmodel.cli import main
from instmodel.comparison.tables import group_tables

pytest.importorskip("sklearn")

from sklearn import metrics

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(2000, 3)).astype(np.float32)
CODES = RNG.integers(0, 4, 2000)
REGIONS = [["north", "süd, west", '<b>"east"</b>', None][code] for code in CODES]
DAYS = [[datetime.date(2026, 1, 1), datetime.date(2026, 2, 28), None][c % 3] for c in CODES]


def logistic(shift=0.0, names="abc"):
    b = im.ModelBuilder()
    weights = np.array([[1.0, -2.0, 0.5]]) + shift
    return b.build(output=b.dense(b.input(list(names) or 3), weights, [0.1], "SIGMOID"))


OLD, NEW = logistic(), logistic([[0.3, 0.1, -0.4]])
A, B = (im.InstructionModel(info).predict(ROWS)[:, 0].astype(float) for info in (OLD, NEW))
TRUTH = (RNG.random(2000) < A).astype(float)


def table(**columns):
    return {**dict(zip("abc", ROWS.T, strict=True)), "truth": TRUTH, **columns}


def write_csv(path, columns):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            writer.writerow(["" if cell is None else cell for cell in row])


def check(found, of_row):
    """Compare groups with what the values of the rows say."""
    values = set(of_row)
    assert {group.value for group in found.groups} == values
    assert sum(group.rows for group in found.groups) == len(of_row)
    for group in found.groups:
        part = np.array([value == group.value for value in of_row])
        assert group.rows == part.sum()
        assert group.old_mean == pytest.approx(A[part].mean())
        assert group.new_mean == pytest.approx(B[part].mean())
        assert group.flips == np.sum((A[part] >= 0.5) != (B[part] >= 0.5))
        if group.old_metrics:
            truth = TRUTH[part]
            assert group.old_metrics["accuracy"] == metrics.accuracy_score(truth, A[part] >= 0.5)
            assert group.new_metrics["roc_auc"] == metrics.roc_auc_score(truth, B[part])


def test_groups_of_numbers_have_their_own_figures():
    data = np.column_stack([ROWS, TRUTH, CODES])
    check(im.compare(OLD, NEW, data, labels=3, by=4, batch_rows=77), CODES.tolist())


def test_groups_of_an_npy_file(tmp_path):
    np.save(tmp_path / "data.npy", np.column_stack([ROWS, CODES]).astype(np.float32))
    check(im.compare(OLD, NEW, tmp_path / "data.npy", by="code", batch_rows=99), CODES.tolist())


def test_large_whole_numbers_are_not_rounded():
    ids = 2**53 + CODES
    check(im.compare(OLD, NEW, table(id=ids), by="id"), ids.tolist())


@pytest.mark.parametrize("names", ["abc", ""])
def test_groups_of_text_in_csv(tmp_path, names):
    """Quoted and plain batches, and a model that does not name its features."""
    old, new = logistic(names=names), logistic([[0.3, 0.1, -0.4]], names=names)
    write_csv(tmp_path / "data.csv", {"region": REGIONS, **table()})
    found = im.compare(old, new, tmp_path / "data.csv", labels="truth", by="region", batch_rows=9)
    check(found, REGIONS)
    plain = [["x", "y", "z", None][code] for code in CODES]
    write_csv(tmp_path / "data.csv", table(region=plain))
    found = im.compare(old, new, tmp_path / "data.csv", labels="truth", by="region", batch_rows=9)
    check(found, plain)


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "1.0", "01", "2", "", "nan"], [1, 1, 1, 2, None, None]),
        (["1", "1.0", "1e0", "-.5", "9007199254740993", ""], [1, 1, 1, -0.5, 2**53 + 1, None]),
        (["1", "1.0", "x", "nan", "", "1_0"], ["1", "1.0", "x", "nan", None, "1_0"]),
        (["1", "2", "1_0", "", "1", "2"], ["1", "2", "1_0", None, "1", "2"]),
        (
            ["True", "False", "True", "NA", "null", ""],
            ["True", "False", "True", "NA", "null", None],
        ),
    ],
)
def test_what_csv_holds_is_numbers_if_all_of_it_is(tmp_path, cells, values):
    columns = {name: column[:6] for name, column in table().items()}
    write_csv(tmp_path / "data.csv", {**columns, "key": cells})
    found = im.compare(OLD, NEW, tmp_path / "data.csv", by="key", batch_rows=2)
    assert {group.value: group.rows for group in found.groups} == {
        value: values.count(value) for value in values
    }


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_in_quotes_are_text_and_those_of_rows_are_not(tmp_path, end):
    values = ["a\r\nb", "a\nb", "a\rb", "a"]
    rows = [
        f'{row[0]},{row[1]},{row[2]},"{values[code]}"'
        for row, code in zip(ROWS, CODES, strict=True)
    ]
    plain = [f"{row[0]},{row[1]},{row[2]},a" for row in ROWS]
    for lines, expected in ((rows, [values[code] for code in CODES]), (plain, ["a"] * len(ROWS))):
        text = end.join(["a,b,c,key", *lines, ""])
        (tmp_path / "data.csv").write_bytes(text.encode())
        found = im.compare(OLD, NEW, tmp_path / "data.csv", by="key", batch_rows=300)
        check(found, expected)


def test_an_input_and_the_labels_can_be_what_rows_are_grouped_by(tmp_path):
    columns = table(a=CODES.astype(np.float32))
    write_csv(tmp_path / "data.csv", columns)
    for data in (columns, tmp_path / "data.csv"):
        found = im.compare(OLD, NEW, data, by="a")
        assert sorted(group.value for group in found.groups) == [0, 1, 2, 3]
        found = im.compare(OLD, NEW, data, labels="truth", by="truth")
        assert sorted(group.value for group in found.groups) == [0, 1]


COLUMNS = {
    "text": (REGIONS, REGIONS),
    "dates": (DAYS, [day and day.isoformat() for day in DAYS]),
    "booleans": (
        [[True, False, None][c % 3] for c in CODES],
        [[True, False, None][c % 3] for c in CODES],
    ),
    "floats": ([0.5 * c for c in CODES.tolist()], [0.5 * c for c in CODES.tolist()]),
    "instants": (
        [datetime.datetime(2026, 1, 1, int(c)) for c in CODES],
        [["2026-01-01", *(f"2026-01-01T0{h}:00" for h in (1, 2, 3))][c] for c in CODES],
    ),
    "instants in a time zone": (
        [
            datetime.datetime(
                2026, 1, 1, int(c), tzinfo=datetime.timezone(datetime.timedelta(hours=-1))
            )
            for c in CODES
        ],
        [f"2026-01-01T0{c + 1}:00Z" for c in CODES],
    ),
}


def arrow_table(cells):
    pa = pytest.importorskip("pyarrow")
    return pa.table(table(key=pa.array(cells)))


def views(cells):
    """A table as Polars gives it to Arrow: text is a dictionary of views."""
    pa, whole = pytest.importorskip("pyarrow"), arrow_table(cells)
    column = whole["key"].combine_chunks().dictionary_encode()
    if pa.types.is_string(column.dictionary.type):
        distinct = column.dictionary.cast(pa.string_view())
        column = pa.DictionaryArray.from_arrays(column.indices, distinct)
    return whole.set_column(4, "key", column)


def written(cells, path):
    pytest.importorskip("pyarrow.parquet").write_table(arrow_table(cells), path)
    return path


def partitioned(cells, path):
    """A folder of two files."""
    pq, whole = pytest.importorskip("pyarrow.parquet"), arrow_table(cells)
    path.mkdir()
    pq.write_table(whole[:500], path / "0.parquet")
    pq.write_table(whole[500:], path / "1.parquet")
    return path


def json_lines(cells, path):
    with open(path, "w") as file:
        for row in arrow_table(cells).to_pylist():
            file.write(json.dumps(row, default=str) + "\n")
    return path


def pandas_frame(cells):
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(table(key=pandas.Series(cells, dtype=object)))


TABLES = {
    "dict": lambda cells, path: table(key=cells),
    "list of dicts": lambda cells, path: [
        dict(zip("abc", row, strict=True))
        | {"truth": truth}
        | ({} if key is None else {"key": key})
        for row, truth, key in zip(ROWS.tolist(), TRUTH, cells, strict=True)
    ],
    "pandas objects": lambda cells, path: pandas_frame(cells),
    "pandas": lambda cells, path: pandas_frame(cells).convert_dtypes().infer_objects(),
    "pandas categories": lambda cells, path: pandas_frame(cells).astype({"key": "category"}),
    "Arrow": lambda cells, path: arrow_table(cells),
    "Arrow dictionary": lambda cells, path: arrow_table(cells).set_column(
        4, "key", arrow_table(cells)["key"].combine_chunks().dictionary_encode()
    ),
    "Arrow dictionary of views": lambda cells, path: views(cells),
    "Arrow stream": lambda cells, path: arrow_table(cells).to_reader(max_chunksize=300),
    "Polars": lambda cells, path: pytest.importorskip("polars").from_arrow(arrow_table(cells)),
    "Parquet": lambda cells, path: written(cells, path / "data.parquet"),
    "a folder": lambda cells, path: partitioned(cells, path / "data"),
    "JSON lines": lambda cells, path: json_lines(cells, path / "data.jsonl"),
}


@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize("where", TABLES)
def test_every_kind_of_column_in_every_kind_of_table(tmp_path, where, kind):
    cells, values = COLUMNS[kind]
    if where == "JSON lines":  # has no dates
        values = [str(cell) if isinstance(cell, datetime.date) else cell for cell in cells]
    data = TABLES[where](cells, tmp_path)
    check(im.compare(OLD, NEW, data, labels="truth", by="key", batch_rows=170), values)


@pytest.mark.parametrize("dtype", ["string", "Int64", "boolean", "float32", "datetime64[ns, UTC]"])
def test_columns_of_pandas_own_types(dtype):
    pandas = pytest.importorskip("pandas")
    cells = {
        "string": ["x", "y", None, "z"],
        "Int64": [2**53 + 1, 5, None, 2**53],
        "boolean": [True, False, None, True],
        "float32": [0.5, 1.5, None, 2.0],
        "datetime64[ns, UTC]": ["2026-01-01T00:00Z", "2026-01-02T10:30Z", None, "2026-01-03T00Z"],
    }[dtype]
    column = pandas.Series([cells[code] for code in CODES], dtype=dtype)
    if dtype.startswith("datetime"):
        cells = ["2026-01-01Z", "2026-01-02T10:30Z", None, "2026-01-03Z"]
    frame = pandas.DataFrame(table(key=column)).sample(frac=1, random_state=0)  # an odd index
    found = im.compare(OLD, NEW, frame.sort_index(), by="key", batch_rows=300)
    check(found, [cells[code] for code in CODES])


@pytest.mark.parametrize("batch_rows", [1, 3, None])
@pytest.mark.parametrize("zeros", [[0.0, -0.0], [-0.0, 0.0]])
def test_there_is_one_zero_whichever_comes_first(tmp_path, zeros, batch_rows):
    cells = np.array(zeros)[CODES % 2]
    columns = table(key=cells)
    write_csv(tmp_path / "data.csv", columns)
    np.save(tmp_path / "data.npy", np.column_stack([ROWS, cells]))
    for data in (columns, table(key=cells.tolist()), tmp_path / "data.csv", tmp_path / "data.npy"):
        found = im.compare(OLD, NEW, data, by="key", batch_rows=batch_rows)
        assert [repr(group.value) for group in found.groups] == ["0.0"]


def test_instants_may_lie_in_years_that_python_cannot_tell_in_utc():
    hours = datetime.timezone(datetime.timedelta(hours=5)), datetime.UTC
    first = [datetime.datetime(1, 1, 1, tzinfo=zone) for zone in hours]
    cells = [first[code % 2] for code in CODES]
    texts = "0000-12-31T19:00Z", "0001-01-01Z"
    check(im.compare(OLD, NEW, table(key=cells), by="key"), [texts[code % 2] for code in CODES])


def test_masked_cells_are_missing():
    cells = np.ma.masked_equal(CODES, 2)
    check(im.compare(OLD, NEW, table(key=cells), by="key"), cells.tolist())


def test_columns_of_a_table_are_found_by_name_without_names_of_features():
    old, new = logistic(names=""), logistic([[0.3, 0.1, -0.4]], names="")
    data = {"truth": TRUTH, **dict(zip("xyz", ROWS.T, strict=True)), "key": REGIONS}
    check(im.compare(old, new, data, labels="truth", by="key"), REGIONS)
    with pytest.raises(im.InstModelError) as caught:
        im.compare(old, new, data | {"more": CODES}, labels="truth", by="key")
    assert caught.value.code == "column_count_mismatch"


# ---------------------------------------------------------------------------------- many and wrong


def test_what_comes_behind_fifty_groups_is_told_together():
    keys = np.minimum(np.arange(2000) // 10, 120)  # the last one is the largest
    found = im.compare(OLD, NEW, table(key=keys), labels="truth", by="key")
    assert [group.value for group in found.groups] == [120, *range(49)]
    others = found.other_groups
    part = (keys > 48) & (keys < 120)
    assert (others.values, others.rows) == (71, part.sum())
    assert others.old_mean == pytest.approx(A[part].mean())
    assert others.flips + sum(group.flips for group in found.groups) == found.flips
    assert others.new_metrics["accuracy"] == metrics.accuracy_score(TRUTH[part], B[part] >= 0.5)
    assert group_tables(found.groupings[0], 0)[0].rows[-1][:2] == ["(71 others)", part.sum()]


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param(np.arange(60_000), id="too many"),
        pytest.param([f"{i}" + 1000 * "x" for i in range(20_000)], id="too long"),
    ],
)
def test_a_column_of_anything_is_no_groups(keys):
    columns = dict.fromkeys("abc", np.zeros(len(keys)))
    with pytest.raises(im.InstModelError) as caught:
        im.compare(OLD, NEW, columns | {"key": keys}, by="key")
    assert caught.value.code == "too_many_groups"


def test_memory_does_not_grow_with_the_rows(tmp_path):
    peaks = []
    for times in (2, 20):
        write_csv(tmp_path / "data.csv", {k: list(v) * times for k, v in table(r=REGIONS).items()})
        tracemalloc.start()
        found = im.compare(OLD, NEW, tmp_path / "data.csv", by="r", most_rows=2000, batch_rows=1000)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert found.rows == 2000 * times
        assert {g.value: g.rows for g in found.groups} == {
            region: times * REGIONS.count(region) for region in set(REGIONS)
        }
    assert peaks[1] < 1.3 * peaks[0]


@pytest.mark.parametrize(
    ("column", "code"),
    [
        ([[1, 2]] * 2000, "invalid_cell"),
        (np.zeros((2000, 2)), "invalid_cell"),
        ([b"x"] * 2000, "invalid_cell"),
        (["\ud800"] * 2000, "invalid_cell"),
        (["x"] * 1999, "invalid_table"),
        (["x"] * 2001, "invalid_table"),
        ("x", "invalid_table"),
        (None, "missing_column"),
    ],
)
def test_what_rows_cannot_be_grouped_by(column, code):
    columns = table() if column is None else table(key=column)
    with pytest.raises(im.InstModelError) as caught:
        im.compare(OLD, NEW, columns, by="key")
    assert caught.value.code == code
    assert caught.value.column == "key"


def test_lists_in_parquet_and_other_encodings_in_csv_are_refused(tmp_path):
    write_csv(tmp_path / "data.csv", table(key=REGIONS))
    text = (tmp_path / "data.csv").read_text(encoding="utf-8")
    (tmp_path / "data.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(im.InstModelError, match="not UTF-8"):
        im.compare(OLD, NEW, tmp_path / "data.csv", by="key")
    path = written([[1, 2]] * 2000, tmp_path / "data.parquet")
    with pytest.raises(im.InstModelError, match="list") as caught:
        im.compare(OLD, NEW, path, by="key")
    assert caught.value.file == str(path)


def test_the_command_line_shows_groups_of_text_and_prints_json(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    OLD.save("old.json")
    NEW.save("new.json")
    write_csv(
        "data.csv", table(region=[f"{region}\x1b[2J" if region else "" for region in REGIONS])
    )
    command = ["compare", "old.json", "new.json", "--data", "data.csv", "--by", "region"]
    assert main([*command, "--labels", "truth"]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    line, *_ = [line for line in shown.splitlines() if line.startswith("(null)")]
    assert str(REGIONS.count(None)) in line
    assert main([*command, "--json"]) == 0
    groups = json.loads(capsys.readouterr().out)["groups"]
    assert {g["value"] and g["value"][:-4]: g["rows"] for g in groups} == {
        region: REGIONS.count(region) for region in set(REGIONS)
    }
