"""Putting the WGSL together: the parts that models need, and no other.

A part is one file under ``wgsl/``. Every name in it but those that users call starts with
``instmodel_``, so the parts that a part needs are those that define the names which it uses. Two
functions are written here, because they list what is there: the switches over opcodes and over
activations.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from instmodel.base import values
from instmodel.base.activations import Activation
from instmodel.document.schema import InstructionModelInfo
from instmodel.errors import InputError
from instmodel.gpu.instructions import ROWS, TYPES, word_of
from instmodel.gpu.layout import MAX_COMPUTE_BUFFER
from instmodel.gpu.model import GpuModel

_FOLDER = Path(__file__).parent / "wgsl"
_COMMON = ("shared", "instructions", "activations")
_COMMENT = re.compile(r"//[^\n]*")
_USED = re.compile(r"\binstmodel_\w+")
_DEFINED = re.compile(r"^(?:fn|struct|alias|const|var<[\w, ]+>) (\w+)", re.MULTILINE)

_ACTIVATION_GROUPS = {"SOFTMAX"}  # of a whole buffer; the others take one value


def get_instmodel_wgsl(
    max_compute_buffer: int,
    models: Sequence[GpuModel | InstructionModelInfo] | None = None,
) -> str:
    """Return WGSL source to paste into a compute shader.

    The shader declares ``@group(0) @binding(0) var<storage, read> model_data: array<f32>;`` with
    the words of one or more models, and calls ``predict(model_offset, &buffer)``, where `buffer` is
    a ``var<function>`` of type ``array<f32, MAX_COMPUTE_BUFFER>``. It gets ``get_feature_size``,
    ``get_output_size``, ``get_output_start``, ``get_compute_buffer_size`` and
    ``get_full_model_size`` of a model offset, and the constant ``MAX_COMPUTE_BUFFER``. For
    recurrent models there are ``reset_state`` and ``predict_step``, which take what ``predict``
    takes, and ``get_state_size``, ``get_state_value`` and ``set_state_value``. All other names
    start with ``instmodel_``. docs/gpu.md has examples.

    Parameters
    ----------
    max_compute_buffer : int
        Floats in the buffer: at least the compute buffer of every model that the shader runs.
    models : sequence of GpuModel or InstructionModelInfo, optional
        The models that the shader will run; only what they need is returned: no ``predict`` where
        all are recurrent, nothing of states where none is. By default, everything.

    Raises
    ------
    InstModelError
        ``buffer_limit_exceeded`` unless 1 ≤ `max_compute_buffer` ≤ 65,536, ``buffer_too_small``
        for a model that needs more.
    """
    size = values.integer_argument(max_compute_buffer, "max_compute_buffer")
    if not 1 <= size <= MAX_COMPUTE_BUFFER:
        raise InputError(
            "buffer_limit_exceeded",
            "no size for a compute buffer",
            field="max_compute_buffer",
            expected=f"1 … {MAX_COMPUTE_BUFFER}",
            actual=size,
        )
    packed = None if models is None else _packed(models)
    for index, model in enumerate(packed or []):
        if model.compute_buffer_size > size:
            raise InputError(
                "buffer_too_small",
                "a model needs a larger compute buffer",
                field=f"models[{index}]",
                expected=f"at least {model.compute_buffer_size}",
                actual=size,
            )
    head = f"const MAX_COMPUTE_BUFFER: u32 = {size}u;\n"
    return head + "\n" + compose("embedded", packed, _roots(packed))


def compose(mode: str, models: Sequence[GpuModel] | None, roots: Iterable[str]) -> str:
    """Return all parts that define `roots`, and what these need.

    Parameters
    ----------
    mode : {"embedded", "session"}
        The folder that says where buffers and words lie.
    models : sequence of GpuModel or None
        Whose instructions and activations are needed; None for all.
    roots : iterable of str
        Names of functions.
    """
    types, activations = (set(ROWS), set(Activation)) if models is None else _needs(models)
    parts = _library(mode) | _written(types, activations)
    homes = {name: part for part, text in parts.items() for name in _DEFINED.findall(text)}
    wanted, found = [homes[name] for name in roots], dict[str, None]()
    while wanted:
        part = wanted.pop()
        if part not in found:
            found[part] = None
            wanted += [homes[name] for name in _names(parts[part])]
    return "\n".join(parts[part] for part in sorted(found, key=list(parts).index))


@cache
def _library(mode: str) -> dict[str, str]:
    files = [file for name in (mode, *_COMMON) for file in sorted((_FOLDER / name).glob("*.wgsl"))]
    return {file.relative_to(_FOLDER).as_posix(): file.read_text("utf-8") for file in files}


def _names(text: str) -> list[str]:
    return _USED.findall(_COMMENT.sub("", text))


def _roots(models: Sequence[GpuModel] | None) -> list[str]:
    """Return a name of each part that shaders may use by themselves."""
    recurrent = {True, False} if models is None else {model.is_recurrent for model in models}
    roots = ["get_feature_size"]
    if True in recurrent:
        roots += ["reset_state", "predict_step", "get_state_value"]
    if recurrent != {True}:
        roots.append("predict")
    return roots


def _packed(models: Sequence[GpuModel | InstructionModelInfo]) -> list[GpuModel]:
    packed = []
    for index, item in enumerate(values.sequence(models, "models", "models")):
        model = GpuModel.from_info(item) if isinstance(item, InstructionModelInfo) else item
        if not isinstance(model, GpuModel):
            raise values.wrong_type(item, f"models[{index}]", "a GpuModel or InstructionModelInfo")
        packed.append(model)
    return packed


def _needs(models: Sequence[GpuModel]) -> tuple[set[str], set[Activation]]:
    ops = {op for model in models for op in model.ops}
    types = {TYPES[op.opcode] for op in ops}
    ids = {word_of(op, "activation") for op in ops}
    return types, {item for item in Activation if item.gpu_id in ids}


def _written(types: set[str], activations: set[Activation]) -> dict[str, str]:
    """Return the switches over the instructions and activations that are needed."""
    ops = "".join(
        f"            case {row.opcode}u: {{ instmodel_{name.lower()}(model, op, buffer); }}\n"
        for name, row in ROWS.items()
        if name in types
    )
    single = "".join(
        f"        case {item.gpu_id}u: {{ return instmodel_{item.name.lower()}(x); }}\n"
        for item in Activation
        if item in activations and item.name not in _ACTIVATION_GROUPS
    )
    groups = "".join(
        f"        case {item.gpu_id}u: {{ instmodel_{item.name.lower()}(buffer, start, size); }}\n"
        for item in Activation
        if item in activations and item.name in _ACTIVATION_GROUPS
    )
    return {
        "run": f"""\
// Runs `count` instructions of the model from `first` on.
fn instmodel_run(model: u32, first: u32, count: u32, buffer: instmodel_buffer) {{
    instmodel_know_zero(model);
    for (var i = first; i < first + count; i++) {{
        let op = instmodel_op_at(model, i);
        switch op.opcode {{
{ops}            default: {{}}
        }}
    }}
}}
""",
        "activate": f"""\
// An activation of one value; what is one of a whole buffer, or none, leaves it.
fn instmodel_activate(activation: u32, value: f32) -> f32 {{
    let x = instmodel_flush(value);
    switch activation {{
{single}        default: {{ return x; }}
    }}
}}

// An activation of a whole buffer.
fn instmodel_activate_all(activation: u32, buffer: instmodel_buffer, start: u32, size: u32) {{
    switch activation {{
{groups}        default: {{}}
    }}
}}
""",
    }
