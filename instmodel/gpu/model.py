"""`GpuModel`: a model as words for the GPU, and several of them in one buffer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel import _kernels
from instmodel.base import values
from instmodel.base.limits import DEFAULT_LIMITS, Limits, checked_limits
from instmodel.document import validate
from instmodel.document.schema import InstructionModelInfo
from instmodel.errors import DocumentError, StructureError
from instmodel.gpu.check import CheckedWords, check
from instmodel.gpu.encode import encode
from instmodel.gpu.header import Words
from instmodel.gpu.instructions import ROWS, TYPES, activation_name, word_of
from instmodel.gpu.layout import ABSENT, MAX_WORDS, WORD, GpuOp, GpuState, Header

_LITTLE = np.dtype("<u4")


class GpuModel:
    """A model packed into 32-bit words, for shaders that contain `get_instmodel_wgsl`.

    Make one with `from_info` or `from_bytes`; both check everything. A model never changes, equals
    another of the same words, and pickles as its bytes. docs/gpu.md describes the words.

    Attributes
    ----------
    version : int
        1; 2 for a model that needs an instruction which version 1 lacks; 3 for a recurrent one.
    feature_size, output_size : int
        Input values F and output values O.
    compute_buffer_size : int
        Floats in all buffers together; the input is its start, the output its end.
    output_start : int
        Where the output starts in the compute buffer.
    full_size : int
        Words in the model.
    state_size : int
        Values of state S of a sequence; 0 where rows are independent of each other.
    """

    def __init__(self, words: Words, limits: Limits, *, allow_non_finite: bool) -> None:
        self._checked: CheckedWords = check(
            words, checked_limits(limits), allow_non_finite=allow_non_finite
        )
        self._words = words
        self._limits = limits
        self._allow_non_finite = allow_non_finite
        words.flags.writeable = False

    @classmethod
    def from_info(cls, info: InstructionModelInfo, *, limits: Limits = DEFAULT_LIMITS) -> GpuModel:
        """Pack a document.

        The structure is checked as `InstructionModel` does; validation data is not run.

        Parameters
        ----------
        info : InstructionModelInfo
        limits : Limits, optional

        Raises
        ------
        InstModelError
            The rule that the document breaks; ``buffer_limit_exceeded`` for more than 65,536 floats
            of compute buffer.
        """
        if not isinstance(info, InstructionModelInfo):
            raise values.wrong_type(info, "info", "an InstructionModelInfo")
        checked = validate.check(info.structure, limits)
        dense = [part for pair in zip(info.weights, info.bias, strict=True) for part in pair]
        return cls(encode(checked, dense), limits, allow_non_finite=info.allow_non_finite)

    @classmethod
    def from_bytes(
        cls, data: Any, *, limits: Limits = DEFAULT_LIMITS, allow_non_finite: bool = False
    ) -> GpuModel:
        """Read a model, which must fill the data exactly.

        Parameters
        ----------
        data : bytes-like
            What `as_bytes` gave, or `as_words`; copied.
        limits : Limits, optional
        allow_non_finite : bool
            Accept NaN and infinities among weights, parameters and maps.

        Raises
        ------
        InstModelError
            The first rule that the words break: ``invalid_document``, ``unsupported_version`` or
            the code that a document with the same mistake has.
        """
        allow_non_finite = values.boolean(allow_non_finite, "allow_non_finite")
        try:
            raw = bytes(memoryview(data))
        except (TypeError, BufferError):
            raise values.wrong_type(data, "data", "bytes") from None
        if len(raw) % WORD:
            raise DocumentError(
                "invalid_document",
                "not whole words",
                field="data",
                expected="a multiple of 4 bytes",
                actual=len(raw),
            )
        words = np.frombuffer(raw, _LITTLE).astype(np.uint32)
        return cls(words, limits, allow_non_finite=allow_non_finite)

    @property
    def _header(self) -> Header:
        return self._checked.header

    @property
    def version(self) -> int:
        """Version of the words, 1 to 3."""
        return self._header.version

    @property
    def feature_size(self) -> int:
        """Number of input values F."""
        return self._header.feature_size

    @property
    def output_size(self) -> int:
        """Number of output values O."""
        return self._header.output_size

    @property
    def compute_buffer_size(self) -> int:
        """Floats in all buffers together."""
        return self._header.compute_buffer_size

    @property
    def output_start(self) -> int:
        """Where the output starts in the compute buffer."""
        return self._header.output_start

    @property
    def full_size(self) -> int:
        """Words in the model."""
        return self._header.full_size

    @property
    def state_size(self) -> int:
        """Number of values S that a sequence keeps from one step to the next."""
        return self._header.state_size

    @property
    def is_recurrent(self) -> bool:
        """Whether the model has state: then its samples are sequences, whose rows are steps."""
        return self.state_size > 0

    @property
    def states(self) -> list[GpuState]:
        """The words of each state buffer, in the order of the compute buffer."""
        return list(self._checked.states)

    @property
    def initial_state(self) -> NDArray[np.float32]:
        """What the state is before the first step, (S,), in the order of the document."""
        initial = np.zeros(self.state_size, np.float32)
        for state in self.states:
            if state.initial != ABSENT:
                start = self._header.parameters_start + state.initial
                words = self._words[start : start + state.size]
                initial[state.place : state.place + state.size] = words.view(np.float32)
        _kernels.flush(initial)
        return initial

    @property
    def ops(self) -> list[GpuOp]:
        """The words of each instruction."""
        return list(self._checked.ops)

    @property
    def gaps(self) -> list[tuple[int, int]]:
        """Ranges (start, stop) of the compute buffer that are read before they are written."""
        return list(self._checked.gaps)

    @property
    def weights_section(self) -> slice:
        """Where the weights lie in the words."""
        start = self._header.weights_start
        return slice(start, start + self._header.weights_count)

    def as_words(self) -> Words:
        """Return the words, (full_size,) uint32, read-only."""
        return self._words

    def as_bytes(self) -> bytes:
        """Return the words as little-endian bytes."""
        return self._words.astype(_LITTLE).tobytes()

    def facts(self) -> dict[str, Any]:
        """Return what ``instmodel inspect`` shows of the model, as far as the words hold it.

        Pointers count floats of the compute buffer. ``digest`` is the SHA-256 of the bytes.
        """
        import hashlib  # OpenSSL; who only packs models does not need it

        header = self._header
        ops = self._checked.ops
        dense = {(start, op.size) for op in ops if (start := word_of(op, "weights")) is not None}
        biases = sum(size for _, size in dense)
        maps = {
            (start, word_of(op, "keys") or 0, op.size)
            for op in ops
            if (start := word_of(op, "map")) is not None
        }
        facts = {
            "digest": hashlib.sha256(self.as_bytes()).hexdigest(),
            "version": header.version,
            "feature_size": header.feature_size,
            "output_size": header.output_size,
            "output_index_start": header.output_start,
            "required_memory": header.compute_buffer_size,
            "memory_bytes": WORD * header.compute_buffer_size,
            "full_size": header.full_size,
            "instructions": [_fields(op) for op in ops],
            "counts": {
                "weights": header.weights_count - biases,
                "biases": biases,
                "parameters": header.parameters_count,
                "map_values": sum(keys * size for _, keys, size in maps),
            },
        }
        if self.is_recurrent:
            facts["state_size"] = self.state_size
            facts["states"] = [_present(state._asdict()) for state in self.states]
        return facts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GpuModel) and np.array_equal(self._words, other._words)

    def __hash__(self) -> int:
        return hash(self._words.tobytes())

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (self.as_bytes(), self._limits, self._allow_non_finite))

    def __repr__(self) -> str:
        return (
            f"GpuModel(version={self.version}, features={self.feature_size}, "
            f"outputs={self.output_size}, instructions={len(self._checked.ops)}, "
            f"words={self.full_size})"
        )


def pack_models(models: Sequence[GpuModel]) -> tuple[Words, list[int]]:
    """Put models one after the other into one buffer, for shaders that use several.

    Parameters
    ----------
    models : sequence of GpuModel

    Returns
    -------
    words : ndarray of uint32
        All words; upload their bytes as ``model_data``.
    offsets : list of int
        First word of each model: the ``model_offset`` of ``predict``.

    Raises
    ------
    StructureError
        ``buffer_limit_exceeded``: more words than a shader can count.
    """
    for index, model in enumerate(values.sequence(models, "models", "models")):
        if not isinstance(model, GpuModel):
            raise values.wrong_type(model, f"models[{index}]", "a GpuModel")
    ends = np.cumsum([0, *(model.full_size for model in models)], dtype=np.int64).tolist()
    if ends[-1] > MAX_WORDS:
        raise StructureError(
            "buffer_limit_exceeded",
            "too many words for one buffer",
            field="models",
            expected=f"at most {MAX_WORDS:,}",
            actual=f"{ends[-1]:,}",
        )
    words = np.concatenate([np.empty(0, np.uint32), *(model.as_words() for model in models)])
    return words, ends[:-1]


def _fields(op: GpuOp) -> dict[str, Any]:
    """Return an instruction's words under the names of its row."""
    name = TYPES[op.opcode]
    facts: dict[str, Any] = {"type": name, **op._asdict()}
    row_names = ROWS[name].names
    for word, meaning in zip(("p0", "p1", "p2"), row_names, strict=True):
        value = facts.pop(word)
        if meaning == "activation":
            value = activation_name(value)
        if meaning and value is not None:
            facts[meaning] = value
    del facts["opcode"], facts["reserved"]
    return _present(facts)


def _present(facts: dict[str, Any]) -> dict[str, Any]:
    """Return facts without what is not there."""
    return {name: value for name, value in facts.items() if value != ABSENT}


def _rebuild(data: bytes, limits: Limits, allow_non_finite: bool) -> GpuModel:
    return GpuModel.from_bytes(data, limits=limits, allow_non_finite=allow_non_finite)
