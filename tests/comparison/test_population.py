"""The population stability index: what shifted, in which bin, and since when."""

import itertools

import numpy as np
import pytest

import instmodel as im
from instmodel.signatures.population import Bins, population_bins, population_stability_index

RNG = np.random.default_rng(0)


def network(shift=0.0, names=("a", "b", "c")):
    b = im.ModelBuilder()
    weights = np.array([[1.0, -2.0, 0.5]]) + shift
    return b.build(output=b.dense(b.input(list(names) or 3), weights, None, "SIGMOID"))


def index(old, new):
    return np.sum((new - old) * np.log(new / old))


def test_bins_by_hand():
    old, new = np.arange(100.0), np.concatenate([np.arange(50.0), np.arange(50.0)])
    bins = population_bins(old, new)
    assert [part.old_share for part in bins] == pytest.approx([0.1] * 10)
    assert [part.new_share for part in bins] == pytest.approx([0.2] * 5 + [0] * 5)
    assert bins[0].psi == pytest.approx(0.1 * np.log(2))
    assert bins[9].psi == pytest.approx((1e-6 - 0.1) * np.log(1e-5))
    assert population_stability_index(old, new) == pytest.approx(sum(part.psi for part in bins))
    assert (bins[0].low, bins[-1].high) == (None, None)
    assert all(a.high == b.low for a, b in itertools.pairwise(bins))


def test_each_value_lies_in_the_bin_that_says_so():
    values = np.round(RNG.normal(size=1000), 1)
    bins = Bins(values)
    for value, place in zip(values, bins.of(values), strict=True):
        low, high = bins.ends(place)
        assert value == low if low == high else (low or -9) <= value < (high or 9)


def test_what_differs_from_a_constant_is_told():
    shares = population_bins(np.zeros(100), np.array([-1.0] * 10 + [0.0] * 60 + [1.0] * 30))
    assert [part.new_share for part in shares] == [0.1, 0.6, 0.3]
    assert (shares[1].low, shares[1].high) == (0, 0)
    assert population_stability_index(np.zeros(10), np.ones(10)) > 10
    assert population_stability_index(np.zeros(10), np.zeros(10)) == 0


def test_a_rare_value_does_not_hide_in_the_bin_of_a_frequent_one():
    old, new = (np.repeat([0.0, 1.0], [n, 100 - n]) for n in (97, 70))
    expected = index(np.array([0.97, 0.03]), np.array([0.7, 0.3]))
    assert population_stability_index(old, new) == pytest.approx(expected)


def test_categories_have_a_bin_each():
    old, new = np.repeat(np.arange(15.0), 20), np.repeat(np.arange(1.0, 16.0), 20)
    bins = population_bins(old, new, categories=True)
    assert [(part.low, part.high) for part in bins[:15]] == [(v, v) for v in range(15)]
    assert [part.new_share for part in bins] == [0, *[pytest.approx(1 / 15)] * 15]
    assert (bins[15].high, bins[15].old_share) == (None, 0)  # a category that was not there
    assert len(population_bins(old, new)) == 10
    assert len(population_bins(np.arange(15.0), new, categories=True)) == 10  # too few rows


def test_missing_values_are_a_bin():
    old, new = np.arange(100.0), np.arange(100.0)
    old[::10], new[::2] = np.nan, np.nan
    (*_, missing) = population_bins(old, new)
    assert missing.missing
    assert (missing.low, missing.high) == (None, None)
    assert (missing.old_share, missing.new_share) == (0.1, 0.5)
    assert missing.psi == pytest.approx(0.4 * np.log(5))


@pytest.mark.parametrize("new", [[np.nan] * 3, [1.0, 2.0, np.nan]])
def test_nothing_but_missing_values_have_an_index(new):
    bins = population_bins(np.full(5, np.nan), np.array(new))
    assert sum(part.old_share for part in bins) == 1
    assert sum(part.new_share for part in bins) == pytest.approx(1)
    assert np.isfinite([part.psi for part in bins]).all()


def test_infinities_are_values():
    old = np.array([-np.inf] * 20 + [np.inf] * 20 + list(np.arange(60.0)))
    bins = population_bins(old, old[::2])
    assert sum(part.old_share for part in bins) == pytest.approx(1)
    assert np.isfinite([part.psi for part in bins]).all()


# ------------------------------------------------------------------------------------- references


@pytest.fixture(scope="module")
def tables():
    pytest.importorskip("sklearn")
    before, after = RNG.normal(size=(2, 4000, 3)).astype(np.float32)
    after[:, 1] = 1.5 * after[:, 1] + 0.5
    after[::4, 2] = 0
    return before, after


def test_inputs_and_scores_are_held_against_a_reference(tables):
    before, after = tables
    old, new = network(), network(0.3)
    found = im.compare(old, new, after, reference=before, batch_rows=300)
    assert [item.name for item in found.input_psi] == ["b", "c", "a"]
    for item in found.input_psi:
        place = "abc".index(item.name)
        expected = population_stability_index(
            before[:, place].astype(float), after[:, place].astype(float)
        )
        assert item.psi == pytest.approx(expected)
        assert item.psi == pytest.approx(sum(part.psi for part in item.bins))
    scores = [im.InstructionModel(old).predict(rows)[:, 0].astype(float) for rows in tables]
    assert found.reference.old_psi == pytest.approx(population_stability_index(*scores))
    assert (found.reference.rows, found.reference.sampled_rows) == (4000, 4000)
    assert found.to_dict()["input_psi"][0]["name"] == "b"


def test_a_table_has_not_shifted_from_itself(tables):
    found = im.compare(network(), network(0.3), tables[0], reference=tables[0])
    assert found.reference.old_psi == 0
    assert [item.psi for item in found.input_psi] == [0, 0, 0]


def test_a_reference_is_found_by_name_and_needs_no_labels(tables):
    before, after = tables
    data = {"t": np.arange(4000) % 2, **dict(zip("cba", after.T[::-1], strict=True))}
    reference = dict(zip("bca", before.T[[1, 2, 0]], strict=True))
    found = im.compare(network(), network(0.3), data, labels="t", reference=reference)
    plain = im.compare(network(), network(0.3), after, reference=before)
    assert found.input_psi == plain.input_psi


def test_missing_inputs_are_counted(tables):
    b = im.ModelBuilder()
    x = b.input(["a", "b"])
    model = b.build(output=b.map_transform(x, 0, {1: [0.5]}, [0.25]))
    before = np.array([[1.0, 2.0]] * 10)
    after = before.copy()
    after[:4, 0] = np.nan
    found = im.compare(model, model, after, reference=before)
    assert (found.input_psi[0].name, found.input_psi[0].new_missing) == ("a", 0.4)


def test_a_reference_without_rows_is_an_error(tables):
    with pytest.raises(im.InstModelError) as caught:
        im.compare(network(), network(), tables[0], reference=tables[0][:0])
    assert (caught.value.code, caught.value.field) == ("no_rows", "reference")
