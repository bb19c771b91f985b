"""scikit-learn models of the zoo: pipelines on tables, as they stand in notebooks."""

from __future__ import annotations

import numpy as np
from importers.zoo.sklearn_cases import case, scaled
from importers.zoo.sklearn_data import (
    bikes,
    codes,
    credit,
    diabetes,
    digits,
    houses,
    policies,
    tumours,
    wines,
)
from sklearn import (
    calibration,
    compose,
    decomposition,
    discriminant_analysis,
    ensemble,
    feature_selection,
    impute,
    kernel_approximation,
    model_selection,
    naive_bayes,
    neural_network,
    svm,
)
from sklearn import linear_model as linear
from sklearn import preprocessing as pre
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union

NUMBERS = ["age", "income", "debt", "utilization", "late"]
CATEGORIES = ["home", "region"]


def columns(*parts, remainder="drop"):
    """Return a ColumnTransformer of (transformer, columns)."""
    return compose.make_column_transformer(*parts, remainder=remainder)


def filled(*steps, strategy="median"):
    return make_pipeline(impute.SimpleImputer(strategy=strategy), *steps)


def one_hot():
    return pre.OneHotEncoder(handle_unknown="ignore")


def table(numeric=None):
    """Return the preprocessing that most notebooks have."""
    return columns((numeric or filled(pre.StandardScaler()), NUMBERS), (one_hot(), CATEGORIES))


def logistic(**options):
    return linear.LogisticRegression(max_iter=500, **options)


def scorecard(bins=5, **options):
    return columns(
        (filled(pre.KBinsDiscretizer(bins, **options)), NUMBERS),
        (one_hot(), CATEGORIES),
    )


def cyclic():
    return columns(
        (pre.SplineTransformer(n_knots=8), ["hour", "month"]),
        (one_hot(), ["weekday"]),
        remainder=pre.StandardScaler(),
    )


TABLES = "pipelines on tables"
CARDS = "scorecards"

