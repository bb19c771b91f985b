"""Whole batches on a GPU, through wgpu (Vulkan, Metal, Direct3D 12).

Design
------
A. A chunk of samples is computed instruction by instruction, all samples at a time. Its compute
   buffers lie feature by feature in GPU memory (``wgsl/session/buffer.wgsl``); the functions of the
   instructions are those that `get_instmodel_wgsl` gives to other shaders.
B. Dense layers use a tiled matrix product over workgroup memory; see `instmodel.gpu.plan`.
C. There are two lanes, each with input, output and a buffer to read back from. While the GPU works
   on one, the next chunk is converted and uploaded to the other. The compute buffers are shared:
   the queue runs one chunk after the other.
"""

from __future__ import annotations

import contextlib
import gc
import os
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from instmodel.base import arrays, map_keys, values
from instmodel.base.extras import require
from instmodel.base.features import Feature, parse_feature_names
from instmodel.document.keys import key_inputs
from instmodel.document.schema import InstructionModelInfo
from instmodel.errors import InstModelError
from instmodel.gpu.layout import WORD
from instmodel.gpu.model import GpuModel
from instmodel.gpu.plan import SAMPLE_TILE, Step, longest_loop, make_plan
from instmodel.gpu.wgsl import compose
from instmodel.model import InstructionModel

Floats = NDArray[np.float32]

_LANES = 2
# Enough for the GPU to be busy, little enough for uploads to overlap and for other programs to
# have memory: bytes of a chunk's compute buffers, of its input or output, and its samples.
_MOST_VALUES = 512 * 2**20
_MOST_TRANSFER = 32 * 2**20
_MOST_SAMPLES = 2**19
# LP_MAX_TGSI_LOOP_ITERATIONS of Mesa's llvmpipe: all loops of a thread together.
_SOFTWARE_ROUNDS = 65_535
_EXPONENT = np.uint32(0x7F800000)


