"""Inputs of text, and the layer of Keras that looks text up.

Design
------
A. An input of text becomes numbers that stand for it: a text is its place among all texts that the
   layers know which read the input. Any other text is -1, or an error of the document if a layer
   refuses what it does not know.
B. To the layers text is an opaque value, so that only a lookup takes it.
C. A text is looked up in a table of what the layer itself makes of every word of its vocabulary.
   That covers masks, encodings and weights without knowing them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.base.categories import Categories
from instmodel.importers import expressions as ex
from instmodel.importers import functions as fn
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.keras_encoders import without_single_axis
from instmodel.importers.patterns import under_moves

_UNKNOWN = -1.0


class TextInput:
    """What the numbers of one input stand for.

    Attributes
    ----------
    codes : dict of str to int
        The number of each text; layers that read the input add what they know.
    strict : bool
        Whether one of them refuses text that it does not know.
    """

    def __init__(self) -> None:
        self.codes: dict[str, int] = {}
        self.strict = False

    def value(self, leaf: Value, shape: Sequence[int]) -> Value:
        """Return the text that the numbers of a leaf stand for."""
        return ex.opaque(shape, [leaf], "text that something else than a StringLookup reads", self)

    def add(self, words: Iterable[str], strict: bool) -> None:
        """Note what a layer knows."""
        for word in words:
            self.codes.setdefault(word, len(self.codes))
        self.strict = self.strict or strict

    def categories(self) -> Categories:
        """Return the dictionary as a document has it."""
        return Categories(tuple(self.codes), "error" if self.strict else _UNKNOWN)

    def of(self, numbers: NDArray[Any]) -> NDArray[np.object_]:
        """Return the text that numbers stand for: one that no layer knows, where they do not."""
        known = dict(enumerate(self.codes))
        other = absent(self.codes)
        cells = np.empty(numbers.size, object)
        cells[:] = [known.get(number, other) for number in numbers.ravel().tolist()]
        return cells.reshape(numbers.shape)

    def numbers(self, cells: Iterable[Any]) -> list[Any]:
        """Return the numbers of text; what is a number already is left as it is."""
        return [self.codes.get(cell, _UNKNOWN) if isinstance(cell, str) else cell for cell in cells]


def absent(words: Iterable[str]) -> str:
    """Return a text that is none of those."""
    return max(words, key=len, default="") + "?"


def string_lookup(layer: Any, x: Value) -> Value:
    """Return what StringLookup makes of text: places in its vocabulary, or their encoding."""
    mode, strict = layer.output_mode, layer.num_oov_indices == 0
    if layer.invert:
        raise Unsupported("invert: numbers become text")
    if layer.num_oov_indices > 1:
        raise Unsupported(
            f"{layer.num_oov_indices} places for unknown text: a hash says which; one or none of "
            "them can be imported"
        )
    if layer.sparse:
        raise Unsupported("a sparse output")
    if mode not in ("int", "one_hot") and len(x.shape) != 1:
        raise Unsupported(f"output_mode={mode!r} of {len(x.shape)} axes")
    words = known_words(layer)
    numbers, texts = _numbers_of(x)
    for text in texts:
        text.add(words, strict)
    codes = texts[0].codes if texts else {word: code for code, word in enumerate(words)}

    width = 1 if mode == "int" else layer.max_tokens or layer.vocabulary_size()
    ex.checked((len(words) + 1, width))
    known = _rows(layer, words)
    unknown = np.zeros(known.shape[1]) if strict else _rows(layer, [absent(words)])[0]
    keys = [codes[word] for word in words]
    rows = ex.lookup(numbers, dict(zip(keys, known, strict=True)), unknown)
    if strict:
        refused = ex.lookup(numbers, dict.fromkeys(keys, np.zeros(1)), [1.0])
        rows = ex.add(rows, fn.nan_where(refused))
    if mode == "int":
        return ex.reshape(rows, x.shape)
    if mode == "one_hot":
        return without_single_axis(rows)
    if mode == "multi_hot":
        return fn.largest_over(rows, [0])
    return ex.reduce_sum(rows, [0])  # of 1, or of the weights of tf_idf


def text_vectorization(layer: Any, x: Value) -> Value:
    """Refuse to split text into words."""
    raise Unsupported(
        "text that is split into words; split it before the model, and look the words up by a "
        "StringLookup"
    )


def known_words(layer: Any) -> list[str]:
    """Return the texts that StringLookup does not take for unknown, the mask first."""
    words = [str(word) for word in layer.get_vocabulary(include_special_tokens=False)]
    if layer.mask_token is not None:
        words.insert(0, str(layer.mask_token))
    if not words:
        raise Unsupported("no vocabulary: call adapt() first")
    return words


def _numbers_of(x: Value) -> tuple[Value, list[TextInput]]:
    """Return the numbers that stand for text, and of which input it is: none behind a refusal."""
    found: dict[int, TextInput] = {}

    def change(node: Value) -> Value:
        if node.kind == "opaque" and isinstance(node.data[0], TextInput):
            found[id(node.data[0])] = node.data[0]
            return ex.reshape(node.inputs[0], node.shape)
        if node.kind != "unknown":
            raise Unsupported(
                "numbers, where it looks up text; a model of one's own class does not say that it "
                "takes text: call it on a keras.Input(..., dtype='string')"
            )
        return node

    numbers = under_moves(x, change)
    if len(found) > 1:
        raise Unsupported("the text of several inputs at once")
    return numbers, list(found.values())


def _rows(layer: Any, words: Sequence[str]) -> NDArray[np.float64]:
    """Return what a layer makes of words: (words, width)."""
    import keras

    column = np.empty((len(words), 1), object)
    column[:, 0] = words
    try:
        made = keras.ops.convert_to_numpy(layer(column))
    except Exception as error:  # of TensorFlow
        lines = str(error).strip().splitlines()
        raise Unsupported(f"Keras does not look up its own vocabulary: {lines[:1]}") from None
    return np.asarray(made, np.float64).reshape(len(words), -1)
