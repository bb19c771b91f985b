"""Libraries that run recurrent networks, each in the fastest way that its documentation offers.

They get their sequences as they like them best, and that takes none of their time: sorted by
length, in batches of some number of sequences, which is found by trial, padded to the longest of
the batch, with time before or behind the batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from perf.recurrent.cases import GATES, Array, Case

Call = Callable[[], object]


class Peer(ABC):
    """A library that runs a case.

    Parameters
    ----------
    case : Case
    threads : int
    """

    MODES: ClassVar[tuple[str, ...]] = ("padded",)
    BATCHES: ClassVar[tuple[int | None, ...]] = (64, 256, 1024, 4096, None)

    def __init__(self, case: Case, threads: int) -> None:
        self._case, self._threads = case, threads

    @abstractmethod
    def everything(self, mode: str, batch: int | None) -> Callable[[], list[Array]]:
        """Return the call that runs all sequences, and gives (T, n, 1) of each batch, padded."""

    @abstractmethod
    def step(self) -> Call:
        """Return the call that runs one step of one sequence, from a state to the next."""

    def batches(self, size: int | None) -> list[tuple[Array, NDArray[np.int64]]]:
        """Return the sequences, longest first, as (T, n, F) and their lengths (n,)."""
        case = self._case
        order = np.argsort(-case.lengths, kind="stable")
        size = size or len(order)
        found = []
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            lengths = case.lengths[chosen]
            padded = np.zeros((lengths[0], len(chosen), case.features), np.float32)
            for place, sequence in enumerate(chosen):
                begin, end = case.offsets[sequence : sequence + 2]
                padded[: end - begin, place] = case.rows[begin:end]
            found.append((padded, lengths))
        return found


class Ours(Peer):
    """`instmodel`, which takes sequences as they come."""

    MODES, BATCHES = ("as they come",), (None,)

    def everything(self, mode: str, batch: int | None) -> Callable[[], list[Array]]:
        """Return the call that runs all sequences; (ΣT, 1)."""
        case, model = self._case, self._case.model()
        run = partial(model.predict_sequences, offsets=case.offsets, threads=self._threads)
        return lambda: [run(case.rows)]

    def step(self) -> Call:
        """Return the call that runs one step of one sequence."""
        model = self._case.model()
        return partial(model.step, self._case.rows[0].copy(), model.initial_state(1)[0])


class Torch(Peer):
    """A module under `torch.inference_mode`, padded, or packed where lengths differ."""

    MODES = ("padded", "packed")

    def __init__(self, case: Case, threads: int) -> None:
        super().__init__(case, threads)
        import torch

        torch.set_num_threads(threads)
        self._torch = torch
        kinds = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}
        self._layer = kinds[case.kind](case.features, case.hidden).eval()
        self._dense = torch.nn.Linear(case.hidden, 1).eval()
        for name, values in case.weights.items():
            module = self._dense if name in ("weight", "bias") else self._layer
            place = name if module is self._dense else f"{name}_l0"
            getattr(module, place).data = torch.from_numpy(values)

    def everything(self, mode: str, batch: int | None) -> Callable[[], list[Array]]:
        """Return the call that runs all sequences."""
        if mode == "packed" and not self._case.zipf:
            raise ValueError("nothing to pack")
        rnn = self._torch.nn.utils.rnn
        inputs = []
        for padded, lengths in self.batches(batch):
            x = self._torch.from_numpy(padded)
            inputs.append(x if mode == "padded" else rnn.pack_padded_sequence(x, lengths))
        return partial(self._run, inputs)

    def _run(self, inputs: list[Any]) -> list[Array]:
        found = []
        with self._torch.inference_mode():
            for x in inputs:
                h, _ = self._layer(x)
                if not isinstance(h, self._torch.Tensor):
                    packed = self._torch.sigmoid(self._dense(h.data))
                    h = self._torch.nn.utils.rnn.PackedSequence(packed, h.batch_sizes)
                    found.append(self._torch.nn.utils.rnn.pad_packed_sequence(h)[0].numpy())
                else:
                    found.append(self._torch.sigmoid(self._dense(h)).numpy())
        return found

    def step(self) -> Call:
        """Return the call that runs one step of one sequence."""
        x = self._torch.from_numpy(self._case.rows[:1].copy())[None]
        zeros = self._torch.zeros(1, 1, self._case.hidden)
        state = (zeros, zeros) if self._case.kind == "lstm" else zeros
        return partial(self._step, x, state)

    def _step(self, x: Any, state: Any) -> object:
        with self._torch.inference_mode():
            h, state = self._layer(x, state)
            return self._torch.sigmoid(self._dense(h)).numpy(), state


class OnnxRuntime(Peer):
    """A session of one recurrent node and what is behind it."""

    def __init__(self, case: Case, threads: int) -> None:
        super().__init__(case, threads)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._open = partial(
            onnxruntime.InferenceSession, sess_options=options, providers=["CPUExecutionProvider"]
        )

    def everything(self, mode: str, batch: int | None) -> Callable[[], list[Array]]:
        """Return the call that runs all sequences."""
        session = self._open(onnx_bytes(self._case, with_state=False))
        inputs = [{"x": padded} for padded, _ in self.batches(batch)]
        return lambda: [session.run(["y"], x)[0] for x in inputs]

    def step(self) -> Call:
        """Return the call that runs one step of one sequence."""
        session = self._open(onnx_bytes(self._case, with_state=True))
        x = {"x": self._case.rows[:1][np.newaxis].copy()}
        for name in states_of(self._case):
            x[name] = np.zeros((1, 1, self._case.hidden), np.float32)
        return partial(session.run, None, x)


class OpenVino(Peer):
    """The ONNX model on the CPU plugin in float32, as many requests as the plugin likes."""

    MODES = ("LATENCY", "THROUGHPUT")

    def _compiled(self, mode: str, with_state: bool) -> Any:
        import openvino

        core = openvino.Core()
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": mode,
            "INFERENCE_NUM_THREADS": self._threads,
        }
        graph = core.read_model(onnx_bytes(self._case, with_state), b"")
        return core.compile_model(graph, "CPU", settings)

    def everything(self, mode: str, batch: int | None) -> Callable[[], list[Array]]:
        """Return the call that runs all sequences."""
        import openvino

        compiled = self._compiled(mode, with_state=False)
        count = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        requests = [compiled.create_infer_request() for _ in range(count)]
        inputs = [openvino.Tensor(padded, shared_memory=True) for padded, _ in self.batches(batch)]
        return partial(self._run, requests, inputs)

    @staticmethod
    def _run(requests: list[Any], inputs: list[Any]) -> list[Array]:
        found: list[Array] = []
        for start in range(0, len(inputs), len(requests)):
            part = inputs[start : start + len(requests)]
            busy = requests[: len(part)]
            for request, x in zip(busy, part, strict=True):
                request.set_input_tensor(x)
                request.start_async()
            for request in busy:
                request.wait()
                found.append(request.get_output_tensor().data.copy())
        return found

    def step(self) -> Call:
        """Return the call that runs one step of one sequence."""
        request = self._compiled("LATENCY", with_state=True).create_infer_request()
        x = [self._case.rows[:1][np.newaxis].copy()]
        x += [np.zeros((1, 1, self._case.hidden), np.float32) for _ in states_of(self._case)]
        return partial(request.infer, x)


PEERS: dict[str, type[Peer]] = {
    "instmodel": Ours,
    "PyTorch": Torch,
    "ONNX Runtime": OnnxRuntime,
    "OpenVINO": OpenVino,
}
"""By name; ours first."""


def states_of(case: Case) -> list[str]:
    """Return the names of the states of a case in ONNX."""
    return ["h", "c"] if case.kind == "lstm" else ["h"]


def onnx_bytes(case: Case, with_state: bool) -> bytes:
    """Return a case as a serialized ONNX model, "x" (T, n, F) to "y" (T, n, 1).

    With state, "h" (1, n, H), and of an LSTM "c", go in, and "h_out" and "c_out" come out.
    """
    from onnx import TensorProto, checker, helper, numpy_helper

    w, hidden = case.weights, case.hidden
    # ONNX has the gates of an LSTM as i, o, f, c and those of a GRU as z, r, h.
    order = {"rnn": [0], "gru": [1, 0, 2], "lstm": [0, 3, 1, 2]}[case.kind]

    def sorted_gates(values: Array) -> Array:
        parts = values.reshape(GATES[case.kind], hidden, -1)
        return parts[order].reshape(values.shape)

    bias = np.concatenate([sorted_gates(w["bias_ih"]), sorted_gates(w["bias_hh"])])
    constants = {
        "W": sorted_gates(w["weight_ih"])[np.newaxis],
        "R": sorted_gates(w["weight_hh"])[np.newaxis],
        "B": bias[np.newaxis],
        "axes": np.array([1], np.int64),
        "weight": w["weight"].T.copy(),
        "bias": w["bias"],
    }
    states = states_of(case) if with_state else []
    ends = [f"{name}_out" for name in states]
    attributes = {"linear_before_reset": 1} if case.kind == "gru" else {}
    nodes = [
        helper.make_node(
            case.kind.upper(),
            ["x", "W", "R", "B", *([""] if states else []), *states],
            ["every", *ends],
            hidden_size=hidden,
            **attributes,
        ),
        helper.make_node("Squeeze", ["every", "axes"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "weight"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["sum"]),
        helper.make_node("Sigmoid", ["sum"], ["y"]),
    ]

    def tensor(name: str, *shape: Any) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        nodes,
        "recurrent",
        [
            tensor("x", "t", "n", case.features),
            *(tensor(name, 1, "n", hidden) for name in states),
        ],
        [tensor("y", "t", "n", 1), *(tensor(name, 1, "n", hidden) for name in ends)],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data
