"""Reading tables for what they hold, not for what a model makes of it."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any, NoReturn

from instmodel.document.keys import key_inputs
from instmodel.document.validate import check
from instmodel.errors import InputError
from instmodel.tables.rows import Batch, is_path, is_table, read_rows
from instmodel.tables.unknown_text import WatchedCategories


class Inputs:
    """The inputs of a model, for readers of tables: text that no category knows is no error there.

    It gets numbers that no category has, see `instmodel.tables.unknown_text`.

    Parameters
    ----------
    model : InstructionModel or InstructionModelInfo

    Raises
    ------
    InstModelError
        ``missing_features``: the model does not name them; and every rule of a document.
    """

    def __init__(self, model: Any) -> None:
        structure = model.structure
        checked = check(structure)
        if not checked.features:
            raise InputError(
                "missing_features", "a signature is told by the names of features", field="features"
            )
        self.named_features = [
            item
            if item.categories is None
            else replace(item, categories=WatchedCategories(item.categories.values))
            for item in checked.features
        ]
        self.features = list(structure.features)
        self.feature_size = checked.feature_size
        self.output_size = structure.buffer_sizes[-1]
        self.columns = [name for item in checked.features for name in item.columns()]
        self.read_inputs = range(checked.feature_size)  # one may look at what the model does not
        self.key_inputs = key_inputs(
            structure.instructions, structure.buffer_sizes, checked.feature_size
        )

    def predict(self, x: Any, out: Any = None) -> NoReturn:
        """Refuse: there is no model behind these."""
        raise NotImplementedError

    def rows(
        self, data: Any, keys: Sequence[str] = (), batch_rows: int | None = None
    ) -> Generator[Batch, None, None]:
        """Yield the rows of a table or file, nulls as NaN; see `read_rows`."""
        typed = is_table(data) or (is_path(data) and not os.fspath(data).lower().endswith(".npy"))
        nulls = "nan" if typed else None
        return read_rows(data, self, keys=keys, batch_rows=batch_rows, nulls=nulls)
