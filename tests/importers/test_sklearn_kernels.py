"""Kernels of scikit-learn, and votes and shares of several classes."""

import numpy as np
import pytest

import instmodel as im

pytest.importorskip("sklearn")

from sklearn import (
    calibration,
    decomposition,
    gaussian_process,
    kernel_approximation,
    kernel_ridge,
    linear_model,
    multiclass,
    naive_bayes,
    svm,
)
from sklearn import preprocessing as pre
from sklearn.gaussian_process import kernels
from sklearn.pipeline import make_pipeline
from support.sklearn_sources import assert_imported, drawn_table, fitted
from support.sources import assert_same

from instmodel.importers import sklearn as importer

RNG, X, SCORE, TWO, THREE = drawn_table()
LABELS = np.column_stack([TWO, THREE == 1, THREE == 2]).astype(int)
CODES = RNG.integers(0, 5, (300, 3)).astype(float)


def scaled(step):
    return make_pipeline(pre.StandardScaler(), step)


def calibrated(step, **options):
    return calibration.CalibratedClassifierCV(scaled(step), **options)


def rest(step):
    return multiclass.OneVsRestClassifier(step)


KERNELS = ("rbf", "poly", "sigmoid", "linear")
SUPPORTED = {
    **{f"SVC, {kernel}": (scaled(svm.SVC(kernel=kernel)), X, TWO) for kernel in KERNELS},
    **{
        f"SVC of three classes, {kernel}, {shape}": (
            scaled(svm.SVC(kernel=kernel, decision_function_shape=shape)),
            X,
            THREE,
        )
        for kernel in KERNELS
        for shape in ("ovo", "ovr")
    },
    "NuSVC of three classes": (scaled(svm.NuSVC(nu=0.6)), X, THREE),
    **{f"SVR, {kernel}": (scaled(svm.SVR(kernel=kernel)), X, SCORE) for kernel in KERNELS},
    "SVM of one class": (scaled(svm.OneClassSVM()), X, None),
    **{
        f"Nystroem, {kernel}": (
            scaled(kernel_approximation.Nystroem(kernel, degree=2, n_components=8, random_state=0)),
            X,
            None,
        )
        for kernel in KERNELS
    },
    **{
        f"kernel PCA, {kernel}": (
            scaled(decomposition.KernelPCA(3, kernel=kernel, degree=2)),
            X,
            None,
        )
        for kernel in KERNELS
    },
    "Nystroem in a pipeline": (
        make_pipeline(
            pre.StandardScaler(),
            kernel_approximation.Nystroem(gamma=0.2, n_components=50, random_state=0),
            linear_model.LogisticRegression(),
        ),
        X,
        TWO,
    ),
    **{
        f"kernel ridge, {kernel}": (
            scaled(kernel_ridge.KernelRidge(kernel=kernel, gamma=0.1, degree=2)),
            X,
            SCORE,
        )
        for kernel in KERNELS
    },
    "kernel ridge, two outputs": (
        scaled(kernel_ridge.KernelRidge(kernel="rbf")),
        X,
        np.column_stack([SCORE, X[:, 0]]),
    ),
    "Gaussian process": (
        scaled(
            gaussian_process.GaussianProcessRegressor(
                2.0 * kernels.RBF([1.0, 2.0, 1.0, 3.0]) + kernels.WhiteKernel(1.0),
                optimizer=None,
                normalize_y=True,
            )
        ),
        X,
        SCORE,
    ),
    "Gaussian process, dot product": (
        scaled(
            gaussian_process.GaussianProcessRegressor(
                kernels.DotProduct() + kernels.WhiteKernel(), optimizer=None
            )
        ),
        X,
        SCORE,
    ),
    "one against the rest": (rest(scaled(linear_model.LogisticRegression())), X, THREE),
    "one against the rest, naive Bayes": (rest(scaled(naive_bayes.GaussianNB())), X, THREE),
    "one against the rest, calibrated": (rest(calibrated(svm.LinearSVC())), X, THREE),
    "one against the rest, labels": (rest(scaled(linear_model.LogisticRegression())), X, LABELS),
    "one against one": (multiclass.OneVsOneClassifier(scaled(svm.LinearSVC())), X, THREE),
    "one against one, two classes": (
        multiclass.OneVsOneClassifier(scaled(svm.LinearSVC())),
        X,
        TWO,
    ),
    **{
        f"SGD of three classes, {loss}": (
            scaled(linear_model.SGDClassifier(loss=loss, alpha=0.01, random_state=0)),
            X,
            THREE,
        )
        for loss in ("log_loss", "modified_huber")
    },
    "calibrated, three classes": (calibrated(svm.LinearSVC()), X, THREE),
    "calibrated, three classes, isotonic": (
        calibrated(linear_model.LogisticRegression(), method="isotonic"),
        X,
        THREE,
    ),
    "calibrated, three classes of an SVC": (calibrated(svm.SVC(), ensemble=False), X, THREE),
    **{
        f"norm {norm}{of}": (pre.Normalizer(norm), x, None)
        for norm in ("l1", "l2", "max")
        for of, x in (("", X), (" of rows with zeros", CODES))
    },
    "complement naive Bayes": (
        make_pipeline(pre.MinMaxScaler(clip=True), naive_bayes.ComplementNB()),
        X,
        THREE,
    ),
    "categorical naive Bayes": (naive_bayes.CategoricalNB(), CODES, THREE),
    "categorical naive Bayes, two classes": (naive_bayes.CategoricalNB(), CODES, TWO),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SUPPORTED)
