"""Match the columns of a table to the features of a model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from instmodel.base.categories import Categories
from instmodel.base.features import Feature
from instmodel.base.values import closest
from instmodel.errors import InputError

# Cells of a first line that are a bad row rather than the names of columns: what stands for a
# missing number, or begins like one.
_NO_NAME = re.compile(r"|[-+]?\.?[0-9].*|na|n/a|null|none", re.IGNORECASE | re.DOTALL)


def column_names(features: Sequence[Feature]) -> list[str]:
    """Return the column that each input value comes from.

    ``age`` is the column of that name; the array ``emb[3]`` is ``emb[0]``, ``emb[1]``, ``emb[2]``.

    Raises
    ------
    InputError
        ``repeated_feature``: two inputs would come from the same column.
    """
    names = [name for feature in features for name in feature.columns()]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(
            "repeated_feature",
            f"the model names the feature {twice[0]!r} more than once, "
            "so its columns cannot be told apart by name",
        )
    return names


def column_categories(features: Sequence[Feature]) -> list[Categories | None]:
    """Return the categories of the column that each input value comes from."""
    return [feature.categories for feature in features for _ in feature.columns()]


def output_names(count: int) -> list[str]:
    """Return the default names of the columns that hold a model's outputs."""
    return ["score"] if count == 1 else [f"output_{index}" for index in range(count)]


def match_columns(
    wanted: Sequence[str],
    header: Sequence[str],
    where: str | None = None,
    arrays: Mapping[str, int] | None = None,
) -> list[int]:
    """Return the position in `header` of every wanted column; other columns do not matter.

    Parameters
    ----------
    wanted, header : sequence of str
        Column names.
    where : str, optional
        The table's file.
    arrays : mapping of str to int, optional
        Which of the wanted columns hold lists, of how many numbers; for messages.

    Raises
    ------
    InputError
        ``missing_column`` or ``repeated_column``.
    """
    counts = Counter(header)
    missing = [name for name in wanted if name not in counts]
    if missing:
        raise InputError(
            "missing_column",
            f"missing{_advice(missing, wanted, header, arrays or {})}",
            file=where,
            column=missing[0],
            columns=missing,
        )
    for name in wanted:
        if counts[name] > 1:
            raise InputError(
                "repeated_column",
                f"there {counts[name]} times",
                file=where,
                column=name,
            )
    positions = {name: i for i, name in enumerate(header)}
    return [positions[name] for name in wanted]


def _advice(
    missing: Sequence[str], wanted: Sequence[str], header: Sequence[str], arrays: Mapping[str, int]
) -> str:
    """Return what likely went wrong: another separator, no header at all, or a typing error."""
    mark = next((mark for mark in ";\t|," if mark in header[0]), None) if len(header) == 1 else None
    if mark is not None:
        reads = f"`instmodel score --delimiter {mark!r}` reads cells that {mark!r} separates"
        return f"; the only column is {header[0][:40]!r}; {reads}"
    if not header:
        return "; there are no columns"
    taken = set(wanted)
    if all(is_number(cell) for cell in header) and taken.isdisjoint(header):
        return "; there are numbers where the column names should be"
    # What another feature takes is none that was meant: emb[13] is not emb[3].
    others = [name for name in header if name not in taken]
    name = missing[0]
    near = closest(name, others)
    if near is not None:
        advice = f"; did you mean '{near}'" + (f" for '{name}'?" if missing[1:] else "?")
    elif others:
        shown = ", ".join(map(repr, others[:5])) + (", …" if len(others) > 5 else "")
        advice = f"; the {'' if len(others) == len(header) else 'other '}columns are {shown}"
    else:
        advice = "; there are no other columns"
    if name in arrays:
        size = arrays[name]
        lists = f"a column of lists of {size} numbers, or the columns '{name}[0]'"
        advice += f"; an array is {lists}" + (f" … '{name}[{size - 1}]'" if size > 1 else "")
    return advice


def is_number(cell: str) -> bool:
    """Tell whether a cell is a number; ``1_000``, which Python would read, is not."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def with_point(cell: str, decimal: str) -> str:
    """Return a number as Python writes it; where the mark is a comma, a point is in none."""
    return cell if decimal == "." else cell.replace(".", "_").replace(decimal, ".")


def holds_numbers(first: Sequence[str]) -> bool:
    """Tell a first line of numbers from one of column names.

    Raises
    ------
    InputError
        ``invalid_table``: it could be both.
    """
    others = [cell for cell in first if not is_number(cell)]
    for cell in others:
        if _NO_NAME.fullmatch(cell.strip()):
            raise _unclear("names or numbers", repr(cell[:40]))
    if 0 < len(others) < len(first):
        raise _unclear("numbers only or names only", f"{others[0]!r} among numbers")
    return not others


def _unclear(expected: str, actual: str) -> InputError:
    return InputError(
        "invalid_table",
        "a first line is either a header or a row of numbers",
        line=1,
        expected=expected,
        actual=actual,
    )


def is_infinity(cell: str) -> bool:
    """Tell whether a cell says infinity, and is not just too large for a float."""
    return cell.strip().lstrip("+-").lower() in ("inf", "infinity")
