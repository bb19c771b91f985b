"""Recurrent ONNX graphs: every operator and what exporters put around it."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

import numpy as np
import onnx
from importers.zoo.onnx_sources import keys, numbers
from support.onnx_graphs import array, ints, model
from support.zoo import Case, Recurrent

import instmodel as im
from instmodel.importers.onnx import run_onnx_sequences, steps_taken

KIND = "recurrent graphs"
BY_TIME, BY_BATCH = "float[T,N,4] x", "float[N,T,4] x"


def sequences(
    make: Callable[[], onnx.ModelProto], rows: np.ndarray, output: str | None = None
) -> Callable[[], Recurrent]:
    """Return what makes the source of a recurrent ONNX model, of steps such as the rows."""

    def source() -> Recurrent:
        graph = make()
        return Recurrent(
            rows,
            lambda given: run_onnx_sequences(graph, given, output),
            lambda: im.importers.from_onnx(graph, output=output),
            lambda: steps_taken(graph, output),
        )

    return source


def weights(gates: int, columns: int = 4, hidden: int = 3, bias: bool = True, tag: str = ""):
    """Return W, R and B of a node of one direction, by their names in the graph."""
    found = {
        f"W{tag}": array(1, gates * hidden, columns),
        f"R{tag}": array(1, gates * hidden, hidden),
    }
    return found | ({f"B{tag}": array(1, 2 * gates * hidden)} if bias else {})


ONE, ZERO = ints(1), ints(0)
# name: nodes, arguments of `model`
GRAPHS = {
    "RNN, all it computes": (
        "y, h = RNN<hidden_size=3>(x, W, R, B)",
        {**weights(1)},
    ),
    "RNN of Relu, its last state": (
        'o, y = RNN<hidden_size=3, activations=["Relu"]>(x, W, R, B)',
        {"W": array(1, 3, 4), "R": 0.4 * array(1, 3, 3), "B": array(1, 6)},
    ),
    "RNN of Sigmoid without biases": (
        'o = RNN<hidden_size=3, activations=["Sigmoid"]>(x, W, R) y = Squeeze(o, one)',
        {**weights(1, bias=False), "one": ONE},
    ),
    "GRU, the reset gate first": (
        "o = GRU<hidden_size=3>(x, W, R, B) y = Squeeze(o, one)",
        {**weights(3), "one": ONE},
    ),
    "GRU, linear_before_reset, batch first": (
        "t = Transpose<perm=[1,0,2]>(x) o = GRU<hidden_size=3, linear_before_reset=1>(t, W, R, B) "
        "s = Squeeze(o, one) y = Transpose<perm=[1,0,2]>(s)",
        {**weights(3), "one": ONE, "inputs": BY_BATCH},
    ),
    "LSTM from an initial state": (
        "o = LSTM<hidden_size=3>(x, W, R, B, , h, c) y = Squeeze(o, one)",
        {**weights(4), "h": array(1, 1, 3), "c": array(1, 1, 3), "one": ONE}
        | {"inputs": "float[T,1,4] x"},
    ),
    "LSTM whose caller gives the initial state": (
        "o = LSTM<hidden_size=3>(x, W, R, B, , h, c) y = Squeeze(o, one)",
        {**weights(4), "one": ONE, "inputs": f"{BY_TIME}, float[1,N,3] h, float[1,N,3] c"},
    ),
    "LSTM, its cell state": ("o, h, y = LSTM<hidden_size=3>(x, W, R, B)", {**weights(4)}),
    "LSTM with the lengths of whole sequences": (
        "n = Shape(x) t = Slice(n, zero, one) b = Slice(n, one, two) l = Expand(t, b) "
        "i = Cast<to=6>(l) o = LSTM<hidden_size=3>(x, W, R, B, i) y = Squeeze(o, one)",
        {**weights(4), "zero": ZERO, "one": ONE, "two": ints(2)},
    ),
    "LSTM of HardSigmoid": (
        'o, h = LSTM<hidden_size=3, activations=["HardSigmoid","Tanh","Softsign"], '
        "activation_alpha=[0.25], activation_beta=[0.4]>(x, W, R, B) y = Squeeze(h, zero)",
        {**weights(4), "zero": ZERO},
    ),
    "RNN, layout=1": (
        "o, y = RNN<hidden_size=3, layout=1>(x, W, R, B)",
        {**weights(1), "inputs": BY_BATCH},
    ),
    "GRU, layout=1": (
        "o = GRU<hidden_size=3, layout=1, linear_before_reset=1>(x, W, R, B) y = Squeeze(o, two)",
        {**weights(3), "two": ints(2), "inputs": BY_BATCH},
    ),
    "LSTM, layout=1, the last step": (
        "o = LSTM<hidden_size=3, layout=1>(x, W, R, B) s = Squeeze(o, two) "
        "y = Gather<axis=1>(s, last)",
        {**weights(4), "two": ints(2), "last": np.int64(-1), "inputs": BY_BATCH},
    ),
    "layers before and after, by Reshape": (
        "f = Reshape(x, flat) g = Gemm<transB=1>(f, A, a) r = Relu(g) n = Shape(x) "
        "t = Slice(n, zero, two) s = Concat<axis=0>(t, three) b = Reshape(r, s) "
        "q = Transpose<perm=[1,0,2]>(b) o = GRU<hidden_size=3>(q, W, R, B) "
        "p = Transpose<perm=[2,0,1,3]>(o) u = Reshape(p, folded) v = Gemm<transB=1>(u, C) "
        "w = Concat<axis=0>(t, two) y = Reshape(v, w)",
        {**weights(3, 3), "flat": ints(-1, 4), "A": array(3, 4), "a": array(3), "zero": ZERO}
        | {"two": ints(2), "three": ints(3), "folded": ints(-1, 3), "C": array(2, 3)}
        | {"inputs": BY_BATCH},
    ),
    "two layers, the last step by Slice": (
        "o = LSTM<hidden_size=3>(x, W, R, B) s = Squeeze(o, one) "
        "p = GRU<hidden_size=2>(s, W2, R2, B2) l = Slice(p, last, end, zero) "
        "q = Squeeze(l, both) y = Sigmoid(q)",
        {**weights(4), **weights(3, 3, 2, tag="2"), "one": ONE, "zero": ZERO, "last": ints(-1)}
        | {"end": ints(2**63 - 1), "both": ints(0, 1)},
    ),
    "keys looked up": (
        "e = Gather(T, ids) t = Transpose<perm=[1,0,2]>(e) o, h = GRU<hidden_size=3>(t, W, R, B) "
        "s = Squeeze(h, zero) y = Gemm<transB=1>(s, C)",
        {**weights(3, 5), "T": array(7, 5), "zero": ZERO, "C": array(2, 3)}
        | {"inputs": "int64[N,T] ids"},
    ),
    "a residual, normalized": (
        "o = GRU<hidden_size=4>(x, W, R, B) s = Squeeze(o, one) a = Add(s, x) "
        "n = LayerNormalization<axis=-1>(a, g, b) m = MatMul(n, C) y = Softmax<axis=-1>(m)",
        {**weights(3, hidden=4), "one": ONE, "g": array(4), "b": array(4), "C": array(4, 3)},
    ),
    "two memories side by side": (
        "o = RNN<hidden_size=3>(x, W, R, B) p = GRU<hidden_size=2>(x, W2, R2) "
        "s = Squeeze(o, one) t = Squeeze(p, one) c = Concat<axis=2>(s, t, x) "
        "m = ReduceMean<keepdims=1>(c, two) y = Mul(c, m)",
        {**weights(1), **weights(3, 4, 2, False, "2"), "one": ONE, "two": ints(2)},
    ),
    "the last step, counted": (
        "n = Shape(x) t = Gather(n, zero) l = Sub(t, first) o = RNN<hidden_size=3>(x, W, R, B) "
        "s = Gather(o, l) y = Squeeze(s, zeros)",
        {**weights(1), "zero": np.int64(0), "first": np.int64(1), "zeros": ZERO},
    ),
    "the last step by a Slice of all axes": (
        "t = Transpose<perm=[1,0,2]>(x) o = GRU<hidden_size=3>(t, W, R, B) s = Squeeze(o, one) "
        "u = Transpose<perm=[1,0,2]>(s) l = Slice(u, start, end, axes) y = Squeeze(l, one)",
        {**weights(3), "one": ONE, "start": ints(0, -1, 0), "end": ints(*[2**31 - 1] * 3)}
        | {"axes": ints(0, 1, 2), "inputs": BY_BATCH},
    ),
    "operators of opset 11": (
        "o = LSTM<hidden_size=3>(x, W, R, B) s = Squeeze<axes=[1]>(o) "
        "y = ReduceSum<axes=[2], keepdims=0>(s)",
        {**weights(4), "opset": 11},
    ),
    "one sequence of ten steps": (
        "o = LSTM<hidden_size=3>(x, W, R, B) r = Reshape(o, s) y = MatMul(r, C)",
        {**weights(4), "s": ints(10, 3), "C": array(3, 2), "inputs": "float[10,1,4] x"},
    ),
}
ROWS = {"keys looked up": keys(1, 7)}

# name: nodes, arguments of `model`, a part of each piece in the way
REFUSED = {
    "a layer that looks both ways": (
        'o, h = GRU<hidden_size=2, direction="bidirectional">(x, W, R) y = Sin(o)',
        {"W": array(2, 6, 4), "R": array(2, 6, 2)},
        ("bidirectional", "Sin"),
    ),
    "a layer that looks back": (
        'o, y = RNN<hidden_size=3, direction="reverse">(x, W, R, B)',
        weights(1),
        ("reverse",),
    ),
    "clipped gates and peepholes": (
        "o, y = LSTM<hidden_size=3, clip=5.0>(x, W, R, B, , , , P)",
        {**weights(4), "P": array(1, 9)},
        ("clip, peepholes",),
    ),
    "gates that are coupled": (
        "o, y = LSTM<hidden_size=3, input_forget=1>(x, W, R, B)",
        weights(4),
        ("input_forget",),
    ),
    "lengths that the caller gives": (
        "o, y = RNN<hidden_size=3>(x, W, R, B, lengths)",
        {**weights(1), "inputs": f"{BY_TIME}, int32[N] lengths"},
        ("lengths",),
    ),
    "an encoder and a decoder": (
        "o, h = RNN<hidden_size=4>(x, W, R, B) p = RNN<hidden_size=4>(x, W, R, B, , h) "
        "y = Squeeze(p, one)",
        {**weights(1, hidden=4), "one": ONE},
        ("an initial state that is computed",),
    ),
    "an activation with a threshold, and a sine": (
        'o, h = RNN<hidden_size=3, activations=["ThresholdedRelu"]>(x, W, R, B) y = Sin(h)',
        weights(1),
        ("the activation ThresholdedRelu", "Sin"),
    ),
    "the mean of all steps": (
        "o = RNN<hidden_size=3>(x, W, R, B) y = ReduceMean(o, zero)",
        {**weights(1), "zero": ZERO},
        ("along the steps",),
    ),
    "the first step": (
        "o = RNN<hidden_size=3>(x, W, R, B) y = Gather(o, zero)",
        {**weights(1), "zero": np.int64(0)},
        ("other steps",),
    ),
}


def _module(torch, kind: str, last: str, **options):
    """Return a module with a layer before and after the memory."""
    nn = torch.nn
    batch_first = options.get("batch_first", False)

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.before, self.after = nn.Linear(4, 8), nn.Linear(6, 2)
            self.memory = getattr(nn, kind)(8, 6, **options)

        def forward(self, x):
            every, state = self.memory(torch.relu(self.before(x)))
            if last == "step":
                every = every[:, -1] if batch_first else every[-1]
            if last == "state":
                every = (state[0] if kind == "LSTM" else state)[-1]
            return torch.sigmoid(self.after(every))

    return Network()


# name: kind, what is returned, options
TORCH = {
    "LSTM, every step": ("LSTM", "every", {}),
    "LSTM of three layers, batch first, last step": (
        *("LSTM", "step"),
        {"num_layers": 3, "batch_first": True},
    ),
    "LSTM without biases, last state": ("LSTM", "state", {"bias": False, "num_layers": 2}),
    "GRU, batch first, every step": ("GRU", "every", {"batch_first": True}),
    "GRU of two layers, last step": ("GRU", "step", {"num_layers": 2}),
    "RNN, last step": ("RNN", "step", {"batch_first": True}),
    "RNN of ReLU, last state": ("RNN", "state", {"nonlinearity": "relu", "num_layers": 2}),
}
# The new exporter unrolls an RNN over the steps of its example.
BOTH = tuple(name for name in TORCH if not name.startswith("RNN"))


def from_torch(name: str, dynamo: bool) -> onnx.ModelProto:
    import torch

    torch.manual_seed(0)
    kind, last, options = TORCH[name]
    module = _module(torch, kind, last, **options).eval()
    # Sizes that nothing else has: the exporter takes equal ones for one.
    return _exported(module, [torch.zeros(11, 13, 4)], [{0: "A", 1: "B"}], dynamo)


def from_torch_with_states(dynamo: bool) -> onnx.ModelProto:
    """Return a graph that takes the states of two layers and returns them, as streams need it."""
    import torch

    class Stream(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.memory = torch.nn.LSTM(4, 6, 2, batch_first=True)
            self.after = torch.nn.Linear(6, 1)

        def forward(self, x, h, c):
            y, (h, c) = self.memory(x, (h, c))
            return torch.sigmoid(self.after(y)), h, c

    torch.manual_seed(0)
    states = [torch.zeros(2, 11, 6) for _ in range(2)]
    axes = [{0: "A", 1: "B"}, {1: "A"}, {1: "A"}]
    return _exported(Stream().eval(), [torch.zeros(11, 13, 4), *states], axes, dynamo)


def _exported(module, examples: list, axes: list[dict], dynamo: bool) -> onnx.ModelProto:
    import torch

    names = {
        "input_names": list("xhc")[: len(axes)],
        "output_names": ["y", "h1", "c1"][: len(axes)],
    }
    if dynamo:
        sizes = {name: torch.export.Dim(name, min=2) for name in "AB"}
        shapes = tuple({axis: sizes[name] for axis, name in item.items()} for item in axes)
        program = torch.onnx.export(
            module, tuple(examples), dynamo=True, dynamic_shapes=shapes, verbose=False, **names
        )
        return program.model_proto
    target = io.BytesIO()
    named = dict(zip(names["input_names"], axes, strict=True))
    torch.onnx.export(module, tuple(examples), target, dynamo=False, dynamic_axes=named, **names)
    return onnx.load_from_string(target.getvalue())


def _made(body: str, arguments: dict) -> onnx.ModelProto:
    others = dict(arguments)
    return model(body, others.pop("inputs", BY_TIME), **others)


def _cases():
    for name, (body, arguments) in GRAPHS.items():
        made = partial(_made, body, arguments)
        yield Case(name, KIND, sequences(made, ROWS.get(name, numbers(4))))
    for name, (body, arguments, pieces) in REFUSED.items():
        made = partial(_made, body, arguments)
        yield Case(name, KIND, sequences(made, numbers(4)), pieces)
    if find_spec("torch") and find_spec("onnxscript"):
        for name in TORCH:
            for dynamo in (False, True) if name in BOTH else (False,):
                kind = f"torch.onnx.export, dynamo={dynamo}"
                made = partial(from_torch, name, dynamo)
                yield Case(f"{kind}: {name}", kind, sequences(made, numbers(4)))
        for dynamo in (False, True):
            kind = f"torch.onnx.export, dynamo={dynamo}"
            made = partial(from_torch_with_states, dynamo)
            name = "LSTM that takes its states and returns them"
            yield Case(f"{kind}: {name}", kind, sequences(made, numbers(4), "y"))


CASES = list(_cases())
