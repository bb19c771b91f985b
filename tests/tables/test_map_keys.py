"""Tables whose keys of maps float32 cannot hold: refused, whatever kind of table it is."""

from __future__ import annotations

import decimal
import fractions
import json

import numpy as np
import pytest
from support.table_models import lookups

import instmodel as im
from instmodel import jobs
from instmodel.cli import main
from instmodel.tables.rows import read_rows

MODEL = lookups()
# The same model; without names, columns count by position.
UNNAMED = im.InstructionModelInfo.from_dict(
    {key: value for key, value in MODEL.info.to_dict().items() if key != "features"}
    | {"feature_size": 5}
)
LOST = 16777217  # between two keys of the map
HELD = 16777218


def pa():
    return pytest.importorskip("pyarrow")


def pd():
    return pytest.importorskip("pandas")


def columns(shop):
    """Three rows."""
    return {"shop": shop, "amount": [0.5, 1.5, LOST], "history": [[LOST, 5, 1]] * 3}


def arrow(shop):
    history = pa().array([[LOST, 5, 1]] * 3, pa().list_(pa().int64(), 3))
    return pa().table({"history": history, "shop": shop, "amount": [0.5, 1.5, 2.5]})


def pandas(shop):
    return pd().DataFrame({**columns([0] * 3), "shop": shop})


def record_array(shop):
    table = np.zeros(3, [("shop", "i8"), ("history", "f8", 3), ("amount", "f4")])
    table["shop"], table["history"] = shop, 5
    return table


CONNECTIONS = []


def duckdb_relation(shop):
    duckdb = pytest.importorskip("duckdb")
    pa()
    values = ", ".join(f"({key}, 0.5, [1, 5, 1])" for key in shop)
    # Of its own connection: a query that an error cuts short blocks those after it. Older releases
    # of DuckDB close a connection that nobody else holds.
    CONNECTIONS.append(duckdb.connect())
    return CONNECTIONS[-1].sql(f"select * from (values {values}) t(shop, amount, history)")


def polars(shop):
    pl = pytest.importorskip("polars")
    pa()
    return pl.DataFrame(columns(shop))


KINDS = {
    "dict of lists": columns,
    "dict of decimals": lambda shop: columns([decimal.Decimal(key) for key in shop]),
    "dict of fractions": lambda shop: columns([fractions.Fraction(key) for key in shop]),
    "dict of NumPy numbers": lambda shop: columns([np.int64(key) for key in shop]),
    **{
        f"dict of {dtype}": lambda shop, dtype=dtype: columns(np.array(shop, dtype))
        for dtype in ("i4", "u4", "i8", "u8", ">i8", "f8", "g", "O")
    },
    "strided": lambda shop: columns(np.repeat(shop, 2)[::2]),
    "masked": lambda shop: columns(np.ma.masked_equal(shop, 7)),
    "record array": record_array,
    "list of dicts": lambda shop: [
        dict(zip(columns(shop), row, strict=True))
        for row in zip(*columns(shop).values(), strict=True)
    ],
    "pandas": pandas,
    "pandas float64": lambda shop: pandas(np.array(shop, float)),
    "pandas objects": lambda shop: pandas(np.array(shop, object)),
    "pandas nullable": lambda shop: pandas(pd().array(shop, "Int64")),
    "pandas categories": lambda shop: pandas(pd().Categorical(shop)),
    "pandas on Arrow": lambda shop: pandas(pd().array(shop, pd().ArrowDtype(pa().int64()))),
    "a pandas series": lambda shop: columns(pd().Series(shop)),
    **{
        f"Arrow {name}": lambda shop, name=name: arrow(pa().array(shop, getattr(pa(), name)()))
        for name in ("int32", "uint32", "int64", "uint64", "float64")
    },
    "Arrow decimals": lambda shop: arrow(pa().array(shop, pa().decimal128(12, 2))),
    "Arrow dictionary": lambda shop: arrow(pa().array(shop).dictionary_encode()),
    "Arrow runs": lambda shop: arrow(pa().compute.run_end_encode(pa().array(shop))),
    "DuckDB": duckdb_relation,
    "Polars": polars,
}


