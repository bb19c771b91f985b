"""Train and run a cart-pole policy inside a GPU kernel: `python examples/gpu_simulation.py`.

A pole stands on a cart; the policy, a small network, sees position and angle with their speeds and
pushes the cart at every step. Each thread of the kernel runs one episode and calls the network in
the loop, without leaving the GPU.

1. Training is the cross-entropy method: in each generation many policies, packed into one buffer,
   run many episodes each in one go; the next generation is drawn around the best ones.
2. The mean of the last generation then runs thousands of episodes on the GPU and, with the same
   arithmetic, on the CPU. The two are compared, and drawn into a PNG.

Needs wgpu and Matplotlib: `pip install '.[gpu]' matplotlib`. A software driver does as a GPU, too.
"""

import argparse
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import wgpu

import instmodel as im

# Barto, Sutton and Anderson, "Neuronlike adaptive elements that can solve difficult learning
# control problems", IEEE SMC-13 (1983): a cart of 1 kg, a pole of 0.1 kg and 1 m, steps of 20 ms;
# an episode ends 2.4 m from the middle or 12 degrees off the vertical.
GRAVITY, POLE_MASS, TOTAL_MASS, HALF_LENGTH = 9.8, 0.1, 1.1, 0.5
FORCE, STEP, LARGEST_X, LARGEST_ANGLE = 10.0, 0.02, 2.4, np.deg2rad(12)

SIZES = (4, 16, 1)
PARAMETERS = SIZES[1] * (SIZES[0] + 1) + SIZES[2] * (SIZES[1] + 1)
BUFFER = sum(SIZES)
STEPS_PER_DISPATCH = 50  # a whole episode in one dispatch could meet a driver's watchdog
RECORD = 10  # steps between the states that are compared

# Steps until the pole fell (N,), and the states (N, 4) at some times.
Result = tuple[np.ndarray, list[np.ndarray]]

KERNEL = """
@group(0) @binding(0) var<storage, read> model_data: array<f32>;
@group(0) @binding(1) var<storage, read_write> states: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> survived: array<u32>; // steps so far
@group(0) @binding(3) var<storage, read> policies: array<u32>; // model offset of each episode

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= arrayLength(&survived)) {
        return;
    }
    let policy = policies[id.x];
    var buffer: array<f32, MAX_COMPUTE_BUFFER>;
    var state = states[id.x];
    var steps = survived[id.x];
    for (var step = 0u; step < STEPS && standing(state); step++) {
        for (var i = 0u; i < 4u; i++) {
            buffer[i] = state[i];
        }
        predict(policy, &buffer);
        state = moved(state, FORCE * buffer[get_output_start(policy)]);
        steps++;
    }
    states[id.x] = state;
    survived[id.x] = steps;
}

fn standing(state: vec4<f32>) -> bool {
    return abs(state.x) <= LARGEST_X && abs(state.z) <= LARGEST_ANGLE;
}

// state: position, speed, angle, angular speed. Angles are small: short series are exact enough.
fn moved(state: vec4<f32>, force: f32) -> vec4<f32> {
    let square = state.z * state.z;
    let sine = state.z * (1.0 - square / 6.0 * (1.0 - square / 20.0));
    let cosine = 1.0 - square / 2.0 * (1.0 - square / 12.0);
    let swing = POLE_MASS * HALF_LENGTH;
    let push = (force + swing * state.w * state.w * sine) / TOTAL_MASS;
    let turn = (GRAVITY * sine - cosine * push)
        / (HALF_LENGTH * (4.0 / 3.0 - POLE_MASS * cosine * cosine / TOTAL_MASS));
    let pull = push - swing * turn * cosine / TOTAL_MASS;
    return state + STEP * vec4<f32>(state.y, pull, state.w, turn);
}
"""
CONSTANTS = {
    "GRAVITY": GRAVITY,
    "POLE_MASS": POLE_MASS,
    "TOTAL_MASS": TOTAL_MASS,
    "FORCE": FORCE,
    "HALF_LENGTH": HALF_LENGTH,
    "STEP": STEP,
    "LARGEST_X": LARGEST_X,
    "LARGEST_ANGLE": LARGEST_ANGLE,
}


def make_policy(parameters: np.ndarray) -> im.InstructionModelInfo:
    """Return the network of a vector of PARAMETERS numbers; its output is between -1 and 1."""
    layers = []
    for inputs, outputs in pairwise(SIZES):
        layer, parameters = np.split(parameters, [outputs * (inputs + 1)])
        layers.append((layer[outputs:].reshape(outputs, inputs), layer[:outputs]))
    builder = im.ModelBuilder()
    y = builder.input(["position", "speed", "angle", "angular_speed"])
    for weights, bias in layers:
        y = builder.dense(y, weights, bias, "TANH")
    return builder.build(output=y)