def test_it_is_imported_as_what_it_is(name):
    assert_imported(*SUPPORTED[name])


OLDER = [
    ({"multi_class": "ovr"}, THREE),
    ({"multi_class": "multinomial"}, TWO),
    ({"solver": "liblinear"}, THREE),
]


@pytest.mark.skipif(
    "multi_class" not in linear_model.LogisticRegression().get_params(),
    reason="until scikit-learn 1.7",
)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("options", "y"), OLDER)
def test_older_logistic_regressions_divide_in_their_own_way(options, y):
    estimator = fitted(scaled(linear_model.LogisticRegression(**options)), X, y)
    rows = X.astype(np.float32)
    expected = importer.source_outputs(estimator, "predict_proba", rows, len(set(y)) - (y is TWO))
    assert_same(importer.from_sklearn(estimator), rows, expected)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # scikit-learn 1.5
def test_shares_are_right_where_float32_holds_no_sigmoid():
    estimator = rest(linear_model.LogisticRegression()).fit(X[:, :2], THREE)
    for nth, member in enumerate(estimator.estimators_):
        member.coef_, member.intercept_ = np.array([[1.0, nth - 1.0]]), np.array([0.0])
    rows = np.array([[-100, 3], [-300, 2], [-600, 0], [-720, 3], [-800, 0], [200, 1]], np.float32)
    model = im.InstructionModel(importer.from_sklearn(estimator))
    expected = estimator.predict_proba(rows.astype(float))
    assert not (expected[4] > 0).any()  # 0, and NaN before scikit-learn 1.7
    np.testing.assert_allclose(model.predict(rows), expected, atol=2e-5)


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
def test_norms_are_right_for_the_largest_and_the_smallest_numbers(norm):
    estimator = pre.Normalizer(norm).fit(X)
    model = im.InstructionModel(importer.from_sklearn(estimator))
    sizes = [3e38, 1e25, 1e-10, 3e-15, 1e-15, 1e-25]
    rows = np.array([[s, -s, s / 3, 0.0] for s in sizes] + [[0.0] * 4, [3e38, 1, 0, 0]], np.float32)
    expected = estimator.transform(rows.astype(float))
    np.testing.assert_allclose(model.predict(rows), expected, rtol=1e-6, atol=1e-37)


def test_a_process_that_cancels_too_far_is_no_import():
    process = gaussian_process.GaussianProcessRegressor(
        kernels.RBF(30.0), alpha=1e-9, optimizer=None
    )
    estimator = fitted(scaled(process), X, SCORE)
    with pytest.raises(im.InstModelError) as caught:
        importer.from_sklearn(estimator)
    assert caught.value.code == "import_mismatch"


REFUSED = {
    "another kernel": (kernel_ridge.KernelRidge(kernel="laplacian"), "kernel='laplacian'"),
    "a kernel of one's own": (
        kernel_ridge.KernelRidge(kernel=lambda a, b: a @ b),
        "kernel='function'",
    ),
    "a kernel of processes": (
        gaussian_process.GaussianProcessRegressor(kernels.Matern(), optimizer=None),
        "the kernel Matern",
    ),
    "random Fourier features": (kernel_approximation.RBFSampler(), "RBFSampler"),
    "codes of classes": (
        multiclass.OutputCodeClassifier(linear_model.LogisticRegression()),
        "OutputCodeClassifier",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_instructions_is_refused(name):
    estimator, reason = REFUSED[name]
    fitted(estimator, X, THREE)
    with pytest.raises(im.InstModelError, match=reason) as caught:
        importer.from_sklearn(estimator)
    assert caught.value.code == "unsupported_model"
