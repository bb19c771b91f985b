"""Keep some of a document's constants, and number the instructions' indexes anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from instmodel.document.schema import InstructionModelInfo

# By the role of a field that points into them; a bias goes with its weights.
ROLES = {"weights": ("weights", "bias"), "parameters": ("parameters",), "maps": ("maps",)}


def keep_constants(
    info: InstructionModelInfo,
    kept: Mapping[str, Sequence[int]],
    places: Mapping[str, Mapping[int, int]],
) -> InstructionModelInfo:
    """Return a document with some of the constants; all else goes along.

    Parameters
    ----------
    info : InstructionModelInfo
    kept : mapping of role to sequence of int
        Which constants to keep, by their index, in their new order.
    places : mapping of role to mapping of int to int
        Where each index that an instruction or a state uses is found among those.
    """
    constants: dict[str, Any] = {
        name: [getattr(info, name)[index] for index in kept[role]]
        for role, names in ROLES.items()
        for name in names
    }
    instructions = [item.renumbered(places) for item in info.instructions]
    state = [item.renumbered(places["parameters"]) for item in info.state]
    return replace(info, instructions=instructions, state=state, **constants)


def first_instructions(
    info: InstructionModelInfo, count: int, feature_size: int
) -> InstructionModelInfo:
    """Return the document of the first instructions, which fill the same buffers.

    It has no names and no validation data: its output is not the model's.
    """
    instructions = info.instructions[:count]
    used = {role: {i for item in instructions for i in item.uses(role)} for role in ROLES}
    used["parameters"].update(item.initial for item in info.state if item.initial is not None)
    kept = {role: sorted(indexes) for role, indexes in used.items()}
    places = {role: {old: new for new, old in enumerate(kept[role])} for role in ROLES}
    part = replace(
        info,
        features=None,
        categories={},
        signature=None,
        feature_size=feature_size,
        instructions=instructions,
        validation_data=None,
    )
    return keep_constants(part, kept, places)


def share_constants(info: InstructionModelInfo) -> InstructionModelInfo:
    """Keep equal constants once: an embedding of many keys is one table, not one for each key."""
    pairs = zip(info.weights, info.bias, strict=True)
    contents: dict[str, list[object]] = {
        "weights": [(w.shape, w.tobytes(), b.tobytes()) for w, b in pairs],
        "parameters": [p.tobytes() for p in info.parameters],
        "maps": [tuple((k, v.tobytes()) for k, v in table.items()) for table in info.maps],
    }
    kept: dict[str, list[int]] = {role: [] for role in ROLES}
    places: dict[str, dict[int, int]] = {role: {} for role in ROLES}
    for role, items in contents.items():
        seen: dict[object, int] = {}  # the place of its first equal among those that are kept
        for index, content in enumerate(items):
            if content not in seen:
                seen[content] = len(kept[role])
                kept[role].append(index)
            places[role][index] = seen[content]
    return keep_constants(info, kept, places)
