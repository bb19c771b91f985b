"""Score rows in Polars' expressions. The extra ``polars``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from instmodel.base import arguments
from instmodel.base.extras import require
from instmodel.errors import InputError, InstModelError
from instmodel.model import InstructionModel, checked_model
from instmodel.tables.batches import score_batches
from instmodel.tables.binding import Nulls
from instmodel.tables.options import ScoreOptions
from instmodel.tables.scoring import binding_of


def score(
    model: InstructionModel,
    outputs: Sequence[str] | None = None,
    nulls: Nulls = "error",
    on_bad_row: Literal["error", "null"] = "error",
) -> Any:
    """Return an expression: ``frame.with_columns(polars.score(model))``.

    It works in eager, lazy and streaming queries.

    Parameters
    ----------
    model : InstructionModel
        With feature names. An array feature ``emb[16]`` is a column ``emb`` of lists or arrays.
    outputs : sequence of O str, optional
        Names, by default ``score``, or ``output_0`` …
    nulls, on_bad_row
        As in `InstructionModel.score_batches`. Rows of errors count from 0 in what Polars hands
        over at a time.

    Returns
    -------
    polars.Expr
        Float32 called as the output; of several outputs, a struct called ``scores``, which
        ``unnest`` makes columns of.

    Raises
    ------
    InstModelError
        ``missing_package``; ``invalid_type`` for another `on_bad_row`; ``missing_features`` for a
        model without names. What is wrong with
        rows is a ``polars.exceptions.ComputeError``.
    """
    pl = require("polars", "polars")
    pa = require("pyarrow", "polars")
    checked_model(model).require_rows()
    # Every row of a query needs a score.
    arguments.choice(on_bad_row, "on_bad_row", ("error", "null"))
    options = ScoreOptions((), outputs, nulls, on_bad_row)
    names = options.output_names(model.output_size)
    if not model.features:
        raise InputError("missing_features", "the model does not name its features")
    single = len(names) == 1
    kind = pl.Float32 if single else pl.Struct(dict.fromkeys(names, pl.Float32))

    def run(rows: Any) -> Any:
        frame = rows.struct.unnest()
        try:
            batches = list(score_batches(model, frame, options))
        except InstModelError as error:
            # Polars makes errors anew from their text, which ours cannot be.
            raise pl.exceptions.ComputeError(str(error)) from error
        if not batches:
            return pl.Series([], dtype=kind)
        scores = pl.DataFrame(pa.Table.from_batches(batches))
        return scores.to_series() if single else scores.to_struct()

    features = [feature.name for feature in model.named_features]
    columns = [slot.name for slot in binding_of(model, nulls).slots(features)]
    scored = pl.struct(columns).map_batches(run, return_dtype=kind, is_elementwise=True)
    return scored.alias(names[0] if single else "scores")
