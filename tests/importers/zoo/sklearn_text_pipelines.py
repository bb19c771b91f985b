"""scikit-learn pipelines of the zoo that read text."""

from __future__ import annotations

from typing import Any

import numpy as np
from importers.zoo.sklearn_cases import case
from importers.zoo.sklearn_data import applicants
from sklearn import linear_model as linear
from sklearn import neural_network
from sklearn import preprocessing as pre
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from support.zoo import Case

TEXT = ["home", "region", "job"]
NUMBERS = ["age", "income", "debt", "utilization", "late"]


def encoded(*encoders: Any, model: Any = None, columns: Any = TEXT) -> Any:
    """Return a classifier of encoded text and scaled numbers."""
    read = make_pipeline(*encoders) if len(encoders) > 1 else encoders[0]
    table = make_column_transformer((pre.StandardScaler(), NUMBERS), (read, columns))
    return make_pipeline(table, model or linear.LogisticRegression(max_iter=500))


def text_case(name: str, make: Any, *refused: str) -> Case:
    return case(name, "pipelines of text", make, applicants, *refused)


TEXTS = [
    text_case("one-hot text", lambda: encoded(pre.OneHotEncoder())),
    text_case(
        "one-hot text, ignoring what is unknown",
        lambda: encoded(pre.OneHotEncoder(handle_unknown="ignore", drop="if_binary")),
    ),
    text_case(
        "one-hot text of infrequent jobs",
        lambda: encoded(pre.OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=40)),
    ),
    text_case(
        "one-hot text without the first",
        lambda: encoded(pre.OneHotEncoder(drop="first", sparse_output=False)),
    ),
    text_case(
        "ordinal numbers of text, -1 for unknown",
        lambda: encoded(
            pre.OrdinalEncoder(
                handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2
            ),
            model=neural_network.MLPClassifier((8,), max_iter=60, random_state=0),
        ),
    ),
    text_case(
        "ordinal numbers of text, the mean for unknown",
        lambda: encoded(
            pre.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan),
            SimpleImputer(),
            pre.StandardScaler(),
        ),
    ),
    text_case(
        "TargetEncoder of text",
        lambda: encoded(pre.TargetEncoder(random_state=0), pre.StandardScaler()),
    ),
    text_case(
        "one-hot text, the most frequent for gaps",
        lambda: encoded(
            SimpleImputer(strategy="most_frequent"), pre.OneHotEncoder(handle_unknown="ignore")
        ),
    ),
    text_case(
        "CountVectorizer of one column",
        lambda: encoded(CountVectorizer(), columns="home"),
        "CountVectorizer",
    ),
]