def refused(call, *arguments, **options):
    with pytest.raises(im.InstModelError) as caught:
        call(*arguments, **options)
    error = caught.value
    assert isinstance(error, im.InputError)
    assert error.code == "inexact_key"
    return error


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_table(kind):
    error = refused(MODEL.predict_table, KINDS[kind]([5, HELD, LOST]))
    assert (error.column, error.row, error.actual) == ("shop", 2, "16777217")
    held = MODEL.predict_table(KINDS[kind]([5, HELD, 1]))
    assert held.tolist() == [[0, 0], [2, 0], [-1, 0]]


def lists(kind, middle):
    """Two rows of the array feature, the second with a key in the middle."""
    whole = [[LOST, 5, LOST], [0, middle, 0]]
    if kind == "lists":
        return {"history": whole}
    if kind == "matrix":
        return {"history": np.array(whole, order="F")}
    if kind == "parts":
        return {f"history[{i}]": np.array(whole)[:, i] for i in range(3)}
    inner = pa().uint64()
    types = {"Arrow": pa().list_(inner), "Arrow, fixed": pa().list_(inner, 3)}
    return {"history": pa().array(whole, types[kind])}


@pytest.mark.parametrize("kind", ["lists", "matrix", "parts", "Arrow", "Arrow, fixed"])
def test_keys_in_an_array_feature(kind):
    table = {"shop": [5, 5], "amount": [0, 0]}
    assert MODEL.predict_table(table | lists(kind, HELD)).tolist() == [[0, 0], [0, 2]]
    error = refused(MODEL.predict_table, table | lists(kind, LOST))
    assert error.column == ("history[1]" if kind == "parts" else "history")
    assert (error.row, error.actual) == (1, str(LOST))


def test_nulls_are_no_keys_but_what_takes_their_place_is():
    table = {"shop": [None, 5], "amount": [1, 2], "history": [[0, 5, 0]] * 2}
    for nulls in ("nan", 1, {"shop": 2**40 + 1}):
        assert MODEL.predict_table(table, nulls).tolist() == [[-1, 0], [0, 0]]
    assert MODEL.predict_table(table, HELD)[0].tolist() == [2, 0]
    # Of a masked or null cell, the number below the mask does not matter.
    masked = np.ma.MaskedArray([LOST, 5], [True, False])
    assert MODEL.predict_table({**table, "shop": masked}, "nan").tolist() == [[-1, 0], [0, 0]]
    for nulls in (LOST, {"shop": float(LOST)}):
        for call, data in (
            (MODEL.predict_table, table),
            (MODEL.predict_one, {"shop": None, "amount": 1, "history": [0, 5, 0]}),
        ):
            error = refused(call, data, nulls=nulls)
            assert (error.column, error.field, error.row) == ("shop", "nulls", None)
    filled = {"amount": LOST, "shop": 5}
    assert MODEL.predict_table({**table, "amount": [None, 1]}, filled).tolist() == [[0, 0]] * 2


@pytest.mark.filterwarnings("ignore:the model does not name its features:UserWarning")
def test_a_model_without_names():
    table = {name: [5, 5] for name in "abcde"}
    model = im.InstructionModel(UNNAMED)
    assert model.predict_table(table).tolist() == [[0, 0]] * 2
    assert refused(model.predict_table, table | {"d": [5, LOST]}).column == "d"


def test_other_errors_come_first_from_the_left():
    table = {"shop": [5, "x"], "amount": [1, 2], "history": [[0, 5, 0], [0, LOST, 0]]}
    with pytest.raises(im.InstModelError) as caught:
        MODEL.predict_table(table)
    assert (caught.value.code, caught.value.column) == ("invalid_cell", "shop")


# ------------------------------------------------------------------------------------ one row


FLAT = im.InstructionModel(
    im.InstructionModelInfo(
        features=["shop", "amount"],
        buffer_sizes=[2, 1],
        instructions=[
            im.MapTransform(
                input=0,
                output=1,
                internal_input_index=0,
                internal_output_index=0,
                map=0,
                size=1,
                default=[-1],
            )
        ],
        maps=[{5: [0], 16777216: [1], HELD: [2]}],
    )
)


