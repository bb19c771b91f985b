"""The WGSL: valid in every combination of its parts, and the same numbers as the CPU engine."""

from __future__ import annotations

import dataclasses
import itertools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import device, strategies
from support.documents import (
    build,
    dense,
    engine_cases,
    everything,
    identity,
    network,
    one,
    with_lost_keys,
)

import instmodel as im
from instmodel.document.instructions import INSTRUCTIONS
from instmodel.gpu import wgsl

SIZE = 160  # floats in the compute buffer of most shaders here
PUBLIC = {
    "predict",
    "get_feature_size",
    "get_output_size",
    "get_output_start",
    "get_compute_buffer_size",
    "get_full_model_size",
    "predict_step",
    "reset_state",
    "get_state_size",
    "get_state_value",
    "set_state_value",
    "MAX_COMPUTE_BUFFER",
}
HEAD = "@group(0) @binding(0) var<storage, read> model_data: array<f32>;\n"

# Largest distance from the CPU engine, in ULP of a normal float32 result.
ULP = {
    "RELU": 0,
    "SIGN": 0,
    "INVERSE": 1,
    "RECIPROCAL": 3,  # WGSL lets a division be off by 2.5
    "EXP": 3,
    "SIGMOID": 4,
    "TANH": 4,
    "SQRT": 2,
    "LOG": 4,
    "LOG10": 5,
    "SOFTPLUS": 5,
    "GELU": 10,
}


def info_of(document):
    return im.InstructionModelInfo.from_dict(document)


def pack(document):
    return im.GpuModel.from_info(info_of(document))


# ------------------------------------------------------------------------------------------- source


def test_no_file_is_about_nothing():
    for folder, names in (("instructions", INSTRUCTIONS), ("activations", im.Activation)):
        files = {file.stem for file in (wgsl._FOLDER / folder).iterdir()}
        assert files == {str(name).lower() for name in names}


def test_every_name_has_the_prefix_or_is_public():
    source = im.get_instmodel_wgsl(8)
    defined = set(re.findall(r"^(?:fn|struct|alias|const|var<\w+>)\s+(\w+)", source, re.MULTILINE))
    assert {name for name in defined if not name.startswith("instmodel_")} == PUBLIC
    assert not re.findall(r"^(?!fn|struct|alias|const|var|//|[ })]|$).*", source, re.MULTILINE)
    assert "override" not in source
    assert "@group" not in source


def test_a_small_network_does_not_carry_the_whole_library():
    everything_there = im.get_instmodel_wgsl(64)
    source = im.get_instmodel_wgsl(64, models=[pack(network([4, 8, 2], ["RELU", None]))])
    assert len(source) < len(everything_there) / 3
    assert "instmodel_dot" in source
    assert "instmodel_relu" in source
    for absent in ("tanh", "softmax", "map_transform", "copy", "power_of_e", "sum"):
        assert f"instmodel_{absent}" not in source
    same = im.get_instmodel_wgsl(64, models=[info_of(network([4, 8, 2], ["RELU", None]))])
    assert same == source
    assert im.get_instmodel_wgsl(64, models=[pack(everything())] * 2) != everything_there


@pytest.mark.parametrize(
    ("arguments", "code", "field"),
    [
        ((0,), "buffer_limit_exceeded", "max_compute_buffer"),
        ((65_537,), "buffer_limit_exceeded", "max_compute_buffer"),
        ((-1,), "buffer_limit_exceeded", "max_compute_buffer"),
        ((64.0,), "invalid_type", "max_compute_buffer"),
        ((True,), "invalid_type", "max_compute_buffer"),
        ((35, [pack(everything())]), "buffer_too_small", "models[0]"),
        ((64, [pack(dense()), "model"]), "invalid_type", "models[1]"),
        ((64, pack(dense())), "invalid_type", "models"),
    ],
)
def test_wrong_arguments(arguments, code, field):
    with pytest.raises(im.InstModelError) as caught:
        im.get_instmodel_wgsl(*arguments)
    assert (caught.value.code, caught.value.field) == (code, field)


