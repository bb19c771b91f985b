"""Score Ray datasets with a pool of actors. The extra ``ray``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from instmodel.base.extras import require
from instmodel.engines.portable import Scoring, checked_frame
from instmodel.model import InstructionModel
from instmodel.tables.binding import Nulls
from instmodel.tables.options import OnBadRow, ScoreOptions


def score(
    dataset: Any,
    model: InstructionModel,
    keep: Sequence[str] = (),
    outputs: Sequence[str] | None = None,
    nulls: Nulls = "error",
    on_bad_row: OnBadRow = "error",
    *,
    actors: int | tuple[int, int] | None = None,
    batch_rows: int = 65_536,
) -> Any:
    """Score a dataset; each actor builds the model once.

    Parameters
    ----------
    dataset : ray.data.Dataset
    model : InstructionModel
    keep, outputs, nulls, on_bad_row
        As in `InstructionModel.score_batches`. Rows of errors count from 0 in their batch.
    actors : int, or (int, int), optional
        Size of the pool, or its limits; by default 1 to half of the cluster's CPUs: with actors on
        all of them, the steps that read and shuffle would wait for ever. An actor that dies is
        replaced, and its batch scored again.
    batch_rows : int
        Rows that an actor scores at a time.

    Returns
    -------
    ray.data.Dataset
        The kept columns, then the outputs as floats; lazy.

    Raises
    ------
    InstModelError
        ``missing_package``; ``invalid_type`` for what is no dataset; what is wrong with the columns
        shows when the dataset is read.
    """
    data = require("ray.data", "ray")
    checked_frame(
        dataset, data.Dataset, "Ray dataset", "dataset", "; ray.data.from_pandas makes one"
    )
    if actors is None:
        cpus = require("ray", "ray").cluster_resources().get("CPU", 1)
        actors = (1, max(1, int(cpus / 2)))
    if isinstance(actors, tuple):
        pool = data.ActorPoolStrategy(min_size=actors[0], max_size=actors[1])
    else:
        pool = data.ActorPoolStrategy(size=actors)
    return dataset.map_batches(
        _Actor,
        fn_constructor_args=(Scoring.of(model, ScoreOptions(keep, outputs, nulls, on_bad_row)),),
        batch_format="pyarrow",
        batch_size=batch_rows,
        compute=pool,
        udf_modifying_row_count=on_bad_row == "skip",
    )


class _Actor:
    def __init__(self, scoring: Scoring) -> None:
        self._scoring = scoring
        scoring.model()

    def __call__(self, table: Any) -> Any:
        import pyarrow as pa

        return pa.Table.from_batches(self._scoring.batches(table))
