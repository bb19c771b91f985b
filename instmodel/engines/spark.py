"""Score Spark data frames. The extra ``spark``; the workers need this package, too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from instmodel.base.extras import require
from instmodel.engines.portable import Scoring, checked_frame
from instmodel.model import InstructionModel
from instmodel.tables.binding import Nulls
from instmodel.tables.naming import Naming
from instmodel.tables.options import OnBadRow, ScoreOptions


def score(
    df: Any,
    model: InstructionModel,
    keep: Sequence[str] = (),
    outputs: Sequence[str] | None = None,
    nulls: Nulls = "error",
    on_bad_row: OnBadRow = "error",
) -> Any:
    """Score a data frame, partition by partition, through ``mapInArrow``.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    model : InstructionModel
    keep, outputs, nulls, on_bad_row
        As in `InstructionModel.score_batches`. Rows of errors count from 0 in their partition.
        Columns are found whatever their case, unless ``spark.sql.caseSensitive`` is set; kept ones
        have the case of the data frame.

    Returns
    -------
    pyspark.sql.DataFrame
        The kept columns, then the outputs as floats; lazy, as everything in Spark.

    Raises
    ------
    InstModelError
        ``invalid_type`` for what is no Spark data frame; the columns, or their types, do not fit
        the model; ``missing_package``.
    """
    types = require("pyspark.sql.types", "spark")
    functions = require("pyspark.sql.functions", "spark")
    to_arrow_schema = require("pyspark.sql.pandas.types", "spark").to_arrow_schema
    advice = "; session.createDataFrame(df) makes one of pandas"
    spark_frame = require("pyspark.sql", "spark").DataFrame
    checked_frame(df, spark_frame, "Spark data frame", "df", advice)
    case_sensitive = df.sparkSession.conf.get("spark.sql.caseSensitive", "false")
    naming = Naming(ignore_case=case_sensitive.lower() != "true")  # as Spark reads it
    keep = naming.spelled(keep, df.columns)
    scoring = Scoring.of(model, ScoreOptions(keep, outputs, nulls, on_bad_row, naming))
    naming.check_distinct([*keep, *scoring.outputs])
    needed = scoring.columns(df.columns)
    # Under names of our own meanwhile: Spark would take `a.b` and `emb[0]` for paths into columns.
    plain = [
        functions.col(f"`{name.replace('`', '``')}`").alias(f"c{i}")
        for i, name in enumerate(needed)
    ]

    def score_partition(batches: Iterator[Any]) -> Iterator[Any]:
        return scoring.batches(batch.rename_columns(needed) for batch in batches)

    fields = {field.name: field for field in df.schema.fields}
    scoring.check_types(to_arrow_schema(types.StructType([fields[name] for name in needed])))
    schema = types.StructType(
        [fields[name] for name in scoring.options.keep]
        + [types.StructField(name, types.FloatType()) for name in scoring.outputs]
    )
    return df.select(*plain).mapInArrow(score_partition, schema)
