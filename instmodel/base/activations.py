"""The activation functions: their names in a document and their ids on the GPU.

The kernels use the same ids (``csrc/kernels.h``), so there is one numbering everywhere.
"""

from __future__ import annotations

from enum import StrEnum


class Activation(StrEnum):
    """Name of an activation function, as a document writes it.

    Attributes
    ----------
    gpu_id : int
        The id of the function in GPU bytes and in the kernels, ≥ 1; 0 means no activation.
    """

    gpu_id: int

    RELU = "RELU", 1
    SIGMOID = "SIGMOID", 2
    SOFTMAX = "SOFTMAX", 3
    TANH = "TANH", 4
    SQRT = "SQRT", 5
    LOG = "LOG", 6
    LOG10 = "LOG10", 7
    INVERSE = "INVERSE", 8
    GELU = "GELU", 9
    SOFTPLUS = "SOFTPLUS", 10
    EXP = "EXP", 11
    SIGN = "SIGN", 12
    RECIPROCAL = "RECIPROCAL", 13

    def __new__(cls, name: str, gpu_id: int) -> Activation:
        """Make a member whose value is its name."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.gpu_id = gpu_id
        return member
