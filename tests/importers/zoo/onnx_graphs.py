"""Graphs as people write them by hand, in one line each."""

from __future__ import annotations

from functools import partial

import numpy as np
import onnx
from importers.zoo.onnx_sources import filled, graph, keyed, keys, numbers
from support import onnx_graphs
from support.onnx_graphs import array, ints, made, model
from support.zoo import Case

F = np.float32
# Of these, ONNX Runtime loses digits, or counts keys from the end; test_onnx.py has them.
ELSEWHERE = {"the logarithm of a Sigmoid", "an embedding of floats"}
# Where float32 ends, ONNX Runtime's numbers mean as little as ours.
SMALL = {"arithmetic with buffers", "Pow", "Exp", "shares of a sum", "Normalizer, MAX"}
# What a maximum is where a number is missing, ONNX leaves open.
FILLED = {"ReduceMax over columns", "ReduceMin over columns"}

# name: (kind, body, constants and other arguments of `model`)
HAND_WRITTEN = {
    # comparisons, choices
    "x > c": ("comparisons and choices", "g = Greater(x, c) y = Cast<to=1>(g)", {"c": array(4)}),
    "x >= c": (
        "comparisons and choices",
        "g = GreaterOrEqual(x, c) y = Cast<to=1>(g)",
        {"c": F([0.0, 0.5, -1.0, 2.0])},
    ),
    "x <= other columns": (
        "comparisons and choices",
        "a, b = Split<axis=1, num_outputs=2>(x) g = LessOrEqual(a, b) y = Cast<to=1>(g)",
        {},
    ),
    "x = 0": (
        "comparisons and choices",
        "a = Relu(x) g = Equal(a, zero) y = Cast<to=1>(g)",
        {"zero": F(0)},
    ),
    "and, or, xor, not": (
        "comparisons and choices",
        "a = Greater(x, zero) b = Less(x, one) c = And(a, b) d = Xor(a, c) e = Not(d) f = Or(e, c) "
        "y = Cast<to=1>(f)",
        {"zero": F(0), "one": F(1)},
    ),
    "missing values filled": (
        "comparisons and choices",
        "n = IsNaN(x) f = Where(n, c, x) y = Gemm(f, W)",
        {"c": array(4), "W": array(4, 2)},
    ),
    "a flag for missing values": (
        "comparisons and choices",
        "n = IsNaN(x) f = Cast<to=1>(n) z = Where(n, zero, x) y = Concat<axis=1>(z, f)",
        {"zero": F(0)},
    ),
    "a flag for what is truthy": (
        "comparisons and choices",
        "a = Relu(x) b = Cast<to=9>(a) y = Cast<to=1>(b)",
        {},
    ),
    "a choice between two layers": (
        "comparisons and choices",
        "s = Slice(x, zero, one, one) g = Greater(s, half) a = Gemm(x, W) b = Tanh(a) "
        "y = Where(g, a, b)",
        {"zero": ints(0), "one": ints(1), "half": F(0.2), "W": array(4, 3)},
    ),
    "x log x, 0 where x is not positive": (
        "comparisons and choices",
        "g = Greater(x, zero) l = Log(x) p = Mul(x, l) y = Where(g, p, zero)",
        {"zero": F(0)},
    ),
    "a softplus that ends in a line too soon": (
        "comparisons and choices",
        "s = Softplus(x) g = Greater(x, limit) y = Where(g, x, s)",
        {"limit": F(3)},
    ),
    "a scorecard: bins, and a weight for each": (
        "comparisons and choices",
        "u = Unsqueeze(x, ax) g = Greater(u, e) c = Cast<to=1>(g) s = ReduceSum<keepdims=0>(c, ax) "
        "k = Cast<to=7>(s) w = Gather(T, k) v = Squeeze(w, ax) y = ReduceSum(v, one)",
        {
            "ax": ints(2),
            "one": ints(1),
            "e": F([-1, 0, 1]),
            "T": F([[0.1], [0.5], [-0.3], [0.9]]),
        },
    ),
    "nested choices": (
        "comparisons and choices",
        "g = Less(x, a) h = Less(x, b) p = Where(h, x, c) y = Where(g, q, p)",
        {"a": F(-0.5), "b": F(0.5), "c": F(9), "q": F(-3)},
    ),
    "a mask of constants": (
        "comparisons and choices",
        "y = Where(m, x, c)",
        {"m": np.array([True, False, True, False]), "c": F(7)},
    ),
    "winsorized by other columns": (
        "comparisons and choices",
        "a, b = Split<axis=1, num_outputs=2>(x) c = Max(a, b) d = Min(c, b, one) "
        "y = Concat<axis=1>(c, d)",
        {"one": F(0.5)},
    ),
    "ThresholdedRelu": ("activations", "y = ThresholdedRelu<alpha=0.4>(x)", {}),
    "Shrink": ("activations", "y = Shrink<lambd=0.3, bias=0.1>(x)", {}),
    "Softsign": ("activations", "y = Softsign(x)", {}),
    "Reciprocal": ("activations", "a = Exp(x) y = Reciprocal(a)", {}),
    "Erf alone": ("activations", "y = Erf(x)", {}),
    "swish, x · sigmoid(x)": ("activations", "a = Sigmoid(x) y = Mul(x, a)", {}),
    "GELU by the tanh form, written out": (
        "activations",
        "c = Pow(x, three) d = Mul(c, k) e = Add(x, d) f = Mul(e, r) t = Tanh(f) o = Add(t, one) "
        "h = Mul(x, half) y = Mul(h, o)",
        {"three": F(3), "k": F(0.044715), "r": F(0.7978846), "one": F(1), "half": F(0.5)},
    ),
    # norms and divisions
    "a ratio of two columns": (
        "ratios, roots and logarithms",
        "a, b = Split<axis=1, num_outputs=2>(x) y = Div(a, b)",
        {},
    ),
    "shares of a sum": (
        "ratios, roots and logarithms",
        "e = Exp(x) s = ReduceSum(e, one) y = Div(e, s)",
        {"one": ints(1)},
    ),
    "debt to income, 0 without income": (
        "ratios, roots and logarithms",
        "a, b = Split<axis=1, num_outputs=2>(x) g = Greater(b, zero) d = Div(a, b) "
        "y = Where(g, d, zero)",
        {"zero": F(0)},
    ),
    "square roots and logarithms": (
        "ratios, roots and logarithms",
        "s = Sqrt(x) l = Log(x) y = Concat<axis=1>(s, l)",
        {},
    ),
    "ln(x + 1)": ("ratios, roots and logarithms", "a = Add(x, one) y = Log(a)", {"one": F(1)}),
    "ln(|x| + 1)": (
        "ratios, roots and logarithms",
        "m = Abs(x) a = Add(m, one) y = Log(a)",
        {"one": F(1)},
    ),
    "powers": (
        "ratios, roots and logarithms",
        "a = Abs(x) b = Pow(a, p) c = Pow(a, q) d = Pow(x, two) e = Add(b, c) y = Add(e, d)",
        {"p": F(0.5), "q": F(1.5), "two": ints(2)},
    ),
    "2^x": ("ratios, roots and logarithms", "t = Tanh(x) y = Pow(two, t)", {"two": F(2)}),
    "LayerNormalization": (
        "normalization layers",
        "a = Gemm(x, W) n = LayerNormalization<axis=-1>(a, s, b) y = Relu(n)",
        {"W": array(4, 6), "s": array(6), "b": array(6)},
    ),
    "LayerNormalization, written out": (
        "normalization layers",
        "m = ReduceMean(x, one) d = Sub(x, m) q = Pow(d, two) v = ReduceMean(q, one) "
        "e = Add(v, eps) r = Sqrt(e) n = Div(d, r) y = Mul(n, s)",
        {"one": ints(-1), "two": F(2), "eps": F(1e-5), "s": array(4)},
    ),
    "RMSNormalization": (
        "normalization layers",
        "y = RMSNormalization(x, s)",
        {"s": array(4), "opset": 23},
    ),
    "RMS norm, written out": (
        "normalization layers",
        "q = Mul(x, x) v = ReduceMean(q, one) e = Add(v, eps) r = Sqrt(e) i = Reciprocal(r) "
        "n = Mul(x, i) y = Mul(n, s)",
        {"one": ints(-1), "eps": F(1e-6), "s": array(4)},
    ),
    "GroupNormalization": (
        "normalization layers",
        "r = Reshape(x, t) n = GroupNormalization<num_groups=2>(r, s, b) y = Flatten(n)",
        {"t": ints(0, 4, 2), "s": array(4), "b": array(4), "inputs": "float[N,8] x", "opset": 21},
    ),
    "InstanceNormalization": (
        "normalization layers",
        "r = Reshape(x, t) n = InstanceNormalization(r, s, b) y = Flatten(n)",
        {"t": ints(0, 2, 4), "s": array(2), "b": array(2), "inputs": "float[N,8] x"},
    ),
    "BatchNormalization of channels": (
        "normalization layers",
        "r = Reshape(x, t) n = BatchNormalization(r, s, b, m, v) y = Flatten(n)",
        {"t": ints(0, 2, 2), "s": array(2), "b": array(2), "m": array(2), "v": array(2, low=0.1)},
    ),
    "LpNormalization, 2": ("normalization layers", "y = LpNormalization<p=2>(x)", {}),
    "LpNormalization, 1": ("normalization layers", "y = LpNormalization<p=1>(x)", {}),
    "Normalizer, L2": ("ai.onnx.ml", 'y = ai.onnx.ml.Normalizer<norm="L2">(x)', {}),
    "Normalizer, L1": ("ai.onnx.ml", 'y = ai.onnx.ml.Normalizer<norm="L1">(x)', {}),
    "Normalizer, MAX": (
        "ai.onnx.ml",
        'e = Exp(x) y = ai.onnx.ml.Normalizer<norm="MAX">(e)',
        {},
    ),
    "Binarizer": (
        "ai.onnx.ml",
        "a = ai.onnx.ml.Binarizer<threshold=0.3>(x) y = Gemm(a, W)",
        {"W": array(4, 2)},
    ),
    "SVMRegressor, RBF": (
        "ai.onnx.ml",
        'y = ai.onnx.ml.SVMRegressor<kernel_type="RBF", kernel_params=[0.2, 0.0, 3.0], '
        "n_supports=2, coefficients=[1.0, -0.5], rho=[0.25], "
        "support_vectors=[0.1, 0.2, 0.3, 0.4, -1.0, 0.5, 0.0, 1.0]>(x)",
        {},
    ),
    "SVMRegressor, linear": (
        "ai.onnx.ml",
        'y = ai.onnx.ml.SVMRegressor<kernel_type="LINEAR", kernel_params=[0.0, 0.0, 0.0], '
        "n_supports=0, coefficients=[1.0, -0.5, 0.2, 3.0], rho=[0.25]>(x)",
        {},
    ),
    # reductions
    **{
        f"{name} over columns": (
            "reductions",
            f"y = {name}(x, one)",
            {"one": ints(1)},
        )
        for name in (
            *("ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare"),
            *("ReduceLogSumExp", "ReduceSum", "ReduceMean", "ReduceProd"),
        )
    },
    "LogSoftmax": ("activations", "a = Gemm(x, W) y = LogSoftmax(a)", {"W": array(4, 5)}),
    "Softmax of opset 11 over two axes": (
        "activations",
        "r = Reshape(x, t) s = Softmax(r) y = Flatten(s)",
        {"t": ints(-1, 2, 2), "opset": 11},
    ),
    "LogSoftmax of opset 11": ("activations", "y = LogSoftmax(x)", {"opset": 11}),
    "GlobalAveragePool": (
        "reductions",
        "r = Reshape(x, t) a = GlobalAveragePool(r) y = Flatten(a)",
        {"t": ints(0, 2, 2)},
    ),
    "Mean of three": ("reductions", "a = Relu(x) b = Tanh(x) y = Mean(a, b, x)", {}),
    # moving numbers
    "Tile, Pad": (
        "moving numbers",
        "a = Tile(x, twice) y = Pad(a, pads, fill)",
        {"twice": ints(1, 2), "pads": ints(0, 1, 0, 2), "fill": F(0.5)},
    ),
    "Pad by reflection": (
        "moving numbers",
        'y = Pad<mode="reflect">(x, pads)',
        {"pads": ints(0, 2, 0, 1)},
    ),
    "GatherElements": (
        "moving numbers",
        "r = Reshape(x, t) g = GatherElements<axis=2>(r, i) y = Flatten(g)",
        {"t": ints(-1, 2, 2), "i": ints(1, 1, 1, 0).reshape(1, 2, 2), "inputs": "float[1,4] x"},
    ),
    "a triangle": (
        "moving numbers",
        "r = Reshape(x, t) u = Trilu<upper=0>(r) y = Flatten(u)",
        {"t": ints(-1, 2, 2)},
    ),
    "a table of positions, computed from constants": (
        "constants",
        "p = Range(z, n, o) f = Cast<to=1>(p) s = Sin(f) c = Cos(f) t = Add(s, c) y = Add(x, t)",
        {"z": np.int64(0), "n": np.int64(4), "o": np.int64(1)},
    ),
    "weights that are normalized": (
        "constants",
        "n = ReduceL2<keepdims=1>(W, one) V = Div(W, n) y = MatMul(x, V)",
        {"W": array(4, 3), "one": ints(0)},
    ),
    # products of two values
    "Einsum with weights": (
        "products of computed values",
        'y = Einsum<equation="bi,ij->bj">(x, W)',
        {"W": array(4, 3)},
    ),
    "Einsum of two": (
        "products of computed values",
        'r = Reshape(x, t) e = Einsum<equation="bij,bkj->bik">(r, r) y = Flatten(e)',
        {"t": ints(-1, 2, 2)},
    ),
    "a dot product of two towers": (
        "products of computed values",
        "a = Gemm(x, W) b = Gemm(x, V) p = Mul(a, b) s = ReduceSum(p, one) y = Sigmoid(s)",
        {"W": array(4, 3), "V": array(4, 3), "one": ints(1)},
    ),
    "cosine similarity": (
        "products of computed values",
        "a = Gemm(x, W) b = Gemm(x, V) m = LpNormalization(a) n = LpNormalization(b) p = Mul(m, n) "
        "y = ReduceSum(p, one)",
        {"W": array(4, 3), "V": array(4, 3), "one": ints(1)},
    ),
    "attention over tokens": (
        "products of computed values",
        "r = Reshape(x, t) q = MatMul(r, Q) k = MatMul(r, K) v = MatMul(r, V) "
        "u = Transpose<perm=[0, 2, 1]>(k) s = MatMul(q, u) d = Div(s, root) p = Softmax(d) "
        "o = MatMul(p, v) y = Flatten(o)",
        {
            "t": ints(-1, 4, 2),
            "Q": array(2, 3),
            "K": array(2, 3),
            "V": array(2, 3),
            "root": F(3**0.5),
            "inputs": "float[N,8] x",
        },
    ),
    "attention with heads joined to the batch, which comes second": (
        "products of computed values",
        "r = Reshape(x, t) q = MatMul(r, Q) a = Transpose<perm=[1, 0, 2]>(q) b = Add(a, c) "
        "h = Reshape(b, heads) k = Transpose<perm=[1, 0, 2]>(h) u = Transpose<perm=[0, 2, 1]>(k) "
        "s = MatMul(k, u) p = Softmax(s) o = MatMul(p, k) d = Transpose<perm=[1, 0, 2]>(o) "
        "e = Reshape(d, whole) f = LayerNormalization(e, g) l = Transpose<perm=[1, 0, 2]>(f) "
        "y = Flatten(l)",
        {
            "t": ints(-1, 3, 4),
            "heads": ints(3, -1, 2),
            "whole": ints(3, -1, 4),
            "Q": array(4, 4),
            "c": array(4),
            "g": array(4),
            "inputs": "float[N,12] x",
        },
    ),
    "attention with a causal mask": (
        "products of computed values",
        "r = Reshape(x, t) u = Transpose<perm=[0, 2, 1]>(r) s = MatMul(r, u) m = Add(s, mask) "
        "p = Softmax(m) o = MatMul(p, r) y = Flatten(o)",
        {
            "t": ints(-1, 4, 2),
            "inputs": "float[N,8] x",
            "mask": np.triu(np.full((1, 4, 4), -np.inf, F), 1),
        },
    ),
    "a factorization machine": (
        "products of computed values",
        "l = MatMul(x, w) s = MatMul(x, V) q = Mul(s, s) x2 = Mul(x, x) V2 = Mul(V, V) "
        "r = MatMul(x2, V2) d = Sub(q, r) t = ReduceSum(d, one) h = Mul(t, half) y = Add(l, h)",
        {"w": array(4, 1), "V": array(4, 3), "one": ints(1), "half": F(0.5)},
    ),
    "a cross layer": (
        "products of computed values",
        "a = Gemm(x, W, b) m = Mul(x, a) y = Add(m, x)",
        {"W": array(4, 4), "b": array(4)},
    ),
}

