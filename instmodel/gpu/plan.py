"""Which kernels `GpuSession` runs for a model, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from instmodel.base.activations import Activation
from instmodel.gpu.instructions import TYPES, word_of
from instmodel.gpu.layout import GpuOp
from instmodel.gpu.model import GpuModel

# Rows of the chunk that every kernel's workgroup divides.
SAMPLE_TILE = 64

# A dense layer goes to the tiled kernel from here on: with fewer outputs most of a tile of 64 is
# idle, with fewer inputs a thread for each sample reads little more than the tile does.
_TILED_OUTPUTS = 32
_TILED_INPUTS = 16

# Rounds of loops in one thread of a dispatch, beyond which a driver's watchdog may bark.
_ROUNDS = 16_384

# What loops go round once more, to find their ends; and the search for a key.
_ENDS = 32


class Step(NamedTuple):
    """One dispatch.

    Attributes
    ----------
    kernel : str
        Name of its entry point in ``wgsl/session``.
    first, length : int
        The instructions to run; for kernels that move or clear values, those of the buffer.
    samples, others : int
        Samples in one workgroup, and workgroups beside each other for the same samples.
    width, column : int
        For kernels that move values: how many a row of the caller has, and where they start there.
    """

    kernel: str
    first: int
    length: int
    samples: int = SAMPLE_TILE
    others: int = 1
    width: int = 0
    column: int = 0


def make_plan(model: GpuModel) -> list[Step]:
    """Return the steps for one row of each sample; the last one stores the outputs.

    Large dense layers get the tiled kernel, and where a softmax follows, a step for it; what is
    between them runs in one kernel with a thread for each sample.
    """
    steps = [
        Step("instmodel_clear", start, stop - start, others=stop - start)
        for start, stop in model.gaps
    ]
    steps.append(_transfer("instmodel_load", 0, model.feature_size, model.feature_size))
    rounds = 0
    for index, op in enumerate(model.ops):
        if _is_tiled(op):
            tiles = -(-op.size // SAMPLE_TILE)
            steps.append(Step("instmodel_dense_rows", index, 1, others=tiles))
            if TYPES[op.opcode] == "ATTENTION":
                steps.append(Step("instmodel_finish_attention", index, 1))
            elif word_of(op, "activation") == Activation.SOFTMAX.gpu_id:
                steps.append(Step("instmodel_finish_dot", index, 1))
            continue
        last = steps[-1]
        rounds += _loop_rounds(op)
        if last.kernel == "instmodel_run_rows" and rounds <= _ROUNDS:
            steps[-1] = last._replace(length=last.length + 1)
        else:
            steps.append(Step("instmodel_run_rows", index, 1))
            rounds = _loop_rounds(op)
    size = model.output_size
    return [*steps, _transfer("instmodel_store", model.output_start, size, size)]


def load_state(model: GpuModel) -> list[Step]:
    """Return the steps that give samples their state, from rows (n, S)."""
    return _move_state(model, "instmodel_load")


def store_state(model: GpuModel) -> list[Step]:
    """Return the steps that take it from them."""
    return _move_state(model, "instmodel_store")


def _move_state(model: GpuModel, kernel: str) -> list[Step]:
    return [
        _transfer(kernel, state.start, state.size, model.state_size, state.place)
        for state in model.states
    ]


def _transfer(kernel: str, first: int, count: int, width: int, column: int = 0) -> Step:
    return Step(kernel, first, count, 16, -(-count // 16), width, column)


def _is_tiled(op: GpuOp) -> bool:
    if word_of(op, "weights") is None:
        return False
    enough = op.size >= _TILED_OUTPUTS and op.p1 >= _TILED_INPUTS
    return enough or op.size * op.p1 > _ROUNDS


def longest_loop(model: GpuModel) -> int:
    """Return about how often, at most, loops go round in one thread of a dispatch."""
    longest = max(_tiled_rounds(op) if _is_tiled(op) else _loop_rounds(op) for op in model.ops)
    return max(longest, _ROUNDS)


def _loop_rounds(op: GpuOp) -> int:
    """Return at least how often the loops of an instruction go round, for one sample."""
    passes, inner = LOOPS[TYPES[op.opcode]](op)
    return (passes + inner) * op.size + _ENDS


def _tiled_rounds(op: GpuOp) -> int:
    """Return the same of a dense layer in the tiled kernel and what follows it."""
    passes, _ = LOOPS[TYPES[op.opcode]](op)
    return max((passes - 1) * op.size, 2 * op.p1) + _ENDS


class _Loops(NamedTuple):
    """The loops of an instruction for one sample.

    `passes` go over all values of the result; `inner` rounds are made for each value.
    """

    passes: int
    inner: int = 0


def _one_pass(op: GpuOp) -> _Loops:
    return _Loops(1)


def _activation(op: GpuOp) -> _Loops:
    return _Loops(4 if op.p2 == Activation.SOFTMAX.gpu_id else 1)  # a softmax adds three


def _products(op: GpuOp) -> int:
    return 2 * op.p1 + 3  # blocks of products; a sum that overflows is added up twice


def _dot(op: GpuOp) -> _Loops:
    return _Loops(_activation(op).passes, _products(op))


def _attention(op: GpuOp) -> _Loops:
    return _Loops(5, _products(op))  # a softmax, and the gate


def _buffers(op: GpuOp) -> _Loops:
    return _Loops(1, op.p1)


def _reduce_sum(op: GpuOp) -> _Loops:
    return _Loops(1, _products(op))


# By the ``type`` of an instruction; a test demands one for every instruction.
LOOPS: dict[str, Callable[[GpuOp], _Loops]] = {
    "DOT": _dot,
    "ATTENTION": _attention,
    "COPY": _one_pass,
    "COPY_MASKED": _one_pass,
    "MAP_TRANSFORM": _one_pass,
    "ACTIVATION": _activation,
    "ADD_ELEMENTWISE": _one_pass,
    "MUL_ELEMENTWISE": _one_pass,
    "CLIP_ELEMENTWISE": _one_pass,
    "ADD_ELEMENTWISE_BUFFERS": _buffers,
    "MULTIPLY_ELEMENTWISE_BUFFERS": _buffers,
    "ADD_BUFFER_HEADS": _one_pass,
    "MULTIPLY_BUFFER_HEADS": _one_pass,
    "REDUCE_SUM": _reduce_sum,
}