@pytest.mark.parametrize(
    "key",
    [
        *(LOST, float(LOST), np.int32(LOST), np.int64(LOST), np.uint64(LOST), np.float64(LOST)),
        *(decimal.Decimal(LOST), fractions.Fraction(LOST), np.array(LOST), np.longdouble(LOST)),
        *(-LOST, 2**31 - 1, np.int32(2**31 - 1), -(2**31) - 1, 2147483583),
    ],
)
def test_one_row(key):
    error = refused(FLAT.predict_one, {"amount": 1, "shop": key})
    assert (error.column, error.row, error.actual) == ("shop", None, str(int(key)))
    assert refused(MODEL.predict_one, {"shop": key, "amount": 1, "history": [0] * 3}).row is None
    assert refused(FLAT.predict_one, {"amount": 1, "shop": key}, nulls="nan").row is None
    assert FLAT.predict_one({"amount": key, "shop": 5}).tolist() == [0]


@pytest.mark.parametrize(
    ("key", "row"),
    [
        *[(kind(HELD), 2) for kind in (int, float, np.int64, np.uint32, decimal.Decimal)],
        *[(kind(5), 0) for kind in (int, float, np.int8, np.uint64, np.float16, np.float32)],
        *((5.4, 0), (4.5, 0), (16777216.2, 1), (np.float32(LOST), 1), (True, -1)),
        *((float("nan"), -1), (float("inf"), -1), (2**40 + 1, -1), (-(2**63) - 1, -1), (1e30, -1)),
    ],
)
def test_one_row_whose_key_is_held(key, row):
    assert FLAT.predict_one({"amount": 1, "shop": key}).tolist() == [row]


def test_every_key_of_a_row_is_looked_at():
    names = [f"k{i}" for i in range(4)]
    steps = [
        im.MapTransform(
            input=0,
            output=1,
            internal_input_index=i,
            internal_output_index=i,
            map=0,
            size=1,
            default=[-1],
        )
        for i in range(4)
    ]
    info = im.InstructionModelInfo(
        features=names, buffer_sizes=[4, 4], instructions=steps, maps=[{16777216: [1]}]
    )
    model = im.InstructionModel(info)
    for place in range(4):
        # NaN hides in comparisons.
        for other in (0, float("nan"), 16777216):
            row = dict.fromkeys(names, other) | {names[place]: LOST}
            assert refused(model.predict_one, row).column == names[place]


# -------------------------------------------------------------------------- batches and files


def batches(*keys):
    whole = arrow(pa().array([5, HELD, 5]))
    return [whole.set_column(1, "shop", pa().array([5, HELD, key])).to_batches()[0] for key in keys]


def test_batches_treat_it_as_any_bad_row():
    error = refused(lambda: list(MODEL.score_batches(batches(5, LOST))))
    assert (error.column, error.row) == ("shop", 5)
    (first, last) = MODEL.score_batches(batches(5, LOST), on_bad_row="null")
    assert first["output_0"].to_pylist() == [0, 2, 0]
    assert last["output_0"].to_pylist() == [0, 2, None]
    (first, last) = MODEL.score_batches(batches(LOST, 5), on_bad_row="skip")
    assert first["output_0"].to_pylist() == [0, 2]


def write(folder, kind, shop, outputs=False):
    """Write a table of three rows as a file; with the scores that the rows would have."""
    table = arrow(pa().array(shop))
    if outputs:
        table = table.append_column("o0", pa().array([0.0, 2, 2])).append_column(
            "o1", pa().array([0.0] * 3)
        )
    parts = pa().table({f"history[{i}]": [5, 5, 5] for i in range(3)})
    flat = table.drop(["history"])
    for name in parts.column_names:
        flat = flat.append_column(name, parts[name])
    path = folder / f"t.{kind}"
    if kind == "parquet":
        pytest.importorskip("pyarrow.parquet").write_table(table, path)
    elif kind == "arrow":
        with pa().ipc.new_file(path, table.schema) as file:
            file.write_table(table)
    elif kind == "csv":
        pytest.importorskip("pyarrow.csv").write_csv(flat, path)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    else:
        names = [*MODEL.columns, *(["o0", "o1"] if outputs else [])]
        np.save(path, np.stack([flat[name].to_numpy().astype("f8") for name in names], axis=1))
    return path


