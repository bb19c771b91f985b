"""Models inside other people's shaders, and whole batches on a GPU. See docs/gpu.md."""

from instmodel.gpu.model import GpuModel, pack_models

__all__ = ["GpuModel", "pack_models"]
