"""Another table to hold the data against, such as that of the training or of last month."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.comparison.gathering import sample_size
from instmodel.comparison.pair import Pair
from instmodel.errors import InputError
from instmodel.signatures.population import PsiBin, population_bins, total
from instmodel.tables.binding import Nulls
from instmodel.tables.rows import read_rows
from instmodel.tables.sample import Sample
from instmodel.tables.unknown_text import UNKNOWN

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reference:
    """How the scores of both models differ between the reference and the data.

    Attributes
    ----------
    rows : int
        Of the reference.
    sampled_rows : int
        How many of them the indexes are of.
    data_rows : int
        How many rows of the data the indexes of inputs are of.
    old_psi, new_psi : float
        Population stability index of each model's scores.
    old_bins, new_bins : list of PsiBin
        In these, "old" is the reference, and "new" the data.
    """

    rows: int
    sampled_rows: int
    data_rows: int
    old_psi: float
    new_psi: float
    old_bins: list[PsiBin]
    new_bins: list[PsiBin]


@dataclass(frozen=True, slots=True)
class InputPsi:
    """How one input differs between the reference and the data.

    Attributes
    ----------
    name : str
    psi : float
        Population stability index.
    old_missing, new_missing : float
        The share of the rows of the reference, and of the data, in which it is NaN.
    bins : list of PsiBin
        In these, "old" is the reference, and "new" the data.
    """

    name: str
    psi: float
    old_missing: float
    new_missing: float
    bins: list[PsiBin]


def against_reference(
    reference: Any,
    pair: Pair,
    column: int,
    inputs: Floats,
    scores: tuple[Floats, Floats],
    most_rows: int,
    batch_rows: int | None,
    nulls: Nulls | None,
) -> tuple[Reference, list[InputPsi]]:
    """Return how inputs (N, F) and scores of both models (M,) differ from a table of inputs."""
    features = inputs.shape[1]
    kept = Sample(sample_size(features, most_rows), features + 2)
    with contextlib.closing(
        read_rows(reference, pair.reader, (), batch_rows, (), pair.key_inputs, nulls)
    ) as batches:
        for batch in batches:
            both = [side[:, column] for side in pair.scores(batch.inputs)]
            kept.add(np.column_stack([pair.merged(batch.inputs), *both]))
    if not kept.seen:
        raise InputError("no_rows", "there are no rows to compare with", field="reference")
    rows = kept.rows
    old, new = (population_bins(rows[:, features + side], scores[side]) for side in range(2))
    found = []
    for place, name in enumerate(pair.columns):
        before, after = rows[:, place], inputs[:, place]
        unknown = UNKNOWN if pair.text(place, UNKNOWN) is not None else None
        bins = population_bins(before, after, categories=True, apart=unknown)
        bins = [replace(part, text=_text(pair, place, part)) for part in bins]
        was, is_now = (float(np.isnan(values).mean()) for values in (before, after))
        found.append(InputPsi(name, total(bins), was, is_now, bins))
    found.sort(key=lambda item: -item.psi)
    return (
        Reference(kept.seen, len(rows), len(inputs), total(old), total(new), old, new),
        found,
    )


def _text(pair: Pair, place: int, part: PsiBin) -> str | None:
    """Return the category that a bin is, if it is one."""
    single = part.low is not None and part.low == part.high
    return pair.text(place, part.low) if part.low is not None and single else None
