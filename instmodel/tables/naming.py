"""Columns of tables that are called otherwise than the features of a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from instmodel.base import arguments
from instmodel.base.features import Feature
from instmodel.base.values import hint
from instmodel.errors import InputError


@dataclass(frozen=True)
class Naming:
    """How to find features in the columns of a table.

    Parameters
    ----------
    rename : mapping of str to str
        What the model calls some columns of the table: a feature, or a column of an array feature.
    ignore_case : bool
        Whether a feature without a column of its name may come from one that has it in other case.
    """

    rename: Mapping[str, str] = field(default_factory=dict)
    ignore_case: bool = False

    def check(self, features: Sequence[Feature]) -> None:
        """Refuse to rename to what the model does not know, or twice to the same.

        Raises
        ------
        InputError
            ``invalid_type``, ``missing_features``, ``unknown_feature``, ``repeated_column``.
        """
        if not isinstance(self.rename, Mapping) or not all(
            isinstance(name, str) for pair in self.rename.items() for name in pair
        ):
            raise arguments.wrong_type(self.rename, "rename", "a mapping of columns to features")
        if not self.rename:
            return
        if not features:
            raise InputError(
                "missing_features", "the model does not name its features", field="rename"
            )
        known = _known(features)
        for name, count in Counter(self.rename.values()).items():
            if name not in known:
                raise InputError(
                    "unknown_feature",
                    f"not a feature of the model{hint(name, sorted(known))}",
                    field="rename",
                    actual=repr(name),
                )
            if count > 1:
                raise InputError("repeated_column", "two columns are renamed to this", column=name)

    def called(self, header: Sequence[str], features: Sequence[Feature]) -> list[str]:
        """Return what the model calls the columns of a table.

        Raises
        ------
        InputError
            ``missing_column``, ``repeated_column``: what is renamed is not there, or the table has
            the new name, too.
        """
        names = list(header)
        for column, name in self.rename.items():
            if column not in header:
                raise InputError(
                    "missing_column", f"missing, to be renamed{hint(column, header)}", column=column
                )
            if name in header and name not in self.rename:
                raise InputError(
                    "repeated_column", f"there, and {column!r} is renamed to it", column=name
                )
            names = [name if old == column else new for old, new in zip(header, names, strict=True)]
        return self._in_case(names, features) if self.ignore_case else names

    def spelled(self, names: Sequence[str], header: Sequence[str]) -> list[str]:
        """Return names of columns as a table spells them, if there it has one of each."""
        names = arguments.names(names, "keep")
        if not self.ignore_case:
            return names
        spelled = same_without_case(header)
        return [name if name in header else spelled.get(name.casefold(), name) for name in names]

    def check_distinct(self, names: Sequence[str]) -> None:
        """Refuse names of a result that are the same where case does not count.

        Raises
        ------
        InputError
            ``invalid_outputs``
        """
        alone = same_without_case(names) if self.ignore_case else {}
        for name in names:
            if self.ignore_case and name.casefold() not in alone:
                raise InputError(
                    "invalid_outputs",
                    f"two columns of the result would be called {name!r}, but for the case",
                )

    def _in_case(self, names: list[str], features: Sequence[Feature]) -> list[str]:
        known = _known(features)
        # One that two names of the model fold to must be spelled as one of them.
        folded = same_without_case(known - set(names))
        return [name if name in known else folded.get(name.casefold(), name) for name in names]


AS_THE_FEATURES = Naming()
"""The columns are called as the features."""


def same_without_case(names: Iterable[str]) -> dict[str, str]:
    """Return names by what they are without case, but those that are then the same."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(name.casefold(), []).append(name)
    return {folded: same[0] for folded, same in found.items() if len(same) == 1}


def _known(features: Sequence[Feature]) -> set[str]:
    return {name for item in features for name in (item.name, *item.columns())}
