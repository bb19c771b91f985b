"""Hypothesis strategies: random valid documents of any instructions, and samples for them.

A document is built forward, instruction by instruction, from what is possible at that point: the
buffers' sizes decide which instructions fit, and the readers and writers so far which buffers may
be overwritten. So every document is valid by construction, and none is thrown away.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from instmodel.base.activations import Activation

ACTIVATIONS = [item.name for item in Activation]

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

    def same(self):
        """Return the pairs of buffers of one size."""
        pairs = itertools.product(range(len(self.sizes)), repeat=2)
        return [(a, b) for a, b in pairs if self.sizes[a] == self.sizes[b]]

    def free(self, output, *reads):
        """Whether `output` may be overwritten by an instruction that reads `reads`."""
        return not self.unread[output] or output in reads

    def choices(self, name):
        """Return what the instruction may be applied to: tuples of buffers, the input first."""
        return list(INSTRUCTIONS[name].choices(self, range(len(self.sizes)), self.sizes))

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
        keys = draw(st.lists(small | st.sampled_from([2147483520, -(2**31), 16777216]), max_size=5))
        self.maps.append({str(k): self.values(size).tolist() for k in sorted(set(keys))})
        return len(self.maps) - 1

    def add(self, draw, name):
        choices = self.choices(name)
        if not choices:
            return
        at = draw(st.sampled_from(choices))
        self.read(at[0])
        instruction = {"type": name, "input": at[0]}
        instruction |= INSTRUCTIONS[name].fields(self, draw, self.sizes, *at)
        self.unread[instruction.get("output", at[0])] = True
        self.instructions.append(instruction)


class _Random(NamedTuple):
    """How to draw one instruction.

    `choices` gets the writer, the buffers and their sizes, and yields the tuples of buffers that
    fit; `fields` gets the writer, `draw`, the sizes and one such tuple, and returns the fields.
    """

    choices: Callable
    fields: Callable


def _dot(w, draw, s, a, b):
    fields = {"output": b, "weights": w.matrix(draw, s[b], s[a])}
    activation = draw(st.none() | st.sampled_from(ACTIVATIONS))
    return fields | ({"activation": activation} if activation else {})


def _attention(w, draw, s, a, key, b):
    w.read(key)
    return {"key": key, "output": b, "weights": w.matrix(draw, s[b], s[key])}


def _copy(w, draw, s, a, b):
    return {"output": b, "internal_index": draw(st.integers(0, s[b] - s[a]))}


def _copy_masked(w, draw, s, a, b):
    return {"output": b, "indexes": draw(st.lists(st.integers(0, s[a] - 1), max_size=s[b]))}


def _map_transform(w, draw, s, a, b):
    start = draw(st.integers(0, s[b] - 1))
    size = draw(st.integers(1, min(4, s[b] - start)))
    return {
        "output": b,
        "internal_input_index": draw(st.integers(0, s[a] - 1)),
        "internal_output_index": start,
        "map": w.table(draw, size),
        "size": size,
        "default": w.values(size).tolist(),
    }


def _activation(w, draw, s, a):
    return {"activation": draw(st.sampled_from(ACTIVATIONS))}


def _parameters(w, draw, s, a):
    return {"parameters": w.vector(draw, s[a])}


def _clip(w, draw, s, a):
    bounds = draw(st.sampled_from([("min",), ("max",), ("min", "max")]))
    return {f"parameters_{bound}": w.vector(draw, s[a]) for bound in bounds}


def _buffers(w, draw, s, a, b):
    same = [other for other in range(len(s)) if s[other] == s[b]]
    inputs = [a, *draw(st.lists(st.sampled_from(same), min_size=1, max_size=3))]
    inputs = draw(st.permutations(inputs))
    w.read(*inputs)
    return {"input": inputs, "output": b}


def _heads(w, draw, s, a, heads, b):
    w.read(heads)
    return {"input": [a, heads], "output": b}


def _reduce_sum(w, draw, s, a, b):
    return {"output": b}


def _in_place(w, n, s):
    return ((a,) for a in n)


_FOLDED = _Random(lambda w, n, s: ((a, b) for a, b in w.same() if w.free(b, a)), _buffers)
_HEADED = _Random(
    lambda w, n, s: (
        (a, h, b) for a, b in w.same() if w.free(b, a) for h in n if s[a] % s[h] == 0 and h != b
    ),
    _heads,
)

# By the ``type`` of an instruction; a test demands one for every instruction.
INSTRUCTIONS = {
    "DOT": _Random(
        lambda w, n, s: ((a, b) for a in n for b in n if a != b and w.free(b)),
        _dot,
    ),
    "ATTENTION": _Random(
        lambda w, n, s: (
            (a, k, b) for a, b in w.same() if a != b and w.free(b) for k in n if k != b
        ),
        _attention,
    ),
    "COPY": _Random(lambda w, n, s: ((a, b) for a in n for b in n if s[a] <= s[b]), _copy),
    "COPY_MASKED": _Random(lambda w, n, s: ((a, b) for a in n for b in n if a != b), _copy_masked),
    "ACTIVATION": _Random(_in_place, _activation),
    "ADD_ELEMENTWISE": _Random(_in_place, _parameters),
    "MUL_ELEMENTWISE": _Random(_in_place, _parameters),
    "CLIP_ELEMENTWISE": _Random(_in_place, _clip),
    "ADD_ELEMENTWISE_BUFFERS": _FOLDED,
    "MULTIPLY_ELEMENTWISE_BUFFERS": _FOLDED,
    "ADD_BUFFER_HEADS": _HEADED,
    "MULTIPLY_BUFFER_HEADS": _HEADED,
    "REDUCE_SUM": _Random(
        lambda w, n, s: ((a, b) for a in n for b in n if s[b] == 1 and a != b and w.free(b)),
        _reduce_sum,
    ),
    "MAP_TRANSFORM": _Random(lambda w, n, s: itertools.product(n, n), _map_transform),
}


_TEXTS = st.lists(st.text(max_size=3), max_size=4, unique=True)
_CATEGORIES = _TEXTS | st.fixed_dictionaries(
    {"values": _TEXTS}, optional={"unknown": st.sampled_from(["error", "nan", -1, 2.5, 1e30])}
)


@st.composite
def signatures(draw, names, categories):
    """Draw a valid signature of features, some of which have text categories."""
    found = {}
    for name in draw(st.lists(st.sampled_from(names), unique=True)):
        texts = categories.get(name)
        if texts is not None:
            count = len(texts["values"] if isinstance(texts, dict) else texts)
            item = {"kind": "text"}
        elif draw(st.booleans()):
            numbers = st.floats(-100, 100, width=32)
            edges = sorted(draw(st.sets(numbers, max_size=5)))
            low, high = sorted(draw(st.tuples(numbers, numbers)))
            count, item = len(edges) + 1, {"kind": "number", "edges": edges}
            item |= draw(
                st.sampled_from([{}, {"min": low}, {"max": high}, {"min": low, "max": high}])
            )
        else:
            codes = sorted(draw(st.sets(st.integers(-(2**24), 2**24), max_size=5)))
            count, item = len(codes), {"kind": "code", "codes": codes}
        item["nulls"] = draw(st.sampled_from(["allowed", "never"]))
        if draw(st.booleans()):
            parts = draw(st.lists(st.integers(0, 9), min_size=count + 1, max_size=count + 1))
            *shares, item["null_share"] = (part / max(1, sum(parts)) for part in parts)
            item["shares"] = shares
        found[name] = item
    return {"rows": draw(st.integers(0, 10**9)), "features": found}


@st.composite
def documents(
    draw,
    *,
    max_instructions=14,
    max_size=20,
    wild=False,
    scales=(0.25, 1.0, 4.0),
    names=tuple(INSTRUCTIONS),
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
    if "features" in document and draw(st.booleans()):
        names = [name.partition("[")[0] for name in document["features"]]
        document["categories"] = draw(st.dictionaries(st.sampled_from(names), _CATEGORIES))
        if draw(st.booleans()):
            document["signature"] = draw(signatures(names, document["categories"]))
    if naming in ("size", "both"):
        document["feature_size"] = features
    document |= {"weights": writer.weights, "bias": writer.bias}
    if writer.parameters or draw(st.booleans()):
        document["parameters"] = writer.parameters
    if writer.maps or draw(st.booleans()):
        document["maps"] = writer.maps
    return document


@st.composite
def recurrent_documents(draw, **options):
    """Draw a valid document with state: some buffers of a random one keep their values.

    Every buffer may be one that is written, is read or is the output, and that no feature fills.
    Where there is none, the sum of all outputs so far becomes one.
    """
    document = draw(documents(**options))
    if not _possible_states(document):
        sizes = document["buffer_sizes"]
        last, total = len(sizes) - 1, len(sizes)
        add = {"type": "ADD_ELEMENTWISE_BUFFERS", "input": [total, last], "output": total}
        document["buffer_sizes"] = [*sizes, sizes[-1]]
        document["instructions"] = [*document["instructions"], add]
    buffers = draw(st.permutations(_possible_states(document)))
    state = [{"buffer": buffer} for buffer in buffers[: draw(st.integers(1, len(buffers)))]]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    parameters = list(document.get("parameters", []))
    for item in state:
        if draw(st.booleans()):
            item["initial"] = len(parameters)
            size = document["buffer_sizes"][item["buffer"]]
            parameters.append(rng.normal(0, 1, size).astype(np.float32).tolist())
    return {**document, "state": state, "parameters": parameters}


def _possible_states(document):
    sizes = document["buffer_sizes"]
    inputs, features = 0, feature_size(document)
    while sum(sizes[:inputs]) < features:
        inputs += 1
    read, written = {len(sizes) - 1}, set()
    for item in document["instructions"]:
        given = item["input"] if isinstance(item["input"], list) else [item["input"]]
        read.update([*given, item.get("key", given[0])])
        written.add(item.get("output", given[0]))
    return sorted(read & written - set(range(inputs)))


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