def single_models():
    """One model for each instruction and for each activation, alone and in a dense layer."""
    document = everything()
    models = {}
    for item in document["instructions"]:
        rest = {"type": "ACTIVATION", "activation": "RELU"} if item["type"] == "ACTIVATION" else {}
        models[item["type"]] = bare({**item, **rest})
    for activation in im.Activation:
        step = {"type": "ACTIVATION", "input": 0, "activation": activation.name}
        models[activation.name] = pack(one(step, [3]))
        models[f"DOT {activation.name}"] = pack(network([3, 3], [activation.name]))
    return models


def bare(item):
    """A model of one instruction of `everything`, with the buffers and constants it needs."""
    document = everything()
    kind = INSTRUCTIONS[item["type"]](**{k: v for k, v in item.items() if k != "type"})
    for role in ("weights", "parameters", "maps"):
        used = kind.uses(role)
        document[role] = [part for i, part in enumerate(document[role]) if i in used]
        names = [f.name for f in dataclasses.fields(kind) if f.metadata["role"] == role]
        item |= {name: used.index(item[name]) for name in names if item.get(name) is not None}
        if role == "weights":
            document["bias"] = [part for i, part in enumerate(document["bias"]) if i in used]
    document["instructions"] = [item]
    return pack(document)


def test_every_pair_of_parts_is_valid():
    """Each instruction and activation alone, every two of them, and all: naga accepts them."""
    models = single_models()
    assert len(models) == 14 + 2 * 13
    for pair in [*itertools.combinations_with_replacement(models.values(), 2)]:
        source = im.get_instmodel_wgsl(64, models=pair)
        device.device().create_shader_module(code=HEAD + source)
    device.device().create_shader_module(code=HEAD + im.get_instmodel_wgsl(65_536))
    device.device().create_shader_module(code=HEAD + im.get_instmodel_wgsl(64, models=[]))


def test_an_invalid_shader_would_be_noticed():
    with pytest.raises(device.wgpu.GPUError):
        device.device().create_shader_module(code=HEAD + im.get_instmodel_wgsl(8)[:-2])


@given(st.sets(st.sampled_from(sorted(single_models())), min_size=3))
def test_random_sets_of_parts_are_valid(names):
    models = single_models()
    source = im.get_instmodel_wgsl(64, models=[models[name] for name in names])
    device.device().create_shader_module(code=HEAD + source)


# ------------------------------------------------------------------------------------------ numbers


