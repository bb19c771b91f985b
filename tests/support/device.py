"""Running shaders in tests, on whatever adapter there is: as a rule Mesa's software one."""

from __future__ import annotations

import os
from functools import cache

import numpy as np
import pytest

import instmodel as im

wgpu = pytest.importorskip("wgpu", reason="needs the extra 'gpu'")

MAIN = """
@group(0) @binding(0) var<storage, read> model_data: array<f32>;
@group(0) @binding(1) var<storage, read> inputs: array<f32>;
@group(0) @binding(2) var<storage, read_write> buffers: array<f32>;
@group(0) @binding(3) var<storage, read> offsets: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= arrayLength(&offsets)) {
        return;
    }
    let start = id.x * MAX_COMPUTE_BUFFER;
    var buffer: array<f32, MAX_COMPUTE_BUFFER>;
    for (var i = 0u; i < MAX_COMPUTE_BUFFER; i++) {
        buffer[i] = inputs[start + i];
    }
    predict(offsets[id.x], &buffer);
    for (var i = 0u; i < MAX_COMPUTE_BUFFER; i++) {
        buffers[start + i] = buffer[i];
    }
}
"""


@cache
def adapter():
    """Return the first Vulkan adapter; a machine without any skips the test.

    Where .ci/run has found a driver, not to see it is a failure.
    """
    found = [a for a in wgpu.gpu.enumerate_adapters_sync() if a.info["backend_type"] == "Vulkan"]
    if not found:
        stop = pytest.fail if os.environ.get("INSTMODEL_REQUIRE_GPU") else pytest.skip
        stop("no Vulkan adapter: install mesa-vulkan-drivers and libvulkan1")
    return found[0]


@cache
def device():
    return adapter().request_device_sync()


@cache
def pipeline(source):
    """Compile a shader; an invalid one is an error."""
    module = device().create_shader_module(code=source)
    return device().create_compute_pipeline(
        layout="auto", compute={"module": module, "entry_point": "main"}
    )


def dispatch(compiled, arrays, output, groups):
    """Run a pipeline on arrays (binding 0, 1, …), and return the array number `output`."""
    usage = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC
    buffers = [device().create_buffer_with_data(data=item, usage=usage) for item in arrays]
    entries = [
        {"binding": i, "resource": {"buffer": buffer, "offset": 0, "size": buffer.size}}
        for i, buffer in enumerate(buffers)
    ]
    group = device().create_bind_group(layout=compiled.get_bind_group_layout(0), entries=entries)
    encoder = device().create_command_encoder()
    work = encoder.begin_compute_pass()
    work.set_pipeline(compiled)
    work.set_bind_group(0, group)
    work.dispatch_workgroups(groups)
    work.end()
    device().queue.submit([encoder.finish()])
    return np.frombuffer(device().queue.read_buffer(buffers[output]), arrays[output].dtype)


STEPS = """
@group(0) @binding(0) var<storage, read> model_data: array<f32>;
@group(0) @binding(1) var<storage, read> inputs: array<f32>; // [sequence][step][feature]
@group(0) @binding(2) var<storage, read_write> states: array<f32>; // [sequence][value]
@group(0) @binding(3) var<storage, read_write> buffers: array<f32>; // [sequence][step][value]
@group(0) @binding(4) var<storage, read> resumes: array<u32>; // whether `states` are to go on

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let features = get_feature_size(0u);
    let total = get_compute_buffer_size(0u);
    let size = get_state_size(0u);
    let steps = arrayLength(&inputs) / features / (arrayLength(&states) / size);
    if (id.x >= arrayLength(&states) / size) {
        return;
    }
    var buffer: array<f32, MAX_COMPUTE_BUFFER>;
    for (var i = 0u; i < MAX_COMPUTE_BUFFER; i++) {
        buffer[i] = 1e30;
    }
    reset_state(0u, &buffer);
    for (var i = 0u; i < size * resumes[0]; i++) {
        set_state_value(0u, &buffer, i, states[id.x * size + i]);
    }
    for (var step = 0u; step < steps; step++) {
        let at = id.x * steps + step;
        for (var i = 0u; i < features; i++) {
            buffer[i] = inputs[at * features + i];
        }
        predict_step(0u, &buffer);
        for (var i = 0u; i < total; i++) {
            buffers[at * total + i] = buffer[i];
        }
    }
    for (var i = 0u; i < size; i++) {
        states[id.x * size + i] = get_state_value(0u, &buffer, i);
    }
}
"""


def run_embedded(models, xs, size, *, source=None, main=MAIN):
    """Run each model on its rows; return the compute buffers, [(N, its size)] float32.

    `predict` finds its buffer full of a large number wherever the input is not.
    """
    source = source or im.get_instmodel_wgsl(size)
    packed, offsets = im.pack_models(models)
    rows = sum(len(x) for x in xs)
    inputs = np.full((rows, size), 1e30, np.float32)
    position = 0
    for x in xs:
        inputs[position : position + len(x), : x.shape[1]] = x
        position += len(x)
    jobs = np.repeat(np.array(offsets, np.uint32), [len(x) for x in xs])
    arrays = [packed, inputs, np.zeros_like(inputs), jobs]
    got = dispatch(pipeline(source + main), arrays, 2, -(-rows // 64)).reshape(rows, size)
    ends = np.cumsum([len(x) for x in xs])
    return [
        got[end - len(x) : end, : model.compute_buffer_size]
        for end, x, model in zip(ends, xs, models, strict=True)
    ]


def run_steps(model, x, size, state=None):
    """Run sequences (N, T, F) of a recurrent model in a kernel of their own.

    Returns
    -------
    buffers : ndarray, (N, T, total) float32
    state : ndarray, (N, S) float32
        What a later call goes on from.
    """
    resumes = np.array([state is not None], np.uint32)
    kept = np.zeros((len(x), model.state_size), np.float32) if state is None else state
    buffers = np.zeros((*x.shape[:2], model.compute_buffer_size), np.float32)
    compiled = pipeline(im.get_instmodel_wgsl(size) + STEPS)
    arrays = [model.as_words(), np.ascontiguousarray(x, np.float32), kept, buffers, resumes]
    found = [dispatch(compiled, arrays, which, -(-len(x) // 64)) for which in (3, 2)]
    return found[0].reshape(buffers.shape), found[1].reshape(kept.shape)


def cpu_buffers(info, x):
    """Return what the CPU engine leaves in the unified buffer, (N, total) float32."""
    model = im.InstructionModel(info)
    config = im.PredictConfig(threads=1, buffer_slice=(0, model.required_memory))
    return np.asarray(model.predict_parallel(x, config)).reshape(len(x), -1)


def assert_close(got, want, tolerance=1e-5):
    """Compare (N, …) row by row, relative to the largest finite value of the row of `want`."""
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    infinite = np.isinf(want)
    np.testing.assert_array_equal(got[infinite], want[infinite])
    known = np.isfinite(want)
    largest = np.abs(np.where(known, want, 0.0)).max(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.where(known, np.abs(got.astype(np.float64) - want), 0.0)
    wrong = np.argwhere(error > tolerance * largest + 2.0**-126)
    assert not len(wrong), (
        f"{len(wrong)} values off, first {tuple(wrong[0])}: "
        f"{got[tuple(wrong[0])]!r} for {want[tuple(wrong[0])]!r}"
    )
