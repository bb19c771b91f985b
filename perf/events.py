"""What a table of events costs: ``python -m perf.events``.

Needs the extra ``arrow``. Events of random cards, in the order in which they come, through an RNN
29-10-1; the memory is what the process has at its peak beyond the table.
"""

from __future__ import annotations

import argparse
import resource
from time import perf_counter

import numpy as np

import instmodel as im

FEATURES, HIDDEN = 29, 10


def network() -> im.InstructionModel:
    """Return the network, with the names f0, f1 and so on."""
    rng = np.random.default_rng(0)
    b = im.ModelBuilder()
    x = b.input([f"f{i}" for i in range(FEATURES)])
    h = b.rnn(x, rng.normal(size=(HIDDEN, FEATURES)) / 5, rng.normal(size=(HIDDEN, HIDDEN)) / 4)
    y = b.dense(h, rng.normal(size=(1, HIDDEN)), [0.0], "SIGMOID")
    return im.InstructionModel(b.build(output=y))


def main() -> None:
    """Score the same table twice: with keys that are new, then with keys that are known."""
    import pyarrow as pa

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--keys", type=int, default=1_000_000)
    args = parser.parse_args()
    rng = np.random.default_rng(1)
    columns = {f"f{i}": rng.standard_normal(args.events, np.float32) for i in range(FEATURES)}
    table = pa.table({"key": rng.integers(0, args.keys, args.events), **columns})
    model = network()
    store = im.StateStore(model)
    before = _peak()
    for what in ("new keys", "known keys"):
        start = perf_counter()
        model.predict_events(table, "key", states=store)
        rate = args.events / (perf_counter() - start)
        print(f"{what:10} {rate / 1e6:6.2f} M events/s")
    print(f"{len(store)} keys; {_peak() - before:.0f} MB, scores and states among them")


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
