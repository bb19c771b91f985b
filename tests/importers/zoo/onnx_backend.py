"""ONNX's own tests of its operators: a sample has their first input, the others are constants."""

from __future__ import annotations

import warnings
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from importers.zoo.onnx_sources import graph, numbers
from onnx.backend.test.loader import DATA_DIR, load_model_tests
from support.zoo import Case, Source

# Those whose first axis may be taken for the batch.
IMPORTED = (
    *("abs", "add_bcast", "ai_onnx_ml_array_feature_extractor", "batchnorm_epsilon"),
    *("clip_splitbounds", "clip_default_min", "clip_default_inbounds", "constant_pad_axes"),
    *("div_bcast", "dropout_default_ratio", "elu", "flatten_axis1", "gather_2d_indices"),
    *("gelu_default_2", "gelu_tanh_2", "gemm_alpha", "gemm_beta", "gemm_default_scalar_bias"),
    *("gemm_transposeB", "globalaveragepool_precomputed", "greater_equal_bcast"),
    *("group_normalization_epsilon", "hardsigmoid", "hardswish", "instancenorm_epsilon"),
    *("l1normalization_axis_last", "l2normalization_axis_1", "leakyrelu", "less_bcast", "log"),
    *("logsoftmax_large_number", "logsoftmax_axis_2", "lpnormalization_default", "matmul_bcast"),
    *("mish", "neg", "pow_bcast_scalar", "prelu_broadcast", "reciprocal"),
    *("reduce_l1_do_not_keepdims_random", "reduce_l2_negative_axes_keep_dims_random"),
    *("reduce_mean_keepdims_random", "reduce_prod_keepdims_random"),
    *("reduce_sum_empty_axes_input_noop", "reduce_sum_square_keepdims_random"),
    *("reshape_zero_and_negative_dim", "rms_normalization_3d_axis1_epsilon", "selu"),
    *("rms_normalization_4d_axis2", "shrink_hard", "shrink_soft", "sigmoid", "slice_neg"),
    *("softmax_large_number", "softmax_axis_1", "softplus", "softsign", "sqrt", "swish"),
    *("thresholdedrelu", "transpose_all_permutations_1", "unsqueeze_unsorted_axes"),
)
# Those that are not: what is refused of each.
REFUSED = {
    "acos": "Acos",
    "argmax_keepdims_random": "ArgMax",
    "ceil": "Ceil",
    "cumsum_2d_axis_1": "CumSum",
    "hardmax_axis_1": "Hardmax",
    "round": "Round",
    "transpose_default": "not the batch",
}


@cache
def _tests() -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {test.name.removeprefix("test_"): test for test in load_model_tests(kind="node")}


def made(name: str) -> onnx.ModelProto:
    """Return the model of a test, with the inputs behind the first as constants."""
    test = _tests()[name]
    model = onnx.ModelProto()
    model.CopyFrom(test.model)
    others = list(model.graph.input)[1:]
    del model.graph.input[1:]
    for item, value in zip(others, test.data_sets[0][0][1:], strict=True):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), item.name))
    return model


def _source(name: str) -> Source:
    model = made(name)
    sizes = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    return graph(lambda: model, numbers(int(np.prod(sizes[1:]))))()


def _cases():
    if (Path(DATA_DIR) / "node").is_dir():
        return  # older releases keep them in files, and have fewer
    pieces = dict.fromkeys(IMPORTED, ()) | {name: (piece,) for name, piece in REFUSED.items()}
    for name, refused in pieces.items():
        yield Case(f"ONNX's own tests: {name}", "ONNX's own tests", partial(_source, name), refused)


CASES = list(_cases())
