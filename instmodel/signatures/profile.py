"""A signature made of the data that a model was trained on."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.base.features import Feature
from instmodel.document.signature import MOST_EDGES, FeatureSignature, NullRule, Signature
from instmodel.errors import InputError
from instmodel.signatures.population import Bins
from instmodel.signatures.reading import Inputs
from instmodel.tables.sample import Sample

# Values of the sample that the bins are of: 32 MB.
_MOST_VALUES = 1 << 22
# More different codes than this are rather numbers, or names of single things.
_MOST_CODES = 1000


def profile(model: Any, data: Any, *, batch_rows: int | None = None) -> Signature:
    """Describe the data that a model was trained on; see `Signature.from_data`."""
    inputs = Inputs(model)
    size = inputs.feature_size
    kept = Sample(max(1, _MOST_VALUES // size), size)
    ends = _Ends(size)
    codes = {place: set[float]() for place in inputs.key_inputs}
    with contextlib.closing(inputs.rows(data, batch_rows=batch_rows)) as batches:
        for batch in batches:
            kept.add(batch.inputs)
            ends.add(batch.inputs)
            for place, seen in codes.items():
                if len(seen) <= _MOST_CODES:
                    column = batch.inputs[:, place]
                    seen |= set(np.unique(column[np.isfinite(column)]).tolist())
    if not kept.seen:
        raise InputError("no_rows", "there are no rows to make a signature of", field="data")
    features = {}
    start = 0
    for feature in inputs.named_features:
        columns = slice(start, start + feature.size)
        start += feature.size
        sample = kept.rows[:, columns].reshape(-1)
        found = [codes.get(place) for place in range(columns.start, columns.stop)]
        features[feature.name] = _feature(
            feature,
            sample,
            ends.low[columns].min(),
            ends.high[columns].max(),
            "allowed" if ends.nulls[columns].any() else "never",
            None if None in found else set[float]().union(*(seen or () for seen in found)),
        )
    return Signature(features, kept.seen)


class _Ends:
    """The least and the greatest finite value of each input, and its nulls."""

    def __init__(self, size: int) -> None:
        self.low, self.high = np.full(size, np.inf), np.full(size, -np.inf)
        self.nulls = np.zeros(size, np.int64)

    def add(self, rows: NDArray[np.float32]) -> None:
        self.nulls += np.count_nonzero(np.isnan(rows), axis=0)
        finite = np.isfinite(rows)
        low, high = (np.where(finite, rows, far) for far in (np.inf, -np.inf))
        self.low = np.minimum(self.low, low.min(axis=0, initial=np.inf))
        self.high = np.maximum(self.high, high.max(axis=0, initial=-np.inf))


def _feature(
    feature: Feature,
    sample: NDArray[np.float64],
    low: float,
    high: float,
    nulls: NullRule,
    codes: set[float] | None,
) -> FeatureSignature:
    values = sample[~np.isnan(sample)]
    null_share = 1 - len(values) / len(sample)
    if feature.categories is not None:
        count = len(feature.categories.values)
        shares = _shares(values, np.arange(count), len(sample)) if count <= MOST_EDGES else None
        return FeatureSignature(kind="text", nulls=nulls, shares=shares, null_share=null_share)
    if codes is not None and len(codes) <= _MOST_CODES and all(c.is_integer() for c in codes):
        known = sorted(int(code) for code in codes)
        shares = _shares(values, np.array(known), len(sample))
        return FeatureSignature(
            kind="code", codes=known, nulls=nulls, shares=shares, null_share=null_share
        )
    edges = Bins(values, categories=True).float32_edges if len(values) else []
    places = np.searchsorted(np.array(edges), values, side="right")
    counts = np.bincount(places, minlength=len(edges) + 1)
    return FeatureSignature(
        min=low if np.isfinite(low) else None,
        max=high if np.isfinite(high) else None,
        nulls=nulls,
        edges=edges,
        shares=(counts / len(sample)).tolist(),
        null_share=null_share,
    )


def _shares(values: NDArray[np.float64], codes: NDArray[Any], rows: int) -> list[float]:
    """Return the share of each of some ascending codes among so many values."""
    if not len(codes):
        return []
    places = np.minimum(np.searchsorted(codes, values), len(codes) - 1)
    counts = np.bincount(places[codes[places] == values], minlength=len(codes))
    shares: list[float] = (counts / rows).tolist()
    return shares
