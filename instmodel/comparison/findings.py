"""What a comparison found, as plain data."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from instmodel.comparison.dependence import Dependence
from instmodel.comparison.groups import Group, Grouping, OtherGroups
from instmodel.comparison.importance import Importance
from instmodel.comparison.intervals import Gain
from instmodel.comparison.moves import Distribution, Mover
from instmodel.comparison.reference import InputPsi, Reference
from instmodel.signatures.population import PsiBin
from instmodel.tables.unknown_text import UnknownText
from instmodel.verification.coverage import Coverage
from instmodel.verification.limits import Limits, Verdict, judge, limits_of


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `compare` found.

    Attributes
    ----------
    rows : int
    first_row : int
        The number of the first row where rows are shown: 1 for files, 0 for what is in memory. In
        `movers`, rows count from 0 in any case.
    sampled_rows : int
        How many rows the distributions, `psi`, `rank_correlation` and the metrics are of.
    output : int
        The output whose scores move.
    decision : {"threshold", "largest"} or None
        What decides: whether the score of `output` reaches the threshold, which output is the
        largest, or nothing, because the scores are values and nobody named a threshold.
    threshold : float or None
        None unless it decides.
    classes : list of str or None
        What the labels 0, 1 … stand for, if they have names.
    old, new : Distribution
    psi : float
        Population stability index of the new scores, over ten bins of equal share of the old ones.
    psi_bins : list of PsiBin
        The bins, and what each adds to it.
    rank_correlation : float
        Spearman's.
    flips, flips_up, flips_down : int or None
        Rows whose decision changes; up: from below the threshold to it or above. Where the largest
        output decides, up and down are 0; where nothing is decided, all three are None.
    old_approval_rate, new_approval_rate : float or None
        The share of the rows that is approved; None unless `approve` said which these are.
    largest_move, mean_move : float
        |new - old|.
    columns : list of str
        What the values of a mover's inputs are.
    movers : list of Mover
    groups : list of Group
        Of the first column of `by`, empty without it; the 50 with the most rows.
    other_groups : OtherGroups or None
        The rest of them together.
    groupings : list of Grouping
        The same for each column of `by`.
    task : str or None
    tolerance : float or None
        With labels that are values, what counts as close; None with others, or without.
    old_metrics, new_metrics : dict
        See `instmodel.comparison.metrics.label_metrics`; empty without labels.
    auc_gain : Gain or None
        By how much ROC AUC grows; for labels of two classes that both occur.
    reference : Reference or None
        How the scores of both models differ between the table `reference` and the data.
    input_psi : list of InputPsi
        How each input differs between these, the largest index first; empty without a reference.
    importance : Importance or None
    dependence : list of Dependence
        How the mean score follows the most important inputs; empty unless asked for.
    coverage : Coverage or None
        What the data reached in the new model; None if it was not asked for.
    unknown_texts : list of UnknownText
        How much text of each feature with categories neither model knows.
    options : dict
        The arguments of `compare`; of what is in memory, the type.
    """

    rows: int
    first_row: int
    sampled_rows: int
    output: int
    decision: str | None
    threshold: float | None
    classes: list[str] | None
    old: Distribution = field(repr=False)
    new: Distribution = field(repr=False)
    psi: float
    psi_bins: list[PsiBin] = field(repr=False)
    rank_correlation: float
    flips: int | None
    flips_up: int | None
    flips_down: int | None
    old_approval_rate: float | None
    new_approval_rate: float | None
    largest_move: float
    mean_move: float
    columns: list[str] = field(repr=False)
    movers: list[Mover] = field(repr=False)
    groups: list[Group] = field(repr=False)
    other_groups: OtherGroups | None = field(repr=False)
    groupings: list[Grouping] = field(repr=False)
    task: str | None
    tolerance: float | None
    old_metrics: dict[str, Any] = field(repr=False)
    new_metrics: dict[str, Any] = field(repr=False)
    auc_gain: Gain | None = field(repr=False)
    reference: Reference | None = field(repr=False)
    input_psi: list[InputPsi] = field(repr=False)
    importance: Importance | None = field(repr=False)
    dependence: list[Dependence] = field(repr=False)
    coverage: Coverage | None = field(repr=False)
    unknown_texts: list[UnknownText] = field(repr=False)
    options: dict[str, Any] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return dataclasses.asdict(self)

    def judge(self, limits: Limits | None = None) -> Verdict:
        """Return whether what was found is within limits.

        Parameters
        ----------
        limits : mapping, path-like or sequence of Limit, optional
            ``{"max": {"psi": 0.1, "flips": "0.5%"}, "min": {"change.roc_auc": 0}}``, a TOML file
            with these tables, or `instmodel.verification.limits.Limit`.

        Raises
        ------
        InputError
            ``invalid_limit``; ``unknown_figure`` for what is no figure or was not computed.
        """
        return judge(self.to_dict(), limits_of(limits))
