"""scikit-learn models of the zoo: single estimators, and all others."""

from __future__ import annotations

from importers.zoo.sklearn_cases import case, scaled
from importers.zoo.sklearn_data import (
    codes,
    complete_credit,
    diabetes,
    digits,
    flowers,
    houses,
    policies,
    tumours,
    wines,
)
from importers.zoo.sklearn_ensembles import ENSEMBLES
from importers.zoo.sklearn_pipelines import PIPELINES
from importers.zoo.sklearn_steps import REFUSED, SEVERAL, TRANSFORMERS
from importers.zoo.sklearn_text_pipelines import TEXTS
from sklearn import (
    cross_decomposition,
    discriminant_analysis,
    gaussian_process,
    kernel_approximation,
    kernel_ridge,
    naive_bayes,
    neural_network,
    svm,
)
from sklearn import linear_model as linear
from sklearn import preprocessing as pre
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 (it makes the class public)
from sklearn.isotonic import IsotonicRegression
from sklearn.pipeline import make_pipeline

LINEAR = [
    case("LogisticRegression", "linear classifiers", lambda: scaled(linear.LogisticRegression())),
    case(
        "LogisticRegression, balanced classes",
        "linear classifiers",
        lambda: scaled(linear.LogisticRegression(class_weight="balanced", C=0.1)),
    ),
    case(
        "LogisticRegression with l1 and saga",
        "linear classifiers",
        lambda: scaled(linear.LogisticRegression(solver="saga", l1_ratio=1, max_iter=50)),
        tumours,
    ),
    case(
        "LogisticRegression of three classes",
        "linear classifiers",
        lambda: scaled(linear.LogisticRegression()),
        wines,
    ),
    case(
        "LogisticRegression of ten digits",
        "linear classifiers",
        lambda: make_pipeline(pre.MinMaxScaler(), linear.LogisticRegression()),
        digits,
    ),
    case(
        "LogisticRegressionCV",
        "linear classifiers",
        lambda: scaled(linear.LogisticRegressionCV(Cs=3, cv=2)),
    ),
    case(
        "SGDClassifier, log loss",
        "linear classifiers",
        lambda: scaled(linear.SGDClassifier(loss="log_loss", alpha=0.01, random_state=0)),
    ),
    case(
        "SGDClassifier, log loss, three classes",
        "linear classifiers",
        lambda: scaled(linear.SGDClassifier(loss="log_loss", alpha=0.01, random_state=0)),
        wines,
    ),
    case(
        "SGDClassifier, modified Huber, three classes",
        "linear classifiers",
        lambda: scaled(linear.SGDClassifier(loss="modified_huber", alpha=0.01, random_state=0)),
        wines,
    ),
    case(
        "SGDClassifier, hinge",
        "linear classifiers",
        lambda: scaled(linear.SGDClassifier(random_state=0)),
    ),
    case("Perceptron", "linear classifiers", lambda: scaled(linear.Perceptron()), wines),
    case(
        "RidgeClassifierCV", "linear classifiers", lambda: scaled(linear.RidgeClassifierCV()), wines
    ),
    case("LinearSVC", "linear classifiers", lambda: scaled(svm.LinearSVC()), tumours),
    case(
        "LinearDiscriminantAnalysis",
        "discriminants and densities",
        discriminant_analysis.LinearDiscriminantAnalysis,
        wines,
    ),
    case(
        "QuadraticDiscriminantAnalysis",
        "discriminants and densities",
        lambda: discriminant_analysis.QuadraticDiscriminantAnalysis(reg_param=0.1),
        flowers,
    ),
    case(
        "GaussianNB",
        "discriminants and densities",
        lambda: scaled(naive_bayes.GaussianNB()),
        flowers,
    ),
    case("BernoulliNB", "discriminants and densities", lambda: scaled(naive_bayes.BernoulliNB())),
    case(
        "MultinomialNB of counts",
        "discriminants and densities",
        naive_bayes.MultinomialNB,
        digits,
    ),
    case("ComplementNB of counts", "discriminants and densities", naive_bayes.ComplementNB, digits),
    case("CategoricalNB", "discriminants and densities", naive_bayes.CategoricalNB, codes),
    case(
        "LinearRegression", "linear regressors", lambda: scaled(linear.LinearRegression()), houses
    ),
    case("LinearRegression, not scaled", "linear regressors", linear.LinearRegression, diabetes),
    case("RidgeCV", "linear regressors", lambda: scaled(linear.RidgeCV()), houses),
    case("Lasso", "linear regressors", lambda: scaled(linear.Lasso(0.5)), houses),
    case("ElasticNetCV", "linear regressors", lambda: scaled(linear.ElasticNetCV(cv=2)), houses),
    case("LassoLarsIC", "linear regressors", lambda: scaled(linear.LassoLarsIC()), diabetes),
    case(
        "OrthogonalMatchingPursuit",
        "linear regressors",
        lambda: scaled(linear.OrthogonalMatchingPursuit()),
        diabetes,
    ),
    case("BayesianRidge", "linear regressors", lambda: scaled(linear.BayesianRidge()), diabetes),
    case("ARDRegression", "linear regressors", lambda: scaled(linear.ARDRegression()), diabetes),
    case("HuberRegressor", "linear regressors", lambda: scaled(linear.HuberRegressor()), houses),
    case(
        "QuantileRegressor",
        "linear regressors",
        lambda: scaled(linear.QuantileRegressor(quantile=0.9, alpha=0.01)),
        houses,
    ),
    case(
        "TheilSenRegressor",
        "linear regressors",
        lambda: scaled(linear.TheilSenRegressor(max_subpopulation=100, random_state=0)),
        diabetes,
    ),
    case(
        "RANSACRegressor",
        "linear regressors",
        lambda: scaled(linear.RANSACRegressor(random_state=0)),
        houses,
    ),
    case(
        "SGDRegressor",
        "linear regressors",
        lambda: scaled(linear.SGDRegressor(random_state=0)),
        houses,
    ),
    case("LinearSVR", "linear regressors", lambda: scaled(svm.LinearSVR()), diabetes),
    case(
        "PLSRegression", "linear regressors", lambda: cross_decomposition.PLSRegression(3), diabetes
    ),
    case(
        "PoissonRegressor",
        "generalized linear models",
        lambda: scaled(linear.PoissonRegressor()),
        policies,
        reach=10,
    ),
    case(
        "GammaRegressor",
        "generalized linear models",
        lambda: scaled(linear.GammaRegressor()),
        policies,
        reach=10,
    ),
    case(
        "TweedieRegressor",
        "generalized linear models",
        lambda: scaled(linear.TweedieRegressor(power=1.5)),
        policies,
        reach=10,
    ),
    case(
        "IsotonicRegression",
        "curves",
        lambda: IsotonicRegression(out_of_bounds="clip"),
        lambda: (houses()[0][["area"]], houses()[1]),
    ),
]