KEYED = {
    "embeddings of two features": (
        "o = Gather(T, ids) f = Flatten(o) y = Gemm(f, W)",
        {"T": array(7, 3), "W": array(6, 2), "inputs": "int64[N,2] ids"},
    ),
    "OneHot": (
        "o = OneHot<axis=-1>(ids, depth, values) f = Flatten(o) y = Gemm(f, W)",
        {"depth": ints(7), "values": F([0, 1]), "W": array(14, 1), "inputs": "int64[N,2] ids"},
    ),
}

# name: (body, arguments, a part of each piece)
REFUSED = {
    "ArgMax": ("a = Gemm(x, W) y = ArgMax<axis=1>(a)", {"W": array(4, 3)}, ("ArgMax",)),
    "TopK": ("v, i = TopK(x, k) y = Relu(v)", {"k": ints(2)}, ("TopK",)),
    "sines of the input": ("a = Sin(x) b = Cos(x) y = Add(a, b)", {}, ("Sin", "Cos")),
    "what is behind a refused node, too": (
        "a = Sin(x) t = Transpose<perm=[1,0]>(a) b = Round(x) y = Add(a, b)",
        {},
        ("Sin", "Round"),
    ),
    "behind it, with its shape": (
        "a = Sin(x) b = ReduceSum(a, z) y = Add(a, b)",
        {"z": ints(0)},
        ("Sin", "along the batch"),
    ),
    "a sum over the batch": ("y = ReduceSum(x, z)", {"z": ints(0)}, ("along the batch",)),
    "a product over the batch": (
        "t = Transpose<perm=[1,0]>(x) y = MatMul(t, x)",
        {},
        ("the batch in other places",),
    ),
    "rounding": ("y = Round(x)", {}, ("Round",)),
    "integers of a computed number": (
        "a = Mul(x, x) i = Cast<to=7>(a) y = Cast<to=1>(i)",
        {},
        ("a conversion to integers",),
    ),
    "a branch": (
        "s = Slice(x, zero, one, one) g = Greater(s, zf) r = ReduceMax<keepdims=0>(s) "
        "c = Cast<to=9>(r) y = If(c) <then_branch = a () => (float[N,4] t) { t = Relu(x) }, "
        "else_branch = b () => (float[N,4] e) { e = Tanh(x) }>",
        {"zero": ints(0), "one": ints(1), "zf": F(0)},
        ("the batch", "If"),
    ),
    "a convolution": (
        "y = Conv(x, W)",
        {"W": array(2, 1, 2), "inputs": "float[N,1,4] x"},
        ("Conv",),
    ),
    "trees": (
        'y = ai.onnx.ml.TreeEnsembleRegressor<n_targets=1, nodes_modes=["LEAF"]>(x)',
        {},
        ("TreeEnsembleRegressor",),
    ),
}


