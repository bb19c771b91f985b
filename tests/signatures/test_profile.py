"""Signatures made of data."""

from __future__ import annotations

import numpy as np
import pytest

import instmodel as im

RNG = np.random.default_rng(5)


def info_of(*features, texts=None, key=None):
    builder = im.ModelBuilder()
    x = builder.input(list(features), texts or {})
    total = builder.reduce_sum(x)
    if key is not None:
        looked_up = builder.map_transform(x, key, {1: [0.5], 2: [1.0]}, [0.0])
        total = builder.add_buffers(total, looked_up)
    return builder.build(output=total)


def test_numbers_have_a_range_and_tenths():
    values = RNG.normal(size=5000).astype(np.float32)
    signature = im.Signature.from_data(info_of("a"), {"a": values})
    item = signature.features["a"]
    assert (signature.rows, item.kind, item.nulls) == (5000, "number", "never")
    assert (item.min, item.max) == (values.min(), values.max())
    assert item.edges == pytest.approx(np.quantile(values, np.arange(1, 10) / 10), abs=1e-6)
    assert item.shares == (0.1,) * 10
    assert item.null_share == 0


def test_few_different_values_have_a_bin_each():
    values = np.repeat([0.0, 1.0, 5.0], [50, 30, 20])
    item = im.Signature.from_data(info_of("a"), {"a": values}).features["a"]
    assert [share for share in item.shares if share] == [0.5, 0.3, 0.2]


def test_nulls_are_counted_and_expected_where_there_were_some():
    table = {"a": [1.0, None, 3.0, None], "b": [1.0, 2.0, float("nan"), 3.0]}
    found = im.Signature.from_data(info_of("a", "b"), table).features
    assert (found["a"].nulls, found["a"].null_share) == ("allowed", 0.5)
    assert (found["b"].nulls, found["b"].null_share) == ("allowed", 0.25)
    assert (found["a"].min, found["a"].max) == (1, 3)


def test_what_is_looked_up_in_maps_is_a_code():
    table = {"shop": [1, 2, 2, 9], "age": [1, 2, 2, 9]}
    found = im.Signature.from_data(info_of("shop", "age", key=0), table).features
    assert (found["shop"].codes, found["shop"].shares) == ((1, 2, 9), (0.25, 0.5, 0.25))
    assert found["age"].kind == "number"


def test_codes_that_are_too_many_or_not_whole_are_numbers():
    info = info_of("shop", key=0)
    many = im.Signature.from_data(info, {"shop": np.arange(1001)}).features["shop"]
    broken = im.Signature.from_data(info, {"shop": [1.0, 1.5]}).features["shop"]
    assert many.kind == broken.kind == "number"
    assert im.Signature.from_data(info, {"shop": np.arange(1000)}).features["shop"].kind == "code"


def test_text_has_the_shares_of_its_categories():
    texts = {"colour": im.Categories(["red", "green", "blue"])}
    table = {"colour": ["red", "red", "pink", None, "blue"]}
    item = im.Signature.from_data(info_of("colour", texts=texts), table).features["colour"]
    assert (item.kind, item.shares, item.null_share) == (
        "text",
        (0.4, 0.0, 0.2),
        pytest.approx(0.2),
    )


def test_the_values_of_an_array_feature_share_one_entry():
    table = {"emb": [[1.0, 10.0], [2.0, 20.0]]}
    item = im.Signature.from_data(info_of("emb[2]"), table).features["emb"]
    assert (item.min, item.max) == (1, 20)
    assert sum(item.shares) == pytest.approx(1)


def test_a_matrix_is_a_table_too():
    rows = RNG.normal(size=(50, 2)).astype(np.float32)
    found = im.Signature.from_data(info_of("a", "b"), rows)
    assert found == im.Signature.from_data(info_of("a", "b"), {"a": rows[:, 0], "b": rows[:, 1]})


def test_infinities_are_no_range():
    item = im.Signature.from_data(info_of("a"), {"a": [np.inf, -np.inf, 2.0]}).features["a"]
    assert (item.min, item.max) == (2, 2)
    item = im.Signature.from_data(info_of("a"), {"a": [np.nan, np.inf]}).features["a"]
    assert (item.min, item.max) == (None, None)


