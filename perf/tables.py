"""What tables cost beyond matrices: ``python -m perf.tables``.

Needs the extra ``test-tables``. Everything takes turns in one process; a figure is the fastest of
its calls, since whatever else the machine does only slows one down.
"""

from __future__ import annotations

import argparse
import timeit
from collections.abc import Sequence
from functools import partial

import numpy as np

import instmodel as im
from instmodel.signatures.counting import Tally
from instmodel.signatures.expectations import Expectations
from instmodel.tables.batches import BatchScorer
from instmodel.tables.options import ScoreOptions
from perf.timing import fastest_of

FEATURES = 30
# Rows of a chunk, features, values of a hidden layer, hidden layers.
SMALL_CHUNKS = [
    *((1, 3, 16, 1), (1, 10, 64, 2), (1, 10, 256, 3), (10, 10, 16, 1), (10, 10, 64, 2)),
    (100, 10, 16, 1),
]


def network(
    features: int = FEATURES, hidden: int = 16, layers: int = 1, text: Sequence[str] = ()
) -> im.InstructionModel:
    """Return a dense network (30-16-1) of f0, f1 and so on, and of `text` with these categories."""
    rng = np.random.default_rng(0)
    b = im.ModelBuilder()
    names = [f"f{i}" for i in range(features)]
    h = b.input([*names, "text"], {"text": text}) if text else b.input(names)
    size = len(names) + bool(text)
    for _ in range(layers):
        h = b.dense(h, rng.normal(size=(hidden, size)) / size**0.5, np.zeros(hidden), "RELU")
        size = hidden
    y = b.dense(h, rng.normal(size=(1, size)), np.zeros(1), "SIGMOID")
    return im.InstructionModel(b.build(output=y))


def columns(rows: int, dtype: str, features: int = FEATURES) -> dict[str, np.ndarray]:
    """Return random columns for `network`."""
    rng = np.random.default_rng(1)
    return {f"f{i}": rng.normal(size=rows).astype(dtype) for i in range(features)}


def compare(rows: int, dtype: str, seconds: float) -> None:
    """Print `predict_table` against `predict` on a matrix that pyarrow builds."""
    import duckdb
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    model = network()
    data = columns(rows, dtype)
    table = pa.table(data)
    batch = table.to_batches()[0]
    matrix = np.column_stack(list(data.values())).astype(np.float32)
    tables = {
        "dict of arrays": data,
        "pyarrow": table,
        "pandas": pd.DataFrame(data),
        "Polars": pl.DataFrame(data),
        "DuckDB": duckdb.from_arrow(table),
        "pyarrow, 5 % nulls": pa.table(
            {name: pa.array(v, mask=np.arange(rows) % 20 == 3) for name, v in data.items()}
        ),
    }
    calls = {
        "predict": lambda: model.predict(matrix),
        "the matrix": lambda: np.asarray(batch.to_tensor()).astype(np.float32, copy=False),
    } | {
        name: partial(model.predict_table, table, 0.0, threads=1) for name, table in tables.items()
    }
    found = fastest_of(calls, seconds)
    base = found["predict"] + found["the matrix"]
    print(f"\n{rows} rows × {FEATURES} columns of {dtype}; ratio to predict + matrix")
    for name, time in found.items():
        ratio = f"{time / base:6.2f}" if name in tables else ""
        print(f"  {name:20} {1e3 * time:8.1f} ms  {ratio}")


def texts(rows: int, seconds: float) -> None:
    """Print what a column of text, of 100 categories, adds to nine columns of numbers."""
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    categories = [f"category {i}" for i in range(100)]
    numbers = columns(rows, "float32", 9)
    text = np.array(categories)[np.random.default_rng(1).integers(100, size=rows)]
    strings = pa.array(text)
    tables = {
        "Arrow dictionary": pa.table({**numbers, "text": strings.dictionary_encode()}),
        "Arrow strings": pa.table({**numbers, "text": strings}),
        "Polars strings": pl.DataFrame({**numbers, "text": text}),
        "pandas category": pd.DataFrame({**numbers, "text": pd.Categorical(text)}),
        "Python objects": pd.DataFrame({**numbers, "text": text.astype(object)}),
    }
    model = network(9, text=categories)
    calls = {name: partial(model.predict_table, table, threads=1) for name, table in tables.items()}
    alone = partial(network(9).predict_table, pa.table(numbers), threads=1)
    found = fastest_of({"numbers": alone, **calls}, seconds)
    print(f"\n{rows} rows × 9 columns of float32; a column of text adds")
    for name in tables:
        print(f"  {name:20} {1e3 * (found[name] - found['numbers']):8.1f} ms")


def inputs_counted(rows: int, seconds: float) -> None:
    """Print what it takes that rows are held against a signature while they are scored."""
    import pyarrow as pa

    model = network()
    data = columns(rows, "float32")
    expectations = Expectations(im.Signature.from_data(model, data), model.named_features)
    (batch,) = pa.table(data).to_batches()
    scorers = {
        "scored": BatchScorer(model, batch.schema, ScoreOptions()),
        "scored and counted": BatchScorer(
            model, batch.schema, ScoreOptions(), watches=partial(Tally, expectations)
        ),
    }
    found = fastest_of({n: partial(s.score, batch) for n, s in scorers.items()}, seconds)
    print(f"\n{rows} rows × {FEATURES} columns of float32, with a signature")
    for name, time in found.items():
        print(f"  {name:20} {1e9 * time / rows:8.1f} ns a row")


def small_chunks(chunks: int, seconds: float) -> None:
    """Print what it takes that a pyarrow table is in small chunks."""
    import pyarrow as pa

    print(f"\n{chunks} chunks; ratio to the same rows in one")
    for rows, features, hidden, layers in SMALL_CHUNKS:
        model = network(features, hidden, layers)
        whole = pa.table(columns(chunks * rows, "float32", features))
        table = pa.Table.from_batches(whole.to_batches(max_chunksize=rows))
        found = fastest_of(
            {
                "one": partial(model.predict_table, whole),
                "many": partial(model.predict_table, table),
            },
            seconds,
        )
        size = "-".join(map(str, [features, *[hidden] * layers, 1]))
        print(
            f"  {rows:4} rows each, {size:20} {1e3 * found['one']:8.1f} ms"
            f" {1e3 * found['many']:8.1f} ms  {found['many'] / found['one']:6.2f}"
        )


def one_row() -> None:
    """Print what one row by name takes."""
    model = network()
    row = {name: float(values[0]) for name, values in columns(1, "f8").items()}
    best = min(timeit.repeat(lambda: model.predict_one(row), number=10_000, repeat=20)) / 10_000
    print(f"\npredict_one, {FEATURES} features: {1e6 * best:.2f} µs")


def main() -> None:
    """Run the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--chunks", type=int, default=0, help="compare small chunks instead")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each comparison")
    args = parser.parse_args()
    if args.chunks:
        small_chunks(args.chunks, args.seconds)
        return
    for dtype in ("float32", "float64"):
        compare(args.rows, dtype, args.seconds)
    texts(args.rows, args.seconds)
    inputs_counted(args.rows, args.seconds)
    one_row()


if __name__ == "__main__":
    main()
