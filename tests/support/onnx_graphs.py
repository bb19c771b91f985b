"""ONNX graphs in one line each, for the tests of the importer."""

import numpy as np
import onnx
import onnx.parser

RNG = np.random.default_rng(3)


def array(*shape, low=-1.0, high=1.0):
    return RNG.uniform(low, high, shape).astype(np.float32)


def ints(*values):
    return np.array(values, np.int64)


def model(body, inputs="float[N,4] x", opset=20, **constants):
    """Return a ModelProto: `body` holds the nodes, which compute y."""
    text = f"agraph ({inputs}) => (float[N,M] y) {{ {body} }}"
    graph = onnx.parser.parse_graph(text)
    graph.initializer.extend(
        onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()
    )
    opsets = [onnx.helper.make_opsetid("", opset), onnx.helper.make_opsetid("ai.onnx.ml", 3)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9)


W, B = array(3, 4), array(3)
FOUR = array(4)
TABLE = array(7, 3)

# name: arguments of `model`
GRAPHS = {
    "Gemm": ("y = Gemm<transB=1>(x, W, b)", {"W": W, "b": B}),
    "Gemm, scaled": ("y = Gemm<alpha=0.5, beta=2.0>(x, W, b)", {"W": W.T, "b": B[None]}),
    "Gemm without C": ("y = Gemm(x, W)", {"W": W.T}),
    "MatMul, Add, Relu": (
        "a = MatMul(x, W) c = Add(a, b) y = Relu(c)",
        {"W": W.T, "b": B},
    ),
    "a layer, and what is before its activation": (
        "a = Gemm<transB=1>(x, W, b) r = Tanh(a) y = Concat<axis=1>(a, r)",
        {"W": W, "b": B},
    ),
    "arithmetic with constants": (
        "a = Add(x, p) b = Sub(p, a) c = Mul(b, q) y = Div(c, p)",
        {"p": FOUR + 3, "q": np.float32(0.3)},
    ),
    "arithmetic with buffers": (
        "a = Relu(x) b = Add(x, a) c = Sub(b, x) d = Mul(c, x) y = Sum(d, x, a)",
        {},
    ),
    "a broadcast column": (
        "s = Slice(x, one, two, one) y = Mul(x, s)",
        {"one": ints(1), "two": ints(2)},
    ),
    **{
        name: (f"y = {name}(x)", {})
        for name in (
            *("Relu", "Sigmoid", "Tanh", "Softplus", "Sign", "Exp", "Gelu", "Abs", "Neg", "Elu"),
            *("Selu", "Celu", "Mish", "LeakyRelu", "HardSigmoid", "HardSwish", "Softmax"),
        )
    },
    "Celu, scaled": ("y = Celu<alpha=0.4>(x)", {}),
    "the logarithm of a Sigmoid": ("a = Sigmoid(x) y = Log(a)", {}),
    "a Softplus that ends in a line": (
        "z = Mul(x, two) s = Softplus(z) d = Div(s, two) g = Greater(z, limit) y = Where(g, x, d)",
        {"two": np.float32(2), "limit": np.float32(20)},
    ),
    "Gelu, tanh": ('y = Gelu<approximate="tanh">(x)', {}),
    "Gelu of Erf": (
        "a = Div(x, r) e = Erf(a) f = Add(e, one) g = Mul(x, f) y = Mul(g, half)",
        {"r": np.float32(2**0.5), "one": np.float32(1), "half": np.float32(0.5)},
    ),
    "Gelu of Erf, half first": (
        "h = Mul(half, x) a = Mul(x, r) e = Erf(a) f = Add(one, e) y = Mul(h, f)",
        {"r": np.float32(0.5**0.5), "one": np.float32(1), "half": np.float32(0.5)},
    ),
    "PRelu": ("y = PRelu(x, slope)", {"slope": FOUR}),
    "Pow": ("a = Pow(x, three) y = Pow(a, two)", {"three": np.float32(3), "two": ints(2)}),
    "guarded Sqrt and Log": (
        "g = Greater(x, zero) s = Sqrt(x) a = Where(g, s, zero) "
        "p = Add(x, one) l = Log(p) b = Where(g, l, zero) y = Concat<axis=-1>(a, b)",
        {"zero": np.float32(0), "one": np.float32(1)},
    ),
    "a choice of constants": (
        "g = Greater(x, p) a = Where(g, q, p) l = Less(x, q) c = Cast<to=1>(l) y = Add(a, c)",
        {"p": FOUR, "q": array(4)},
    ),
    "Clip": ("y = Clip(x, low, high)", {"low": np.float32(-0.5), "high": np.float32(0.7)}),
    "Clip from above": ("y = Clip(x,, high)", {"high": np.float32(0.7)}),
    "Max and Min": ("a = Max(x, p) y = Min(q, a)", {"p": -np.abs(FOUR), "q": np.abs(FOUR)}),
    "BatchNormalization": (
        "y = BatchNormalization(x, s, b, m, v)",
        {"s": FOUR, "b": array(4), "m": array(4), "v": array(4, low=0.1)},
    ),
    "Softmax over the middle": (
        "r = Reshape(x, s) a = Softmax<axis=1>(r) y = Flatten(a)",
        {"s": ints(-1, 2, 2)},
    ),
    "attention": (
        "k = Gemm<transB=1>(x, W, b) s = Softmax(k) y = Mul(s, x)",
        {"W": array(4, 4), "b": FOUR},
    ),
    "Concat, Split, Gather": (
        "a, b = Split<axis=1, num_outputs=2>(x) c = Concat<axis=1>(b, a, p) "
        "y = Gather<axis=1>(c, i)",
        {"p": FOUR[None, :0], "i": ints(3, 0, -1)},
    ),
    "Split before opset 18": (
        "a, b = Split<axis=1>(x) s = Sigmoid(b) y = Mul(a, s)",
        {"opset": 17},
    ),
    "a product with a vector": (
        "a = MatMul(x, v) c = Add(a, one) y = Reshape(c, column)",
        {"v": FOUR, "one": array(1), "column": ints(-1, 1)},
    ),
    "Slices": (
        "a = Slice(x, s, e, ax, st) b = Slice(x, m, l, ax) y = Concat<axis=1>(a, b)",
        {"s": ints(3), "e": ints(-(2**40)), "ax": ints(1), "st": ints(-2), "m": ints(-2)}
        | {"l": ints(2**40)},
    ),
    "sums and means": (
        "r = Reshape(x, s) a = ReduceSum<keepdims=0>(r, one) b = ReduceMean<keepdims=0>(r, two) "
        "c = ReduceSum(x, one) y = Concat<axis=1>(a, b, c)",
        {"s": ints(0, 2, 2), "one": ints(1), "two": ints(2)},
    ),
    "a sum of one": (
        "r = Reshape(x, s) a = ReduceSum<keepdims=0>(r, one) y = Add(a, x)",
        {"s": ints(0, 1, 4), "one": ints(1)},
    ),
    "shapes": (
        "n = Shape(x) k = Gather(n, z) u = Unsqueeze(k, z0) t = Concat<axis=0>(u, two, two) "
        "a = Reshape(x, t) b = Transpose<perm=[0,2,1]>(a) c = Unsqueeze(b, one) "
        "d = Squeeze(c, one) e = Identity(d) f = Dropout(e) g = Cast<to=1>(f) y = Flatten(g)",
        {"z": np.int64(0), "z0": ints(0), "two": ints(2), "one": ints(1)},
    ),
    "a product for each row": (
        "r = Reshape(x, s) a = MatMul(r, W) t = Tanh(a) y = Flatten(t)",
        {"s": ints(-1, 2, 2), "W": array(2, 3)},
    ),
    "constants": (
        "a = Constant<value_floats=[1.0, 2.0, 3.0, 4.0]>() s = Sqrt(a) m = MatMul(q, W) "
        "t = Add(s, m) y = Mul(x, t)",
        {"q": array(1, 4), "W": array(4, 4)},
    ),
    "what comes of an unfinished buffer": (
        "n = Shape<start=0, end=1>(x) t = Concat<axis=0>(n, two) z = Expand(zero, t) "
        "y = Concat<axis=1>(z, x)",
        {"two": ints(2), "zero": np.zeros((1, 1), np.float32)},
    ),
    "an embedding": (
        "a = Gather(T, ids) b = Flatten(a) y = Concat<axis=1>(b, x)",
        {"T": TABLE, "inputs": "int64[N,2] ids, float[N,4] x"},
    ),
    "an embedding of floats": (
        "c = Slice(x, zero, one, one) k = Cast<to=7>(c) s = Squeeze(k, one) y = Gather(T, s)",
        {"T": TABLE, "zero": ints(0), "one": ints(1)},
    ),
    "Scaler": ("y = ai.onnx.ml.Scaler<offset=[1.0,2.0,3.0,4.0], scale=[0.5,1.0,2.0,3.0]>(x)", {}),
    "LinearRegressor": (
        "y = ai.onnx.ml.LinearRegressor<coefficients=[1.0,2.0,3.0,4.0,5.0,6.0,7.0,8.0], "
        "intercepts=[0.5, 1.0], targets=2>(x)",
        {},
    ),
    "LabelEncoder": (
        "y = ai.onnx.ml.LabelEncoder<keys_int64s=[1,-2,5], values_floats=[0.1,0.2,0.3], "
        "default_float=9.0>(ids)",
        {"inputs": "int64[N,2] ids"},
    ),
    "a batch of fixed size": ("y = Tanh(x)", {"inputs": "float[3,4] x"}),
}


def made(name):
    body, arguments = GRAPHS[name]
    arguments = dict(arguments)
    return model(body, arguments.pop("inputs", "float[N,4] x"), **arguments)
