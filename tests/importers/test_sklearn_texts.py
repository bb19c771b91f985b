"""Encoders of text in pipelines that are fitted on data frames, which the import takes, too."""

from __future__ import annotations

import numpy as np
import pytest

import instmodel as im

pd = pytest.importorskip("pandas")
pytest.importorskip("sklearn")

from sklearn.compose import ColumnTransformer  # noqa: E402
from sklearn.impute import SimpleImputer  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import (  # noqa: E402
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
    TargetEncoder,
)

ROWS = 200
LENIENT = {"handle_unknown": "use_encoded_value", "unknown_value": -1}


def frame(kind=object, missing=None):
    rng = np.random.default_rng(0)
    columns = {
        "age": rng.normal(40, 10, ROWS),
        "colour": rng.choice(
            ["red", "green", "blue", "", "teal"], ROWS, p=[0.3, 0.3, 0.3, 0.05, 0.05]
        ),
        "size": rng.choice(np.array(["S", "M", missing], object), ROWS),
        "shop": rng.integers(0, 5, ROWS),
    }
    made = pd.DataFrame(columns)
    texts = {
        name: pd.Series(columns[name], dtype=object).astype(kind) for name in ("colour", "size")
    }
    return made.assign(**texts)


def fitted(encoder, columns, table):
    parts = [("age", StandardScaler(), ["age"]), ("text", encoder, columns)]
    model = make_pipeline(ColumnTransformer(parts), LogisticRegression())
    return model.fit(table, np.random.default_rng(1).integers(0, 2, len(table)))


def check(estimator, table, **options):
    """Import, compare on the table itself and on rows with every text unknown in turn."""
    info = im.importers.from_sklearn(estimator, **options)
    model = im.InstructionModel(info)
    found = model.predict_table(table, nulls="nan")[:, 0]
    np.testing.assert_allclose(found, estimator.predict_proba(table)[:, 1], atol=1e-5)
    for column in info.categories:
        odd = table.head(3).assign(**{column: pd.Series(["mauve"] * 3, dtype=object)})
        try:
            expected = estimator.predict_proba(odd)[:, 1]
        except ValueError:
            with pytest.raises(im.InputError) as caught:
                model.predict_table(odd, nulls="nan")
            assert (caught.value.code, caught.value.column) == ("unknown_category", column)
        else:
            found = model.predict_table(odd, nulls="nan")[:, 0]
            np.testing.assert_allclose(found, expected, atol=1e-5)
    return info


ENCODERS = {
    "one hot": OneHotEncoder(),
    "one hot, ignore": OneHotEncoder(handle_unknown="ignore"),
    "one hot, drop": OneHotEncoder(drop="first"),
    "one hot, infrequent": OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=0.1),
    "ordinal": OrdinalEncoder(encoded_missing_value=-7),
    "ordinal, unknown": OrdinalEncoder(encoded_missing_value=-7, **LENIENT),
    "target": TargetEncoder(),
    "most frequent": make_pipeline(
        SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
    ),
    "constant": make_pipeline(
        SimpleImputer(strategy="constant", fill_value="?"), OneHotEncoder(handle_unknown="ignore")
    ),
}


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("kind", [object, "category", "str"], ids=str)
def test_an_encoder_of_text(name, kind):
    table = frame(kind, np.nan)
    info = check(fitted(ENCODERS[name], ["colour", "size"], table), table)
    strict = getattr(ENCODERS[name], "handle_unknown", "ignore") == "error"
    assert info.categories["colour"].unknown == ("error" if strict else -1.0)
    assert info.validation_data.inputs


@pytest.mark.parametrize("missing", [None, np.nan], ids=repr)
def test_a_missing_text_is_a_category(missing):
    table = frame(object, missing)
    estimator = fitted(OneHotEncoder(), ["size"], table)
    info = check(estimator, table)
    assert info.categories["size"].values == ("M", "S")


def test_a_missing_text_that_the_encoder_does_not_know():
    table = frame(object, "L")
    model = im.InstructionModel(im.importers.from_sklearn(fitted(OneHotEncoder(), ["size"], table)))
    assert np.isnan(model.predict_table(table.assign(size=None), nulls="nan")).all()


