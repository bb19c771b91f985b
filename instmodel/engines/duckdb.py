"""Score rows in DuckDB's SQL. The extra ``duckdb``."""

from __future__ import annotations

from typing import Any, Literal

from instmodel.base import arguments
from instmodel.base.extras import require
from instmodel.errors import InputError
from instmodel.model import InstructionModel, checked_model
from instmodel.tables.batches import score_batches
from instmodel.tables.binding import Nulls
from instmodel.tables.naming import Naming
from instmodel.tables.options import ScoreOptions

_NAMING = Naming(ignore_case=True)


def register(
    connection: Any,
    model: InstructionModel,
    name: str = "score",
    nulls: Nulls = "error",
    on_bad_row: Literal["error", "null"] = "error",
) -> None:
    """Make a model a function of SQL that takes a row: ``SELECT id, score(t) FROM t``.

    The row is a struct, so values find their features by name: ``score(t)`` takes them from the
    columns of the table (or alias) ``t``, and ``score({'age': years, 'income': 1000 * k})`` says
    where each comes from. Fields that the model does not know are ignored. Names are compared
    without case, as in all of DuckDB.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
    model : InstructionModel
        With feature names.
    name : str
        Of the function. It returns FLOAT, or a struct of the outputs ``output_0`` … if the model
        has several.
    nulls, on_bad_row
        As in `InstructionModel.score_batches`. Rows of errors count from 0 in their vector.

    Raises
    ------
    InstModelError
        ``missing_package``; ``invalid_type`` for another `on_bad_row`, and for what is no
        connection or no model; ``missing_features`` for a model without names.
    """
    duck = require("duckdb", "duckdb")
    pa = require("pyarrow", "duckdb")
    if not hasattr(connection, "create_function"):
        raise InputError(
            "invalid_type",
            "not a connection: register(duckdb.connect(), model)",
            field="connection",
            actual=type(connection).__name__,
        )
    checked_model(model).require_rows()
    if not model.features:
        raise InputError("missing_features", "the model does not name its features")
    # Every row of a query needs a score.
    arguments.choice(on_bad_row, "on_bad_row", ("error", "null"))
    options = ScoreOptions(nulls=nulls, on_bad_row=on_bad_row, naming=_NAMING)
    names = options.output_names(model.output_size)
    single = len(names) == 1

    def run(rows):  # type: ignore[no-untyped-def]  # DuckDB would take annotations for SQL types
        if not pa.types.is_struct(rows.type):
            raise InputError(
                "invalid_type",
                f"{name} takes a row: {name}(t) for a table t, or {name}({{'feature': column}})",
                actual=rows.type,
            )
        batches = [
            # Not from_struct_array: a null row is a row of nulls.
            pa.RecordBatch.from_arrays(chunk.flatten(), [field.name for field in chunk.type])
            for chunk in rows.chunks
        ]
        scored = score_batches(model, batches, options)
        arrays = [batch.column(0) if single else batch.to_struct_array() for batch in scored]
        return pa.chunked_array(arrays)

    # Without types of parameters, DuckDB hands rows over as they are.
    connection.create_function(
        name,
        run,
        return_type="FLOAT" if single else duck.struct_type(dict.fromkeys(names, "FLOAT")),
        type="arrow",
        null_handling="special",
    )
