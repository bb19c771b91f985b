"""Whole batches on a GPU, through wgpu (Vulkan, Metal, Direct3D 12).

Design
------
A. A chunk of samples is computed instruction by instruction, all samples at a time. Its compute
   buffers lie feature by feature in GPU memory (``wgsl/session/buffer.wgsl``); the functions of the
   instructions are those that `get_instmodel_wgsl` gives to other shaders.
B. Dense layers use a tiled matrix product over workgroup memory; see `instmodel.gpu.plan`.
C. A recurrent model's samples are sequences, computed step by step, all sequences at a time; see
   `instmodel.gpu.scan`. How rows come and go is the business of `instmodel.gpu.chunk`.
"""

from __future__ import annotations

import contextlib
import gc
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from instmodel.base import arrays, map_keys, values
from instmodel.base.extras import require
from instmodel.base.features import Feature, parse_feature_names
from instmodel.compiled.ragged import Sequences, check_state, read_sequences
from instmodel.document.keys import key_inputs
from instmodel.document.schema import InstructionModelInfo
from instmodel.errors import InputError, InstModelError
from instmodel.gpu.chunk import MOMENT_BINDING, Chunk, Floats, Kernels, most_room
from instmodel.gpu.model import GpuModel
from instmodel.gpu.plan import load_state, longest_loop, make_plan, store_state
from instmodel.gpu.scan import run_sequences
from instmodel.gpu.wgsl import compose
from instmodel.model import InstructionModel

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
            self._key_inputs = key_inputs(
                info.instructions,
                info.buffer_sizes,
                model.feature_size,
                info.structure.state_buffers,
            )
        if not isinstance(model, GpuModel):
            raise values.wrong_type(model, "model", "a model, its info or a GpuModel")
        self.model = model
        self.feature_size = model.feature_size
        self.output_size = model.output_size
        self._wgpu = require("wgpu", "gpu")
        _first_use.setdefault("process", os.getpid())
        _require_not_forked()
        self._lock = threading.Lock()
        self._chunk: Chunk | None = None
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
        self._most = most_room(self.model, min(limits.values()))
        with _no_gpu_errors():
            device = adapter.request_device_sync(required_limits=limits)
        self._kernels: Kernels | None = _compile(self._wgpu, device, self.model)

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
            after a fork; ``needs_sequences`` for a recurrent model.
        """
        if self.model.is_recurrent:
            raise InputError(
                "needs_sequences",
                "the model is recurrent: what a row gives depends on the rows before it in its "
                "sequence; `predict_sequences` takes sequences",
            )
        arrays.check_columns(x, self._features)
        given = arrays.real_array(x)
        rows = arrays.as_rows(given, self.feature_size)
        first_row = None if given.ndim == 1 else 0
        map_keys.check(rows, self._key_inputs, self._columns, first_row)
        shape = (*given.shape[:-1], self.output_size)
        rows, result = arrays.with_results(rows, out, shape)
        with self._in_use():
            if len(rows):
                self._run_rows(rows, result.reshape(len(rows), self.output_size))
        return result

    def predict_sequences(
        self,
        x: Any,
        lengths: ArrayLike | None = None,
        *,
        offsets: ArrayLike | None = None,
        state: Floats | None = None,
        last: bool = False,
        out: Floats | None = None,
    ) -> Any:
        """Compute every step of many sequences with a recurrent model.

        Sequences come in any form and results go back in the same, as in
        `InstructionModel.predict_sequences`.

        Parameters
        ----------
        x : array_like of shape (N, T, F); list of N array_like (T_i, F); array_like (ΣT, F)
            The sequences: all with room for T steps; one by one; or all rows one after the other,
            with `offsets`. Real numbers of any type, converted to float32.
        lengths : array_like of int, shape (N,), optional
            How many steps each sequence of an (N, T, F) has, T without.
        offsets : array_like of int, shape (N + 1,), optional
            Where each sequence of a (ΣT, F) begins, and the number of all rows.
        state : ndarray of float32, shape (N, S), C-ordered, writable, optional
            Where each sequence starts; changed in place to where it ended. Without, each starts
            as the model says. A call that fails leaves it as it was.
        last : bool
            Return the output of each sequence's last step only.
        out : ndarray of float32, of the shape of the result, optional
            Where to write the result; (ΣT, O) for a list.

        Returns
        -------
        ndarray of float32, shape (N, T, O), or (ΣT, O); or list of N arrays (T_i, O)
            As `x` came; NaN behind the end of a sequence. With `last`, (N, O), NaN where a
            sequence has no step.

        Raises
        ------
        InstModelError
            ``sequence_shape_mismatch``, ``invalid_lengths``, ``invalid_offsets``,
            ``state_size_mismatch``, also for a model without state; and what `predict` raises.
        """
        if not self.model.is_recurrent:
            raise InputError(
                "state_size_mismatch",
                "the model has no state: its rows are independent of each other, and `predict` "
                "takes them",
            )
        arrays.check_columns(x, self._features)
        given = read_sequences(x, lengths, offsets, self.feature_size)
        if self._key_inputs:
            map_keys.check(given.steps(), self._key_inputs, self._columns)
        only_last = values.boolean(last, "last")
        if state is not None:
            check_state(state, (len(given), self.model.state_size))
        rows, results = arrays.with_results(
            given.rows, out, given.shape(self.output_size, only_last)
        )
        given = replace(given, rows=rows)
        states = None if state is None else state.copy()  # changed as a whole or not at all
        with self._in_use():
            if given.lengths.any():
                table = results.reshape(-1, self.output_size)
                self._run_sequences(given, states, only_last, table)
        if state is not None:
            state[...] = states
        return given.results(results, only_last)

    @contextlib.contextmanager
    def _in_use(self) -> Iterator[None]:
        """Have the GPU for oneself."""
        _require_not_forked()
        with self._lock, _gpu_errors(self._wgpu):
            if self._kernels is None:
                raise InstModelError("session_closed", "the session was closed: make another")
            yield

    def _columns(self) -> list[str]:
        return [name for feature in self._features for name in feature.columns()]

    def close(self) -> None:
        """Free what the session holds on the GPU, once a running call has ended.

        Predictions are errors from then on; closing again does nothing.
        """
        if _is_forked():  # nothing here belongs to this process
            return
        with self._lock:
            if self._kernels is None:
                return
            self._kernels.device.destroy()
            self._kernels = self._chunk = None
        # A device of wgpu and its queue hold each other, and with them the memory.
        gc.collect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _chunk_for(self, samples: int, rows: int) -> Chunk:
        """Return a chunk with room for so much, or for as much as there may be."""
        assert self._kernels is not None  # a closed session runs nothing
        wanted = self._most.cut(samples, rows)
        if self._chunk is None or not self._chunk.room.holds(wanted):
            self._chunk = None  # frees its memory first
            self._chunk = Chunk(self._kernels, self.model, wanted)
        return self._chunk

    def _run_rows(self, rows: NDArray[Any], out: Floats) -> None:
        """Compute `rows` (N, F) into `out` (N, O), chunk by chunk."""
        chunk, self._chunk = self._chunk_for(len(rows), len(rows)), None
        for start in range(0, len(rows), chunk.room.samples):
            part = arrays.as_float32(rows[start : start + chunk.room.samples])
            chunk.compute(part, [len(part)], slice(start, start + len(part)), out)
        chunk.finish(out)
        self._chunk = chunk  # only now: what was interrupted is made anew

    def _run_sequences(
        self, given: Sequences, states: Floats | None, last: bool, out: Floats
    ) -> None:
        """Compute the steps of sequences into `out`, (R, O) or (N, O), and change `states`."""
        steps = int(given.lengths.sum())
        chunk, self._chunk = self._chunk_for(len(given), steps), None
        run_sequences(chunk, given, self.model.initial_state, states, last, out)
        self._chunk = chunk

    def __reduce__(self) -> Any:
        raise TypeError("a GpuSession belongs to one process: pickle its model")

    def __repr__(self) -> str:
        return f"GpuSession({self.model!r} on {self.device_name})"


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


def _compile(wgpu: Any, device: Any, model: GpuModel) -> Kernels:
    """Upload the words of a model, and compile the kernels that it needs."""
    words = device.create_buffer_with_data(
        data=_flushed_weights(model), usage=wgpu.BufferUsage.STORAGE
    )
    kinds = ("read-only-storage", "storage", "uniform", "storage", "uniform")
    layout = device.create_bind_group_layout(
        entries=[
            {
                "binding": binding,
                "visibility": wgpu.ShaderStage.COMPUTE,
                "buffer": {"type": kind, "has_dynamic_offset": binding == MOMENT_BINDING},
            }
            for binding, kind in enumerate(kinds)
        ]
    )
    steps = [*make_plan(model), *load_state(model), *store_state(model)]
    names = list(dict.fromkeys(step.kernel for step in steps))
    module = device.create_shader_module(code=compose("session", [model], names))
    whole = device.create_pipeline_layout(bind_group_layouts=[layout])
    pipelines = {
        name: device.create_compute_pipeline(
            layout=whole, compute={"module": module, "entry_point": name}
        )
        for name in names
    }
    return Kernels(wgpu, device, layout, pipelines, words)


def _flushed_weights(model: GpuModel) -> NDArray[np.uint32]:
    """Return the words with denormal weights replaced by 0, as the CPU takes them."""
    words = model.as_words().copy()
    weights = words[model.weights_section]
    weights[(weights & _EXPONENT) == 0] = 0
    return words
