"""Models inside other people's shaders, and whole batches on a GPU. See docs/gpu.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from instmodel.gpu.model import GpuModel, pack_models
from instmodel.gpu.wgsl import get_instmodel_wgsl

if TYPE_CHECKING:
    from instmodel.gpu.session import GpuSession

__all__ = ["GpuModel", "GpuSession", "get_instmodel_wgsl", "pack_models"]


def __getattr__(name: str) -> Any:
    # The session needs the engine, which imports this package while it is being imported itself.
    if name == "GpuSession":
        from instmodel.gpu.session import GpuSession

        return GpuSession
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
