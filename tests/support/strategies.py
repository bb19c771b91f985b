"""Hypothesis strategies: random valid documents of any instructions, and samples for them.

A document is built forward, instruction by instruction, from what is possible at that point: the
buffers' sizes decide which instructions fit, and the readers and writers so far which buffers may
be overwritten. So every document is valid by construction, and none is thrown away.
"""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import strategies as st

ACTIVATIONS = [
    "RELU",
    "SIGMOID",
    "SOFTMAX",
    "TANH",
    "SQRT",
    "LOG",
    "LOG10",
    "INVERSE",
    "GELU",
    "SOFTPLUS",
    "EXP",
    "SIGN",
]

HOSTILE = [
    *(np.nan, np.inf, -np.inf, 0.0, -0.0),
    *(1e-40, -1e-40, 1.2e-38, 3e38, -3e38, 3.4028235e38),
    *(0.5, -0.5, 1.5, 2.5, -2.5, 0.49999997, 2147483520.0, 2147483648.0, -2147483648.0, -3e9),
    *(88.0, -88.0, 89.0, -104.0, 16777216.0, 1e-20, -1e-6),
]


class _Writer:
    """A document in the making."""

    def __init__(self, sizes, rng, wild, scales):
        self.sizes, self.rng, self.wild, self.scales = sizes, rng, wild, scales
        self.unread = [False] * len(sizes)  # has a last writer that nothing has read
        self.instructions, self.weights, self.bias = [], [], []
        self.parameters, self.maps = [], []

    def values(self, *shape):
        """Return constants that are float32 numbers, as JSON has them."""
        scale = self.rng.choice(self.scales)
        values = self.rng.normal(0, scale, shape)
        how = self.rng.integers(4)
        if how == 0:
            values = np.round(values)
        elif how == 1:
            values = np.round(values, 2)
        if self.wild:
            odd = [0.0, -0.0, 1e-40, -1e-39, 1e30, -1e30, 3e38, 1e-30]
            values = np.where(self.rng.random(shape) < 0.1, self.rng.choice(odd, shape), values)
        return values.astype(np.float32)

    # What an instruction may be applied to, as arguments for the method of its name.

    def same(self, *, out_of=None):
        return [
            (a, b)
            for a, b in itertools.product(range(len(self.sizes)), repeat=2)
            if self.sizes[a] == self.sizes[b]
        ]

    def free(self, output, *reads):
        """Whether `output` may be overwritten by an instruction that reads `reads`."""
        return not self.unread[output] or output in reads

    def choices(self, name):
        n, s = range(len(self.sizes)), self.sizes
        if name == "DOT":
            return [(a, b) for a in n for b in n if a != b and self.free(b)]
        if name == "ATTENTION":
            same = [(a, b) for a, b in self.same() if a != b and self.free(b)]
            return [(a, k, b) for a, b in same for k in n if k != b]
        if name == "COPY":
            return [(a, b) for a in n for b in n if s[a] <= s[b]]
        if name == "COPY_MASKED":
            return [(a, b) for a in n for b in n if a != b]
        if name == "MAP_TRANSFORM":
            return list(itertools.product(n, n))
        if name in ("ADD_ELEMENTWISE_BUFFERS", "MULTIPLY_ELEMENTWISE_BUFFERS"):
            return [(a, b) for a, b in self.same() if self.free(b, a)]
        if name in ("ADD_BUFFER_HEADS", "MULTIPLY_BUFFER_HEADS"):
            same = [(a, b) for a, b in self.same() if self.free(b, a)]
            return [(a, h, b) for a, b in same for h in n if s[a] % s[h] == 0 and h != b]
        if name == "REDUCE_SUM":
            return [(a, b) for a in n for b in n if s[b] == 1 and a != b and self.free(b)]
        return [(a,) for a in n]  # in place

    def read(self, *buffers):
        for buffer in buffers:
            self.unread[buffer] = False

    def matrix(self, draw, rows, cols):
        fitting = [
            i for i, w in enumerate(self.weights) if (len(w), len(w[0])) == (rows, cols)
        ]  # fmt: skip
        if fitting and draw(st.booleans()):
            return draw(st.sampled_from(fitting))
        self.weights.append((self.values(rows, cols) / np.float32(np.sqrt(cols))).tolist())
        self.bias.append(self.values(rows).tolist())
        return len(self.weights) - 1

    def vector(self, draw, size):
        fitting = [i for i, p in enumerate(self.parameters) if len(p) == size]
        if fitting and draw(st.booleans()):
            return draw(st.sampled_from(fitting))
        self.parameters.append(self.values(size).tolist())
        return len(self.parameters) - 1

    def table(self, draw, size):
        fitting = [
            i
            for i, m in enumerate(self.maps)
            if not m or len(next(iter(m.values()))) == size
        ]  # fmt: skip
        if fitting and draw(st.booleans()):
            return draw(st.sampled_from(fitting))
        small = st.integers(-4, 8)
        keys = draw(st.lists(small | st.sampled_from([2**31 - 1, -(2**31), 16777216]), max_size=5))
        self.maps.append({str(k): self.values(size).tolist() for k in sorted(set(keys))})
        return len(self.maps) - 1

    def add(self, draw, name):
        choices = self.choices(name)
        if not choices:
            return
        at = draw(st.sampled_from(choices))
        s = self.sizes
        instruction = {"type": name, "input": at[0]}
        self.read(at[0])
        if name == "DOT":
            instruction |= {"output": at[1], "weights": self.matrix(draw, s[at[1]], s[at[0]])}
            if activation := draw(st.none() | st.sampled_from(ACTIVATIONS)):
                instruction["activation"] = activation
        elif name == "ATTENTION":
            self.read(at[1])
            weights = self.matrix(draw, s[at[2]], s[at[1]])
            instruction |= {"key": at[1], "output": at[2], "weights": weights}
        elif name == "COPY":
            index = draw(st.integers(0, s[at[1]] - s[at[0]]))
            instruction |= {"output": at[1], "internal_index": index}
        elif name == "COPY_MASKED":
            index = st.integers(0, s[at[0]] - 1)
            indexes = draw(st.lists(index, max_size=s[at[1]]))
            instruction |= {"output": at[1], "indexes": indexes}
        elif name == "MAP_TRANSFORM":
            start = draw(st.integers(0, s[at[1]] - 1))
            size = draw(st.integers(1, min(4, s[at[1]] - start)))
            instruction |= {
                "output": at[1],
                "internal_input_index": draw(st.integers(0, s[at[0]] - 1)),
                "internal_output_index": start,
                "map": self.table(draw, size),
                "size": size,
                "default": self.values(size).tolist(),
            }
        elif name in ("ADD_ELEMENTWISE_BUFFERS", "MULTIPLY_ELEMENTWISE_BUFFERS"):
            same = [b for b in range(len(s)) if s[b] == s[at[1]]]
            inputs = [at[0], *draw(st.lists(st.sampled_from(same), min_size=1, max_size=3))]
            inputs = draw(st.permutations(inputs))
            self.read(*inputs)
            instruction |= {"input": inputs, "output": at[1]}
        elif name in ("ADD_BUFFER_HEADS", "MULTIPLY_BUFFER_HEADS"):
            self.read(at[1])
            instruction |= {"input": [at[0], at[1]], "output": at[2]}
        elif name == "REDUCE_SUM":
            instruction["output"] = at[1]
        elif name == "ACTIVATION":
            instruction["activation"] = draw(st.sampled_from(ACTIVATIONS))
        elif name == "CLIP_ELEMENTWISE":
            bounds = draw(st.sampled_from([("min",), ("max",), ("min", "max")]))
            for bound in bounds:
                instruction[f"parameters_{bound}"] = self.vector(draw, s[at[0]])
        else:
            instruction["parameters"] = self.vector(draw, s[at[0]])
        self.unread[instruction.get("output", at[0])] = True
        self.instructions.append(instruction)


