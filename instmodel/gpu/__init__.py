"""Models inside other people's shaders, and whole batches on a GPU. See docs/gpu.md."""

from instmodel.gpu.model import GpuModel, pack_models
from instmodel.gpu.session import GpuSession
from instmodel.gpu.wgsl import get_instmodel_wgsl

__all__ = ["GpuModel", "GpuSession", "get_instmodel_wgsl", "pack_models"]
