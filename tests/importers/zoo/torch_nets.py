"""What the cases of PyTorch share: modules of a function, and how to score with them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from support.zoo import Case, Source
from torch import nn

import instmodel as im


class Net(nn.Module):
    """A module of some parts, and of a function of them and of its inputs."""

    def __init__(self, forward: Callable, **parts: Any) -> None:
        super().__init__()
        self.run = forward
        for name, part in parts.items():
            if isinstance(part, torch.Tensor) and not isinstance(part, nn.Parameter):
                self.register_buffer(name, part)
            else:
                setattr(self, name, part)

    def forward(self, *inputs):
        return self.run(self, *inputs)


class Residual(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.norm, self.first = nn.LayerNorm(size), nn.Linear(size, 2 * size)
        self.second = nn.Linear(2 * size, size)

    def forward(self, x):
        return x + self.second(torch.relu(self.first(self.norm(x))))


def module(
    make: Callable[[], nn.Module],
    rows: np.ndarray,
    inputs: Sequence[tuple[int, torch.dtype]] | None = None,
    output: Any = None,
) -> Callable[[], Source]:
    """Return what makes the source of a module.

    `inputs` says how many columns each of its inputs has, and their type: one of floats if it is
    left out. NaN is no integer: such a row is refused.
    """

    def source() -> Source:
        torch.manual_seed(0)
        made = make().eval()
        parts = inputs or [(rows.shape[1], torch.float32)]
        types = [dtype for width, dtype in parts for _ in range(width)]
        whole = [i for i, dtype in enumerate(types) if not dtype.is_floating_point]

        def computed(table: np.ndarray) -> np.ndarray:
            with torch.no_grad():
                found = made(*tensors(table, parts))
            if output is not None:
                chosen = [output] if isinstance(output, str | int) else output
                found = torch.cat([found[name].reshape(len(table), -1) for name in chosen], 1)
            return found.reshape(len(table), -1).double().numpy()

        def scores(table: np.ndarray) -> np.ndarray:
            # Rows with other integers than usual one by one: the module may refuse them.
            usual = np.ones(len(table), bool)
            for column in whole:
                usual &= np.isin(table[:, column], rows[:, column])
            first = computed(np.concatenate([rows[:1], table[usual]]))
            found = np.full((len(table), first.shape[1]), np.nan)
            found[usual] = first[1:]
            for place in np.flatnonzero(~usual & ~np.isnan(table[:, whole]).any(axis=1)):
                with contextlib.suppress(IndexError, RuntimeError):
                    found[place] = computed(table[place : place + 1])[0]
            return found

        example = tuple(tensors(rows[:2], parts))
        load = lambda: im.importers.from_torch(made, example, output=output)  # noqa: E731
        return Source(rows, scores, load, whole)

    return source


def tensors(table: np.ndarray, parts: Sequence[tuple[int, torch.dtype]]) -> list[torch.Tensor]:
    """Return the columns of a table as the inputs of a module."""
    edges = np.cumsum([width for width, _ in parts])[:-1]
    blocks = np.split(table, edges, axis=1)
    return [
        torch.from_numpy(np.ascontiguousarray(block)).to(dtype)
        for block, (_, dtype) in zip(blocks, parts, strict=True)
    ]


def numbers(columns: int, rows: int = 300) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, columns)).astype(np.float32)


def codes(*sizes: int, rows: int = 300) -> np.ndarray:
    """Return columns of whole numbers 0 … size - 1."""
    rng = np.random.default_rng(1)
    return np.stack([rng.integers(0, size, rows) for size in sizes], 1).astype(np.float32)


def case(name: str, kind: str, make: Callable[[], nn.Module], rows: Any = 8, **more: Any) -> Case:
    """Return a case of one input of floats: `rows`, or how many columns."""
    table = numbers(rows) if isinstance(rows, int) else rows
    parts = {key: more.pop(key) for key in ("inputs", "output") if key in more}
    return Case(name, kind, module(make, table, **parts), **more)


def formula(name: str, kind: str, forward: Callable, rows: Any = 8, **parts: Any) -> Case:
    """Return a case of a function of one input; `parts` make the module's parts."""
    made = lambda: Net(forward, **{key: make() for key, make in parts.items()})  # noqa: E731
    return case(name, kind, made, rows)


def refused(name: str, forward: Callable, *pieces: str) -> Case:
    return case(name, "refused operators", lambda: Net(forward), refused=pieces)


def activated(activation: nn.Module) -> Case:
    layers = lambda: nn.Sequential(nn.Linear(8, 6), activation, nn.Linear(6, 2))  # noqa: E731
    return case(repr(activation), "activations", layers)