NETWORKS = [
    case(
        f"{kind}, {activation}",
        "networks",
        lambda kind=kind, activation=activation: scaled(
            getattr(neural_network, kind)(
                hidden_layer_sizes=(16, 8), activation=activation, max_iter=30, random_state=0
            )
        ),
        data,
    )
    for kind, data in (("MLPClassifier", wines), ("MLPRegressor", diabetes))
    for activation in ("relu", "tanh", "logistic")
] + [
    case(
        "MLPClassifier of two classes",
        "networks",
        lambda: scaled(neural_network.MLPClassifier((16,), max_iter=30, random_state=0)),
    ),
]

KERNELS = [
    case("SVC, RBF", "kernels", lambda: scaled(svm.SVC())),
    case("SVC, RBF, three classes", "kernels", lambda: scaled(svm.SVC()), wines),
    case("SVC, polynomial", "kernels", lambda: scaled(svm.SVC(kernel="poly", degree=2)), flowers),
    case("SVC, linear", "kernels", lambda: scaled(svm.SVC(kernel="linear")), tumours),
    case("SVR, RBF", "kernels", lambda: scaled(svm.SVR(C=10)), houses),
    case("NuSVR", "kernels", lambda: scaled(svm.NuSVR()), diabetes),
    case("OneClassSVM", "kernels", lambda: scaled(svm.OneClassSVM(nu=0.1))),
    case(
        "SGDOneClassSVM of Nystroem features",
        "kernels",
        lambda: scaled(
            kernel_approximation.Nystroem(n_components=30, random_state=0),
            linear.SGDOneClassSVM(random_state=0),
        ),
    ),
    case(
        "Nystroem, LogisticRegression",
        "kernels",
        lambda: scaled(
            kernel_approximation.Nystroem(gamma=0.1, n_components=40, random_state=0),
            linear.LogisticRegression(),
        ),
    ),
    case(
        "KernelRidge, RBF",
        "kernels",
        lambda: scaled(kernel_ridge.KernelRidge(kernel="rbf", gamma=0.1)),
        diabetes,
    ),
    case(
        "GaussianProcessRegressor with much noise",
        "kernels",
        lambda: scaled(
            gaussian_process.GaussianProcessRegressor(
                gaussian_process.kernels.RBF(2.0) + gaussian_process.kernels.WhiteKernel(1.0),
                optimizer=None,
                normalize_y=True,
            )
        ),
        diabetes,
    ),
    case(
        "SVC with probabilities",
        "kernels",
        lambda: scaled(svm.SVC(probability=True)),
        flowers,
        "predict_proba of a support vector machine",
    ),
    case(
        "RBFSampler, SGDClassifier",
        "kernels",
        lambda: scaled(kernel_approximation.RBFSampler(random_state=0), linear.SGDClassifier()),
        complete_credit,
        "RBFSampler",
    ),
    case(
        "KernelRidge, Laplacian",
        "kernels",
        lambda: scaled(kernel_ridge.KernelRidge(kernel="laplacian")),
        diabetes,
        "kernel='laplacian'",
    ),
]

CASES = [
    *LINEAR,
    *NETWORKS,
    *KERNELS,
    *TRANSFORMERS,
    *SEVERAL,
    *PIPELINES,
    *TEXTS,
    *ENSEMBLES,
    *REFUSED,
]
