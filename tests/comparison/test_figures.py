"""Figures of scores against labels: those of scikit-learn and SciPy, or worked out by hand."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from scipy import stats
from sklearn import metrics

from instmodel.comparison.intervals import auc_gain, auc_interval, delong, share_interval
from instmodel.comparison.metrics import label_metrics
from instmodel.comparison.ranking import bands, ranking_figures

RNG = np.random.default_rng(0)
TRUTH = (RNG.random(3000) < 0.2).astype(int)
SMOOTH = RNG.normal(size=3000) + TRUTH
TIED = np.round(SMOOTH)
SCORES = {"smooth": SMOOTH, "tied": TIED, "two values": (SMOOTH > 1).astype(float)}
every = pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)


def figures(truth, score, threshold=0.5):
    return label_metrics(
        np.asarray(truth, float), np.asarray(score, float)[:, None], "binary", threshold, 1.0
    )


@every
def test_ks_and_gini_are_those_of_scipy_and_scikit_learn(score):
    found = ranking_figures(TRUTH, score)
    assert found["ks"] == pytest.approx(
        stats.ks_2samp(score[TRUTH == 1], score[TRUTH == 0]).statistic
    )
    assert found["gini"] == pytest.approx(2 * metrics.roc_auc_score(TRUTH, score) - 1)


def test_a_score_that_is_upside_down_tells_the_classes_apart_as_well():
    found = ranking_figures(TRUTH, -SMOOTH)
    assert found["ks"] == pytest.approx(ranking_figures(TRUTH, SMOOTH)["ks"])
    assert found["gini"] == pytest.approx(-ranking_figures(TRUTH, SMOOTH)["gini"])


@every
def test_lift_is_what_the_top_tenth_holds_in_any_order_of_equal_scores(score):
    drawn = []
    for seed in range(200):
        shuffled = np.random.default_rng(seed).permutation(len(score))
        top = shuffled[np.argsort(-score[shuffled], kind="stable")][:300]
        drawn.append(TRUTH[top].mean() / TRUTH.mean())
    assert ranking_figures(TRUTH, score)["lift"] == pytest.approx(np.mean(drawn), rel=0.01)


def test_gains_by_hand():
    truth = np.array([1, 1, 0, 1, 0, 0, 0, 0, 0, 0])
    score = np.array([0.95, 0.85, 0.75, 0.65, 0.55, 0.45, 0.35, 0.25, 0.15, 0.05])
    found = ranking_figures(truth, score)
    assert found["ks"] == pytest.approx(1 - 1 / 7)
    assert found["lift"] == pytest.approx((1 / 3) / 0.1)
    assert [0.2, pytest.approx(2 / 3)] in [[round(x, 9), y] for x, y in found["gain"]]
    table = found["bands"]
    assert [band["rows"] for band in table] == [1] * 10
    assert [band["positives"] for band in table] == truth.tolist()
    assert [band["gain"] for band in table[:4]] == pytest.approx([1 / 3, 2 / 3, 2 / 3, 1])
    assert [band["cumulative_lift"] for band in table[:2]] == pytest.approx([10 / 3, 10 / 3])
    assert table[0]["lift"] == pytest.approx(1 / 0.3)
    assert (table[0]["high"], table[-1]["low"]) == (None, None)


@every
def test_bands_hold_every_row_once_and_no_score_lies_in_two(score):
    table = bands(TRUTH, score)
    assert sum(band["rows"] for band in table) == 3000
    assert sum(band["positives"] for band in table) == TRUTH.sum()
    assert (table[-1]["share"], table[-1]["gain"]) == pytest.approx((1, 1))
    for band in table:
        low = -np.inf if band["low"] is None else band["low"]
        high = np.inf if band["high"] is None else band["high"]
        inside = score == low if low == high else (score >= low) & (score < high)
        assert (inside.sum(), TRUTH[inside].sum()) == (band["rows"], band["positives"])


def test_a_constant_score_ranks_nothing():
    found = figures(TRUTH, np.full(3000, 0.3))
    assert (found["roc_auc"], found["gini"], found["ks"]) == (0.5, 0, 0)
    assert found["lift"] == pytest.approx(1)
    assert [band["rows"] for band in found["bands"]] == [3000]
    assert found["intervals"]["roc_auc"] == [0.5, 0.5]


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_has_rates_and_no_ranks(label):
    found = figures(np.full(20, label), np.linspace(0, 1, 20))
    assert not {"roc_auc", "ks", "lift", "bands", "gain"} & set(found)
    rate = "false_positive_rate" if label else "false_negative_rate"
    assert rate not in found
    assert found["observed_rate"] == label


def test_shares_of_no_rows_are_no_figures():
    assert not {"recall", "f1", "precision"} & set(figures([0, 0], [0.1, 0.2]))
    found = figures([0, 1], [0.1, 0.2])
    assert "precision" not in found
    assert (found["recall"], found["f1"]) == (0, 0)
    assert figures([1, 1], [0.1, 0.7])["precision"] == 1


def test_an_error_is_no_share_of_a_label_of_0():
    labels, value = np.array([2.0, -4.0]), np.array([[1.0], [-5.0]])
    assert label_metrics(labels, value, "regression", None, 1.0)["mape"] == 0.375
    assert "mape" not in label_metrics(labels * [0, 1], value, "regression", None, 1.0)


def test_one_row_has_figures():
    found = figures([1], [0.7])
    assert (found["accuracy"], found["false_negative_rate"], found["rows"]) == (1, 0, 1)
    found = figures([0, 0, 1], [0.2, 0.8, 0.7])
    assert found["roc_auc"] == 0.5
    assert np.isnan(found["intervals"]["roc_auc"]).all()  # one row says nothing of the variance


def test_rates_are_those_of_the_confusion_matrix():
    score = 1 / (1 + np.exp(1 - SMOOTH))
    found = figures(TRUTH, score, 0.4)
    tn, fp, fn, tp = metrics.confusion_matrix(TRUTH, score >= 0.4).ravel()
    assert found["false_positive_rate"] == fp / (fp + tn)
    assert found["false_negative_rate"] == fn / (fn + tp)
    assert found["positive_rate"] == (fp + tp) / 3000
    assert found["mean_score"] == pytest.approx(score.mean())
    assert found["observed_rate"] == TRUTH.mean()


def test_without_a_threshold_nothing_is_decided():
    found = figures(TRUTH, SMOOTH, None)
    assert not {"accuracy", "confusion_matrix", "false_positive_rate"} & set(found)
    assert found["roc_auc"] == metrics.roc_auc_score(TRUTH, SMOOTH)


def test_classes_are_judged_one_against_the_rest():
    truth = RNG.integers(0, 3, 500)
    scores = RNG.dirichlet([1, 1, 1], 500)
    scores[np.arange(500), truth] += 0.3
    scores /= scores.sum(axis=1, keepdims=True)
    found = label_metrics(truth.astype(float), scores, "multiclass", None, 1.0)
    chosen = scores.argmax(axis=1)
    for number, figures in enumerate(found["by_class"]):
        own = truth == number
        assert figures["roc_auc"] == metrics.roc_auc_score(own, scores[:, number])
        assert figures["precision"] == metrics.precision_score(own, chosen == number)
        assert figures["recall"] == metrics.recall_score(own, chosen == number)
        assert figures["rows"] == own.sum()
        assert figures["mean_score"] == pytest.approx(scores[:, number].mean())
        assert np.array(figures["roc"])[[0, -1]].tolist() == [[0, 0], [1, 1]]
        assert len(figures["calibration"]) == 10
    assert found["roc_auc"] == pytest.approx(np.mean([c["roc_auc"] for c in found["by_class"]]))


def test_a_class_that_never_occurs_has_no_curves():
    truth = np.array([0.0, 0.0, 1.0])
    found = label_metrics(truth, np.eye(3)[[0, 1, 1]], "multiclass", None, 1.0)
    last = found["by_class"][2]
    assert last == {"class": 2, "rows": 0, "decided": 0, "mean_score": 0, "observed_rate": 0}


def test_only_the_most_frequent_classes_have_curves():
    truth = np.repeat(np.arange(12), np.arange(1, 13)).astype(float)
    scores = RNG.dirichlet(np.ones(12), len(truth))
    found = label_metrics(truth, scores, "multiclass", None, 1.0)["by_class"]
    assert [item["class"] for item in found if "roc" in item] == list(range(2, 12))
    assert all("roc_auc" in item for item in found)


# -------------------------------------------------------------------------------------- intervals


@pytest.mark.parametrize(("count", "rows"), [(0, 10), (10, 10), (3, 40), (1, 1), (50_000, 90_000)])
def test_the_interval_of_a_share_is_wilsons(count, rows):
    z, p = stats.norm.ppf(0.975), count / rows
    middle = (p + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * np.sqrt(p * (1 - p) / rows + z * z / (4 * rows * rows))
    assert share_interval(count, rows) == pytest.approx([middle - half, middle + half], abs=1e-12)


def test_of_no_rows_any_share_may_be():
    assert share_interval(0, 0) == [0, 1]


def by_pairs(truth, scores):
    """ROC AUC and its covariance by the definition: all pairs of a positive and a negative."""
    positive, negative = scores[:, truth == 1], scores[:, truth == 0]
    wins = (positive[:, :, None] > negative[:, None]) + 0.5 * (
        positive[:, :, None] == negative[:, None]
    )
    of_positive, of_negative = wins.mean(axis=2), wins.mean(axis=1)
    covariance = np.cov(of_positive) / positive.shape[1] + np.cov(of_negative) / negative.shape[1]
    return wins.mean(axis=(1, 2)), covariance


@pytest.mark.parametrize("rounded", [False, True])
def test_the_variance_of_roc_auc_is_delongs(rounded):
    truth = TRUTH[:400]
    scores = np.stack([SMOOTH[:400], SMOOTH[:400] + RNG.normal(size=400)])
    if rounded:
        scores = np.round(scores)
    areas, covariance = delong(truth, scores)
    expected, variance = by_pairs(truth, scores)
    assert areas == pytest.approx(expected)
    assert covariance == pytest.approx(variance)
    assert areas[0] == pytest.approx(metrics.roc_auc_score(truth, scores[0]))
    gain = auc_gain(truth, *scores)
    error = np.sqrt(variance[0, 0] + variance[1, 1] - 2 * variance[0, 1])
    assert gain.value == pytest.approx(expected[1] - expected[0])
    assert gain.high - gain.low == pytest.approx(2 * stats.norm.ppf(0.975) * error)
    assert gain.p_value == pytest.approx(2 * stats.norm.sf(abs(gain.value) / error))


def test_the_interval_of_roc_auc_holds_it_in_95_of_100_samples():
    rng = np.random.default_rng(1)
    exact = stats.norm.cdf(1 / np.sqrt(2))  # of two normal distributions one apart
    truth = np.repeat([0, 1], [100, 50])
    hits = 0
    for _ in range(400):
        low, high = auc_interval(truth, rng.normal(size=150) + truth)
        hits += low <= exact <= high
    assert 0.92 <= hits / 400 <= 0.98


def test_equal_scores_have_no_gain_and_no_doubt():
    gain = auc_gain(TRUTH, SMOOTH, SMOOTH)
    assert (gain.value, gain.low, gain.high) == (0, 0, 0)
    assert np.isnan(gain.p_value)


@pytest.mark.parametrize("sign", [1, -1])
def test_classes_that_never_overlap_tell_nothing_of_the_interval(sign):
    truth = np.array([0, 0, 0, 1, 1, 1])
    assert np.isnan(auc_interval(truth, sign * np.arange(6.0))).all()


def test_an_interval_ends_at_0_and_1():
    low, high = auc_interval(np.array([0, 0, 0, 1, 1, 1]), np.array([1.0, 2, 4, 3, 5, 6]))
    assert 0 <= low < high == 1
