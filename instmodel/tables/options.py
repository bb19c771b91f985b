"""How a table is scored: which columns go along and come out, and what becomes of bad rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from instmodel.base import arguments
from instmodel.errors import InputError
from instmodel.tables.binding import Nulls
from instmodel.tables.columns import output_names
from instmodel.tables.naming import AS_THE_FEATURES, Naming

OnBadRow = Literal["error", "null", "skip"]


@dataclass(frozen=True)
class ScoreOptions:
    """How a table is scored, by any model.

    Parameters
    ----------
    keep : sequence of str
        Columns that go along unchanged; ``"*"`` for all.
    outputs : sequence of str, optional
        Names of the output columns: by default ``score``, or ``output_0``, ``output_1`` …
    nulls : see `InstructionModel.predict_table`
    on_bad_row : {"error", "null", "skip"}
        Whether a row that cannot be scored ends the work, gets null outputs, or is left out.
    naming : Naming
        What the columns are called, if not as the features.

    Raises
    ------
    InputError
        ``invalid_type``.
    """

    keep: Sequence[str] = ()
    outputs: Sequence[str] | None = None
    nulls: Nulls = "error"
    on_bad_row: OnBadRow = "error"
    naming: Naming = AS_THE_FEATURES

    def __post_init__(self) -> None:
        arguments.choice(self.on_bad_row, "on_bad_row", get_args(OnBadRow))
        object.__setattr__(self, "keep", tuple(arguments.names(self.keep, "keep")))

    def kept_columns(self, header: Sequence[str]) -> Sequence[str]:
        """Return the names of the columns to keep of a table; ``*`` alone is all of them."""
        return header if self.keep == ("*",) and "*" not in header else self.keep

    def output_names(self, count: int, kept: Sequence[str] = ()) -> Sequence[str]:
        """Return the names of the output columns.

        Raises
        ------
        InputError
            ``invalid_outputs``: too few or many, or one of them is kept already.
        """
        outputs: Any = output_names(count) if self.outputs is None else self.outputs
        try:
            names = [outputs] if isinstance(outputs, str) else list(outputs)
        except TypeError:
            names = [outputs]
        if len(names) != count or not all(isinstance(name, str) and name for name in names):
            raise InputError(
                "invalid_outputs",
                "not the names of the outputs",
                field="outputs",
                expected=f"{count} names",
                actual=repr(names),
            )
        taken = [*kept, *names]
        twice = next((name for name in taken if taken.count(name) > 1), None)
        if twice is not None:
            raise InputError(
                "invalid_outputs", f"two columns of the result would be called {twice!r}"
            )
        return names
