"""Scoring jobs: files and datasets of tables, read, scored and written at the same time.

`run` does what ``instmodel score`` does; docs/jobs.md and docs/datasets.md say what it promises.
"""

from instmodel.jobs.event_job import EventOptions
from instmodel.jobs.job import Job, Result
from instmodel.jobs.outcome import outcome
from instmodel.jobs.runner import run
from instmodel.tables.csv_options import CsvOptions
from instmodel.tables.delta_options import DeltaOutput

__all__ = ["CsvOptions", "DeltaOutput", "EventOptions", "Job", "Result", "outcome", "run"]
