"""How far the inputs in a table are from what a model expects of them."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np

from instmodel.base import arguments
from instmodel.document.signature import Signature
from instmodel.errors import InputError
from instmodel.model import InstructionModel, checked_model
from instmodel.signatures.counting import FeatureCounts, Tally
from instmodel.signatures.expectations import Expectations
from instmodel.signatures.reading import Inputs
from instmodel.tables.keys import Key, Keys, cut_moment, in_order
from instmodel.tables.rows import Batch
from instmodel.verification.limits import Limits, Verdict, judge, limits_of
from instmodel.verification.options import options_of

Period = Literal["hour", "day", "month"]

# Groups that anybody looks at, and counts of all of them together: 256 MB.
_MOST_GROUPS, _MOST_COUNTS = 2000, 1 << 25


@dataclass(frozen=True, slots=True)
class DriftGroup:
    """The rows with one value of the column that rows are grouped by.

    Attributes
    ----------
    value : str, int, float, bool or None
    rows : int
    largest_psi : float or None
        Of all features; small groups have large ones by chance.
    features : list of FeatureCounts
        In the order of the inputs, without the bins.
    """

    value: Key
    rows: int
    largest_psi: float | None
    features: list[FeatureCounts]


@dataclass(frozen=True, slots=True)
class Drift:
    """What `drift` found.

    Attributes
    ----------
    rows : int
    against : {"signature", "reference"}
        Whether the model says what is expected, or another table does.
    expected_rows : int or None
        How many rows that was made from, if it is known.
    largest_psi : float or None
        Population stability index of the feature that shifts most; None if no feature has one.
    features : list of FeatureCounts
        The largest index first.
    by : str or None
        The column that rows are grouped by.
    groups : list of DriftGroup
        In the order of their values, if these have one.
    options : dict
        The arguments of `drift`; of what is in memory, the type.
    """

    rows: int
    against: str
    expected_rows: int | None
    largest_psi: float | None
    features: list[FeatureCounts]
    by: str | None = None
    groups: list[DriftGroup] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        found = dataclasses.asdict(self)
        for group in found["groups"]:
            for feature in group["features"]:
                del feature["bins"]
        return found

    def judge(self, limits: Limits | None = None) -> Verdict:
        """Return whether what was found is within limits.

        Parameters
        ----------
        limits : mapping, path-like or sequence of Limit, optional
            ``{"max": {"largest_psi": 0.25, "features.unknown": "1%"}}``, a TOML file with these
            tables, or `instmodel.verification.limits.Limit`. A share is of the values of a feature.

        Raises
        ------
        InputError
            ``invalid_limit``; ``unknown_figure`` for what is no figure or was not computed.
        """
        return judge(self.to_dict(), limits_of(limits))


def drift(
    model: InstructionModel,
    data: Any,
    *,
    reference: Any = None,
    by: str | None = None,
    period: Period | None = None,
    batch_rows: int | None = None,
    progress: Callable[[float, int], None] | None = None,
) -> Drift:
    """Hold the inputs in a table against what a model expects of them.

    Parameters
    ----------
    model : InstructionModel
        With a signature, unless there is a `reference`.
    data : path-like or table
        Files, folders and tables, as for `instmodel.compare`. Nulls are counted, and so is text
        that no category knows.
    reference : path-like or table, optional
        Data to hold it against, such as last month's, instead of the model's signature.
    by : str, optional
        A column; each of its values is counted on its own, too.
    period : {"hour", "day", "month"}, optional
        What of the dates or instants of `by` makes a group.
    batch_rows : int, optional
        Rows that are read together.
    progress : callable, optional
        Called with how much of the data is read, 0 to 1, and the number of rows so far.

    Returns
    -------
    Drift

    Raises
    ------
    InstModelError
        ``missing_signature``; ``no_rows``; ``too_many_groups``; what is wrong with the table.
    OSError
        A file cannot be read.
    """
    options = options_of(locals())
    checked_model(model)
    if period is not None:
        arguments.choice(period, "period", get_args(Period))
        if by is None:
            raise InputError("missing_field", "a period of which column?", field="by")
    if reference is not None:
        signature: Signature | None = Signature.from_data(model, reference, batch_rows=batch_rows)
    else:
        signature = model.signature
    if signature is None:
        raise InputError(
            "missing_signature",
            "the model does not say what it expects: `instmodel signature` lets it",
            field="model",
            expected="a model with a signature, or `reference`",
        )
    whole = Tally(Expectations(signature, model.named_features))
    groups = _Groups(whole, period)
    with contextlib.closing(
        Inputs(model).rows(data, [] if by is None else [by], batch_rows)
    ) as batches:
        for batch in batches:
            whole.look(np.ascontiguousarray(batch.inputs))
            if batch.keys:
                groups.add(batch, batch.keys[0])
            if progress is not None:
                progress(batch.fraction, whole.rows)
    if not whole.rows:
        raise InputError("no_rows", "there are no rows to look at", field="data")
    features = whole.found().features
    return Drift(
        rows=whole.rows,
        against="signature" if reference is None else "reference",
        expected_rows=signature.rows,
        largest_psi=largest_psi(features),
        features=sorted(features, key=lambda item: -1.0 if item.psi is None else item.psi)[::-1],
        by=by,
        groups=groups.found(),
        options=options,
    )


def largest_psi(features: list[FeatureCounts]) -> float | None:
    """Return the largest index; None if no feature has one."""
    return max((item.psi for item in features if item.psi is not None), default=None)


class _Groups:
    """A tally for each value of a column."""

    def __init__(self, whole: Tally, period: Period | None) -> None:
        self._whole, self._period = whole, period
        self._most = min(_MOST_GROUPS, _MOST_COUNTS // whole.size)
        self._tallies: dict[Key, Tally] = {}

    def add(self, batch: Batch, keys: Keys) -> None:
        names = [self._name(value) for value in keys.values]
        order = np.argsort(keys.codes, kind="stable")
        codes, starts = np.unique(keys.codes[order], return_index=True)
        for code, rows in zip(codes.tolist(), np.split(order, starts[1:]), strict=True):
            tally = self._tallies.get(names[code])
            if tally is None:
                tally = self._tallies[names[code]] = self._whole.fresh()
                self._check_count()
            tally.look(np.ascontiguousarray(batch.inputs[rows]))

    def _name(self, value: Key) -> Key:
        return value if self._period is None else cut_moment(value, self._period)

    def _check_count(self) -> None:
        if len(self._tallies) > self._most:
            raise InputError(
                "too_many_groups",
                "more values than groups that anybody looks at; `period` makes days of instants",
                field="by",
                expected=f"at most {self._most}",
            )

    def found(self) -> list[DriftGroup]:
        names = in_order(self._tallies) or sorted(self._tallies, key=lambda name: str(name))
        return [_group(name, self._tallies[name]) for name in names]


def _group(name: Key, tally: Tally) -> DriftGroup:
    features = tally.found().features
    return DriftGroup(
        name, tally.rows, largest_psi(features), [replace(item, bins=[]) for item in features]
    )
