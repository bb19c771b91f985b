"""CSV and NPY files with NumPy alone: a reader and a writer each, chosen by the file's name.

A reader yields float32 batches (rows, features) and holds one batch; a writer takes float32 batches
(rows, outputs). So a file may be larger than memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from instmodel.base.categories import Categories
from instmodel.errors import InputError
from instmodel.tables.csv_file import CsvReader, CsvWriter
from instmodel.tables.inputs import Source
from instmodel.tables.kinds import format_of
from instmodel.tables.npy_file import NpyReader, NpyWriter

Floats = NDArray[np.float32]


class Reader(Protocol):
    """A table that is read once, from the first row to the last.

    Attributes
    ----------
    header : list of str or None
        The column names, if the file has them.
    """

    header: list[str] | None

    def batches(self) -> Iterator[Floats]:
        """Yield the rows as arrays of shape (rows, features), none of them empty."""

    def fraction(self) -> float:
        """Return how much of the file was read, 0 to 1."""

    def close(self) -> None:
        """Close the file."""


class Writer(Protocol):
    """A table that is written once, from the first row to the last."""

    def write(self, scores: Floats) -> None:
        """Add rows, given as (rows, outputs)."""

    def finish(self) -> None:
        """Complete the file. Closing it is the caller's business."""


def suffix(path: str | os.PathLike[str]) -> str:
    """Return ``.csv`` or ``.npy``, the format that the name of a file asks for."""
    if Path(path).suffix.lower() == ".npy":
        return ".npy"
    if format_of(path) != "csv":
        raise InputError(
            "invalid_table",
            "the name must end in .csv, .npy, .parquet, .arrow or .jsonl",
            file=path,
        )
    return ".csv"


def open_reader(
    path: str | os.PathLike[str] | Source,
    columns: Sequence[str] | None,
    width: int,
    batch_rows: int | None = None,
    key_inputs: Sequence[int] = (),
    categories: Sequence[Categories | None] = (),
) -> Reader:
    """Open a table for reading.

    Parameters
    ----------
    path : path-like or Source
        A file whose name ends in ``.csv``, perhaps compressed, or ``.npy``; or a source of CSV.
    columns : sequence of str, optional
        The columns of a CSV file that make up the input, by name. NPY has no names: there, and
        without `columns`, the file must hold exactly `width` columns in the model's order.
    width : int
        The model's feature count.
    batch_rows : int, optional
        Rows per batch; by default as many as keep a batch small.
    key_inputs : sequence of int
        `InstructionModel.key_inputs`: which inputs are looked up in maps as they come.
    categories : sequence of Categories or None
        Those of each of `columns`.
    """
    if not isinstance(path, Source) and suffix(path) == ".npy":
        return NpyReader(path, width, batch_rows, key_inputs)
    return CsvReader(path, columns, width, batch_rows, key_inputs=key_inputs, categories=categories)


def make_writer(ending: str, file: BinaryIO, outputs: int) -> Writer:
    """Return the writer of a format, ``.csv`` or ``.npy``, into an open file."""
    return NpyWriter(file, outputs) if ending == ".npy" else CsvWriter(file, outputs)
