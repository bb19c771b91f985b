"""What a job does to the Delta table that it writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from instmodel.base import arguments
from instmodel.errors import InputError

Mode = Literal["new", "append", "overwrite", "partitions"]


@dataclass(frozen=True)
class DeltaOutput:
    """A Delta table as the output of a job.

    Parameters
    ----------
    mode : {"new", "append", "overwrite", "partitions"}
        The table must not be there; the rows are added; they replace all rows; they replace the
        rows of those partitions that they are in. A table that is not there is made.
    partition_by : sequence of str
        Columns of the output by which a new table is partitioned. Of a table that is there, it may
        be left out.
    run_id : str, optional
        What the run is called. A run whose name the table has already changes nothing; it is an
        error if that was another run, or if rows were removed since.
    """

    mode: Mode = "new"
    partition_by: Sequence[str] = ()
    run_id: str | None = None

    def check(self) -> None:
        """Refuse what makes no sense.

        Raises
        ------
        InputError
            ``invalid_type``
        """
        arguments.choice(self.mode, "mode", get_args(Mode))
        arguments.names(self.partition_by, "partition_by")
        if self.run_id is not None and not (isinstance(self.run_id, str) and self.run_id):
            raise InputError(
                "invalid_type",
                "no name of a run",
                field="run_id",
                expected="text",
                actual=repr(self.run_id),
            )

    @property
    def app_id(self) -> str:
        """What the table's log calls the run."""
        return f"instmodel:{self.run_id}"
