"""The networks that are measured: a chain of layers each, which every peer builds in its own way.

All weights and inputs come from fixed seeds, so every process makes the same ones.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

import instmodel as im

Array = NDArray[np.float32]

#: Different rows of an input; they repeat after this many.
_DISTINCT_ROWS = 4096


@dataclass(frozen=True, slots=True)
class Dense:
    """``activation(weights · h + bias)``; weights (rows, cols), bias (rows,)."""

    weights: Array
    bias: Array
    activation: str | None = None


@dataclass(frozen=True, slots=True)
class Attention:
    """``softmax(weights · x + bias) ⊙ h``, where x is the input of the network."""

    weights: Array
    bias: Array


@dataclass(frozen=True, slots=True)
class Normalize:
    """``h · factors + terms``, element by element: a batch normalization after training."""

    factors: Array
    terms: Array


@dataclass(frozen=True, slots=True)
class Embed:
    """The first layer: the ids at the head of the input select rows of tables.

    ``[x[k:] | tables[0][x[0]] | … | tables[k-1][x[k-1]]]``. The tables have one width, and every
    id is in its table.
    """

    tables: tuple[Array, ...]

    @property
    def joined(self) -> Array:
        """All tables, one below the other, for peers that look all ids up at once."""
        return np.concatenate(self.tables)

    @property
    def starts(self) -> NDArray[np.int64]:
        """First row of each table in `joined`."""
        sizes = [len(table) for table in self.tables]
        return np.cumsum([0, *sizes[:-1]], dtype=np.int64)


Layer = Dense | Attention | Normalize | Embed


@dataclass(frozen=True)
class Network:
    """A network, and how many rows of it make a batch.

    Attributes
    ----------
    name : str
    features : int
        Input values of a row.
    layers : tuple of Layer
    rows : int
        Rows of the batch that is measured: enough for some ten milliseconds, and more than the
        caches hold where memory is the limit.
    """

    name: str
    features: int
    layers: tuple[Layer, ...]
    rows: int

    @property
    def outputs(self) -> int:
        """Output values of a row."""
        last = self.layers[-1]
        assert isinstance(last, Dense)
        return len(last.bias)

    @property
    def flops_per_row(self) -> int:
        """Multiplications and additions of the matrix products."""
        return sum(2 * layer.weights.size for layer in self.layers if hasattr(layer, "weights"))

    @property
    def bytes_per_row(self) -> int:
        """Bytes of input that must be read and of output that must be written."""
        return 4 * (self.features + self.outputs)

    def inputs(self, rows: int) -> Array:
        """Return (rows, features) inputs; the same first rows for every number of rows."""
        random = _random(self.name + " inputs")
        x = random.standard_normal((_DISTINCT_ROWS, self.features), np.float32)
        if isinstance(self.layers[0], Embed):
            for column, table in enumerate(self.layers[0].tables):
                x[:, column] = random.integers(len(table), size=_DISTINCT_ROWS)
        return np.resize(x, (rows, self.features))

    @cached_property
    def info(self) -> im.InstructionModelInfo:
        """The network as a document, with the instructions that a trainer writes."""
        return _document(self)


def _document(network: Network) -> im.InstructionModelInfo:
    sizes = [network.features]
    instructions: list[im.Instruction] = []
    weights, bias, parameters, maps = [], [], [], []
    for layer in network.layers:
        here, new = len(sizes) - 1, len(sizes)
        match layer:
            case Dense(activation=name):
                activation = None if name is None else im.Activation[name]
                instructions.append(im.Dot(here, new, len(weights), activation))
            case Attention():
                instructions.append(im.Attention(here, 0, new, len(weights)))
            case Normalize(factors, terms):
                instructions.append(im.MulElementwise(here, len(parameters)))
                instructions.append(im.AddElementwise(here, len(parameters) + 1))
                parameters += [factors, terms]
            case Embed(tables):
                instructions += _embedding_instructions(network.features, tables)
                maps += [dict(enumerate(table)) for table in tables]
                sizes.append(network.features + sum(table.shape[1] - 1 for table in tables))
        if isinstance(layer, Dense | Attention):
            sizes.append(len(layer.bias))
            weights.append(layer.weights)
            bias.append(layer.bias)
    return im.InstructionModelInfo(
        feature_size=network.features,
        buffer_sizes=sizes,
        instructions=instructions,
        weights=weights,
        bias=bias,
        parameters=parameters,
        maps=maps,
    )


def _embedding_instructions(features: int, tables: Sequence[Array]) -> list[im.Instruction]:
    """Pick the numbers, then look each id up, all into buffer 1."""
    numbers, width = list(range(len(tables), features)), tables[0].shape[1]
    return [
        im.CopyMasked(0, 1, numbers),
        *(
            im.MapTransform(
                input=0,
                output=1,
                internal_input_index=column,
                internal_output_index=len(numbers) + width * column,
                map=column,
                size=width,
                default=np.zeros(width, np.float32),
            )
            for column in range(len(tables))
        ),
    ]


# ------------------------------------------------------------------------------------- the list


class _Maker:
    """Random layers whose values keep about the same size from layer to layer."""

    def __init__(self, name: str) -> None:
        self._random = _random(name)

    def normal(self, *shape: int, scale: float = 1.0) -> Array:
        return self._random.standard_normal(shape, np.float32) * np.float32(scale)

    def dense(self, cols: int, rows: int, activation: str | None = None) -> Dense:
        scale = (2 / cols) ** 0.5 if activation == "RELU" else (1 / cols) ** 0.5
        return Dense(self.normal(rows, cols, scale=scale), self.normal(rows, scale=0.1), activation)

    def chain(self, sizes: Sequence[int], last: str | None = None) -> list[Layer]:
        """Dense layers from size to size: ReLU inside, `last` at the end."""
        steps = list(pairwise(sizes))
        return [
            self.dense(cols, rows, "RELU" if number + 1 < len(steps) else last)
            for number, (cols, rows) in enumerate(steps)
        ]


def _embeddings(make: _Maker) -> list[Layer]:
    vocabularies = (10, 50, 100, 500, 1000, 2000, 5000, 10_000)
    tables = tuple(make.normal(size, 16) for size in vocabularies)
    return [Embed(tables), *make.chain([8 + 8 * 16, 64, 32, 1], "SIGMOID")]


def _attention(make: _Maker) -> list[Layer]:
    gate = Attention(make.normal(128, 64, scale=0.5), make.normal(128, scale=0.1))
    return [make.dense(64, 128, "RELU"), gate, *make.chain([128, 64, 1], "SIGMOID")]


def _batch_norm(make: _Maker) -> list[Layer]:
    layers: list[Layer] = []
    for _ in range(4):
        normalize = Normalize(1 + make.normal(64, scale=0.1), make.normal(64, scale=0.1))
        layers += [normalize, make.dense(64, 64, "RELU")]
    return [*layers, make.dense(64, 1, "SIGMOID")]


def _network(
    name: str, features: int, rows: int, layers: Callable[[_Maker], list[Layer]]
) -> Network:
    return Network(name, features, tuple(layers(_Maker(name))), rows)


def _random(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(name.encode()))


#: Every network, by name.
NETWORKS: dict[str, Network] = {
    network.name: network
    for network in (
        _network("250-300-200", 250, 32_768, lambda m: m.chain([250, 300, 200], "SIGMOID")),
        _network("10-1", 10, 1_500_000, lambda m: m.chain([10, 1], "SIGMOID")),
        _network("250-1", 250, 65_536, lambda m: m.chain([250, 1], "SIGMOID")),
        _network("30-16-8-1", 30, 131_072, lambda m: m.chain([30, 16, 8, 1], "SIGMOID")),
        _network("64x20", 64, 16_384, lambda m: m.chain([64] * 21)),
        _network("1024-2048-1024", 1024, 2048, lambda m: m.chain([1024, 2048, 1024])),
        _network("embeddings", 16, 65_536, _embeddings),
        _network("attention", 64, 65_536, _attention),
        _network("batch-norm", 64, 65_536, _batch_norm),
    )
}
