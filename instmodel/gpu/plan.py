"""Which kernels `GpuSession` runs for a model, and in which order."""

from __future__ import annotations

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
        The instructions to run; for `instmodel_load` and `instmodel_store` values of the buffer.
    samples, others : int
        Samples in one workgroup, and workgroups beside each other for the same samples.
    """

    kernel: str
    first: int
    length: int
    samples: int = SAMPLE_TILE
    others: int = 1


def make_plan(model: GpuModel) -> list[Step]:
    """Return the steps for a model.

    Large dense layers get the tiled kernel, and where a softmax follows, a step for it; what is
    between them runs in one kernel with a thread for each sample.
    """
    steps = [_transfer("instmodel_load", 0, model.feature_size)]
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
    return [*steps, _transfer("instmodel_store", model.output_start, model.output_size)]


def _transfer(kernel: str, first: int, count: int) -> Step:
    return Step(kernel, first, count, samples=16, others=-(-count // 16))


def _is_tiled(op: GpuOp) -> bool:
    if word_of(op, "weights") is None:
        return False
    enough = op.size >= _TILED_OUTPUTS and op.p1 >= _TILED_INPUTS
    return enough or op.size * op.p1 > _ROUNDS


def longest_loop(model: GpuModel) -> int:
    """Return about how often, at most, loops go round in one thread of a dispatch."""
    longest = max(
        max((_passes(op) - 1) * op.size, 2 * op.p1) + _ENDS if _is_tiled(op) else _loop_rounds(op)
        for op in model.ops
    )
    return max(longest, _ROUNDS)


def _loop_rounds(op: GpuOp) -> int:
    """Return at least how often the loops of an instruction go round, for one sample."""
    name, inner = TYPES[op.opcode], 0
    if name in ("DOT", "ATTENTION", "REDUCE_SUM"):
        inner = 2 * op.p1 + 3  # blocks of products; a sum that overflows is added up twice
    elif name in ("ADD_ELEMENTWISE_BUFFERS", "MULTIPLY_ELEMENTWISE_BUFFERS"):
        inner = op.p1
    return (_passes(op) + inner) * op.size + _ENDS


def _passes(op: GpuOp) -> int:
    """Return how many loops go over all values of an instruction: a softmax has three."""
    if TYPES[op.opcode] == "ATTENTION":
        return 5
    return 4 if word_of(op, "activation") == Activation.SOFTMAX.gpu_id else 1
