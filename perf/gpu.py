"""``python -m perf.gpu``: a GPU through `GpuSession` and inside a kernel, against PyTorch and CuPy.

All on one device in one run, from NumPy to NumPy, alternating; medians of the rounds' best. The
simulation is that of ``examples/gpu_simulation.py``: here the policy's network is called inside the
kernel, there a step is some twenty operations on arrays of all episodes.

Needs the extra ``gpu``; PyTorch and CuPy are measured where they see a CUDA device, and said to be
left out where not. Prints a Markdown table for docs/gpu.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from examples import gpu_simulation as example
from instmodel.errors import InstModelError
from instmodel.gpu import GpuSession
from perf import machine
from perf.networks import NETWORKS, Array, Dense, Network
from perf.rounds import alternate, median_ratio
from perf.timing import fastest

OURS = "instmodel"


class Library(NamedTuple):
    """An array library on the GPU.

    `linear` takes x (N, cols), weights (rows, cols) and bias; `activations` are by name.
    """

    name: str
    upload: Callable[[Array], Any]
    download: Callable[[Any], Array]
    linear: Callable[[Any, Any, Any], Any]
    activations: dict[str, Callable[[Any], Any]]
    stack: Callable[[Any], Any]  # columns (N,) to (N, columns)
    device: str = ""


def array_library(name: str, xp: Any, upload: Any, download: Any) -> Library:
    """Return the library of a module with NumPy's names."""
    return Library(
        name,
        upload,
        download,
        linear=lambda x, weights, bias: x @ weights.T + bias,
        activations={
            "RELU": lambda x: xp.maximum(x, 0),
            "SIGMOID": lambda x: 1 / (1 + xp.exp(-x)),
            "TANH": xp.tanh,
        },
        stack=partial(xp.stack, axis=1),
    )


def pytorch(device: str = "cuda") -> Library:
    """Return PyTorch on a device."""
    import torch

    # As PyTorch advises for inference, and float32 as everywhere else here.
    torch.set_grad_enabled(False)
    torch.set_float32_matmul_precision("highest")
    return Library(
        f"PyTorch {torch.__version__}",
        upload=lambda x: torch.from_numpy(x).to(device),
        download=lambda x: x.cpu().numpy(),
        linear=torch.nn.functional.linear,
        activations={
            "RELU": torch.relu,
            "SIGMOID": torch.sigmoid,
            "TANH": torch.tanh,
        },
        stack=partial(torch.stack, dim=1),
        device=torch.cuda.get_device_name() if device == "cuda" else device,
    )


def cupy_library() -> Library:
    """Return CuPy on its current device."""
    import cupy

    properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
    library = array_library(f"CuPy {cupy.__version__}", cupy, cupy.asarray, cupy.asnumpy)
    return library._replace(device=properties["name"].decode())


def found_libraries() -> Iterator[Library]:
    """Yield PyTorch and CuPy where they can compute, and tell why where they cannot."""
    for name, make in (("PyTorch", pytorch), ("CuPy", cupy_library)):
        try:
            library = make()
            try_out(library)
        except Exception as error:  # each fails in ways of its own without its driver or libraries
            print(f"{name} is left out: {type(error).__name__}: {error}", file=sys.stderr)
        else:
            yield library


def try_out(library: Library) -> None:
    """Compute a layer: some libraries only load what they need when they need it."""
    x = np.array([[1.0, -2.0]], np.float32)
    h = library.linear(*(library.upload(part) for part in (x, 3 * x, x[0, 1:])))
    got = library.download(library.activations["RELU"](h))
    assert got.tolist() == [[13.0]], f"computes {got.tolist()} for [[13.0]]"


def make_predict(library: Library, network: Network) -> Callable[[Array], Array]:
    """Return the network as a function from NumPy to NumPy."""
    layers = [layer for layer in network.layers if isinstance(layer, Dense)]
    assert len(layers) == len(network.layers)
    uploaded = [
        (library.upload(layer.weights), library.upload(layer.bias), layer.activation)
        for layer in layers
    ]

    def predict(x: Array) -> Array:
        h = library.upload(x)
        for weights, bias, activation in uploaded:
            h = library.linear(h, weights, bias)
            if activation is not None:
                h = library.activations[activation](h)
        return library.download(h)

    return predict


