"""Categories of scikit-learn's encoders: known, unknown, missing and fractional."""

import numpy as np
import pytest

import instmodel as im

pytest.importorskip("sklearn")

from sklearn import feature_selection, impute, linear_model
from sklearn import preprocessing as pre
from sklearn.pipeline import make_pipeline
from support.sources import assert_same, source_of_each_row

from instmodel.importers import sklearn as importer

RNG = np.random.default_rng(3)
CODES = RNG.integers(0, 6, (200, 3)) * [1, 10, -2] + [0, 100, 3]
GAPPY = np.where(RNG.random(CODES.shape) < 0.1, np.nan, CODES)
TWO = (CODES.sum(axis=1) + RNG.normal(size=200) > CODES.sum(axis=1).mean()).astype(int)

# name: (estimator, X)
ENCODERS = {
    "one-hot": (pre.OneHotEncoder(), CODES),
    "one-hot, ignore": (pre.OneHotEncoder(handle_unknown="ignore", drop="first"), CODES),
    "one-hot, infrequent": (
        pre.OneHotEncoder(min_frequency=33, handle_unknown="infrequent_if_exist"),
        CODES,
    ),
    "one-hot, NaN": (pre.OneHotEncoder(), GAPPY),
    "one-hot, NaN, ignore": (pre.OneHotEncoder(handle_unknown="ignore"), GAPPY),
    "ordinal": (pre.OrdinalEncoder(), CODES),
    "ordinal, NaN": (pre.OrdinalEncoder(), GAPPY),
    "ordinal, a value for unknown": (
        pre.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
        CODES,
    ),
    "ordinal, NaN for unknown": (
        pre.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan),
        CODES,
    ),
    "ordinal, values for unknown and missing": (
        pre.OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2
        ),
        GAPPY,
    ),
    "target": (pre.TargetEncoder(cv=2), CODES),
    "target, NaN": (pre.TargetEncoder(cv=2), GAPPY),
    "filled before": (
        make_pipeline(impute.SimpleImputer(strategy="most_frequent"), pre.OneHotEncoder()),
        GAPPY,
    ),
    "refused rows stay refused": (
        make_pipeline(
            pre.OneHotEncoder(sparse_output=False),
            impute.SimpleImputer(),
            feature_selection.SelectKBest(k=2),
            linear_model.LogisticRegression(),
        ),
        CODES,
    ),
    "NaN in a column that is not selected": (
        make_pipeline(feature_selection.SelectKBest(k=1), linear_model.LogisticRegression()),
        CODES,
    ),
}


def strange_rows(codes: np.ndarray) -> np.ndarray:
    """Return rows in which about every third number is nothing that an encoder has seen."""
    rows = np.repeat(codes, 3, axis=0)
    around = [rows + d for d in (0.3, -0.5, 0.5, 1e-3)]
    others = [np.full(rows.shape, v) for v in (np.nan, -1.0, 999.0, 2.0**31, -1e10, 3e38, 1e-30)]
    choice = RNG.integers(0, len(around + others), rows.shape)
    strange = np.choose(choice, around + others)
    return np.where(RNG.random(rows.shape) < 0.15, strange, rows).astype(np.float32)


@pytest.mark.parametrize("name", ENCODERS)
def test_unknown_missing_and_fractional_categories_give_what_the_source_gives(name):
    estimator, codes = ENCODERS[name]
    estimator.fit(codes, TWO)
    info = importer.from_sklearn(estimator)
    rows = strange_rows(codes)
    expected = source_of_each_row(estimator, info.metadata["output"], rows, info.buffer_sizes[-1])
    refused = np.isnan(expected).any(axis=1)
    assert not refused.all()
    assert refused.any() == ("ignore" not in name and name not in NEVER_REFUSE)
    assert_same(info, rows, expected)


NEVER_REFUSE = {
    "one-hot, infrequent",
    "ordinal, a value for unknown",
    "ordinal, values for unknown and missing",
    "target",
    "target, NaN",
}


def test_filling_gaps_keeps_every_number_as_it_is():
    info = importer.from_sklearn(impute.SimpleImputer().fit([[1.0], [np.nan]]))
    random = RNG.integers(0, 2**32, 100_000, dtype=np.uint32).view(np.float32)
    kept = random[(np.abs(random) > 1e-30) & np.isfinite(random)]  # below, the digits are flushed
    model = im.InstructionModel(info)
    assert np.array_equal(model.predict(kept[:, None])[:, 0], kept)
    assert model.predict(np.array([[np.nan]])) == 1.0