def random_starts(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return (count, 4) states near the upright one."""
    return rng.uniform(-0.05, 0.05, (count, 4)).astype(np.float32)


# ---------------------------------------------------------------------------------------------- GPU


class GpuSimulation:
    """The kernel on a device, for policies of the sizes above."""

    def __init__(self, steps_per_dispatch: int = STEPS_PER_DISPATCH) -> None:
        self.adapter = wgpu.gpu.request_adapter_sync(power_preference="high-performance")
        self.device = self.adapter.request_device_sync()
        self.steps_per_dispatch = steps_per_dispatch
        constants = "".join(f"const {name} = f32({value});\n" for name, value in CONSTANTS.items())
        constants += f"const STEPS = {steps_per_dispatch}u;\n"
        # Any policy says what all of them need.
        library = im.get_instmodel_wgsl(BUFFER, models=[make_policy(np.zeros(PARAMETERS))])
        module = self.device.create_shader_module(code=constants + library + KERNEL)
        self.pipeline = self.device.create_compute_pipeline(
            layout="auto", compute={"module": module, "entry_point": "main"}
        )

    def run(
        self, policies: list[im.InstructionModelInfo], starts: np.ndarray, steps: int
    ) -> Result:
        """Run each policy on its share of the episodes, whose `starts` are (N, 4).

        The states are those after each dispatch.
        """
        words, offsets = im.pack_models([im.GpuModel.from_info(policy) for policy in policies])
        which = np.repeat(np.array(offsets, np.uint32), len(starts) // len(policies))
        usage = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC
        buffers = [
            self.device.create_buffer_with_data(data=data, usage=usage)
            for data in (words, starts, np.zeros(len(starts), np.uint32), which)
        ]
        group = self.device.create_bind_group(
            layout=self.pipeline.get_bind_group_layout(0),
            entries=[
                {"binding": i, "resource": {"buffer": item, "offset": 0, "size": item.size}}
                for i, item in enumerate(buffers)
            ],
        )
        history = []
        for _ in range(steps // self.steps_per_dispatch):
            encoder = self.device.create_command_encoder()
            work = encoder.begin_compute_pass()
            work.set_pipeline(self.pipeline)
            work.set_bind_group(0, group)
            work.dispatch_workgroups(-(-len(starts) // 64))
            work.end()
            self.device.queue.submit([encoder.finish()])
            states = self.device.queue.read_buffer(buffers[1])
            history.append(np.frombuffer(states, np.float32).reshape(-1, 4))
        survived = np.frombuffer(self.device.queue.read_buffer(buffers[2]), np.uint32)
        return survived, history


# ---------------------------------------------------------------------------------------------- CPU


def run_on_cpu(policy: im.InstructionModelInfo, starts: np.ndarray, steps: int) -> Result:
    """Do what `GpuSimulation.run` does, for one policy."""
    model = im.InstructionModel(policy)
    f = {name: np.float32(value) for name, value in CONSTANTS.items()}
    states, survived, history = starts.copy(), np.zeros(len(starts), np.uint32), []
    for step in range(1, steps + 1):
        standing = (np.abs(states[:, 0]) <= LARGEST_X) & (np.abs(states[:, 2]) <= LARGEST_ANGLE)
        old = states[standing]
        force = f["FORCE"] * model.predict(old)[:, 0]
        states[standing] = moved(old, force, f)
        survived += standing
        if step % RECORD == 0:
            history.append(states.copy())
    return survived, history


def moved(states: np.ndarray, force: np.ndarray, f: dict[str, np.float32]) -> np.ndarray:
    """Return the states (N, 4) one step later; the kernel's function of that name."""
    _, speed, angle, turning = states.T
    square = angle * angle
    sine = angle * (1 - square / 6 * (1 - square / 20))
    cosine = 1 - square / 2 * (1 - square / 12)
    swing = f["POLE_MASS"] * f["HALF_LENGTH"]
    push = (force + swing * turning * turning * sine) / f["TOTAL_MASS"]
    turn = (f["GRAVITY"] * sine - cosine * push) / (
        f["HALF_LENGTH"] * (np.float32(4 / 3) - f["POLE_MASS"] * cosine * cosine / f["TOTAL_MASS"])
    )
    pull = push - swing * turn * cosine / f["TOTAL_MASS"]
    return states + f["STEP"] * np.stack([speed, pull, turning, turn], axis=1)


# --------------------------------------------------------------------------------------------- main


def train(
    simulation: GpuSimulation, args: argparse.Namespace, rng: np.random.Generator
) -> tuple[np.ndarray, list[float]]:
    """Return the parameters of the policy, and the mean steps of each generation."""
    mean, spread = np.zeros(PARAMETERS), np.ones(PARAMETERS)
    curve = []
    for generation in range(args.generations):
        drawn = mean + spread * rng.normal(size=(args.policies, PARAMETERS))
        starts = random_starts(args.policies * args.episodes_per_policy, rng)
        survived, _ = simulation.run([make_policy(p) for p in drawn], starts, args.steps)
        scores = survived.reshape(args.policies, -1).mean(axis=1)
        best = drawn[np.argsort(scores)[-max(args.policies // 8, 2) :]]
        mean, spread = best.mean(axis=0), best.std(axis=0) + 0.05
        curve.append(float(scores.mean()))
        print(f"generation {generation}: {curve[-1]:.0f} steps on average, best {scores.max():.0f}")
    return mean, curve


def draw(path: Path, curve: list[float], gpu: np.ndarray, cpu: np.ndarray) -> None:
    """Draw the training, and the angles (times, episodes) of some episodes on both sides."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(curve, marker="o")
    left.set(title="Training on the GPU", xlabel="generation", ylabel="steps, mean of all policies")
    times = STEP * RECORD * np.arange(1, len(gpu) + 1)
    for episode in range(min(5, gpu.shape[1])):
        (line,) = right.plot(times, np.rad2deg(gpu[:, episode]), label=f"episode {episode}, GPU")
        right.plot(times, np.rad2deg(cpu[:, episode]), "x", color=line.get_color())
    right.set(title="The same episodes, GPU (lines) and CPU (crosses)", xlabel="time / s")
    right.set(ylabel="angle / degrees")
    right.axhline(0, color="gray", linewidth=0.5)
    figure.savefig(path, dpi=120)


def main(argv: list[str] | None = None) -> dict[str, float]:
    """Run everything, and return what was found."""
    parser = argparse.ArgumentParser(description="Cart-pole with its policy inside a GPU kernel.")
    parser.add_argument("--policies", type=int, default=64, help="in a generation")
    parser.add_argument("--episodes-per-policy", type=int, default=16)
    parser.add_argument("--generations", type=int, default=12)
    parser.add_argument("--episodes", type=int, default=4096, help="of the comparison")
    parser.add_argument("--steps", type=int, default=500, help="of an episode, a multiple of 50")
    parser.add_argument("--output", type=Path, default=Path("gpu_simulation.png"))
    args = parser.parse_args(argv)
    if args.steps < 1 or args.steps % STEPS_PER_DISPATCH:
        parser.error(f"--steps must be a multiple of {STEPS_PER_DISPATCH}")

    rng = np.random.default_rng(0)
    simulation = GpuSimulation()
    print(f"{simulation.adapter.info['device']}: training")
    parameters, curve = train(simulation, args, rng)
    policy = make_policy(parameters)

    starts = random_starts(args.episodes, rng)
    recording = GpuSimulation(steps_per_dispatch=RECORD)
    gpu = timed("GPU", lambda: recording.run([policy], starts, args.steps))
    cpu = timed("CPU", lambda: run_on_cpu(policy, starts, args.steps))
    both = np.array(gpu[1]), np.array(cpu[1])  # (times, episodes, 4)
    found = {
        "first": curve[0],
        "steps": float(gpu[0].mean()),
        "distance": float(np.abs(both[0] - both[1]).max()),
        "same": float((gpu[0] == cpu[0]).mean()),
    }
    print(
        f"largest difference of a state: {found['distance']:.1e}; "
        f"same length: {found['same']:.1%} of episodes"
    )
    draw(args.output, curve, both[0][:, :, 2], both[1][:, :, 2])
    print(f"drawn: {args.output}")
    return found


def timed(name: str, run: Callable[[], Result]) -> Result:
    """Run a simulation, and tell how it went."""
    began = time.perf_counter()
    survived, history = run()
    rate = survived.sum() / (time.perf_counter() - began)
    print(f"{name}: {survived.mean():.1f} steps on average, {rate / 1e6:.2f} M steps/s")
    return survived, history


if __name__ == "__main__":
    main()
