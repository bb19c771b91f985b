"""Nights in an orchestrator: a data set grows, jobs are killed, files are bad, models change.

Design
------
A. A plan says what happens on each day, and comes from a seed alone. Where a kill strikes depends
   on the machine; whatever it hits, the end is the same.
B. The orchestrator knows only the command line: it starts processes, kills them, starts them again,
   and notes which files a run that succeeded must have scored, and with which model.
C. What it noted is compared with the output, as other programs read it, and with the metrics.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from support.commands import command
from support.night_world import EXPECTED, FEATURES, WRITERS, Day, Store, model

# Seconds that nothing here takes, however busy the machine is.
PATIENCE = 120


@dataclasses.dataclass
class File:
    """A file of the input.

    Attributes
    ----------
    rows : Table
        Columns `id` and the features; a row without ``f1`` cannot be scored.
    version : int or None
        Of the model that scored what it holds now; None if none did.
    """

    rows: pa.Table
    version: int | None = None

    @property
    def bad_rows(self) -> int:
        """How many rows cannot be scored."""
        return self.rows["f1"].null_count


@dataclasses.dataclass
class Counts:
    """What the metrics are to say.

    Attributes
    ----------
    ok, error : int
        Runs.
    rows, bad_rows : int
        That they scored.
    last_success : float
        When the last run that succeeded began, Unix time.
    last : (N,)
        ``f0`` in the rows of the last run.
    """

    ok: int = 0
    error: int = 0
    rows: int = 0
    bad_rows: int = 0
    last_success: float = 0.0
    last: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))

    @property
    def psi(self) -> float:
        """The population stability index of ``f0`` in the last run."""
        counts = np.bincount(np.searchsorted(EXPECTED.edges, self.last, "right"), minlength=4)
        old, new = np.array(EXPECTED.shares), np.maximum(counts / len(self.last), 1e-6)
        return float(np.sum((new - old) * np.log(new / old)))

    @property
    def out_of_range(self) -> int:
        """How many of these are not within what the model expects."""
        return int(np.sum((self.last < EXPECTED.min) | (self.last > EXPECTED.max)))


class Orchestrator:
    """Runs one command each night, and knows what must have come of it.

    Parameters
    ----------
    store : Store
        Where the input ``data`` and the output ``out`` are.
    work : Path
        A folder of this machine, for models and metrics.
    kind : {"parquet", "csv.gz"}
        Of the input.
    seed : int
    """

    def __init__(self, store: Store, work: Path, kind: str, seed: int) -> None:
        self.store, self.kind = store, kind
        self.models = [model(0), model(1)]
        for number, each in enumerate(self.models):
            each.info.save(work / f"model-{number}.json")
        self.work = work
        self.metrics = work / "metrics" / "night.prom"
        self.metrics.parent.mkdir()
        self.files: dict[str, File] = {}
        self.counts = Counts()
        self.killed = self.killed_at_work = 0
        self._rng = np.random.default_rng(seed)
        self._next_id = 0
        self._seconds = 1.0
        self._problems: list[str] = []

    # ------------------------------------------------------------------------------------- a day

    def live(self, day: Day, repaired: Day | None) -> None:
        """Let a day pass; `repaired` is the one before if its file was bad."""
        if repaired is not None:
            self._write(repaired)
        if day.changed is not None:
            self._write_rows(self._file_of(day.changed), self._rows(day.number, 40))
        if day.removed is not None:
            name = self._file_of(day.removed)
            self.store.remove(name)
            del self.files[name]
        if day.bad:
            whole = WRITERS[self.kind](self._rows(day.number, 50))
            self.store.put(self._file_of(day.number), whole[: len(whole) // 2])
            self._fail(day)
        else:
            self._write(day)
            self._succeed(day)

    def _file_of(self, number: int) -> str:
        return f"data/day={Day(number, 0).name}/part-0.{self.kind}"

    def _write(self, day: Day) -> None:
        number = day.number
        self._write_rows(self._file_of(number), self._rows(number, 50 + 5 * number))

    def _write_rows(self, name: str, rows: pa.Table) -> None:
        self.files[name] = File(rows)
        self.store.put(name, WRITERS[self.kind](rows))

    def _rows(self, number: int, count: int) -> pa.Table:
        ids = np.arange(self._next_id, self._next_id + count)
        self._next_id += count
        columns = {name: self._rng.normal(size=count).astype(np.float32) for name in FEATURES}
        columns["f0"] += np.float32(0.03 * number)
        missing = self._rng.random(count) < 0.05
        columns["f1"] = pa.array(columns["f1"], mask=missing)
        return pa.table({"id": ids, **columns, "note": [f"n{number}" for number in ids]})

    # ------------------------------------------------------------------------------------- runs

    def _succeed(self, day: Day) -> None:
        for moment in day.kills:
            self._run(day, kill_after=moment)
        codes = self._run(day, times=2 if day.together else 1)
        assert 0 in codes, self._problems
        for file in self.files.values():
            if file.version is None:
                file.version = day.version

    def _fail(self, day: Day) -> None:
        before = self._output()
        for moment in day.kills:
            self._run(day, kill_after=moment)
        codes = self._run(day)
        assert codes == [2], "a truncated file was scored"
        assert self._output() == before
        assert self.samples()["instmodel_last_run_success"] == 0

    def _output(self) -> dict[str, bytes]:
        return {
            name: content
            for name, content in self.store.contents().items()
            if name.startswith(("out/", ".out.instmodel.json"))
        }

    def _run(self, day: Day, times: int = 1, kill_after: float | None = None) -> list[int]:
        """Start the command so many times at once, and return the exit codes."""
        runs_before = self._runs()
        begin = time.time()
        processes = [
            subprocess.Popen(
                **command(*self._arguments(day)),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(times)
        ]
        try:
            patience = PATIENCE if kill_after is None else kill_after * self._seconds
            said = [process.communicate(timeout=patience) for process in processes]
        except subprocess.TimeoutExpired:
            assert kill_after is not None, "a run hangs"
            for process in processes:
                process.kill()
                process.communicate()
            self.killed += 1
            self.killed_at_work += any("instmodel-part" in name for name in self.store.contents())
        else:
            self._seconds = time.time() - begin
            self._problems = [problem for _, problem in said]
            told = [json.loads(text) for text, _ in said]
            for process, outcome in zip(processes, told, strict=True):
                assert process.returncode == (0 if outcome["status"] == "ok" else 2)
            assert "Traceback" not in str(self._problems)
        codes = [process.returncode for process in processes]
        self._count(codes, runs_before, begin)
        return codes

    def _arguments(self, day: Day) -> list[str]:
        return [
            *("score", f"{self.work}/model-{day.version}.json", f"{self.store.url}/data"),
            *("-o", f"{self.store.url}/out", "--incremental", "--model-change", "keep"),
            *("--format", "parquet", "--keep", "id", "--on-bad-row", "null", "--threads", "1"),
            *("--with", "model_digest,model_version,scored_at"),
            *("--metrics", str(self.metrics), "--metrics-label", "job_name=night", "--json"),
        ]

    # ------------------------------------------------------------------------------------ counts

    def _count(self, codes: list[int], before: tuple[int, int], begin: float) -> None:
        """Count what ended; a run that was killed behind its last step has ended, too."""
        ended = codes.count(0), codes.count(2)
        if not any(ended):
            ended = tuple(now - old for now, old in zip(self._runs(), before, strict=True))
        if not any(ended):
            return
        ok, error = ended
        self.counts.ok += ok
        self.counts.error += error
        if ok:
            self.counts.last_success = begin
        parts = self.manifest()["parts"] if ok else self._staged()
        parts = [part for part in parts if _seconds(part["scored_at"]) > begin]
        self.counts.rows += sum(part["rows"] for part in parts)
        self.counts.bad_rows += sum(part["bad_rows"] for part in parts)
        rows = [self.files[f"data/{part['source']['name']}"].rows["f0"] for part in parts]
        self.counts.last = np.concatenate([np.zeros(0), *(column.to_numpy() for column in rows)])

    def _staged(self) -> list[dict]:
        """Return the parts that a run finished before it failed: the next one takes them over."""
        return [
            json.loads(content)
            for name, content in self.store.contents().items()
            if name.startswith(".out.instmodel-part/work/parts/") and name.endswith(".json")
        ]

    def _runs(self) -> tuple[int, int]:
        """Return how many runs succeeded and failed, as the metrics say."""
        found = self.samples()
        ok, error = (found.get(f'instmodel_runs_total{{result="{r}"}}', 0) for r in ("ok", "error"))
        return int(ok), int(error)

    def samples(self) -> dict[str, float]:
        """Return the metrics by name, with all labels but that of the job."""
        if not self.metrics.exists():
            return {}
        found = re.findall(r"^(\w+)\{(.*)\} (\S+)$", self.metrics.read_text(), re.MULTILINE)
        return {
            name + ("{" + rest + "}" if rest else ""): float(value)
            for name, labels, value in found
            for rest in [re.sub(r',?job_name="night",?', "", labels)]
        }

    def manifest(self) -> dict:
        """Return what the output says of itself."""
        return json.loads(self.store.read(".out.instmodel.json"))

    # ------------------------------------------------------------------------------------- truth

    def expected(self) -> pa.Table:
        """Return what the output must be, in the order of `id`."""
        parts = []
        for name, file in self.files.items():
            scorer = self.models[file.version]
            x = np.column_stack([file.rows[f].to_numpy(zero_copy_only=False) for f in FEATURES])
            scores = scorer.predict(x.astype(np.float32)).reshape(-1)
            bad = file.rows["f1"].is_null().to_numpy()
            count = len(file.rows)
            parts.append(
                pa.table(
                    {
                        "id": file.rows["id"],
                        "score": pa.array(scores, pa.float32(), mask=bad),
                        "model_digest": [scorer.digest] * count,
                        "model_version": [f"{file.version + 1}.0"] * count,
                        "day": [name.split("=")[1].split("/")[0]] * count,
                    }
                )
            )
        return pa.concat_tables(parts).sort_by("id")


def _seconds(time_text: str) -> float:
    return datetime.datetime.fromisoformat(time_text).timestamp()


def live(
    orchestrator: Orchestrator,
    season: list[Day],
    after: Callable[[Orchestrator], object] = lambda orchestrator: None,
) -> None:
    """Let all days pass, and do something after each."""
    yesterday = None
    for day in season:
        orchestrator.live(day, yesterday if yesterday and yesterday.bad else None)
        after(orchestrator)
        yesterday = day
