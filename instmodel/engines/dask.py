"""Score Dask data frames, partition by partition. The extra ``dask``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from instmodel.base.extras import require
from instmodel.engines.portable import Scoring, checked_frame
from instmodel.model import InstructionModel
from instmodel.tables.binding import Nulls
from instmodel.tables.options import OnBadRow, ScoreOptions
from instmodel.tables.scoring import binding_of, open_table, score_chunk


def score(
    df: Any,
    model: InstructionModel,
    keep: Sequence[str] = (),
    outputs: Sequence[str] | None = None,
    nulls: Nulls = "error",
    on_bad_row: OnBadRow = "error",
) -> Any:
    """Score a data frame through ``map_partitions``.

    Parameters
    ----------
    df : dask.dataframe.DataFrame
    model : InstructionModel
    keep, outputs, nulls, on_bad_row
        As in `InstructionModel.score_batches`; in pandas, a null score is NaN. Rows of errors count
        from 0 in their partition.

    Returns
    -------
    dask.dataframe.DataFrame
        The kept columns, then the outputs as float32, with the index of `df`; lazy.

    Raises
    ------
    InstModelError
        The columns do not fit the model.
    """
    checked_frame(df, require("dask.dataframe", "dask").DataFrame, "Dask data frame", "df")
    scoring = Scoring.of(model, ScoreOptions(keep, outputs, nulls, on_bad_row))
    needed = scoring.columns(list(df.columns))
    empty = df._meta[list(scoring.options.keep)].copy()
    for name in scoring.outputs:
        empty[name] = np.empty(0, np.float32)
    return df[needed].map_partitions(_score, scoring, meta=empty)


def _score(frame: Any, scoring: Scoring) -> Any:
    model = scoring.model()
    _, (chunk,) = open_table(frame, binding_of(model, scoring.options.nulls))
    scores, bad = score_chunk(model, chunk, first_only=scoring.options.on_bad_row == "error")
    if bad and scoring.options.on_bad_row == "error":
        raise bad[0].error()
    rows = [row.row for row in bad if row.row is not None]
    scores[rows] = np.nan
    result = frame[list(scoring.options.keep)].copy()
    for name, column in zip(scoring.outputs, scores.T, strict=True):
        result[name] = column
    if rows and scoring.options.on_bad_row == "skip":
        good = np.ones(len(frame), bool)
        good[rows] = False
        result = result[good]
    return result
