"""scikit-learn models of the zoo: transformers, and what is made of many models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from importers.zoo.sklearn_cases import Data, case, scaled
from importers.zoo.sklearn_data import (
    bikes,
    codes,
    credit,
    digits,
    flowers,
    houses,
    labels,
    policies,
    several,
    wines,
)
from sklearn import (
    calibration,
    cluster,
    decomposition,
    ensemble,
    feature_selection,
    impute,
    manifold,
    mixture,
    multiclass,
    multioutput,
    naive_bayes,
    neighbors,
    neural_network,
    random_projection,
    svm,
    tree,
)
from sklearn import linear_model as linear
from sklearn import preprocessing as pre
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 (it makes the class public)
from sklearn.pipeline import make_pipeline
from support.zoo import Case


def transformers(kind: str, data: Data, **made: Callable[[], Any]) -> list[Case]:
    """Return a case for each transformer alone, named after itself."""
    return [case(name.replace("_", " "), kind, make, data) for name, make in made.items()]


TRANSFORMERS = [
    *transformers(
        "scalers",
        houses,
        StandardScaler=pre.StandardScaler,
        MinMaxScaler=lambda: pre.MinMaxScaler((-1, 1), clip=True),
        MaxAbsScaler=pre.MaxAbsScaler,
        RobustScaler=lambda: pre.RobustScaler(quantile_range=(5, 95)),
        Normalizer=lambda: scaled(pre.Normalizer()),
        Normalizer_l1=lambda: pre.Normalizer("l1"),
        Binarizer=lambda: pre.Binarizer(threshold=8.5),
    ),
    *transformers(
        "powers, functions, bins",
        policies,
        PowerTransformer=pre.PowerTransformer,
        KBinsDiscretizer=lambda: pre.KBinsDiscretizer(5),
        KBinsDiscretizer_to_numbers=lambda: pre.KBinsDiscretizer(
            8, encode="ordinal", strategy="kmeans", random_state=0
        ),
        FunctionTransformer_of_log1p=lambda: pre.FunctionTransformer(np.log1p),
        FunctionTransformer_of_sqrt=lambda: pre.FunctionTransformer(np.sqrt),
    ),
    *transformers(
        "splines and quantiles",
        houses,
        SplineTransformer=pre.SplineTransformer,
        SplineTransformer_linear_outside=lambda: pre.SplineTransformer(extrapolation="linear"),
        SplineTransformer_continued=lambda: pre.SplineTransformer(
            degree=2, extrapolation="continue"
        ),
        QuantileTransformer=lambda: pre.QuantileTransformer(n_quantiles=100),
    ),
    *transformers(
        "projections",
        wines,
        PCA=lambda: scaled(decomposition.PCA(0.95)),
        PCA_whitened=lambda: scaled(decomposition.PCA(4, whiten=True)),
        IncrementalPCA=lambda: scaled(decomposition.IncrementalPCA(4)),
        TruncatedSVD=lambda: scaled(decomposition.TruncatedSVD(4, random_state=0)),
        FastICA=lambda: scaled(decomposition.FastICA(4, random_state=0)),
        FactorAnalysis=lambda: scaled(decomposition.FactorAnalysis(4)),
        GaussianRandomProjection=lambda: scaled(
            random_projection.GaussianRandomProjection(4, random_state=0)
        ),
        NeighborhoodComponentsAnalysis=lambda: scaled(
            neighbors.NeighborhoodComponentsAnalysis(3, max_iter=5, random_state=0)
        ),
    ),
    *transformers(
        "imputers",
        credit,
        SimpleImputer=lambda: impute.SimpleImputer(strategy="median"),
        SimpleImputer_with_indicators=lambda: impute.SimpleImputer(add_indicator=True),
        MissingIndicator=lambda: impute.MissingIndicator(features="all"),
        IterativeImputer=lambda: impute.IterativeImputer(max_iter=3, random_state=0),
    ),
    *transformers(
        "encoders",
        codes,
        OneHotEncoder=pre.OneHotEncoder,
        OneHotEncoder_ignoring=lambda: pre.OneHotEncoder(handle_unknown="ignore", drop="if_binary"),
        OneHotEncoder_of_infrequent=lambda: pre.OneHotEncoder(
            min_frequency=30, handle_unknown="infrequent_if_exist"
        ),
        OrdinalEncoder=lambda: pre.OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=-1
        ),
        TargetEncoder=lambda: pre.TargetEncoder(cv=2),
    ),
    case("SelectKBest", "selection", lambda: feature_selection.SelectKBest(k=3), wines),
    case("VarianceThreshold", "selection", lambda: feature_selection.VarianceThreshold(0.1), wines),
    case("KNNImputer", "imputers", impute.KNNImputer, credit, "KNNImputer"),
    case(
        "QuantileTransformer to normal",
        "splines and quantiles",
        lambda: pre.QuantileTransformer(n_quantiles=100, output_distribution="normal"),
        houses,
    ),
    case(
        "SplineTransformer, periodic",
        "splines and quantiles",
        lambda: pre.SplineTransformer(extrapolation="periodic"),
        bikes,
    ),
    case(
        "FunctionTransformer of a lambda",
        "powers, functions, bins",
        lambda: pre.FunctionTransformer(lambda x: x / 100),
        houses,
        "a function that nobody can look into",
    ),
    case("NMF", "projections", lambda: decomposition.NMF(3, max_iter=20), digits, "NMF"),
    case(
        "KernelPCA", "projections", lambda: scaled(decomposition.KernelPCA(3, kernel="rbf")), wines
    ),
    case(
        "KernelPCA of cosines",
        "projections",
        lambda: decomposition.KernelPCA(3, kernel="cosine"),
        wines,
        "kernel='cosine'",
    ),
    case("Isomap", "projections", lambda: manifold.Isomap(), wines, "Isomap"),
]

SEVERAL = [
    case(
        "CalibratedClassifierCV of a LinearSVC",
        "calibrated classifiers",
        lambda: scaled(calibration.CalibratedClassifierCV(svm.LinearSVC(), cv=3)),
    ),
    case(
        "CalibratedClassifierCV, isotonic",
        "calibrated classifiers",
        lambda: calibration.CalibratedClassifierCV(
            scaled(linear.LogisticRegression()), method="isotonic", cv=3
        ),
    ),
    case(
        "CalibratedClassifierCV of three classes",
        "calibrated classifiers",
        lambda: calibration.CalibratedClassifierCV(scaled(svm.LinearSVC()), cv=3),
        wines,
    ),
    case(
        "CalibratedClassifierCV of three classes, isotonic",
        "calibrated classifiers",
        lambda: calibration.CalibratedClassifierCV(
            scaled(linear.LogisticRegression(C=0.1)), method="isotonic", cv=3
        ),
        wines,
    ),
    case(
        "CalibratedClassifierCV, isotonic, of probabilities that are nearly 0 or 1",
        "calibrated classifiers",
        lambda: calibration.CalibratedClassifierCV(
            scaled(naive_bayes.GaussianNB()), method="isotonic", cv=3
        ),
        wines,
        "what was imported does not",
    ),
    case(
        "CalibratedClassifierCV of an SVC, without an ensemble",
        "calibrated classifiers",
        lambda: calibration.CalibratedClassifierCV(scaled(svm.SVC()), ensemble=False, cv=3),
        flowers,
    ),
    case(
        "OneVsRestClassifier",
        "several classes",
        lambda: multiclass.OneVsRestClassifier(scaled(linear.LogisticRegression())),
        wines,
    ),
    case(
        "OneVsRestClassifier of labels",
        "several labels",
        lambda: multiclass.OneVsRestClassifier(scaled(linear.LogisticRegression())),
        lambda: labels(houses),
    ),
    case(
        "OneVsOneClassifier",
        "several classes",
        lambda: multiclass.OneVsOneClassifier(scaled(svm.LinearSVC())),
        wines,
    ),
    case(
        "OutputCodeClassifier",
        "several classes",
        lambda: multiclass.OutputCodeClassifier(
            scaled(linear.LogisticRegression()), random_state=0
        ),
        wines,
        "OutputCodeClassifier",
    ),
    case(
        "MultiOutputRegressor",
        "several outputs",
        lambda: multioutput.MultiOutputRegressor(scaled(linear.Ridge())),
        lambda: several(houses),
    ),
    case(
        "MultiOutputClassifier",
        "several labels",
        lambda: multioutput.MultiOutputClassifier(scaled(linear.LogisticRegression())),
        lambda: labels(houses),
    ),
    case(
        "RegressorChain",
        "several outputs",
        lambda: multioutput.RegressorChain(scaled(linear.Ridge())),
        lambda: several(houses),
    ),
    case(
        "ClassifierChain",
        "several labels",
        lambda: multioutput.ClassifierChain(
            scaled(linear.LogisticRegression()), chain_method="predict_proba"
        ),
        lambda: labels(houses),
    ),
    case(
        "MLPClassifier of labels",
        "several labels",
        lambda: make_pipeline(
            pre.StandardScaler(), neural_network.MLPClassifier((8,), max_iter=20, random_state=0)
        ),
        lambda: labels(houses),
    ),
    case(
        "MultiTaskElasticNet",
        "several outputs",
        lambda: scaled(linear.MultiTaskElasticNet()),
        lambda: several(houses),
    ),
]

REFUSED = [
    case(name, kind, make, data, piece)
    for name, kind, make, data, piece in (
        (
            "DecisionTreeClassifier",
            "trees",
            lambda: tree.DecisionTreeClassifier(max_depth=3),
            wines,
            "DecisionTreeClassifier",
        ),
        (
            "RandomForestRegressor",
            "trees",
            lambda: ensemble.RandomForestRegressor(5),
            houses,
            "RandomForestRegressor",
        ),
        (
            "HistGradientBoostingClassifier",
            "trees",
            lambda: ensemble.HistGradientBoostingClassifier(max_iter=3),
            credit,
            "HistGradientBoostingClassifier",
        ),
        (
            "GradientBoostingRegressor",
            "trees",
            lambda: ensemble.GradientBoostingRegressor(n_estimators=3),
            houses,
            "GradientBoostingRegressor",
        ),
        (
            "IsolationForest",
            "trees",
            lambda: ensemble.IsolationForest(n_estimators=5),
            wines,
            "IsolationForest",
        ),
        (
            "KNeighborsClassifier",
            "neighbours and clusters",
            lambda: scaled(neighbors.KNeighborsClassifier()),
            wines,
            "KNeighborsClassifier",
        ),
        (
            "LocalOutlierFactor",
            "neighbours and clusters",
            lambda: neighbors.LocalOutlierFactor(novelty=True),
            wines,
            "LocalOutlierFactor",
        ),
        (
            "KMeans",
            "neighbours and clusters",
            lambda: scaled(cluster.KMeans(3, n_init=1)),
            wines,
            "KMeans",
        ),
        (
            "GaussianMixture",
            "neighbours and clusters",
            lambda: scaled(mixture.GaussianMixture(3, random_state=0)),
            wines,
            "GaussianMixture",
        ),
        (
            "AdaBoostClassifier of linear models",
            "ensembles",
            lambda: ensemble.AdaBoostClassifier(linear.LogisticRegression(), n_estimators=3),
            wines,
            "AdaBoostClassifier",
        ),
    )
]
