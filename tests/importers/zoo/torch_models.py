"""PyTorch models of the zoo."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from support.zoo import Case, Source
from torch import nn

import instmodel as im


def module(make: Callable[[], nn.Module], rows: np.ndarray) -> Callable[[], Source]:
    """Return what makes the source of a module with one input of float32 rows."""

    def source() -> Source:
        torch.manual_seed(0)
        made = make().eval()

        def scores(table: np.ndarray) -> np.ndarray:
            with torch.no_grad():
                return made(torch.from_numpy(table)).numpy()

        example = torch.from_numpy(rows[:2])
        return Source(rows, scores, lambda: im.importers.from_torch(made, example))

    return source


def numbers(columns: int, rows: int = 300) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, columns)).astype(np.float32)


CASES = [
    Case(
        "MLP with batch norm and dropout",
        "feed-forward networks",
        module(
            lambda: nn.Sequential(
                nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 1)
            ),
            numbers(8),
        ),
    ),
]
