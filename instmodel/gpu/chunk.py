"""A chunk of samples on a GPU: the memory of their compute buffers, and their rows in and out.

Design
------
A. A sample is a row, or a sequence whose rows come one after the other: a *moment* is one row of
   each sample that still has one. These are the first `active` samples of the chunk; all others
   stand still. What a moment leaves in the compute buffers, the next one finds there.
B. A *block* is the rows of some moments, one moment after the other without gaps.
C. There are two lanes, each with room for the rows of a block, their results and a buffer to read
   back from. While the GPU works on one, the next block is put together and uploaded to the other.
   The compute buffers are shared: the queue runs one block after the other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.errors import InstModelError
from instmodel.gpu.layout import WORD
from instmodel.gpu.model import GpuModel
from instmodel.gpu.plan import SAMPLE_TILE, Step, load_state, make_plan, store_state

Floats = NDArray[np.float32]
# Which rows of the result: a slice, or their numbers.
Places = slice | NDArray[np.int64]

# Which binding says, at an offset, what the moment is.
MOMENT_BINDING = 4
# Enough for the GPU to be busy, little enough for uploads to overlap and for other programs to
# have memory: bytes of a chunk's compute buffers, of its input or output, and its samples.
_MOST_VALUES = 512 * 2**20
_MOST_TRANSFER = 32 * 2**20
_MOST_SAMPLES = 2**19
# Moments of a block; each takes a dispatch for every step of a plan.
_MOST_MOMENTS = 256
_LANES = 2
# WebGPU's largest `minUniformBufferOffsetAlignment`.
_ALIGNED = 256


@dataclass(frozen=True)
class Kernels:
    """What is compiled for a model: a pipeline for each kernel, and the words that they read."""

    wgpu: Any
    device: Any
    layout: Any
    pipelines: dict[str, Any]
    words: Any


@dataclass(frozen=True)
class Room:
    """How many samples a chunk has room for, and how many rows and moments a block."""

    samples: int
    rows: int
    moments: int

    def cut(self, samples: int, rows: int) -> Room:
        """Return room for so many samples and rows, but for no more than there is here."""
        samples = min(-(-samples // SAMPLE_TILE) * SAMPLE_TILE, self.samples)
        return replace(self, samples=samples, rows=min(max(rows, samples), self.rows))

    def holds(self, other: Room) -> bool:
        """Whether nothing is larger in the other one."""
        return self.samples >= other.samples and self.rows >= other.rows


def most_room(model: GpuModel, limit: int) -> Room:
    """Return what a chunk may have on a device whose buffers hold `limit` bytes.

    Raises
    ------
    InstModelError
        ``buffer_limit_exceeded``: it cannot have one sample.
    """
    transfer = min(limit, _MOST_TRANSFER) // WORD
    rows = transfer // max(model.feature_size, model.output_size)
    samples = min(
        min(limit, _MOST_VALUES) // (WORD * model.compute_buffer_size),
        rows,
        transfer // max(model.state_size, 1),
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
    return Room(samples, rows, _MOST_MOMENTS) if model.is_recurrent else Room(samples, samples, 1)


class Chunk:
    """Compute buffers of samples, and lanes for their rows.

    Parameters
    ----------
    kernels : Kernels
    model : GpuModel
    room : Room

    Attributes
    ----------
    room : Room
    computed : wgpu.GPUBuffer
        The compute buffers, (compute_buffer_size, samples).
    """

    def __init__(self, kernels: Kernels, model: GpuModel, room: Room) -> None:
        self.room = room
        usage = kernels.wgpu.BufferUsage
        size = WORD * room.samples * model.compute_buffer_size
        self.computed = kernels.device.create_buffer(size=size, usage=usage.STORAGE)

        def lane(steps: Sequence[Step], rows: int, *widths: int) -> _Lane:
            return _Lane(kernels, self, steps, rows, *widths)

        plan = make_plan(model)
        widths = (model.feature_size, model.output_size)
        self._lanes = deque(lane(plan, room.rows, *widths) for _ in range(_LANES))
        self._compute, self._store = plan[:-1], plan[-1:]
        self._load_state, self._store_state = load_state(model), store_state(model)
        if model.is_recurrent:
            steps = [*self._load_state, *self._store_state]
            self._state_lane = lane(steps, room.samples, model.state_size, model.state_size)
        self._pending = deque[tuple[_Lane, Places | None]]()

    def compute(self, rows: Floats, moments: Sequence[int], to: Places | None, out: Floats) -> None:
        """Upload a block and start computing it.

        Parameters
        ----------
        rows : ndarray, (R, F)
            The rows of the block.
        moments : sequence of int
            How many samples are active in each moment; R together.
        to : slice or ndarray
            Where in `out` the results belong; None if they are not wanted.
        out : ndarray, (…, O)
            OUT: gets the results of a block before this one; `finish` brings the last.
        """
        lane = self._next_lane(out)
        lane.upload(rows)
        if to is None:
            lane.start(self._compute, moments, 1)  # whatever it is: to know when it is done
        else:
            lane.start([*self._compute, *self._store], moments, len(rows))
        self._pending.append((lane, to))

    def outputs(self, samples: int, to: Places, out: Floats) -> None:
        """Fetch what the last moment of each sample left as its output; see `compute`."""
        lane = self._next_lane(out)
        lane.start(self._store, [samples], samples)
        self._pending.append((lane, to))

    def finish(self, out: Floats) -> None:
        """Wait for all blocks, whose results go to `out`."""
        while self._pending:
            lane, to = self._pending.popleft()
            lane.collect(to, out)

    def set_state(self, state: Floats) -> None:
        """Give the first samples their state, (n, S)."""
        self._state_lane.upload(state)
        self._state_lane.start(self._load_state, [len(state)], 0)

    def get_state(self, state: Floats) -> None:
        """Wait for all blocks, and copy the state of the first samples to `state`, (n, S)."""
        self._state_lane.start(self._store_state, [len(state)], len(state))
        self._state_lane.collect(slice(0, len(state)), state)

    def _next_lane(self, out: Floats) -> _Lane:
        if len(self._pending) == _LANES:
            lane, to = self._pending.popleft()
            lane.collect(to, out)
        self._lanes.rotate()
        return self._lanes[0]


class _Lane:
    """What a block in flight needs: rows in, rows out and a way back; a bind group a step."""

    def __init__(
        self,
        kernels: Kernels,
        chunk: Chunk,
        steps: Sequence[Step],
        rows: int,
        row_size: int,
        result_size: int,
    ) -> None:
        self._kernels = kernels
        usage = kernels.wgpu.BufferUsage

        def buffer(size: int, kind: int) -> Any:
            return kernels.device.create_buffer(size=size, usage=kind)

        result_bytes = WORD * rows * result_size
        self._given = buffer(WORD * rows * row_size, usage.STORAGE | usage.COPY_DST)
        self._result = buffer(result_bytes, usage.STORAGE | usage.COPY_SRC)
        self._back = buffer(result_bytes, usage.MAP_READ | usage.COPY_DST)
        self._moments = buffer(_ALIGNED * chunk.room.moments, usage.UNIFORM | usage.COPY_DST)
        self._groups = {step: self._group(chunk, step) for step in steps}
        self._shape = (0, result_size)  # of the results that are on their way
        self._mapped: Any = None  # resolves when they are there

    def _group(self, chunk: Chunk, step: Step) -> Any:
        words = np.zeros(8, np.uint32)
        words[:5] = chunk.room.samples, step.first, step.length, step.width, step.column
        device = self._kernels.device
        uniform = device.create_buffer_with_data(
            data=words, usage=self._kernels.wgpu.BufferUsage.UNIFORM
        )
        rows = self._given if step.kernel == "instmodel_load" else self._result
        buffers = [self._kernels.words, chunk.computed, uniform, rows]
        sizes = [(item, item.size) for item in buffers] + [(self._moments, _ALIGNED)]
        return device.create_bind_group(
            layout=self._kernels.layout,
            entries=[
                {"binding": i, "resource": {"buffer": item, "offset": 0, "size": size}}
                for i, (item, size) in enumerate(sizes)
            ],
        )

    def upload(self, rows: Floats) -> None:
        self._kernels.device.queue.write_buffer(self._given, 0, rows)

    def start(self, steps: Sequence[Step], moments: Sequence[int], results: int) -> None:
        """Run the steps for each moment, and copy so many rows back."""
        device, pipelines = self._kernels.device, self._kernels.pipelines
        words = np.zeros((len(moments), _ALIGNED // WORD), np.uint32)
        words[:, 0] = moments
        words[1:, 1] = np.cumsum(moments)[:-1]
        device.queue.write_buffer(self._moments, 0, words)
        encoder = device.create_command_encoder()
        work = encoder.begin_compute_pass()
        for index, active in enumerate(moments):
            for step in steps:
                work.set_pipeline(pipelines[step.kernel])
                work.set_bind_group(0, self._groups[step], [_ALIGNED * index])
                work.dispatch_workgroups(-(-active // step.samples), step.others)
        work.end()
        self._shape = (results, self._shape[1])
        if results:
            encoder.copy_buffer_to_buffer(self._result, 0, self._back, 0, self._bytes())
        device.queue.submit([encoder.finish()])
        if results:
            read = self._kernels.wgpu.MapMode.READ
            self._mapped = self._back.map_async(read, 0, self._bytes())

    def collect(self, to: Places | None, out: Floats) -> None:
        """Wait for the rows that come back, and copy them to their places in `out`, if any."""
        self._mapped.sync_wait()
        if to is not None:
            data = self._back.read_mapped(0, self._bytes(), copy=False)
            out[to] = np.frombuffer(data, np.float32).reshape(self._shape)
            del data
        self._back.unmap()

    def _bytes(self) -> int:
        rows, size = self._shape
        return WORD * rows * size