INSTRUCTIONS = [
    "DOT",
    "ATTENTION",
    "COPY",
    "COPY_MASKED",
    "ACTIVATION",
    "ADD_ELEMENTWISE",
    "MUL_ELEMENTWISE",
    "CLIP_ELEMENTWISE",
    "ADD_ELEMENTWISE_BUFFERS",
    "MULTIPLY_ELEMENTWISE_BUFFERS",
    "ADD_BUFFER_HEADS",
    "MULTIPLY_BUFFER_HEADS",
    "REDUCE_SUM",
    "MAP_TRANSFORM",
]


@st.composite
def documents(
    draw,
    *,
    max_instructions=14,
    max_size=20,
    wild=False,
    scales=(0.25, 1.0, 4.0),
    names=INSTRUCTIONS,
):
    """Draw a valid document.

    Parameters
    ----------
    wild : bool
        Put zeros of both signs, subnormals and huge numbers among the constants.
    scales : sequence of float
        Standard deviations of constants; with large ones, models magnify rounding errors.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    # Few different sizes, and multiples of each other, so that most instructions fit somewhere.
    base = draw(st.integers(1, 4))
    factors = draw(st.lists(st.integers(1, max_size // 4), min_size=1, max_size=2))
    pool = sorted({1, base, *(min(base * f, max_size) for f in factors)})
    sizes = draw(st.lists(st.sampled_from(pool), min_size=1, max_size=7))
    inputs = draw(st.integers(1, min(3, len(sizes))))
    writer = _Writer(sizes, rng, wild, scales)
    # Not st.integers, which prefers small numbers: what is rare needs long documents.
    count = draw(st.sampled_from(range(1, max_instructions + 1)))
    for _ in range(count):
        possible = [name for name in names if writer.choices(name)]
        if possible:
            writer.add(draw, draw(st.sampled_from(possible)))
    if not writer.instructions:
        writer.add(draw, "ACTIVATION")
    features = sum(sizes[:inputs])
    document = {"buffer_sizes": sizes, "instructions": writer.instructions}
    naming = draw(st.sampled_from(["names", "size", "both", "array"]))
    if naming in ("names", "both"):
        document["features"] = [f"f{i}" for i in range(features)]
    if naming == "array":
        document["features"] = [f"f[{features}]"]
    if naming in ("size", "both"):
        document["feature_size"] = features
    document |= {"weights": writer.weights, "bias": writer.bias}
    if writer.parameters or draw(st.booleans()):
        document["parameters"] = writer.parameters
    if writer.maps or draw(st.booleans()):
        document["maps"] = writer.maps
    return document


def feature_size(document):
    """Return the number of input values of a document that `documents` made."""
    names = document.get("features")
    if names is None:
        return document["feature_size"]
    return sum(int(n[n.index("[") + 1 : -1]) if "[" in n else 1 for n in names)


def samples(rows, columns, seed, *, hostile=False, share=0.1):
    """Return (rows, columns) float32 samples: normal, whole and half numbers, map keys.

    With `hostile`, a share of the values are NaN, infinite, subnormal, huge or next to a jump.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 2, (rows, columns))
    how = rng.random((rows, columns))
    x = np.where(how < 0.3, np.round(x), x)
    x = np.where(how > 0.9, np.round(2 * x) / 2, x)
    if hostile:
        x = np.where(rng.random((rows, columns)) < share, rng.choice(HOSTILE, x.shape), x)
    return x.astype(np.float32)