def test_a_signature_fits_the_document_that_it_was_made_for():
    texts = {"colour": ["red", "green"]}
    info = info_of("shop", "age", "colour", "emb[2]", texts=texts, key=0)
    table = {
        "shop": RNG.integers(0, 5, 300),
        "age": RNG.normal(size=300),
        "colour": RNG.choice(["red", "green"], 300),
        "emb": RNG.normal(size=(300, 2)),
    }
    info.signature = im.Signature.from_data(im.InstructionModel(info), table)
    again = im.InstructionModelInfo.from_json(info.to_json())
    assert im.InstructionModel(again).signature == info.signature
    assert im.InstructionModelInfo.from_bytes(info.to_bytes()).signature == info.signature


def test_files_in_batches_give_what_tables_give(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    import pyarrow.csv
    import pyarrow.parquet

    columns = {"a": RNG.normal(size=500).astype(np.float32), "b": RNG.integers(0, 9, 500)}
    table = arrow.table({**columns, "b": arrow.array(columns["b"], mask=columns["b"] == 3)})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    pyarrow.csv.write_csv(table, tmp_path / "t.csv")
    info = info_of("a", "b")
    expected = im.Signature.from_data(info, table)
    for name in ("t.parquet", "t.csv"):
        found = im.Signature.from_data(info, tmp_path / name, batch_rows=70)
        assert found.rows == 500
        assert found.features["b"] == expected.features["b"]
        assert found.features["a"].edges == pytest.approx(expected.features["a"].edges, rel=1e-6)


def test_what_cannot_be_described():
    with pytest.raises(im.InputError) as caught:
        im.Signature.from_data(info_of("a"), {"a": []})
    assert caught.value.code == "no_rows"
    unnamed = im.ModelBuilder()
    info = unnamed.build(output=unnamed.reduce_sum(unnamed.input(1)))
    with pytest.raises(im.InputError) as caught:
        im.Signature.from_data(info, {"a": [1]})
    assert caught.value.code == "missing_features"


# ----------------------------------------------------------------------------- tables that are held

KNOWN = {"a": im.FeatureSignature(min=0, max=9), "b": im.FeatureSignature(nulls="never")}
ROWS = {"a": [1.0, 10.0, 3.0, 4.0], "b": [1.0, 2.0, None, 4.0]}


def held():
    builder = im.ModelBuilder()
    x = builder.input(["a", "b"])
    return im.InstructionModel(
        builder.build(output=builder.reduce_sum(x), signature=im.Signature(KNOWN))
    )


def _arrow(columns):
    return pytest.importorskip("pyarrow").table(columns)


def _pandas(columns):
    return pytest.importorskip("pandas").DataFrame(columns)


@pytest.mark.parametrize("made", [dict, _arrow, _pandas])
@pytest.mark.parametrize("threads", [1, 3])
def test_a_table_can_be_held_to_the_signature(made, threads):
    model, table = held(), made(ROWS)
    assert len(model.predict_table(table, 0.0, threads=threads)) == 4
    options = {"nulls": 0.0, "threads": threads, "check_inputs": True}
    with pytest.raises(im.InputError) as caught:
        model.predict_table(table, **options)
    assert (caught.value.code, caught.value.column, caught.value.row) == (
        "unexpected_value",
        "a",
        1,
    )
    left = model.predict_table(table, **options, as_table=True, on_bad_row="skip")
    assert np.asarray(left["score"]).tolist() == [2.0, 8.0]
    all_rows = model.predict_table(table, **options, as_table=True, on_bad_row="null")
    assert len(all_rows["score"]) == 4


def test_only_a_model_with_a_signature_holds_a_table_to_it():
    with pytest.raises(im.InputError) as caught:
        im.InstructionModel(info_of("a")).predict_table({"a": [1.0]}, check_inputs=True)
    assert caught.value.code == "missing_signature"
    with pytest.raises(im.InstModelError) as caught:
        held().predict_table(ROWS, check_inputs="error")
    assert caught.value.code == "invalid_type"