ON_TABLES = [
    case("numbers and categories", TABLES, lambda: make_pipeline(table(), logistic()), credit),
    case(
        "numbers and categories, balanced",
        TABLES,
        lambda: make_pipeline(table(), logistic(class_weight="balanced")),
        credit,
    ),
    case(
        "an imputer with indicators",
        TABLES,
        lambda: make_pipeline(
            impute.SimpleImputer(strategy="mean", add_indicator=True),
            pre.StandardScaler(),
            logistic(),
        ),
        credit,
    ),
    case(
        "gaps filled with a constant",
        TABLES,
        lambda: make_pipeline(
            impute.SimpleImputer(strategy="constant", fill_value=-1),
            pre.MinMaxScaler(),
            logistic(),
        ),
        credit,
    ),
    case(
        "an iterative imputer",
        TABLES,
        lambda: make_pipeline(
            impute.IterativeImputer(max_iter=3, random_state=0), pre.StandardScaler(), logistic()
        ),
        credit,
    ),
    case(
        "a union of values and indicators",
        TABLES,
        lambda: make_pipeline(
            make_union(filled(pre.StandardScaler()), impute.MissingIndicator(features="all")),
            logistic(),
        ),
        credit,
    ),
    case(
        "steps that hand on data frames",
        TABLES,
        lambda: make_pipeline(
            columns(
                (filled(pre.StandardScaler()), NUMBERS),
                (pre.OneHotEncoder(handle_unknown="ignore", sparse_output=False), CATEGORIES),
            ),
            pre.StandardScaler(),
            logistic(),
        ).set_output(transform="pandas"),
        credit,
    ),
    case(
        "power transforms and one-hot",
        TABLES,
        lambda: make_pipeline(table(filled(pre.PowerTransformer())), logistic()),
        credit,
    ),
    case(
        "quantiles and one-hot",
        TABLES,
        lambda: make_pipeline(table(filled(pre.QuantileTransformer(n_quantiles=50))), logistic()),
        credit,
    ),
    case(
        "logarithms of amounts",
        TABLES,
        lambda: make_pipeline(
            columns(
                (filled(pre.FunctionTransformer(np.log1p)), ["income", "debt"]),
                (filled(pre.RobustScaler()), ["age", "utilization", "late"]),
                (one_hot(), CATEGORIES),
            ),
            pre.StandardScaler(),
            logistic(),
        ),
        credit,
    ),
    case(
        "ordinal codes passed through",
        TABLES,
        lambda: make_pipeline(
            columns((pre.OrdinalEncoder(), CATEGORIES), remainder=filled(pre.StandardScaler())),
            logistic(),
        ),
        credit,
    ),
    case(
        "target encoding",
        TABLES,
        lambda: make_pipeline(
            columns(
                (pre.TargetEncoder(cv=2, random_state=0), ["shop", "product"]),
                (one_hot(), ["channel"]),
            ),
            logistic(),
        ),
        codes,
    ),
    case(
        "all pairs of categories",
        TABLES,
        lambda: make_pipeline(
            one_hot(), pre.PolynomialFeatures(2, interaction_only=True), logistic(C=0.1)
        ),
        codes,
    ),
    case(
        "categories behind a selection",
        TABLES,
        lambda: make_pipeline(
            pre.OneHotEncoder(sparse_output=False),
            feature_selection.SelectKBest(feature_selection.chi2, k=5),
            logistic(),
        ),
        codes,
    ),
    case(
        "naive Bayes of binned columns",
        TABLES,
        lambda: filled(pre.KBinsDiscretizer(4, encode="ordinal"), naive_bayes.CategoricalNB()),
        credit,
    ),
    case(
        "polynomials",
        TABLES,
        lambda: make_pipeline(
            pre.StandardScaler(), pre.PolynomialFeatures(2, include_bias=False), linear.Ridge()
        ),
        houses,
    ),
    case(
        "polynomials of the third degree",
        TABLES,
        lambda: make_pipeline(
            pre.StandardScaler(), pre.PolynomialFeatures(3), linear.LassoCV(cv=2)
        ),
        lambda: (houses()[0][["area", "year"]], houses()[1]),
        reach=10,
    ),
    case(
        "hours as splines",
        TABLES,
        lambda: make_pipeline(cyclic(), linear.Ridge()),
        bikes,
    ),
    case(
        "hours as splines times weekdays",
        TABLES,
        lambda: make_pipeline(
            columns(
                (pre.SplineTransformer(n_knots=5), ["hour"]),
                (one_hot(), ["weekday"]),
            ),
            pre.PolynomialFeatures(2, interaction_only=True, include_bias=False),
            linear.RidgeCV(),
        ),
        bikes,
    ),
    case(
        "hours as splines, Poisson",
        TABLES,
        lambda: make_pipeline(cyclic(), linear.PoissonRegressor(alpha=0.1)),
        bikes,
        reach=5,
    ),
    case(
        "hours as splines, Nystroem",
        TABLES,
        lambda: make_pipeline(
            cyclic(),
            kernel_approximation.Nystroem("poly", degree=2, n_components=20, random_state=0),
            linear.Ridge(),
        ),
        bikes,
        reach=3,
    ),
    case(
        "a GLM of claims",
        "generalized linear models",
        lambda: make_pipeline(
            columns(
                (pre.KBinsDiscretizer(6), ["driver_age", "car_age"]),
                (one_hot(), ["area", "power"]),
                (make_pipeline(pre.FunctionTransformer(np.log), pre.StandardScaler()), ["density"]),
                remainder=pre.StandardScaler(),
            ),
            linear.PoissonRegressor(alpha=1e-3),
        ),
        policies,
        reach=10,
    ),
    case(
        "PCA, LogisticRegression",
        TABLES,
        lambda: scaled(decomposition.PCA(5), logistic()),
        tumours,
    ),
    case(
        "PCA of digits, SVC",
        TABLES,
        lambda: make_pipeline(pre.MinMaxScaler(), decomposition.PCA(10, random_state=0), svm.SVC()),
        digits,
    ),
    case(
        "a union of PCA and the best columns",
        TABLES,
        lambda: make_pipeline(
            pre.StandardScaler(),
            FeatureUnion(
                [("pca", decomposition.PCA(2)), ("best", feature_selection.SelectKBest(k=3))],
                transformer_weights={"pca": 0.5},
            ),
            svm.LinearSVC(),
        ),
        wines,
    ),
    case(
        "LDA as a projection",
        TABLES,
        lambda: scaled(
            discriminant_analysis.LinearDiscriminantAnalysis(n_components=2), logistic()
        ),
        wines,
    ),
    case(
        "SelectFromModel with Lasso",
        "selection",
        lambda: scaled(feature_selection.SelectFromModel(linear.Lasso(0.5)), linear.Ridge()),
        diabetes,
    ),
    case(
        "RFE",
        "selection",
        lambda: scaled(feature_selection.RFE(logistic(), n_features_to_select=4), logistic()),
        tumours,
    ),
    case(
        "SequentialFeatureSelector",
        "selection",
        lambda: scaled(
            feature_selection.SequentialFeatureSelector(
                linear.Ridge(), n_features_to_select=2, cv=2
            ),
            linear.Ridge(),
        ),
        lambda: (diabetes()[0].iloc[:, :4], diabetes()[1]),
    ),
    case(
        "features chosen by a forest",
        "selection",
        lambda: scaled(
            feature_selection.SelectFromModel(
                ensemble.RandomForestClassifier(5, random_state=0), max_features=5
            ),
            logistic(),
        ),
        wines,
    ),
    case(
        "a network on a table",
        "networks",
        lambda: make_pipeline(
            table(), neural_network.MLPClassifier((16, 8), max_iter=30, random_state=0)
        ),
        credit,
    ),
    case(
        "a grid search",
        "searches",
        lambda: model_selection.GridSearchCV(
            make_pipeline(table(), logistic()), {"logisticregression__C": [0.1, 1]}, cv=2
        ),
        credit,
    ),
    case(
        "a random search",
        "searches",
        lambda: model_selection.RandomizedSearchCV(
            scaled(linear.ElasticNet()),
            {"elasticnet__alpha": [0.1, 1], "elasticnet__l1_ratio": [0.2, 0.8]},
            n_iter=2,
            cv=2,
            random_state=0,
        ),
        houses,
    ),
    case(
        "a tuned threshold",
        "searches",
        lambda: model_selection.TunedThresholdClassifierCV(
            make_pipeline(table(), logistic()), cv=2
        ),
        credit,
    ),
]

SCORECARDS = [
    case("five bins a column", CARDS, lambda: make_pipeline(scorecard(), logistic()), credit),
    case(
        "bins of equal width",
        CARDS,
        lambda: make_pipeline(scorecard(4, strategy="uniform"), logistic(C=0.3)),
        credit,
    ),
    case(
        "numbers of bins",
        CARDS,
        lambda: make_pipeline(scorecard(4, encode="ordinal"), logistic()),
        credit,
    ),
    case(
        "flags of thresholds",
        CARDS,
        lambda: make_pipeline(
            columns(
                (pre.Binarizer(threshold=0.5), ["late"]),
                (filled(pre.Binarizer(threshold=0.3)), ["utilization"]),
                (filled(pre.StandardScaler()), ["age", "income"]),
            ),
            logistic(),
        ),
        credit,
    ),
    case(
        "calibrated",
        CARDS,
        lambda: calibration.CalibratedClassifierCV(
            make_pipeline(scorecard(), logistic(class_weight="balanced")), method="isotonic", cv=2
        ),
        credit,
    ),
]

PIPELINES = [*ON_TABLES, *SCORECARDS]
