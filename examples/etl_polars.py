"""An ETL step: clean a table with Polars, score it, write Parquet.

    pip install '.[polars]' && python examples/etl_polars.py scores.parquet

The input is the shipped breast cancer data, with the flaws that real tables have: its columns in
another order, one of them with gaps, and an identifier.
"""

import argparse
from importlib import resources

import polars as pl

import instmodel as im
from instmodel.engines import polars as engine


def messy(source: str) -> pl.LazyFrame:
    """Return the shipped data as it might arrive."""
    data = pl.scan_csv(source).with_row_index("patient")
    columns = data.collect_schema().names()
    gaps = pl.when(pl.col("patient") % 7 == 3).then(None).otherwise(pl.col("mean area"))
    return data.select(columns[::-1]).with_columns(gaps.alias("mean area"))


def main(target: str) -> None:
    """Write one row for each patient with the chance that the tumour is benign."""
    folder = resources.files("instmodel") / "examples"
    model = im.load(str(folder / "breast_cancer_network.json"))
    scores = (
        messy(str(folder / "breast_cancer.csv"))
        .with_columns(pl.col("mean area").fill_null(pl.col("mean area").median()))
        .select("patient", engine.score(model, outputs=["benign"]))
        .collect()
    )
    scores.write_parquet(target)
    print(f"{target}: {len(scores)} rows, {(scores['benign'] > 0.5).sum()} benign")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="An ETL step with Polars.")
    parser.add_argument("target", metavar="FILE.parquet", help="where to write the scores")
    main(parser.parse_args().target)
