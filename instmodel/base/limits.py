"""Limits on the size of a model: a small hostile file must not take much memory or time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from instmodel.base import arguments, values
from instmodel.errors import StructureError


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a model may be. Checked before anything of that size is allocated or run.

    Parameters
    ----------
    max_buffer_size : int
        Floats in the unified buffer, all buffers together.
    max_weight_count : int
        Weight and bias values, all matrices together.
    max_header_size : int
        Bytes of the header of a binary file: everything but its tensors.
    max_category_count, max_category_characters : int
        Text categories of all features together, and the characters of their texts.
    max_validation_work : int
        Cases of the validation data times `Program.work`, which counts multiply-adds of a dense
        layer: a core with AVX-512 does 10 to 100 a nanosecond.

    Raises
    ------
    InputError
        ``invalid_type`` for what is no whole number of 0 or more.
    """

    max_buffer_size: int = 1_000_000
    max_weight_count: int = 10_000_000
    max_header_size: int = 16 * 1024 * 1024
    max_category_count: int = 1_000_000
    max_category_characters: int = 10_000_000
    max_validation_work: int = 100_000_000_000

    def __post_init__(self) -> None:
        for item in fields(self):
            limit = arguments.count(getattr(self, item.name), item.name, least=0)
            object.__setattr__(self, item.name, limit)

    def check_buffer_sizes(self, buffer_sizes: Sequence[int]) -> None:
        """Raise ``buffer_limit_exceeded`` when the buffers together are too large."""
        total = sum(buffer_sizes)
        if total > self.max_buffer_size:
            raise StructureError(
                "buffer_limit_exceeded",
                "the buffers together are too large",
                field="buffer_sizes",
                expected=f"at most {self.max_buffer_size} floats (Limits.max_buffer_size)",
                actual=total,
            )

    def check_weight_count(self, count: int) -> None:
        """Raise ``weight_limit_exceeded`` when there are too many weights."""
        if count > self.max_weight_count:
            raise StructureError(
                "weight_limit_exceeded",
                "too many weight and bias values",
                field="weights",
                expected=f"at most {self.max_weight_count} (Limits.max_weight_count)",
                actual=count,
            )

    def check_categories(self, count: int, characters: int) -> None:
        """Raise ``category_limit_exceeded`` when there are too many categories, or too long."""
        for what, actual, most in (
            ("categories", count, "max_category_count"),
            ("characters of categories", characters, "max_category_characters"),
        ):
            if actual > getattr(self, most):
                raise StructureError(
                    "category_limit_exceeded",
                    f"too many {what}",
                    field="categories",
                    expected=f"at most {getattr(self, most)} (Limits.{most})",
                    actual=actual,
                )

    def check_validation_work(self, work: int) -> None:
        """Raise ``validation_limit_exceeded`` when the model's own cases take too long to run."""
        if work > self.max_validation_work:
            raise StructureError(
                "validation_limit_exceeded",
                "the validation data takes too much computation",
                field="validation_data",
                expected=f"at most {self.max_validation_work} multiply-adds "
                "(Limits.max_validation_work)",
                actual=work,
            )


def checked_limits(limits: Any) -> Limits:
    """Return `limits`, or raise ``invalid_type``."""
    if isinstance(limits, Limits):
        return limits
    raise values.wrong_type(limits, "limits", "Limits")


DEFAULT_LIMITS = Limits()