def _small(name, body, arguments, kind):
    arguments = dict(arguments)
    inputs = arguments.pop("inputs", "float[N,4] x")
    sizes = inputs[inputs.index(",") + 1 : inputs.index("]")].split(",")
    size = int(np.prod([int(size) for size in sizes]))
    return name, kind, partial(model, body, inputs, **arguments), size


def _cases():
    for name in onnx_graphs.GRAPHS:
        if "inputs" not in onnx_graphs.GRAPHS[name][1] and name not in ELSEWHERE:
            reach = 3.0 if name in SMALL else 300.0
            yield Case(name, "small graphs", graph(partial(made, name), numbers(4)), reach=reach)
    for name, (kind, body, arguments) in HAND_WRITTEN.items():
        if arguments.get("opset", 20) > onnx.defs.onnx_opset_version():
            continue
        name, kind, make, size = _small(name, body, arguments, kind)
        source = filled if name in FILLED else graph
        reach = 3.0 if name in SMALL else 300.0
        yield Case(name, kind, source(make, numbers(size)), reach=reach)
    for name, (body, arguments) in KEYED.items():
        name, kind, make, size = _small(name, body, arguments, "lookups")
        yield Case(name, kind, keyed(make, keys(size, 7), 0 if "embed" in name else -np.inf))
    for name, (body, arguments, pieces) in REFUSED.items():
        name, kind, make, size = _small(name, body, arguments, "refused")
        yield Case(name, kind, graph(make, numbers(size)), refused=pieces)


CASES = list(_cases())
