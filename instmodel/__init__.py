"""Run trained tabular networks inside Python data pipelines.

>>> import instmodel as im
>>> model = im.load("model.json")           # doctest: +SKIP
>>> scores = model.predict(rows)            # doctest: +SKIP
"""

import importlib
from typing import TYPE_CHECKING, Any

from instmodel.base.activations import Activation
from instmodel.base.categories import Categories
from instmodel.base.features import Feature, parse_feature_names
from instmodel.base.limits import Limits
from instmodel.compiled.parallel import ParallelPredictOutput, PredictConfig
from instmodel.compiled.runtime import runtime_info
from instmodel.document.graph import ExecutionGraph, GraphNode
from instmodel.document.instruction_base import Instruction
from instmodel.document.instructions import (
    Activate,
    AddBufferHeads,
    AddElementwise,
    AddElementwiseBuffers,
    Attention,
    ClipElementwise,
    Copy,
    CopyMasked,
    Dot,
    MapTransform,
    MulElementwise,
    MultiplyBufferHeads,
    MultiplyElementwiseBuffers,
    ReduceSum,
)
from instmodel.document.schema import InstructionModelInfo
from instmodel.document.signature import FeatureSignature, Signature
from instmodel.document.state import StateBuffer
from instmodel.document.structure import ValidationData
from instmodel.errors import (
    DocumentError,
    InputError,
    InstModelError,
    StructureError,
    UnsupportedModelError,
    ValidationDataError,
)
from instmodel.model import InstructionModel, load
from instmodel.version import __version__

if TYPE_CHECKING:
    from instmodel import gpu, importers
    from instmodel.comparison.comparing import compare
    from instmodel.document.builder import BufferHandle, ModelBuilder
    from instmodel.events.store import StateStore
    from instmodel.gpu import GpuModel, get_instmodel_wgsl, pack_models
    from instmodel.monitoring.drifting import drift
    from instmodel.verification.verifying import verify

__all__ = [
    "Activate",
    "Activation",
    "AddBufferHeads",
    "AddElementwise",
    "AddElementwiseBuffers",
    "Attention",
    "BufferHandle",
    "Categories",
    "ClipElementwise",
    "Copy",
    "CopyMasked",
    "DocumentError",
    "Dot",
    "ExecutionGraph",
    "Feature",
    "FeatureSignature",
    "GpuModel",
    "GraphNode",
    "InputError",
    "InstModelError",
    "Instruction",
    "InstructionModel",
    "InstructionModelInfo",
    "Limits",
    "MapTransform",
    "ModelBuilder",
    "MulElementwise",
    "MultiplyBufferHeads",
    "MultiplyElementwiseBuffers",
    "ParallelPredictOutput",
    "PredictConfig",
    "ReduceSum",
    "Signature",
    "StateBuffer",
    "StateStore",
    "StructureError",
    "UnsupportedModelError",
    "ValidationData",
    "ValidationDataError",
    "__version__",
    "compare",
    "drift",
    "get_instmodel_wgsl",
    "gpu",
    "importers",
    "load",
    "pack_models",
    "parse_feature_names",
    "runtime_info",
    "verify",
]


# Who only scores rows does not wait for these.
_LATER = {
    "BufferHandle": "instmodel.document.builder",
    "GpuModel": "instmodel.gpu",
    "ModelBuilder": "instmodel.document.builder",
    "StateStore": "instmodel.events.store",
    "compare": "instmodel.comparison.comparing",
    "drift": "instmodel.monitoring.drifting",
    "get_instmodel_wgsl": "instmodel.gpu",
    "gpu": "instmodel.gpu",
    "importers": "instmodel.importers",
    "pack_models": "instmodel.gpu",
    "verify": "instmodel.verification.verifying",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(_LATER[name])
    return module if module.__name__ == f"{__name__}.{name}" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
