"""What rows have that a signature does not expect: equal to slow counts, however they come."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import instmodel as im
from instmodel import _kernels
from instmodel.signatures.counting import Tally
from instmodel.signatures.expectations import Expectations
from instmodel.signatures.population import population_bins, total
from instmodel.tables.scoring import binding_of, open_table, score_chunk

TEXTS = {"colour": im.Categories(["red", "green"], "nan"), "size": im.Categories(["S", "M"], 0.0)}


def model_of(*features, texts=TEXTS):
    """A model of some features, which adds them all up."""
    builder = im.ModelBuilder()
    names = [name.partition("[")[0] for name in features]
    given = {name: item for name, item in texts.items() if name in names}
    x = builder.input(list(features), given)
    return im.InstructionModel(builder.build(output=builder.reduce_sum(x)))


def counted(model, signature, table, nulls="nan"):
    """Count a table as a job does, and return what was found by feature."""
    tally = Tally(Expectations(signature, model.named_features))
    _, chunks = open_table(table, binding_of(model, nulls))
    for chunk in chunks:
        score_chunk(model, chunk, watch=tally)
    return {item.name: item for item in tally.found().features}


# --------------------------------------------------------------------------------------- the kernel

FLOATS = st.floats(width=32) | st.sampled_from([0.0, -0.0, 1.0, 2.0, 1e-45, math.inf, -math.inf])


@given(st.data())
def test_the_kernel_counts_what_reaches_each_mark(data):
    size, rows = data.draw(st.integers(1, 40)), data.draw(st.integers(0, 600))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    pool = np.array(data.draw(st.lists(FLOATS, min_size=1)), np.float32)
    x = rng.choice(pool, (rows, size))
    marks = np.full((data.draw(st.integers(0, 6)), size), np.nan, np.float32)
    for column in range(size):
        some = np.unique(rng.choice(pool, rng.integers(0, len(marks) + 1)))
        some = some[~np.isnan(some)]
        marks[: len(some), column] = some
    counts = rng.integers(0, 9, marks.shape)
    expected = counts + (x[None] >= marks[:, None]).sum(axis=1)
    _kernels.count_at_least(x, marks, counts)
    assert np.array_equal(counts, expected)


def test_the_kernel_refuses_shapes_that_do_not_fit():
    x, marks = np.zeros((3, 2), np.float32), np.zeros((1, 3), np.float32)
    with pytest.raises(ValueError, match="shapes"):
        _kernels.count_at_least(x, marks, np.zeros((1, 3), np.int64))


# ---------------------------------------------------------------------------------------- by hand


def test_counts_by_hand():
    signature = im.Signature(
        {
            "age": im.FeatureSignature(min=18, max=99, edges=[30], shares=[0.5, 0.5]),
            "shop": im.FeatureSignature(kind="code", codes=[1, 7], shares=[0.5, 0.25]),
            "colour": im.FeatureSignature(kind="text", shares=[0.5, 0.25], null_share=0.25),
            "size": im.FeatureSignature(kind="text"),
            "emb": im.FeatureSignature(max=1),
        }
    )
    model = model_of("age", "shop", "colour", "size", "emb[2]", "other")
    table = {
        "age": [17.9, 18, 99, 99.1, None],
        "shop": [1, 7, 7.5, -1, 1],
        "colour": ["red", "blue", None, "green", "red"],
        "size": ["S", "XL", "XXL", None, "M"],
        "emb": [[0, 1], [2, 3], [0, None], [1, 1], [0, 0]],
        "other": [1] * 5,
    }
    found = counted(model, signature, table)
    rows = {
        name: (item.values, item.out_of_range, item.nulls, item.unknown)
        for name, item in found.items()
    }
    assert rows == {
        "age": (5, 2, 1, 0),
        "shop": (5, 0, 0, 2),
        "colour": (5, 0, 1, 1),
        "size": (5, 0, 1, 2),  # unknown text becomes 0, as "S" is
        "emb": (10, 2, 1, 0),
    }
    shares = [0.5, 0.25, 0.25], [0.4, 0.2, 0.4]  # 1, 7, and what is neither
    assert found["shop"].psi == pytest.approx(_index(*shares))
    shares = [0.5, 0.25, 0.25, 1e-6], [0.4, 0.2, 0.2, 0.2]  # red, green, null, unknown
    assert found["colour"].psi == pytest.approx(_index(*shares))
    assert [part.text for part in found["colour"].bins] == ["red", "green", None, "unknown"]
    assert found["size"].psi is found["emb"].psi is None


def _index(old, new):
    old, new = np.array(old), np.array(new)
    return float(np.sum((new - old) * np.log(new / old)))


@pytest.mark.parametrize("nulls", ["nan", 0.0, 50.0])
def test_a_null_counts_as_one_whatever_takes_its_place(nulls):
    signature = im.Signature({"age": im.FeatureSignature(min=18, edges=[30], shares=[0.5, 0.5])})
    found = counted(model_of("age"), signature, {"age": [None, 20, 40, 10]}, nulls)["age"]
    assert (found.nulls, found.out_of_range) == (1, 1)
    assert [part.new_share for part in found.bins] == [0.5, 0.25, 0.25]


def test_cells_that_are_no_numbers_are_in_no_bin():
    signature = im.Signature({"age": im.FeatureSignature(max=9, edges=[5], shares=[0.5, 0.5])})
    found = counted(model_of("age"), signature, {"age": [1, "x", 1e300, 7]})["age"]
    assert (found.values, found.invalid, found.nulls, found.out_of_range) == (4, 2, 0, 0)
    assert [part.new_share for part in found.bins] == [0.5, 0.5]


def test_text_that_no_category_knows_is_unknown_where_it_is_an_error_too():
    model = model_of("colour", texts={"colour": im.Categories(["red"])})
    signature = im.Signature({"colour": im.FeatureSignature(kind="text")})
    found = counted(model, signature, {"colour": ["red", "blue", None]})["colour"]
    assert (found.unknown, found.nulls, found.invalid) == (1, 1, 0)


def test_lists_of_text_are_counted_by_value():
    arrow = pytest.importorskip("pyarrow")
    texts = {"tags": im.Categories(["new", "sale"], "nan")}
    model = model_of("tags[2]", texts=texts)
    signature = im.Signature({"tags": im.FeatureSignature(kind="text", shares=[0.5, 0.5])})
    cells = [["new", "old"], None, ["sale", None], ["x", "y"], ["new"]]
    for table in ({"tags": cells}, arrow.table({"tags": cells})):
        found = counted(model, signature, table)["tags"]
        assert (found.values, found.unknown, found.nulls, found.invalid) == (10, 3, 3, 2)
        assert [part.new_share for part in found.bins] == [1 / 8, 1 / 8, 3 / 8, 3 / 8]


@pytest.mark.parametrize("count", [2, 100, 10_001])
def test_any_number_of_categories_is_counted(count):
    texts = {"tag": im.Categories([f"t{place}" for place in range(count)], 0.0)}
    shares = [1 / count] * count
    item = im.FeatureSignature(kind="text", shares=shares)
    cells = ["t0", "old", None, "t1", "t1", f"t{count - 1}"]
    found = counted(model_of("tag", texts=texts), im.Signature({"tag": item}), {"tag": cells})[
        "tag"
    ]
    assert (found.values, found.unknown, found.nulls) == (6, 1, 1)
    if count > 10_000:
        assert found.psi is None
    else:
        expected = [cells.count(f"t{place}") / 6 for place in range(count)]
        assert [part.new_share for part in found.bins] == pytest.approx([*expected, 1 / 6, 1 / 6])


@pytest.mark.parametrize("first", [0, -50, 2**24 - 50, 2**30, -(2**30)])
@pytest.mark.parametrize("step", [1, 3, 128, 10_000])
def test_many_codes_are_found_exactly(first, step):
    exact = np.unique(np.float32(first + step * np.arange(200)))
    item = im.FeatureSignature(kind="code", codes=exact.astype(int).tolist())
    ends = [exact.min() - 1, exact.max() + 1, np.inf, -np.inf, np.nan, 3e38, 0.5]
    near = np.nextafter(exact, np.float32(np.inf))
    values = np.concatenate([exact, near, np.array(ends, np.float32)])[:, None]
    tally = Tally(Expectations(im.Signature({"a": item}), [im.Feature("a")]))
    tally.look(np.ascontiguousarray(values))
    (found,) = tally.found().features
    known = set(exact.tolist())
    assert found.nulls == 1
    assert found.unknown == sum(value not in known for value in values[:, 0].tolist()) - 1


def test_the_largest_number_may_be_an_edge():
    most = float(np.finfo(np.float32).max)
    item = im.FeatureSignature(edges=[0.0, most], shares=[0.25, 0.5, 0.25])
    found = counted(model_of("a"), im.Signature({"a": item}), {"a": [1.0, most, math.inf, -1.0]})
    assert [(part.low, part.high, part.new_share) for part in found["a"].bins] == [
        (None, 0.0, 0.25),
        (0.0, most, 0.25),
        (most, None, 0.5),
    ]
    rows = {"a": np.array([-most] * 9 + [most] * 9 + [1.0], np.float32)}
    assert im.Signature.from_data(model_of("a"), rows).features["a"].max == most


def test_a_tiny_document_with_a_huge_input_takes_bounded_memory():
    feature = im.Feature("emb", 900_000, is_array=True)
    edges = list(range(64))
    item = im.FeatureSignature(min=0, edges=edges, shares=[1 / 65] * 65)
    expectations = Expectations(im.Signature({"emb": item}), [feature])
    tally = Tally(expectations, find_bad=True)
    assert tally.size < 5_000_000
    rows = np.arange(-2, 900_000 - 2, dtype=np.float32).reshape(1, -1)
    assert tally.look(rows[:, ::-1].copy())[0][0] == "emb[899998]"
    (found,) = tally.found().features
    assert (found.values, found.out_of_range) == (900_000, 2)
    assert [part.new_share for part in found.bins[:2]] == [2 / 900_000, 1 / 900_000]


def test_what_the_signature_does_not_name_is_not_counted():
    found = counted(model_of("a", "b"), im.Signature({}), {"a": [1], "b": [2]})
    assert found == {}


def test_nothing_has_no_index():
    signature = im.Signature({"a": im.FeatureSignature(edges=[5], shares=[0.5, 0.5])})
    found = counted(model_of("a"), signature, {"a": np.zeros(0)})["a"]
    assert (found.values, found.psi, found.bins) == (0, None, [])


# ---------------------------------------------------------------------------- against slow counting


NULL_RULES = st.sampled_from(["allowed", "never"])


@st.composite
def _number_signatures(draw):
    numbers = st.floats(-20, 20, width=32) | st.integers(-20, 20).map(float)
    edges = sorted(draw(st.sets(numbers, max_size=90)))
    low, high = sorted(draw(st.tuples(numbers, numbers)))
    return im.FeatureSignature(
        min=draw(st.sampled_from([None, low])),
        max=draw(st.sampled_from([None, high, 3.4028234663852886e38])),
        nulls=draw(NULL_RULES),
        edges=edges,
        shares=[1 / (len(edges) + 1)] * (len(edges) + 1),
    )


@st.composite
def _code_signatures(draw):
    step = draw(st.sampled_from([1, 1, 100_000]))
    codes = [code * step for code in sorted(draw(st.sets(st.integers(-60, 60), max_size=100)))]
    shares = [1 / max(1, len(codes))] * len(codes)
    return im.FeatureSignature(kind="code", codes=codes, nulls=draw(NULL_RULES), shares=shares)


def _slowly(item, values):
    """Return bins, out of range, nulls and unknown of a feature, one value after the other."""
    bins = [0] * len(item.shares)
    out = nulls = unknown = 0
    for value in map(float, values):
        if math.isnan(value):
            nulls += 1
        elif item.kind == "code":
            if value in item.codes:
                bins[item.codes.index(value)] += 1
            else:
                unknown += 1
        else:
            bins[sum(value >= edge for edge in item.edges)] += 1
            out += item.min is not None and value < item.min
            out += item.max is not None and value > item.max
    return bins, out, nulls, unknown


def _slowly_bad(items, names, inputs):
    """Return the first column of each row that has what is not expected."""
    bad = {}
    for row, values in enumerate(inputs):
        for item, name, value in zip(items, names, values, strict=True):
            _, out, nulls, unknown = _slowly(item, [value])
            if out or unknown or (nulls and item.nulls == "never"):
                bad.setdefault(row, name)
    return bad


VALUES = st.floats(-25, 25, width=32) | st.integers(-25, 25).map(float) | FLOATS


@settings(max_examples=150, deadline=None)
@given(
    st.lists(_number_signatures() | _code_signatures(), min_size=1, max_size=20),
    st.lists(VALUES, min_size=1, max_size=60),
    st.integers(1, 200),
    st.integers(0, 2**32),
)
def test_counts_equal_slow_ones_whatever_the_batches(items, pool, rows, seed):
    rng = np.random.default_rng(seed)
    edges = [edge for item in items for edge in (*item.edges, *(item.codes or ()))]
    near = np.nextafter(np.array(edges, np.float32), np.float32(rng.choice([-1e9, 1e9])))
    pool = np.concatenate([np.array(pool + edges, np.float32), near])
    inputs = rng.choice(pool, (rows, len(items)))
    names = [f"f{place}" for place in range(len(items))]
    signature = im.Signature(dict(zip(names, items, strict=True)))
    expectations = Expectations(signature, [im.Feature(name) for name in names])
    whole, parts = Tally(expectations), Tally(expectations)
    assert whole.look(inputs) == {}
    bad = Tally(expectations, find_bad=True).look(inputs)
    assert {row: column for row, (column, _) in bad.items()} == _slowly_bad(items, names, inputs)
    for part in np.array_split(inputs, rng.integers(1, 5)):
        tally = whole.fresh()
        tally.look(np.ascontiguousarray(part))
        parts.add(tally)
    assert parts.found() == whole.found()
    for item, found, column in zip(items, whole.found().features, inputs.T, strict=True):
        bins, out, nulls, unknown = _slowly(item, column)
        assert (found.values, found.invalid) == (rows, 0)
        assert (found.out_of_range, found.nulls, found.unknown) == (out, nulls, unknown)
        counts = [share for share in bins if share] + [n for n in (nulls, unknown) if n]
        assert [part.new_share * rows for part in found.bins if part.new_share] == pytest.approx(
            counts
        )


# ------------------------------------------------------------------------ the index of `comparison`


@settings(max_examples=60, deadline=None)
@given(
    st.lists(VALUES.filter(lambda v: abs(v) < 1e30 or math.isnan(v)), min_size=1, max_size=400),
    st.lists(VALUES, min_size=1, max_size=400),
)
def test_the_index_is_that_of_compare(old, new):
    old, new = (np.array(side, np.float32)[:, None] for side in (old, new))
    model = model_of("a")
    signature = im.Signature.from_data(model, {"a": old[:, 0]})
    tally = Tally(Expectations(signature, model.named_features))
    tally.look(new)
    (found,) = tally.found().features
    columns = (side[:, 0].astype(np.float64) for side in (old, new))
    assert found.psi == pytest.approx(total(population_bins(*columns, categories=True)), abs=1e-9)


# ------------------------------------------------------------------------------- tables of any kind

CELLS = ["red", "blue", None, "green", "pink", "red", None, "blue"]


def _of_pandas(**options):
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame({"colour": pandas.Series(CELLS, **options)})


def _of_arrow(encoded):
    arrow = pytest.importorskip("pyarrow")
    column = arrow.array(CELLS)
    return arrow.table({"colour": column.dictionary_encode() if encoded else column})


def _of_polars(encoded):
    polars = pytest.importorskip("polars")
    kind = polars.Enum(["red", "blue", "green", "pink"]) if encoded else polars.String
    return polars.DataFrame({"colour": polars.Series(CELLS, dtype=kind)})


KINDS = {
    "objects": lambda: {"colour": CELLS},
    "rows": lambda: [{"colour": cell} for cell in CELLS],
    "pandas": _of_pandas,
    "pandas categories": lambda: _of_pandas(dtype="category"),
    "arrow": lambda: _of_arrow(encoded=False),
    "arrow dictionary": lambda: _of_arrow(encoded=True),
    "polars": lambda: _of_polars(encoded=False),
    "polars enum": lambda: _of_polars(encoded=True),
}


@pytest.mark.parametrize("unknown", ["nan", 0.0, "error"])
@pytest.mark.parametrize("table", KINDS.values(), ids=KINDS)
def test_unknown_text_is_counted_in_tables_of_any_kind(table, unknown):
    model = model_of("colour", texts={"colour": im.Categories(["red", "green"], unknown)})
    signature = im.Signature({"colour": im.FeatureSignature(kind="text", shares=[0.5, 0.5])})
    found = counted(model, signature, table())["colour"]
    assert (found.unknown, found.nulls, found.invalid) == (3, 2, 0)
    assert [part.new_share for part in found.bins] == [2 / 8, 1 / 8, 2 / 8, 3 / 8]
