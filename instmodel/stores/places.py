"""Where results may be written: never over what is read, and never twice to one place."""

from __future__ import annotations

from collections.abc import Mapping

from instmodel.errors import InputError
from instmodel.stores import AnyPath, location


def check(written: Mapping[str, AnyPath | None], read: Mapping[str, AnyPath | None]) -> None:
    """Refuse places that would destroy something, before anything is done.

    Parameters
    ----------
    written, read : mapping of what it is to its path or URL
        None where there is none.

    Raises
    ------
    InputError
        ``invalid_table``: a place is also something else, or lies in a folder that is read, so that
        the next run would read it.
    OSError
        The folder or the store of a place is not there.
    """
    taken = {what: location(path) for what, path in read.items() if path is not None}
    inputs = set(taken)
    for what, path in written.items():
        if path is None:
            continue
        place = location(path)
        for other, where in taken.items():
            if place.is_same(where):
                raise InputError(
                    "invalid_table", f"the {what} is also the {other}", file=str(place)
                )
            if other in inputs and place.is_inside(where):
                raise InputError(
                    "invalid_table", f"the {what} would lie in the {other}", file=str(place)
                )
            if other in inputs and where.is_inside(place):
                raise InputError(
                    "invalid_table", f"the {other} lies in the {what}", file=str(place)
                )
        place.check_writable()
        taken[what] = place
