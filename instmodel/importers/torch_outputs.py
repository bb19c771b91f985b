"""Which outputs of a PyTorch module an import is about: of several, one or some side by side."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from instmodel.errors import InputError

# The keys of a module's dictionary, or positions in its tuple.
Choice = str | int | Sequence[str | int] | None


def chosen_outputs(
    torch: Any, program: Any, choice: Choice, states: Collection[int] = ()
) -> list[int]:
    """Return the positions of the chosen tensors among all that the module returns.

    Parameters
    ----------
    torch : module
    program : torch.export.ExportedProgram
    choice : str, int or sequence of them, optional
        By default the only tensor.
    states : collection of int
        Outputs that are states; the only tensor besides them is chosen, too.

    Raises
    ------
    InputError
        ``ambiguous_output``: there are several; ``invalid_type``: there is no such output.
    """
    tree = torch.utils._pytree
    spec = program.call_spec.out_spec
    returned: Any = tree.tree_unflatten(list(range(spec.num_leaves)), spec)
    returned = [returned] if isinstance(returned, int) else returned
    present = [place for place, node in enumerate(output_nodes(torch, program)) if node is not None]
    listed = [choice] if isinstance(choice, str | int) else list(choice or [])
    if not listed:
        usual = [place for place in present if place not in states] or present
        if len(usual) == 1:
            return usual
        raise InputError(
            "ambiguous_output",
            "the module has several outputs: choose one with output=, or some in a list",
            expected=_names(returned),
            actual=f"{len(present)} tensors",
        )
    places: list[int] = []
    for name in listed:
        try:
            places += [i for i in tree.tree_leaves(returned[name]) if i in present]
        except (KeyError, IndexError, TypeError):
            places = []
        if not places:
            raise InputError(
                "invalid_type",
                "no such output",
                field="output",
                expected=_names(returned),
                actual=repr(name),
            ) from None
    return places


def output_nodes(torch: Any, program: Any) -> list[Any]:
    """Return what the module itself returns, flat: nodes, and None for what is no tensor."""
    (last,) = (node for node in program.graph.nodes if node.op == "output")
    specs = program.graph_signature.output_specs
    return [
        item if isinstance(item, torch.fx.Node) else None
        for item, spec in zip(last.args[0], specs, strict=True)
        if spec.kind.name == "USER_OUTPUT"
    ]


def joined(torch: Any, returned: Any, places: Sequence[int], count: int) -> Any:
    """Return the chosen outputs of a module for `count` samples, side by side: (count, O)."""
    flat = torch.utils._pytree.tree_leaves(returned)
    parts = [flat[place].reshape(count, -1).double() for place in places]
    return torch.cat(parts, 1)


def _names(returned: Any) -> str:
    if isinstance(returned, dict):
        return ", ".join(repr(name) for name in returned)
    return f"0 … {len(returned) - 1}" if isinstance(returned, list | tuple) else "no choice"