def test_none_and_nan_as_two_categories_are_refused():
    table = frame(object, None)
    table.loc[::2, "size"] = np.nan
    with pytest.raises(im.UnsupportedModelError, match="tells None and NaN apart"):
        im.importers.from_sklearn(fitted(OneHotEncoder(), ["size"], table))


def test_a_text_that_stands_for_missing_is_imputed():
    table = frame(object, "?")
    imputer = SimpleImputer(missing_values="?", strategy="most_frequent")
    check(
        fitted(make_pipeline(imputer, OneHotEncoder(handle_unknown="ignore")), ["size"], table),
        table,
    )


def test_text_and_numbers_in_one_encoder():
    table = frame(missing="L")
    check(fitted(OneHotEncoder(handle_unknown="ignore"), ["colour", "shop"], table), table)


def test_two_encoders_of_one_column_share_its_dictionary():
    table = frame(missing="L")
    parts = [
        ("a", OneHotEncoder(categories=[["red", "green"]], handle_unknown="ignore"), ["colour"]),
        ("b", OrdinalEncoder(categories=[["blue", "red"]], **LENIENT), ["colour"]),
    ]
    estimator = make_pipeline(ColumnTransformer(parts), LogisticRegression())
    estimator.fit(table, np.arange(ROWS) % 2)
    info = check(estimator, table)
    assert info.categories["colour"].values == ("red", "green", "blue")
    assert info.categories["colour"].unknown == -1.0


def test_columns_that_are_dropped_may_hold_any_text():
    table = frame(missing="L")
    info = check(fitted(OneHotEncoder(), ["colour"], table), table)
    assert info.categories["size"].values == ()
    assert "age" not in info.categories
    search = GridSearchCV(fitted(OneHotEncoder(), ["colour"], table), {}, cv=2)
    check(search.fit(table, np.arange(ROWS) % 2), table)


def test_numbers_of_categories_work_as_in_a_document_written_by_hand():
    table = frame(missing="L")
    estimator = fitted(OneHotEncoder(), ["colour", "size"], table)
    model = im.InstructionModel(im.importers.from_sklearn(estimator))
    codes = model.info.categories["colour"].codes
    rows = np.zeros((3, 4), np.float32)
    rows[:, 0] = 40
    rows[:, 1] = [codes["green"], 0.5, 99]
    found = model.predict(rows)
    one = {"age": 40, "colour": "green", "size": model.info.categories["size"].values[0], "shop": 0}
    assert found[0] == model.predict_one(one)
    assert np.isnan(found[1:]).all()


def test_an_estimator_that_was_fitted_on_an_array_names_its_columns_as_scikit_learn_does():
    encoder = OneHotEncoder().fit(np.array([["a", "x"], ["b", "y"]]))
    info = im.importers.from_sklearn(encoder)
    assert info.features == ["x0", "x1"]
    assert im.InstructionModel(info).predict_one({"x0": "b", "x1": "x"}).tolist() == [0, 1, 1, 0]


def test_features_names_the_columns_anew():
    table = frame(missing="L")
    names = ["years", "hue", "fit", "place"]
    info = im.importers.from_sklearn(fitted(OneHotEncoder(), ["colour"], table), features=names)
    assert set(info.categories) == {"hue", "fit", "place"}
    table.columns = names
    assert im.InstructionModel(info).predict_table(table).shape == (ROWS, 1)


def test_a_sample_holds_text():
    table = frame(missing=np.nan)
    estimator = fitted(OneHotEncoder(handle_unknown="ignore"), ["colour", "size"], table)
    info = im.importers.from_sklearn(estimator, sample=table.head(50))
    kept = np.stack(info.validation_data.inputs)[:, 0]
    assert set(kept) & set(table["age"].head(50).astype(np.float32))


def test_text_that_a_step_computes_is_refused():
    table = frame(missing=np.nan)
    imputer = SimpleImputer(strategy="most_frequent", add_indicator=True)
    estimator = fitted(make_pipeline(imputer, OneHotEncoder()), ["size"], table)
    with pytest.raises(im.UnsupportedModelError, match="text that other steps compute"):
        im.importers.from_sklearn(estimator)