def every_kind_of_float(count):
    """Random bit patterns: all exponents, NaN, infinities, denormals; and usual numbers."""
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, count, dtype=np.uint64).astype(np.uint32).view(np.float32)
    usual = rng.normal(0, 1, count) * 10.0 ** rng.uniform(-6, 2.2, count)
    odd = np.tile(np.float32(strategies.HOSTILE), count // 64)
    return np.concatenate([bits, usual.astype(np.float32), odd])


@pytest.mark.parametrize("name", sorted(ULP))
def test_an_activation_value_by_value(name):
    x = every_kind_of_float(64 * 400)
    x = x[: len(x) // 64 * 64].reshape(-1, 64)
    document = one({"type": "ACTIVATION", "input": 0, "activation": name}, [64])
    got = device.run_embedded([pack(document)], [x], SIZE)[0]
    want = build(document).predict(x)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    normal = np.isfinite(want) & (np.abs(want) >= 2.0**-125)
    distance = np.abs(got[normal].astype(np.float64) - want[normal])
    ulp = distance / np.ldexp(1.0, np.frexp(want[normal])[1] - 24)
    assert ulp.max() <= ULP[name], x[normal][ulp.argmax()]
    np.testing.assert_array_equal(got[np.isinf(want)], want[np.isinf(want)])
    assert np.abs(got[np.abs(want) < 2.0**-125]).max(initial=0) <= 2.0**-124


@pytest.mark.parametrize(
    "row",
    [
        [0.0, 0.0, 0.0, 0.0],
        [1e-40, -1e-40, 0.0, 0.0],
        [3e38, -3e38, 0.0, 1.0],
        [-3e38, -3e38, -3e38, -3.1e38],
        [1.0, np.nan, 2.0, 3.0],
        [np.inf, 1.0, 2.0, 3.0],
        [-np.inf, 1.0, 2.0, 3.0],
        [-np.inf] * 4,
        [np.nan, np.inf, -np.inf, 0.0],
        [100.0, 0.0, -100.0, -1000.0],
    ],
)
def test_softmax_of_odd_values(row):
    document = one({"type": "ACTIVATION", "input": 0, "activation": "SOFTMAX"}, [4])
    x = np.array([row], np.float32)
    got = device.run_embedded([pack(document)], [x], SIZE)[0]
    np.testing.assert_allclose(got, build(document).predict(x), rtol=1e-6)


@pytest.mark.parametrize("index", [i for i, c in enumerate(engine_cases()) if i % 6 == 0])
def test_models_that_the_original_engine_ran(index):
    case = engine_cases()[index]
    model = build(case["model"])
    if model.required_memory > SIZE:
        source = im.get_instmodel_wgsl(model.required_memory, models=[pack(case["model"])])
    else:
        source = im.get_instmodel_wgsl(SIZE)
    x = np.array(case["inputs"][:-1], np.float32)
    size = max(SIZE, model.required_memory)
    got = device.run_embedded([pack(case["model"])], [x], size, source=source)[0]
    device.assert_close(got, device.cpu_buffers(model.info, x))


def test_a_sum_that_overflows_on_its_way():
    document = one({"type": "REDUCE_SUM", "input": 0, "output": 1}, [4, 1])
    x = np.array([[3e38, 3e38, -3e38, -2e38], [3e38, 3e38, 0, 0], [np.inf, -np.inf, 1, 1]], "f4")
    got = device.run_embedded([pack(document)], [x], SIZE)[0][:, -1:]
    np.testing.assert_allclose(got, build(document).predict(x), rtol=1e-6)


@with_lost_keys
def test_map_keys_at_the_edges():
    keys = [0, 1, -1, 2, 3, -3, 2**31 - 1, -(2**31), 16777216, 2147483520]
    document = one(
        {
            "type": "MAP_TRANSFORM",
            "input": 0,
            "output": 1,
            "map": 0,
            "size": 2,
            "internal_input_index": 0,
            "internal_output_index": 0,
            "default": [-1.0, -2.0],
        },
        [1, 2],
        maps=[{str(key): [float(i), i + 0.5] for i, key in enumerate(keys)}],
    )
    edges = [0.49999997, 0.5, 1.4999999, 1.5, 2.5, -0.5, -0.49999997, -2.5, -1e-40, 8388607.5]
    x = np.array([*keys, *edges, *strategies.HOSTILE], np.float32)[:, np.newaxis]
    got = device.run_embedded([pack(document)], [x], SIZE)[0][:, 1:]
    np.testing.assert_array_equal(got, build(document).predict(x))
    empty = one(document["instructions"][0], [1, 2], maps=[{}])
    got = device.run_embedded([pack(empty)], [x], SIZE)[0][:, 1:]
    np.testing.assert_array_equal(got, np.tile(np.float32([-1, -2]), (len(x), 1)))


# ------------------------------------------------------------------------- several models and calls


def test_several_models_in_one_buffer():
    documents = [everything(), dense(), network([5, 16, 3], ["GELU", "SOFTMAX"]), identity(7)]
    models = [pack(document) for document in documents]
    xs = [strategies.samples(50 + i, m.feature_size, i) for i, m in enumerate(models)]
    for got, document, x in zip(device.run_embedded(models, xs, SIZE), documents, xs, strict=True):
        device.assert_close(got, device.cpu_buffers(info_of(document), x))


# Mesa's software GPU ends the loops of a thread, without a word, after 65,535 rounds in all.
MANY_CALLS = """
@group(0) @binding(1) var<storage, read_write> states: array<f32>;
@group(0) @binding(2) var<storage, read> offsets: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= arrayLength(&states) / 3u) {
        return;
    }
    var buffer: array<f32, MAX_COMPUTE_BUFFER>;
    for (var call = 0u; call < 60u; call++) {
        let model = offsets[(call + id.x) % arrayLength(&offsets)];
        for (var i = 0u; i < get_feature_size(model); i++) {
            buffer[i] = states[3u * id.x + i];
        }
        predict(model, &buffer);
        for (var i = 0u; i < get_output_size(model); i++) {
            let state = states[3u * id.x + i];
            states[3u * id.x + i] = 0.5 * state + 0.1 * buffer[get_output_start(model) + i];
        }
    }
}
"""


def test_many_calls_per_thread_of_alternating_models():
    """Three models in turn, 60 calls a thread, each fed with what the last one gave."""
    gap = {  # buffer 1 is partly never written, and changed in place
        "feature_size": 3,
        "buffer_sizes": [3, 5, 3],
        "instructions": [
            {"type": "COPY", "input": 0, "output": 1, "internal_index": 2},
            {"type": "ACTIVATION", "input": 1, "activation": "INVERSE"},
            {"type": "DOT", "input": 1, "output": 2, "weights": 0, "activation": "TANH"},
        ],
        "weights": [np.linspace(-1, 1, 15).reshape(3, 5).tolist()],
        "bias": [[0.1, 0.2, 0.3]],
    }
    documents = [
        network([3, 8, 3], ["TANH", "SIGMOID"]), gap, network([3, 20, 3], ["RELU", None], 1)
    ]  # fmt: skip
    packed, offsets = im.pack_models([pack(document) for document in documents])
    start = strategies.samples(100, 3, 7)
    source = HEAD + im.get_instmodel_wgsl(32) + MANY_CALLS
    arrays = [packed, start, np.array(offsets, np.uint32)]
    got = device.dispatch(device.pipeline(source), arrays, 1, 2).reshape(-1, 3)

    state, models = start.copy(), [build(document) for document in documents]
    for call in range(60):
        for which, model in enumerate(models):
            rows = (call + np.arange(len(state))) % 3 == which
            state[rows] = np.float32(0.5) * state[rows] + np.float32(0.1) * model.predict(
                state[rows]
            )
    device.assert_close(got, state)


def test_the_sizes_of_packed_models():
    models = [pack(everything()), pack(dense()), pack(network([5, 16, 3], ["GELU", "SOFTMAX"]))]
    packed, _ = im.pack_models(models)
    source = (
        HEAD
        + im.get_instmodel_wgsl(SIZE)
        + """
@group(0) @binding(1) var<storage, read_write> sizes: array<u32>;

@compute @workgroup_size(1)
fn main() {
    var model = 0u;
    for (var i = 0u; i < 15u; i += 5u) {
        sizes[i] = get_feature_size(model);
        sizes[i + 1u] = get_output_size(model);
        sizes[i + 2u] = get_output_start(model);
        sizes[i + 3u] = get_compute_buffer_size(model);
        sizes[i + 4u] = get_full_model_size(model);
        model += sizes[i + 4u];
    }
}
"""
    )
    got = device.dispatch(device.pipeline(source), [packed, np.zeros(15, np.uint32)], 1, 1)
    assert got.tolist() == [
        size
        for m in models
        for size in (
            *(m.feature_size, m.output_size, m.output_start),
            *(m.compute_buffer_size, m.full_size),
        )
    ]
