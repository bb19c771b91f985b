"""The public names, and what an installation says about itself."""

from __future__ import annotations

import importlib.metadata
import inspect
import subprocess
import sys

import numpy as np
import pytest

import instmodel as im

NAMES = """
InstructionModel InstructionModelInfo ValidationData Activation load PredictConfig
ParallelPredictOutput ModelBuilder InstModelError Limits runtime_info
Dot Attention Copy CopyMasked Activate AddElementwise MulElementwise ClipElementwise
AddElementwiseBuffers MultiplyElementwiseBuffers AddBufferHeads MultiplyBufferHeads ReduceSum
MapTransform
"""
MODEL = """
predict predict_single predict_parallel predict_with_buffer get_output validate required_memory
feature_size output_size output_index_start buffer_sizes buffer_offsets is_parallelizable
execution_graph
"""


def test_the_names_are_there():
    for name in NAMES.split():
        assert name in im.__all__
        assert hasattr(im, name)
    for name in MODEL.split():
        assert hasattr(im.InstructionModel, name)
    for name in im.__all__:
        assert getattr(im, name) is not None
        assert name in dir(im)
    with pytest.raises(AttributeError, match="load_model"):
        _ = im.load_model


def test_who_only_scores_rows_waits_for_little():
    code = "import sys, instmodel; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    rooms = {name.removeprefix("instmodel.") for name in run.stdout.split()}
    assert {"model", "compiled", "document.schema"} <= rooms
    assert not rooms & {"document.builder", "formats", "tables", "gpu", "importers", "reports"}
    assert not rooms & {"msgpack", "pyarrow", "pandas", "rich"}


def test_everything_public_is_documented():
    for name in im.__all__:
        item = getattr(im, name)
        if not name.startswith("__"):
            assert inspect.getdoc(item), name
    names = {
        im.InstructionModel: MODEL.split(),
        im.InstructionModelInfo: [name for name in dir(im.InstructionModelInfo) if name[0] != "_"],
        im.ModelBuilder: [name for name in dir(im.ModelBuilder) if name[0] != "_"],
    }
    for kind, members in names.items():
        for name in members:
            # Fields and attributes are documented in their class.
            documented = inspect.getdoc(getattr(kind, name)) or name in inspect.getdoc(kind)
            assert documented, f"{kind.__name__}.{name}"


def test_the_family_of_errors():
    for name in ("DocumentError", "StructureError", "ValidationDataError", "InputError"):
        kind = getattr(im, name)
        assert issubclass(kind, im.InstModelError)
        assert issubclass(kind, ValueError)


def test_the_version_is_that_of_the_distribution():
    assert im.__version__ == importlib.metadata.version("instmodel-inference")
    assert im.runtime_info()["version"] == im.__version__


def test_runtime_info():
    info = im.runtime_info()
    assert info["isa"] in info["available_isas"]
    assert info["threads"] >= 1
    assert info["numpy"] == np.__version__
    assert info["threads_decided_by"]
