"""Models that travel: as the bytes of their document, built once in every process."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from instmodel.base.limits import Limits
from instmodel.document.schema import InstructionModelInfo
from instmodel.errors import InputError
from instmodel.model import InstructionModel, checked_model
from instmodel.tables.arrow import arrow_column
from instmodel.tables.batches import needed_columns, score_batches
from instmodel.tables.options import ScoreOptions
from instmodel.tables.scoring import binding_of

# Models that a process keeps: a worker may serve several jobs, one after the other.
_KEPT = 8
_built: OrderedDict[tuple[str, Limits], InstructionModel] = OrderedDict()
_lock = threading.Lock()


@dataclass(frozen=True)
class Scoring:
    """A model and how it scores batches; pickles small, and is the same in every process.

    Attributes
    ----------
    data : bytes
        The document in the binary format.
    digest : str
        Of the document.
    limits : Limits
        Of the model.
    options : ScoreOptions
        With names of the outputs.
    """

    data: bytes
    digest: str
    limits: Limits
    options: ScoreOptions

    @classmethod
    def of(cls, model: InstructionModel, options: ScoreOptions) -> Scoring:
        """Return what can travel."""
        checked_model(model).require_rows()
        names = tuple(options.output_names(model.output_size, options.keep))
        chosen = replace(options, outputs=names)
        return cls(model.to_bytes(), model.digest, model.limits, chosen)

    @property
    def outputs(self) -> Sequence[str]:
        """Names of the outputs."""
        return self.options.outputs or ()

    def model(self) -> InstructionModel:
        """Return the model, built on first use in this process."""
        key = (self.digest, self.limits)
        with _lock:
            model = _built.get(key)
            if model is None:
                info = InstructionModelInfo.from_bytes(self.data, limits=self.limits)
                # Validated where it was made; the bits are the same everywhere.
                model = InstructionModel(info, limits=self.limits, validate=False)
                _built[key] = model
                if len(_built) > _KEPT:
                    _built.popitem(last=False)
            _built.move_to_end(key)
        return model

    def columns(self, header: Sequence[str]) -> list[str]:
        """Return the columns of a table that are needed, in the table's order.

        Raises
        ------
        InstModelError
            What is wrong with them: on the driver, before anything runs.
        """
        needed = needed_columns(self.model(), header, self.options)
        return [header[position] for position in needed]

    def check_types(self, schema: Any) -> None:
        """Refuse a table, of a pyarrow schema, whose columns hold what no feature does."""
        import pyarrow as pa

        for slot in binding_of(self.model(), self.options.nulls, self.options.naming).slots(
            schema.names
        ):
            arrow_column(slot, pa.nulls(0, schema.field(slot.position).type))

    def batches(self, batches: Any) -> Iterator[Any]:
        """Score Arrow record batches."""
        return score_batches(self.model(), batches, self.options)


def checked_frame(frame: Any, kind: Any, called: str, field: str, advice: str = "") -> None:
    """Refuse what is no table of an engine.

    Raises
    ------
    InputError
        ``invalid_type``.
    """
    if not isinstance(frame, kind):
        raise InputError(
            "invalid_type",
            f"not a {called}{advice}; model.predict_table scores others",
            field=field,
            actual=type(frame).__name__,
        )


def _forget_lock() -> None:
    # A fork while another thread builds a model would leave the lock taken for ever.
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_lock)
