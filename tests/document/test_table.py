"""A walk over the instruction and activation tables: nothing is missing anywhere."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from support import bounds, strategies
from support.documents import build, everything
from support.paths import ROOT

import instmodel as im
from instmodel import _kernels, reference
from instmodel.compiled import program
from instmodel.document import builder
from instmodel.document.instruction_base import Op
from instmodel.document.instructions import INSTRUCTIONS
from instmodel.exporters import onnx
from instmodel.gpu import instructions as gpu_instructions
from instmodel.gpu import plan

WGSL = ROOT / "instmodel" / "gpu" / "wgsl"
PAGE = ROOT / "docs" / "format.md"

# The fields of each instruction, which never change; those in brackets may be left out.
FIELDS = {
    "DOT": "input output weights [activation]",
    "ATTENTION": "input key output weights",
    "COPY": "input output internal_index",
    "COPY_MASKED": "input output indexes",
    "ACTIVATION": "input activation",
    "ADD_ELEMENTWISE": "input parameters",
    "MUL_ELEMENTWISE": "input parameters",
    "CLIP_ELEMENTWISE": "input [parameters_min] [parameters_max]",
    "ADD_ELEMENTWISE_BUFFERS": "input output",
    "MULTIPLY_ELEMENTWISE_BUFFERS": "input output",
    "ADD_BUFFER_HEADS": "input output",
    "MULTIPLY_BUFFER_HEADS": "input output",
    "REDUCE_SUM": "input output",
    "MAP_TRANSFORM": ("input output internal_input_index internal_output_index map size default"),
}
CLASSES = {
    "DOT": im.Dot,
    "ATTENTION": im.Attention,
    "COPY": im.Copy,
    "COPY_MASKED": im.CopyMasked,
    "ACTIVATION": im.Activate,
    "ADD_ELEMENTWISE": im.AddElementwise,
    "MUL_ELEMENTWISE": im.MulElementwise,
    "CLIP_ELEMENTWISE": im.ClipElementwise,
    "ADD_ELEMENTWISE_BUFFERS": im.AddElementwiseBuffers,
    "MULTIPLY_ELEMENTWISE_BUFFERS": im.MultiplyElementwiseBuffers,
    "ADD_BUFFER_HEADS": im.AddBufferHeads,
    "MULTIPLY_BUFFER_HEADS": im.MultiplyBufferHeads,
    "REDUCE_SUM": im.ReduceSum,
    "MAP_TRANSFORM": im.MapTransform,
}
GPU_IDS = {
    "RELU": 1,
    "SIGMOID": 2,
    "SOFTMAX": 3,
    "TANH": 4,
    "SQRT": 5,
    "LOG": 6,
    "LOG10": 7,
    "INVERSE": 8,
    "GELU": 9,
    "SOFTPLUS": 10,
    "EXP": 11,
    "SIGN": 12,
    "RECIPROCAL": 13,
}


def test_the_table_is_the_specified_one():
    assert INSTRUCTIONS == CLASSES
    for name, kind in INSTRUCTIONS.items():
        assert name == kind.TYPE
        assert getattr(im, kind.__name__) is kind
        assert dataclasses.is_dataclass(kind)


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_fields(name):
    items = dataclasses.fields(INSTRUCTIONS[name])
    spelled = [i.name if i.default is dataclasses.MISSING else f"[{i.name}]" for i in items]
    assert sorted(spelled) == sorted(FIELDS[name].split())


def test_activations_are_the_specified_ones():
    assert {item.name: item.gpu_id for item in im.Activation} == GPU_IDS
    for item in im.Activation:
        assert item == item.name == item.value == str(item)
        assert im.Activation(item.name) is item


# ------------------------------------------------------------------------------ what each row needs


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_an_instruction_has_an_opcode_of_its_own(name):
    assert _kernels.OPCODES[name] == INSTRUCTIONS[name].OPCODE
    assert list(_kernels.OPCODES.values()).count(_kernels.OPCODES[name]) == 1


# Every table outside of the row itself that is keyed by the type of the instruction.
TABLES = {
    "the float64 reference": reference.INSTRUCTIONS,
    "the method of the builder": builder.METHODS,
    "the row of the GPU": gpu_instructions.ROWS,
    "the loops of its shader": plan.LOOPS,
    "the nodes of ONNX": onnx.INSTRUCTIONS,
    "the error bound of the tests": bounds.ERRORS,
    "the random models of the tests": strategies.INSTRUCTIONS,
    "the model with everything": [item["type"] for item in everything()["instructions"]],
}


@pytest.mark.parametrize("name", INSTRUCTIONS)
@pytest.mark.parametrize("table", TABLES)
def test_an_instruction_is_in_every_table(table, name):
    assert name in TABLES[table]


@pytest.mark.parametrize("table", TABLES)
def test_no_table_has_others(table):
    assert set(TABLES[table]) == set(INSTRUCTIONS)


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_the_builder_has_the_method_of_an_instruction(name):
    assert callable(getattr(im.ModelBuilder, builder.METHODS[name]))


def test_only_dense_layers_have_products_of_weights():
    info = im.InstructionModelInfo.from_dict(everything())
    for item in info.instructions:
        shapes = [info.weights[index].shape for index in item.uses("weights")]
        assert item.products(info.buffer_sizes) == sum(rows * cols for rows, cols in shapes)


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_an_instruction_has_a_kernel(name):
    """Without its line in the interpreter, an instruction would change nothing."""
    document = everything()
    index = next(i for i, item in enumerate(document["instructions"]) if item["type"] == name)
    model = build(document)
    kind = INSTRUCTIONS[name]
    ops = program.lower(model._checked, model._packed).code[:, Op._fields.index("opcode")]
    assert ops[index] == kind.OPCODE

    x = strategies.samples(20, model.feature_size, 3)
    whole = im.PredictConfig(buffer_slice=(0, model.required_memory))
    got = np.asarray(model.predict_parallel(x, whole))
    bounds.track(model.info, x).check(got)

    # Nothing but a reference without this instruction may agree with an engine without it.
    def skip(info, instruction, buffers):
        pass

    original = reference.INSTRUCTIONS[name]
    try:
        reference.INSTRUCTIONS[name] = skip
        without = bounds.track(model.info, x)
    finally:
        reference.INSTRUCTIONS[name] = original
    assert len(without.wrong(got)) > 0


@pytest.mark.parametrize("table", [reference.ACTIVATIONS, onnx.ACTIVATIONS, strategies.ACTIVATIONS])
def test_every_activation_is_in_every_table(table):
    assert set(table) == set(GPU_IDS)


@pytest.mark.parametrize("name", GPU_IDS)
def test_an_activation_has_a_kernel(name):
    points = [-3.0, -0.5, 0.25, 0.75, 2.0, 9.0]
    for instructions in (
        [{"type": "ACTIVATION", "input": 0, "activation": name}],
        [{"type": "DOT", "input": 0, "output": 1, "weights": 0, "activation": name}],
    ):
        dense = instructions[0]["type"] == "DOT"
        document = {
            "feature_size": 6,
            "buffer_sizes": [6, 6] if dense else [6],
            "instructions": instructions,
            "weights": [np.eye(6).tolist()] if dense else [],
            "bias": [[0.0] * 6] if dense else [],
        }
        got = build(document).predict(points)
        with np.errstate(invalid="ignore"):
            expected = reference.ACTIVATIONS[name](np.array([points]))[0]
        np.testing.assert_allclose(got, expected, rtol=5e-7)
        assert not np.array_equal(got, np.float32(points)), "an identity is no activation"


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_an_instruction_has_its_gpu_row_and_wgsl(name):
    function = f"instmodel_{name.lower()}"
    file = WGSL / "instructions" / f"{name.lower()}.wgsl"
    assert file.exists()
    assert f"fn {function}(" in file.read_text(encoding="utf-8")
    assert f"case {gpu_instructions.ROWS[name].opcode}u: {{ {function}(" in im.get_instmodel_wgsl(1)
    assert name in (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", GPU_IDS)
def test_an_activation_has_its_wgsl(name):
    file = WGSL / "activations" / f"{name.lower()}.wgsl"
    assert f"fn instmodel_{name.lower()}(" in file.read_text(encoding="utf-8")
    assert f"case {GPU_IDS[name]}u: {{" in im.get_instmodel_wgsl(1)


def test_every_instruction_and_activation_has_its_row_in_the_documentation():
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| *`([A-Z0-9_]+)`", text, re.MULTILINE)
    assert sorted(rows) == sorted([*INSTRUCTIONS, *GPU_IDS])


# ------------------------------------------------------------------------------------------ objects


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_an_instruction_is_a_value(name):
    info = im.InstructionModelInfo.from_dict(everything())
    item = next(item for item in info.instructions if name == item.TYPE)
    twin = type(item)(**{f.name: getattr(item, f.name) for f in dataclasses.fields(item)})
    assert twin == item
    assert hash(twin) == hash(item)
    assert dataclasses.replace(item, input=item.input) == item
    assert item.TYPE in repr(item).upper().replace("_", "") or type(item).__name__ in repr(item)
    with pytest.raises(dataclasses.FrozenInstanceError):
        item.input = 5


@pytest.mark.parametrize(
    ("make", "code", "field"),
    [
        (lambda: im.Dot(input=True, output=1, weights=0), "invalid_type", "input"),
        (lambda: im.Dot(input=0, output=1.0, weights=0), "invalid_type", "output"),
        (lambda: im.Dot(input=0, output=1, weights="0"), "invalid_type", "weights"),
        (
            lambda: im.Dot(input=0, output=1, weights=0, activation="relu"),
            *("unknown_activation", "activation"),
        ),
        (lambda: im.Activate(input=0, activation=None), "invalid_type", "activation"),
        (lambda: im.CopyMasked(input=0, output=1, indexes=[1.5]), "invalid_type", "indexes[0]"),
        (lambda: im.ClipElementwise(input=0), "missing_field", None),
        (lambda: im.ReduceSum(input=None, output=1), "invalid_type", "input"),
        (lambda: im.AddBufferHeads(input=3, output=1), "invalid_type", "input"),
    ],
)
def test_an_instruction_checks_its_types_when_it_is_made(make, code, field):
    with pytest.raises(im.InstModelError) as caught:
        make()
    assert caught.value.code == code
    assert field is None or caught.value.field == field
    assert caught.value.instruction_type in INSTRUCTIONS


def test_numpy_integers_and_names_of_activations_are_taken():
    item = im.Dot(input=np.int64(0), output=np.uint8(1), weights=np.int32(0), activation="RELU")
    assert item == im.Dot(input=0, output=1, weights=0, activation=im.Activation.RELU)
    assert type(item.input) is int
    assert item.activation is im.Activation.RELU
    mask = im.CopyMasked(input=0, output=1, indexes=np.array([2, 0]))
    assert mask == im.CopyMasked(input=0, output=1, indexes=[2, 0])
