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


def lookups(keys=(5, 16777216, 16777218)):
    """A model that looks up `shop` and, through a copy, the middle of `history` in one map.

    Its outputs are the rows of the two: 0, 1 and so on for the keys in order, else -1.
    """

    def lookup(buffer, place, output):
        return im.MapTransform(
            input=buffer,
            output=2,
            internal_input_index=place,
            internal_output_index=output,
            map=0,
            size=1,
            default=[-1],
        )

    info = im.InstructionModelInfo(
        features=["amount", "shop", "history[3]"],
        buffer_sizes=[5, 2, 2],
        instructions=[
            im.CopyMasked(input=0, output=1, indexes=[0, 3]),
            lookup(0, 1, 0),
            lookup(1, 1, 1),
        ],
        maps=[{key: [float(row)] for row, key in enumerate(keys)}],
    )
    return im.InstructionModel(info)


def labelled(unknown="error"):
    """A model of `colour`, red or green, and `age`, whose outputs are these."""
    info = identity(["colour", "age"]).info
    info.categories = {"colour": im.Categories(["red", "green"], unknown)}
    return im.InstructionModel(info)
