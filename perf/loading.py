"""``python -m perf.loading``: what it costs to open a model of ten million weights.

Against reading the same bytes with NumPy, and against parsing the same text with ``json``: in one
run, alternating, medians. Memory is what the peak of resident memory rises by.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from rich.console import Console
from rich.table import Table

import instmodel as im
from perf import machine
from perf.memory import peak_of
from perf.rounds import alternate, median_ratio
from perf.timing import fastest

#: Layers of 1000 → 2500 → 2997: 9,998,000 weights and biases.
SIZES = (1000, 2500, 2997)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m perf.loading", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.2, help="of each turn")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        binary, text = Path(folder, "m.instmodel"), Path(folder, "m.json")
        info = _model()
        info.save(binary)
        info.save(text)
        calls = {
            "numpy.fromfile": partial(np.fromfile, binary, np.float32),
            "load": partial(im.load, binary),
            "load(mmap=True)": partial(im.load, binary, mmap=True),
            "json.loads": partial(_parse, text),
            "load of JSON": partial(im.load, text),
        }
        turns = {name: partial(fastest, call, options.seconds) for name, call in calls.items()}
        rounds = alternate(turns, options.rounds)
        peaks = {name: peak_of(call) for name, call in calls.items()}
        sizes = {"numpy.fromfile": binary.stat().st_size, "json.loads": text.stat().st_size}
    table = Table(title=str(machine.describe()["cpu"]))
    for heading in ("", "ms", "ratio", "memory / file"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, peak in peaks.items():
        base = "json.loads" if "json" in name.lower() else "numpy.fromfile"
        table.add_row(
            name,
            f"{1e3 * median(rounds[name]):.2f}",
            f"{median_ratio(rounds[name], rounds[base]):.2f}",
            "" if peak is None else f"{peak / sizes[base]:.2f}",
        )
    Console().print(table)


def _model() -> im.InstructionModelInfo:
    rng = np.random.default_rng(0)
    builder = im.ModelBuilder()
    handle = builder.input(SIZES[0])
    for rows, cols in zip(SIZES[1:], SIZES, strict=False):
        weights = rng.standard_normal((rows, cols), np.float32)
        handle = builder.dense(handle, weights, np.zeros(rows, np.float32))
    return builder.build(output=handle)


def _parse(path: Path) -> object:
    return json.loads(path.read_bytes())


if __name__ == "__main__":
    main()
