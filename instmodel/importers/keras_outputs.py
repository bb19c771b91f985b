"""Which outputs of a Keras model an import is about: of several, one or some side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from instmodel.errors import InputError

# Keys of the model's dictionary, names of the layers that make the outputs, or positions.
Choice = str | int | Sequence[str | int] | None


def chosen_outputs(keras: Any, model: Any, returned: Any, choice: Choice) -> list[int]:
    """Return the positions of the chosen outputs among all that the model returns.

    Parameters
    ----------
    keras : module
    model : keras.Model
    returned : nested structure
        Of what the model returns.
    choice : str, int or sequence of them, optional
        By default the only output.

    Raises
    ------
    InputError
        ``ambiguous_output``: there are several; ``invalid_type``: there is no such output.
    """
    count = len(keras.tree.flatten(returned))
    names = _names(keras, model, returned, count)
    listed = [choice] if isinstance(choice, str | int) else list(choice or [])
    if not listed:
        if count == 1:
            return [0]
        raise InputError(
            "ambiguous_output",
            "the model has several outputs: choose one with output=, or some in a list",
            expected=", ".join(map(repr, names)) or f"0 … {count - 1}",
            actual=f"{count} outputs",
        )
    places: list[int] = []
    for item in listed:
        place = names.index(item) if item in names else item
        if isinstance(place, str) or not 0 <= place < count:
            raise InputError(
                "invalid_type",
                "no such output",
                field="output",
                expected=", ".join(map(repr, names)) or f"0 … {count - 1}",
                actual=repr(item),
            )
        places.append(place)
    return places


def _names(keras: Any, model: Any, returned: Any, count: int) -> list[str]:
    """Return the names of the outputs, in the order of their positions, as far as they have any."""
    if isinstance(returned, dict):
        paths = [path for path, _ in keras.tree.flatten_with_path(returned)]
        return [str(path[0]) for path in paths if len(path) == 1] if len(paths) == count else []
    names = list(getattr(model, "output_names", None) or [])
    return names if len(names) == len(set(names)) == count else []