def make_simulation(library: Library, policy: Any) -> Callable[[Array, int], Array]:
    """Return the example's simulation of one policy: starts (N, 4) and steps to steps survived."""
    layers = [
        (library.upload(weights), library.upload(bias))
        for weights, bias in zip(policy.weights, policy.bias, strict=True)
    ]
    swing = example.POLE_MASS * example.HALF_LENGTH
    total = example.TOTAL_MASS

    def run(starts: Array, steps: int) -> Array:
        x, speed, angle, turning = (library.upload(np.ascontiguousarray(c)) for c in starts.T)
        survived = library.upload(np.zeros(len(starts), np.float32))
        standing = survived + 1  # 0 once the pole has fallen
        for _ in range(steps):
            h = library.stack([x, speed, angle, turning])
            for weights, bias in layers:
                h = library.activations["TANH"](library.linear(h, weights, bias))
            force = example.FORCE * h[:, 0]
            square = angle * angle
            sine = angle * (1 - square / 6 * (1 - square / 20))
            cosine = 1 - square / 2 * (1 - square / 12)
            push = (force + swing * turning * turning * sine) / total
            turn = (example.GRAVITY * sine - cosine * push) / (
                example.HALF_LENGTH * (4 / 3 - example.POLE_MASS * cosine * cosine / total)
            )
            pull = push - swing * turn * cosine / total
            standing = standing * (abs(x) <= example.LARGEST_X)
            standing = standing * (abs(angle) <= example.LARGEST_ANGLE)
            survived = survived + standing
            time = example.STEP * standing  # what has fallen stays as it is
            x, speed = x + time * speed, speed + time * pull
            angle, turning = angle + time * turning, turning + time * turn
        return library.download(survived)

    return run


def measure(calls: dict[str, Callable[[], Any]], options: argparse.Namespace) -> dict[str, Any]:
    """Return each one's seconds of every round."""
    turns = {name: partial(fastest, call, options.seconds) for name, call in calls.items()}
    return alternate(turns, options.rounds)


def measured_rows(
    libraries: list[Library], options: argparse.Namespace
) -> Iterator[tuple[str, str, int, dict[str, Any]]]:
    """Yield what was measured: the name, the unit, how many of it a call does, and the seconds."""
    for name in options.only:
        network = NETWORKS[name]
        x = network.inputs(network.rows * options.batches)
        with GpuSession(network.info) as session:
            calls = {OURS: session.predict} | {
                library.name: make_predict(library, network) for library in libraries
            }
            expected = session.predict(x)
            for call in calls.values():
                np.testing.assert_allclose(call(x), expected, rtol=1e-4, atol=1e-4)
            seconds = measure({name: partial(call, x) for name, call in calls.items()}, options)
        yield network.name, "rows", len(x), seconds

    policy = example.make_policy(np.linspace(-1, 1, example.PARAMETERS))
    starts = example.random_starts(options.episodes, np.random.default_rng(0))
    steps = example.STEPS_PER_DISPATCH * 10
    kernel = example.GpuSimulation()
    simulations = {OURS: lambda: kernel.run([policy], starts, steps)[0]} | {
        library.name: partial(make_simulation(library, policy), starts, steps)
        for library in libraries
    }
    survived = simulations[OURS]()
    for call in simulations.values():
        assert (call() == survived).mean() > 0.98
    yield "cart-pole", "steps", int(survived.sum()), measure(simulations, options)


def table(device: str, results: Iterator[tuple[str, str, int, dict[str, Any]]]) -> Iterator[str]:
    """Yield the lines of the Markdown table."""
    for number, (name, unit, count, seconds) in enumerate(results):
        peers = [peer for peer in seconds if peer != OURS]
        if not number:
            yield f"{device}:\n"
            yield "| | " + " | ".join([f"{OURS}, M/s", *(f"{peer}, M/s" for peer in peers)]) + " |"
            yield "| --- |" + " ---: |" * (1 + len(peers))
        cells = [f"{count / median(seconds[OURS]) / 1e6:.2f}"] + [
            f"{count / median(seconds[peer]) / 1e6:.2f} "
            f"({median_ratio(seconds[peer], seconds[OURS]):.2f})"
            for peer in peers
        ]
        yield f"| {name}, {unit} | " + " | ".join(cells) + " |"


def main() -> None:
    """Measure, and print a table."""
    plain = [n for n in NETWORKS if all(isinstance(la, Dense) for la in NETWORKS[n].layers)]
    parser = argparse.ArgumentParser(prog="python -m perf.gpu", description=__doc__)
    parser.add_argument("--only", nargs="*", choices=plain, default=plain, metavar="NETWORK")
    parser.add_argument("--batches", type=int, default=8, help="of the CPU's benchmark, in a call")
    parser.add_argument("--episodes", type=int, default=65_536)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each turn")
    options = parser.parse_args()
    try:
        with GpuSession(NETWORKS["10-1"].info) as session:
            device = session.device_name
    except InstModelError as error:
        parser.exit(1, f"{error}\n")
    libraries = list(found_libraries())
    for line in table(device, measured_rows(libraries, options)):
        print(line, flush=True)
    if libraries:
        print("\nIn parentheses: how many times as fast instmodel is.")
    for library in libraries:
        print(f"{library.name} ran on: {library.device}")
    print(", ".join(f"{k} {v}" for k, v in machine.versions(["numpy", "wgpu"]).items()))


if __name__ == "__main__":
    main()