@pytest.mark.parametrize("kind", ["csv", "parquet", "arrow", "jsonl"])
def test_jobs(kind, tmp_path):
    path, out = write(tmp_path, kind, [5, LOST, HELD]), tmp_path / "out.jsonl"
    error = refused(jobs.run, jobs.Job(MODEL, path, out))
    assert (error.column, error.row, error.file) == ("shop", 2, str(path))
    listed = tmp_path / "bad.csv"
    result = jobs.run(jobs.Job(MODEL, path, out, on_bad_row="skip", bad_rows=listed))
    assert (result.rows, result.bad_rows) == (3, 1)
    assert [json.loads(line)["output_0"] for line in out.read_text().splitlines()] == [0, 2]
    assert listed.read_text().splitlines()[1].startswith(f"{path.name},2,shop,")
    assert "inexact_key" in listed.read_text()


@pytest.mark.parametrize("kind", ["csv", "quoted csv", "npy", "parquet"])
def test_the_command(kind, tmp_path, capsys):
    path = write(tmp_path, kind.split()[-1], [5, HELD, LOST])
    if kind == "quoted csv":
        path.write_text(path.read_text().replace(f"{LOST}", f'"{LOST}"'))
    (tmp_path / "m.json").write_text(MODEL.info.to_json())
    arguments = [str(tmp_path / name) for name in ("m.json", path.name, "out.csv")]
    assert main(["score", *arguments[:2], "-o", arguments[2]]) == 2
    said = capsys.readouterr().err
    assert "[inexact_key]" in said
    assert path.name in said
    assert "row 3" in said
    assert ("column 2" if kind == "npy" else "column 'shop'") in said
    assert f"{LOST}" in said
    write(tmp_path, path.suffix[1:], [5, HELD, 16777216])
    assert main(["score", *arguments[:2], "-o", arguments[2]]) == 0
    assert np.loadtxt(arguments[2], skiprows=1, delimiter=",")[:, 0].tolist() == [0, 2, 1]


@pytest.mark.parametrize(
    "text", ["16777217", "16777217.0", "1.6777217e7", " 16777217", "+16777217"]
)
def test_however_a_csv_file_writes_it(text, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(f"amount,shop,history[0],history[1],history[2]\n1,5,0,5,0\n1,{text},0,5,0\n")
    refused(lambda: list(read_rows(path, MODEL)))
    pa()
    assert refused(jobs.run, jobs.Job(MODEL, path, tmp_path / "out.jsonl")).row == 2


# ------------------------------------------------------------------------------- verify, compare


@pytest.mark.parametrize("kind", ["csv", "npy", "parquet", "arrow", "jsonl"])
def test_verify_reads_files_so(kind, tmp_path):
    def check(shop):
        path = write(tmp_path, kind, shop, outputs=True)
        return im.verify(MODEL, path, expected=["o0", "o1"])

    assert check([5, HELD, HELD]).same
    assert f"{LOST}" in str(refused(check, [5, HELD, LOST]))


def test_verify_reads_arrays_and_tables_so():
    x = np.full((3, 5), 5)
    assert im.verify(MODEL, x, expected=MODEL.predict(x)).same
    x[1, 1] = LOST
    expected = np.zeros((3, 2), np.float32)
    for call in (
        lambda: im.verify(MODEL, x),
        lambda: im.verify(MODEL, x, expected=expected),
        lambda: im.verify(MODEL, {name: x[:, i] for i, name in enumerate(MODEL.columns)}),
    ):
        error = refused(call)
        assert (error.column, error.row) == ("shop", 1)


def test_keys_of_the_other_model_count_too():
    b = im.ModelBuilder()
    features = ["history[3]", "shop", "amount"]
    plain = b.copy_masked(b.input(features), [0, 1])
    plain = im.InstructionModel(b.build(output=plain))
    assert plain.key_inputs == ()
    x = np.full((3, 5), 5)
    assert im.verify(plain, x, against=MODEL).rows == 3
    x[1, 3] = LOST
    error = refused(im.verify, plain, x, against=MODEL)
    assert (error.column, error.row) == ("shop", 1)
    pytest.importorskip("sklearn")
    assert refused(im.compare, plain, MODEL, x).column == "shop"
    assert refused(im.compare, MODEL, plain, x[:, [4, 3, 0, 1, 2]]).column == "shop"
