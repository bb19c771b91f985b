"""Models whose outputs show which column went where."""

import numpy as np

import instmodel as im


def identity(features):
    """A model whose outputs are its inputs: names, or a number of unnamed ones."""
    b = im.ModelBuilder()
    x = b.input(features)
    size = features if isinstance(features, int) else len(_columns(features))
    return im.InstructionModel(b.build(output=b.copy_masked(x, list(range(size)))))


def _columns(features):
    return [c for f in im.parse_feature_names(features) for c in f.columns()]


def network(size=30, seed=0):
    """A network of `size`-16-1 with the names f0, f1 and so on."""
    rng = np.random.default_rng(seed)
    b = im.ModelBuilder()
    x = b.input([f"f{i}" for i in range(size)])
    h = b.dense(x, rng.normal(size=(16, size)) / size**0.5, np.zeros(16), "RELU")
    return im.InstructionModel(
        b.build(output=b.dense(h, rng.normal(size=(1, 16)), None, "SIGMOID"))
    )