class GpuSession:
    """A model on a GPU, ready to score batches of any size.

    Results agree with the CPU engine to 10⁻⁵ of the largest intermediate value, unless the model
    magnifies rounding errors, but are not the same bits; docs/gpu.md says more. One call runs at a
    time, others wait. A session does not survive a fork, and cannot be pickled: pickle the model.
    `close`, or the end of a ``with`` block, frees what it holds on the GPU.

    Parameters
    ----------
    model : InstructionModel, InstructionModelInfo or GpuModel
    adapter : wgpu.GPUAdapter, optional
        The GPU; by default the fastest that wgpu finds. ``wgpu.gpu.enumerate_adapters_sync()``
        lists them.

    Attributes
    ----------
    model : GpuModel
    feature_size, output_size : int
        Input values F and output values O of a sample.
    device_name : str
        The GPU, its driver and the interface.

    Raises
    ------
    InstModelError
        ``missing_package`` without the extra ``gpu``, ``gpu_unavailable`` where there is no GPU,
        ``buffer_limit_exceeded`` for a model that is too large for the device, or what is wrong
        with the model.
    """

    def __init__(
        self, model: InstructionModel | InstructionModelInfo | GpuModel, adapter: Any = None
    ) -> None:
        self._features: list[Feature] = []
        self._key_inputs: tuple[int, ...] = ()
        if isinstance(model, InstructionModel):
            model = model.info
        if isinstance(model, InstructionModelInfo):
            info = model
            model = GpuModel.from_info(info)
            self._features = parse_feature_names(info.features or [])
            self._key_inputs = key_inputs(info.instructions, info.buffer_sizes, model.feature_size)
        if not isinstance(model, GpuModel):
            raise values.wrong_type(model, "model", "a model, its info or a GpuModel")
        self.model = model
        self.feature_size = model.feature_size
        self.output_size = model.output_size
        self._wgpu = require("wgpu", "gpu")
        _first_use.setdefault("process", os.getpid())
        _require_not_forked()
        self._lock = threading.Lock()
        self._chunk: _Chunk | None = None
        self._plan = make_plan(model)
        with _gpu_errors(self._wgpu):
            self._open(adapter)

    def _open(self, adapter: Any) -> None:
        if adapter is None:
            with _no_gpu_errors():
                adapter = self._wgpu.gpu.request_adapter_sync(power_preference="high-performance")
        if not isinstance(adapter, self._wgpu.GPUAdapter):
            raise values.wrong_type(adapter, "adapter", "a wgpu.GPUAdapter")
        info = adapter.info
        if info["adapter_type"] == "CPU":
            _check_loops(self.model)
        self.device_name = f"{info['device']}, {info['description']}, {info['backend_type']}"
        wanted = ("max-buffer-size", "max-storage-buffer-binding-size")
        limits = {name: adapter.limits[name] for name in wanted}
        self._most_samples = _most_samples(self.model, min(limits.values()))
        with _no_gpu_errors():
            self._device = adapter.request_device_sync(required_limits=limits)
        self._words = self._device.create_buffer_with_data(
            data=_flushed_weights(self.model), usage=self._wgpu.BufferUsage.STORAGE
        )
        kinds = ("read-only-storage", "storage", "uniform", "storage")
        self._layout = self._device.create_bind_group_layout(
            entries=[
                {
                    "binding": binding,
                    "visibility": self._wgpu.ShaderStage.COMPUTE,
                    "buffer": {"type": kind},
                }
                for binding, kind in enumerate(kinds)
            ]
        )
        kernels = list(dict.fromkeys(step.kernel for step in self._plan))
        module = self._device.create_shader_module(code=compose("session", [self.model], kernels))
        layout = self._device.create_pipeline_layout(bind_group_layouts=[self._layout])
        self._pipelines = {
            name: self._device.create_compute_pipeline(
                layout=layout, compute={"module": module, "entry_point": name}
            )
            for name in kernels
        }

    def predict(self, x: ArrayLike, out: Floats | None = None) -> Floats:
        """Compute the outputs of one sample or of many.

        Parameters
        ----------
        x : array_like of shape (F,), (N, F) or (…, F)
            Real numbers of any type, converted to float32.
        out : ndarray of float32, (O,), (N, O) or (…, O), optional
            Where to write the result.

        Returns
        -------
        ndarray of float32, (O,), (N, O) or (…, O)

        Raises
        ------
        InstModelError
            ``input_size_mismatch``, ``invalid_type``, ``column_mismatch``,
            ``destination_size_mismatch``; ``inexact_key``, which a session of a `GpuModel` does not
            notice; ``session_closed``; ``gpu_failed`` when the device is lost or out of memory, or
            after a fork.
        """
        arrays.check_columns(x, self._features)
        given = arrays.real_array(x)
        rows = arrays.as_rows(given, self.feature_size)
        first_row = None if given.ndim == 1 else 0
        map_keys.check(rows, self._key_inputs, self._columns, first_row)
        shape = (*given.shape[:-1], self.output_size)
        result = np.empty(shape, np.float32) if out is None else arrays.check_out(out, shape)
        if np.may_share_memory(rows, result):
            rows = rows.copy()  # or results would replace rows that are still to be read
        _require_not_forked()
        with self._lock, _gpu_errors(self._wgpu):
            if self._device is None:
                raise InstModelError("session_closed", "the session was closed: make another")
            if len(rows):
                self._run(rows, result.reshape(len(rows), self.output_size))
        return result

    def _columns(self) -> list[str]:
        return [name for feature in self._features for name in feature.columns()]

    def close(self) -> None:
        """Free what the session holds on the GPU, once a running call has ended.

        `predict` is an error from then on; closing again does nothing.
        """
        if _is_forked():  # nothing here belongs to this process
            return
        with self._lock:
            if self._device is None:
                return
            self._device.destroy()
            self._device = self._chunk = self._words = self._layout = None
            self._pipelines.clear()
        # A device of wgpu and its queue hold each other, and with them the memory.
        gc.collect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, rows: NDArray[Any], out: Floats) -> None:
        """Compute `rows` (N, F) into `out` (N, O), chunk by chunk."""
        chunk, self._chunk = self._chunk_for(len(rows)), None
        pending: deque[tuple[_Lane, int, int]] = deque()
        for index, start in enumerate(range(0, len(rows), chunk.samples)):
            if len(pending) == _LANES:
                _collect(*pending.popleft(), out)
            lane = chunk.lanes[index % _LANES]
            part = rows[start : start + chunk.samples]
            self._submit(chunk, lane, arrays.as_float32(part))
            pending.append((lane, start, len(part)))
        while pending:
            _collect(*pending.popleft(), out)
        self._chunk = chunk  # only now: what was interrupted is made anew

    def _chunk_for(self, samples: int) -> _Chunk:
        """Return buffers for at least `samples`, or for as many as there may be in a chunk."""
        samples = min(-(-samples // SAMPLE_TILE) * SAMPLE_TILE, self._most_samples)
        if self._chunk is None or self._chunk.samples < samples:
            self._chunk = None  # frees its memory first
            self._chunk = self._make_chunk(samples)
        return self._chunk

    def _make_chunk(self, samples: int) -> _Chunk:
        model, usage = self.model, self._wgpu.BufferUsage

        def buffer(size_of_sample: int, kind: int) -> Any:
            size = WORD * samples * size_of_sample
            return self._device.create_buffer(size=size, usage=kind)

        def group(step: Step, words: Any, rows: Any) -> Any:
            return self._device.create_bind_group(
                layout=self._layout,
                entries=[
                    {"binding": i, "resource": {"buffer": item, "offset": 0, "size": item.size}}
                    for i, item in enumerate((self._words, computed, words, rows))
                ],
            )

        computed = buffer(model.compute_buffer_size, usage.STORAGE | usage.COPY_DST)
        steps = [
            self._device.create_buffer_with_data(
                data=np.array([samples, step.first, step.length, 0], np.uint32), usage=usage.UNIFORM
            )
            for step in self._plan
        ]
        lanes = []
        for _ in range(_LANES):
            given = buffer(model.feature_size, usage.STORAGE | usage.COPY_DST)
            result = buffer(model.output_size, usage.STORAGE | usage.COPY_SRC)
            groups = [
                group(step, words, given if step.kernel == "instmodel_load" else result)
                for step, words in zip(self._plan, steps, strict=True)
            ]
            back = buffer(model.output_size, usage.MAP_READ | usage.COPY_DST)
            lanes.append(_Lane(given, result, back, groups))
        return _Chunk(samples, computed, lanes)

    def _submit(self, chunk: _Chunk, lane: _Lane, part: Floats) -> None:
        """Upload a part (n, F) and start computing it."""
        queue = self._device.queue
        queue.write_buffer(lane.given, 0, part)
        encoder = self._device.create_command_encoder()
        for start, stop in self.model.gaps:
            row = WORD * chunk.samples
            encoder.clear_buffer(chunk.computed, start * row, (stop - start) * row)
        work = encoder.begin_compute_pass()
        for step, group in zip(self._plan, lane.groups, strict=True):
            work.set_pipeline(self._pipelines[step.kernel])
            work.set_bind_group(0, group)
            work.dispatch_workgroups(-(-len(part) // step.samples), step.others)
        work.end()
        size = WORD * len(part) * self.output_size
        encoder.copy_buffer_to_buffer(lane.result, 0, lane.back, 0, size)
        queue.submit([encoder.finish()])
        lane.mapped = lane.back.map_async(self._wgpu.MapMode.READ, 0, size)

    def __reduce__(self) -> Any:
        raise TypeError("a GpuSession belongs to one process: pickle its model")

    def __repr__(self) -> str:
        return f"GpuSession({self.model!r} on {self.device_name})"


@dataclass
class _Lane:
    """What one chunk in flight needs: rows in, rows out, and a way back; a bind group a step."""

    given: Any  # (samples, F)
    result: Any  # (samples, O)
    back: Any  # (samples, O)
    groups: list[Any]
    mapped: Any = None  # resolves when `back` can be read


@dataclass
class _Chunk:
    samples: int
    computed: Any  # (compute_buffer_size, samples)
    lanes: list[_Lane]


def _collect(lane: _Lane, start: int, count: int, out: Floats) -> None:
    """Wait for a lane, and copy its rows to `out` from `start` on."""
    lane.mapped.sync_wait()
    target = out[start : start + count]
    data = lane.back.read_mapped(0, target.nbytes, copy=False)
    target[:] = np.frombuffer(data, np.float32).reshape(target.shape)
    del data
    lane.back.unmap()


# The process that opened the first session.
_first_use: dict[str, int] = {}


def _is_forked() -> bool:
    return _first_use["process"] != os.getpid()


def _require_not_forked() -> None:
    """Refuse to wait for ever: the threads of the driver did not come along with a fork."""
    if _is_forked():
        raise InstModelError(
            "gpu_failed",
            "no session survives a fork, nor can one be made after it: start the process by "
            "spawn, or open sessions in forked processes only",
        )


@contextlib.contextmanager
def _gpu_errors(wgpu: Any) -> Iterator[None]:
    """Turn errors of wgpu into ``gpu_failed``."""
    try:
        yield
    except wgpu.GPUError as error:
        raise InstModelError("gpu_failed", f"the GPU failed: {error}") from error


@contextlib.contextmanager
def _no_gpu_errors() -> Iterator[None]:
    """Turn what wgpu raises where it finds no GPU, or cannot open it, into ``gpu_unavailable``."""
    try:
        yield
    except RuntimeError as error:
        raise InstModelError(
            "gpu_unavailable",
            "wgpu finds no GPU; Mesa's software driver counts as one (Debian: "
            f"mesa-vulkan-drivers, libvulkan1): {error}",
        ) from error


def _check_loops(model: GpuModel) -> None:
    """Refuse what Mesa's software GPU would compute wrongly, without a word."""
    longest = longest_loop(model)
    if longest > _SOFTWARE_ROUNDS:
        raise InstModelError(
            "buffer_limit_exceeded",
            "a software GPU ends the loops of a thread too early for this model",
            expected=f"at most {_SOFTWARE_ROUNDS:,} rounds",
            actual=f"about {longest:,}",
        )


def _most_samples(model: GpuModel, limit: int) -> int:
    """Return how many samples a chunk may have on a device whose buffers hold `limit` bytes."""
    widest = max(model.feature_size, model.output_size)
    samples = min(
        min(limit, _MOST_VALUES) // (WORD * model.compute_buffer_size),
        min(limit, _MOST_TRANSFER) // (WORD * widest),
        _MOST_SAMPLES,
    )
    samples = samples // SAMPLE_TILE * SAMPLE_TILE
    if not samples or WORD * model.full_size > limit:
        raise InstModelError(
            "buffer_limit_exceeded",
            "the model is too large for the buffers of this device",
            expected=f"at most {limit:,} bytes",
            actual=f"{WORD * model.full_size:,} bytes of model",
        )
    return samples


def _flushed_weights(model: GpuModel) -> NDArray[np.uint32]:
    """Return the words with denormal weights replaced by 0, as the CPU takes them."""
    words = model.as_words().copy()
    weights = words[model.weights_section]
    weights[(weights & _EXPONENT) == 0] = 0
    return words
