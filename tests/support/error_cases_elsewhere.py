"""A case for each error code of tables, jobs, comparisons, importers and the GPU.

They run in an empty folder. What needs an optional package skips without it.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import instmodel as im
from instmodel import jobs
from instmodel.gpu import GpuSession
from instmodel.importers.common import attach_cases
from instmodel.importers.files import import_file
from instmodel.reports.graph import graph_svg
from instmodel.stores import location
from instmodel.tables.numpy_files import open_reader
from instmodel.verification.record import Recorder, check_record
from support.documents import build, dense, recurrent
from support.error_cases import Case
from support.table_models import identity, lookups, network

AB = identity(["a", "b"])


def table(columns, features=("a", "b"), **options):
    """A case that is a table of a model with these features, or so many."""
    model = identity(features if isinstance(features, int) else list(features))
    return lambda: model.predict_table(columns, **options)


def csv(text):
    """A case that is a CSV file of the columns a and b."""

    def provoke():
        Path("rows.csv").write_text(text)
        with closing(open_reader("rows.csv", ["a", "b"], 2)) as reader:
            list(reader.batches())

    return provoke


# ------------------------------------------------------------------------------ tables and batches


def repeated_outputs():
    pa = pytest.importorskip("pyarrow")
    batch = pa.record_batch({"a": [1.0], "b": [2.0]})
    list(AB.score_batches([batch], outputs=["score"]))


def without_pyarrow():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "pyarrow", None)
        list(AB.score_batches([]))


def unordered_events():
    pytest.importorskip("pyarrow")
    rows = {"card": [7, 8, 7], "time": [5, 1, 4], "a": [1.0] * 3, "b": [2.0] * 3}
    build(recurrent()).predict_events(rows, "card", "time")


def other_model():
    pytest.importorskip("pyarrow")
    im.StateStore(build(recurrent())).save("states.parquet")
    im.StateStore.load("states.parquet", build({**recurrent(), "bias": [[0.0] * 3, [0.0]]}))


# -------------------------------------------------------------------------------------------- jobs


def run_on_a_folder(**options):
    pytest.importorskip("pyarrow")
    Path("rows").mkdir()
    Path("rows/one.csv").write_text("a,b\n1,2\n")
    jobs.run(jobs.Job(AB, "rows", "scores", **options))


def checked_job(text):
    pytest.importorskip("pyarrow")
    Path("rows.csv").write_text(text.replace("a", "age"))
    info = identity(["age", "b"]).info
    info.signature = im.Signature({"age": im.FeatureSignature(min=18, max=99)})
    model = im.InstructionModel(info)
    jobs.run(jobs.Job(model, "rows.csv", "scores.csv", check_inputs="error"))


def output_exists():
    Path("scores").mkdir()
    run_on_a_folder()


def output_busy():
    with location(".scores.instmodel-part").locked():
        run_on_a_folder()


def resume_mismatch():
    work = Path(".scores.instmodel-part/work")
    work.mkdir(parents=True)
    (work / "job.json").write_text(json.dumps({"keep": ["day"]}))
    run_on_a_folder(resume=True)


# ------------------------------------------------------------------------------------- comparisons


def unknown_category():
    info = AB.info
    info.features = ["colour", "b"]
    info.categories = {"colour": im.Categories(["red", "green"])}
    im.InstructionModel(info).predict_table({"colour": ["red", "gren"], "b": [1, 2]})


def compare(columns, **options):
    pytest.importorskip("sklearn")
    im.compare(AB, AB, columns, **options)


def misspelt_figure():
    im.verify(AB, np.zeros((1, 2))).judge({"max": {"outputs.max_upl": 4}})


def other_record():
    Path("rows.json").write_text("{}")
    check_record("rows.json")


def changed_file():
    np.save("rows.npy", np.zeros((1, 2)))
    recorder = Recorder({"data": "rows.npy"})
    np.save("rows.npy", np.zeros((2, 2)))
    recorder.record(im.verify(AB, "rows.npy"))


def many_edges():
    copy = {"type": "COPY", "input": 0, "output": 1, "internal_index": 0}
    copies = [copy] * 400 + [copy | {"input": 1, "output": 2}] * 400
    document = {"feature_size": 1, "buffer_sizes": [1, 1, 1], "instructions": copies}
    graph_svg(build(document | {"weights": [], "bias": []}))


# --------------------------------------------------------------------------------------- importers


def unsupported_model():
    pytest.importorskip("onnx")
    from support.onnx_graphs import model

    im.importers.from_onnx(model("a = Relu(x) y = Cos(a)"))


def several_outputs():
    onnx = pytest.importorskip("onnx")
    from support.onnx_graphs import model

    source = model("y = Relu(x) z = Tanh(x)")
    source.graph.output.append(onnx.helper.make_tensor_value_info("z", 1, ["N", 4]))
    im.importers.from_onnx(source)


def external_data():
    onnx = pytest.importorskip("onnx")
    from support.onnx_graphs import model

    source = model("y = Add(x, p)", p=np.ones(4, np.float32))
    onnx.external_data_helper.set_external_data(source.graph.initializer[0], "weights.bin")
    im.importers.from_onnx(source)


def import_mismatch():
    rows = np.float32([[1.0, 2.0], [3.0, 4.0]])
    attach_cases(AB.info, rows, rows * [[1.0, 1.0], [2.0, 1.0]])


def source_failed():
    encoder = pytest.importorskip("sklearn.preprocessing").OneHotEncoder()
    im.importers.from_sklearn(encoder.fit([[1], [2]]), sample=[[3]])


# ------------------------------------------------------------------------------------- the machine


def another_instruction_set():
    program = (
        "import pickle, sys, instmodel as im\n"
        "try: im.runtime_info()\n"
        "except im.InstModelError as error: sys.stdout.buffer.write(pickle.dumps(error))"
    )
    environment = os.environ | {"INSTMODEL_ISA": "sse9"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, stdout=-1, check=True)
    raise pickle.loads(done.stdout)


def gpu_that(error, message):
    """A case in which wgpu raises when it looks for a GPU."""

    def provoke():
        wgpu = pytest.importorskip("wgpu")

        def request(**options):
            raise getattr(wgpu, error, RuntimeError)(message)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(wgpu.gpu, "request_adapter_sync", request, raising=False)
            GpuSession(im.InstructionModelInfo.from_dict(dense()))

    return provoke


def closed_session():
    from support import device

    session = GpuSession(im.InstructionModelInfo.from_dict(dense()), adapter=device.adapter())
    session.close()
    session.predict([1.0, 2.0])


ELSEWHERE = [
    Case("missing_column", table({"a": [1.0], "B": [2.0]})),
    Case("repeated_column", csv("a,b,b\n1,2,3\n")),
    Case("column_count_mismatch", table({"a": [1.0], "b": [2.0]}, 3)),
    Case("column_mismatch", lambda: im.verify(AB, np.zeros((1, 2)), against=network(2))),
    Case("repeated_feature", table({"a": [1.0]}, ["a", "a"])),
    Case("invalid_cell", csv("a,b\n1,2\n3,x\n")),
    Case("unknown_category", unknown_category),
    Case("unexpected_value", lambda: checked_job("a,b\n20,1\n130,2\n")),
    Case("missing_signature", lambda: run_on_a_folder(check_inputs="count")),
    Case("null_value", table({"a": [1.0, 2.0], "b": [3.0, None]})),
    Case("unordered_events", unordered_events),
    Case("state_model_mismatch", other_model),
    Case("list_length_mismatch", table({"emb": [[1, 2, 3], [4, 5]]}, ["emb[3]"])),
    Case("inexact_key", lambda: lookups().predict([[0, 5, 0, 0, 0], [0, 16777217, 0, 0, 0]])),
    Case("invalid_table", csv("a,b\n1,2\n3\n")),
    Case("invalid_nulls", table({"a": [1.0], "b": [2.0]}, nulls="zero")),
    Case("invalid_outputs", repeated_outputs),
    Case("missing_package", without_pyarrow),
    Case("output_exists", output_exists),
    Case("output_busy", output_busy),
    Case("resume_mismatch", resume_mismatch),
    Case("no_rows", lambda: im.verify(AB, np.zeros((0, 2)))),
    Case("output_size_mismatch", lambda: im.verify(AB, np.zeros((1, 2)), expected=[[1, 2, 3]])),
    Case("invalid_label", lambda: compare(np.full((4, 3), 2.0), labels="t", task="binary")),
    Case("too_many_groups", lambda: compare(np.outer(np.arange(50_001), [0, 0, 1]), by="id")),
    Case("invalid_limit", lambda: im.verify(AB, np.zeros((1, 2))).judge({"max": {"psi": "0.1"}})),
    Case("unknown_figure", misspelt_figure),
    Case("invalid_record", other_record),
    Case("changed_file", changed_file),
    Case("too_many_edges", many_edges),
    Case("unsupported_model", unsupported_model),
    Case("ambiguous_output", several_outputs),
    Case("external_data", external_data),
    Case("untrusted_pickle", lambda: import_file("model.pkl")),
    Case("import_mismatch", import_mismatch),
    Case("source_failed", source_failed),
    Case("unsupported_isa", another_instruction_set),
    Case("gpu_unavailable", gpu_that("none", "no adapter")),
    Case("gpu_failed", gpu_that("GPUError", "device lost")),
    Case("session_closed", closed_session),
]
