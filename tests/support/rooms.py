"""The rooms of the package as CONTRIBUTING.md lists them, and what modules take from each other.

Everything here works on text and returns sentences about what is wrong, so that a test can plant a
fault and see it found.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Literal

PACKAGE = "instmodel"
EVERYTHING = "everything"

_NAME = re.compile(r"`([^`]+?)/?`")
# Neither `__len__` nor `_value_` nor what every named tuple has.
_PRIVATE = re.compile(r"(?!_(?:make|replace|asdict|fields)$)_[^_]\w*(?<!_)")
_CYTHON_IMPORT = re.compile(r"^\s*(?:from\s+(\S+)\s+)?c?import\s+([^\n]+)", re.M)
_CYTHON_ATTRIBUTE = re.compile(r"([\w)\]]+)\s*\.\s*(\w+)")
_CYTHON_NO_CODE = re.compile(r'""".*?"""|"[^"\n]*"|\'[^\'\n]*\'|#[^\n]*', re.S)
_OWN = ("self", "cls")


@dataclass(frozen=True)
class Room:
    """A line of the list: one floor of the house, whatever number of folders and modules it has.

    Attributes
    ----------
    names : tuple of str
        Of its folders and modules, inside the package.
    below : frozenset of str
        Rooms that it may import, by one of their names; or `EVERYTHING`.
    is_ground : bool
        Whether every room above may import it.
    """

    names: tuple[str, ...]
    below: frozenset[str]
    is_ground: bool


@dataclass(frozen=True)
class Source:
    """A file of the package: the name of its module, its ending, and what is in it."""

    module: str
    suffix: str
    text: str


@dataclass(frozen=True)
class Import:
    """One module's import of another, or of the private `name` in it.

    Attributes
    ----------
    function : str
        Which method or function does it when it is called; empty for ``start``.
    when : {"start", "call", "types"}
        When `source` is imported itself, when something in it is called, or for type checkers.
    name : str
        What is taken out of the module; empty for the module itself.
    """

    source: str
    target: str
    function: str
    when: Literal["start", "call", "types"]
    name: str = ""


def read_rooms(markdown: str) -> list[Room]:
    """Return the rooms in the table of CONTRIBUTING.md, from top to bottom.

    A row that starts with a name in backticks is a room; the one with "ground floor" in its first
    cell stands above the rooms that everybody may import.
    """
    rooms = []
    is_ground = False
    for line in markdown.splitlines():
        if not line.startswith("|"):
            continue
        names, _, imports = (cell.strip() for cell in line.strip()[1:-1].split("|"))
        is_ground |= "ground floor" in names
        if names.startswith("`"):
            below = [EVERYTHING] if imports == EVERYTHING else _NAME.findall(imports)
            rooms.append(Room(tuple(_NAME.findall(names)), frozenset(below), is_ground))
    return rooms


def read_sources(folder: Path) -> list[Source]:
    """Return every module of the package, Cython's declarations and stubs among them."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".py", ".pyi", ".pyx", ".pxd"):
            parts = [PACKAGE, *path.relative_to(folder).with_suffix("").parts]
            if parts[-1] == "__init__":
                parts.pop()
            found.append(Source(".".join(parts), path.suffix, path.read_text(encoding="utf-8")))
    return found


def place_of(module: str) -> str:
    """Return the name by which the list knows a module: its folder, or itself."""
    return [*module.split("."), "__init__"][1]


class House:
    """The modules, each in its room.

    Parameters
    ----------
    rooms : sequence of Room
        From top to bottom.
    sources : sequence of Source
    """

    def __init__(self, rooms: Sequence[Room], sources: Sequence[Source]) -> None:
        self.rooms = list(rooms)
        self.sources = list(sources)
        self.modules = {source.module for source in sources}
        self._floors = {name: i for i, room in enumerate(rooms) for name in room.names}
        self.imports = [one for source in sources for one in _imports(source, self.modules)]

    def floor(self, module: str) -> int:
        """Return the place of a module's room, counted from the top; without a room, the roof."""
        return self._floors.get(place_of(module), -1)

    def misplaced(self) -> list[str]:
        """Return what has no room, what has two, and what is listed and is not there."""
        names = [name for room in self.rooms for name in room.names]
        there = {place_of(module) for module in self.modules}
        faults = [f"{name} is listed twice" for name in set(names) if names.count(name) > 1]
        faults += [f"{name} has no room" for name in there - set(names)]
        faults += [f"{name} is listed, but holds no module" for name in set(names) - there]
        for room in self.rooms:
            for name in room.below - {EVERYTHING} - set(names):
                faults.append(f"{room.names[0]} may import {name}, which is no room")
        return sorted(faults)

    def upward(self) -> dict[tuple[str, str], list[Import]]:
        """Return the imports of rooms above: by the function that does it, and the room's name."""
        found: dict[tuple[str, str], list[Import]] = {}
        for one in self.imports:
            if self.floor(one.target) < self.floor(one.source):
                who = ".".join(filter(None, [one.source.removeprefix(PACKAGE + "."), one.function]))
                found.setdefault((who, place_of(one.target)), []).append(one)
        return found

    def wrong_imports(self, allowed_upward: Iterable[tuple[str, str]]) -> list[str]:
        """Return the imports that leave a room other than downwards, and permissions nobody needs.

        Parameters
        ----------
        allowed_upward : iterable of (function, room)
            Imports of a room above that happen when the function is called.
        """
        allowed = set(allowed_upward)
        upward = self.upward()
        faults = [f"{who} may import {room}, but does not" for who, room in allowed - set(upward)]
        for (who, room), found in upward.items():
            if (who, room) not in allowed or any(one.when != "call" for one in found):
                faults.append(f"{who} imports {room}, which is above it")
        needed: set[tuple[int, int]] = set()
        for one in self.imports:
            here, there = self.floor(one.source), self.floor(one.target)
            if here >= there or self.rooms[there].is_ground:
                continue
            needed.add((here, there))
            room = self.rooms[here]
            if EVERYTHING not in room.below and not room.below & set(self.rooms[there].names):
                faults.append(
                    f"{one.source} imports {one.target}, but {room.names[0]} may not import "
                    f"{place_of(one.target)}: the list does not say so"
                )
        for here, room in enumerate(self.rooms):
            faults += [
                f"{room.names[0]} may import {name}, but does not"
                for name in room.below - {EVERYTHING}
                if (here, self._floors.get(name)) not in needed
            ]
        return sorted(set(faults))

    def cycle(self) -> list[str]:
        """Return modules that need each other while they are imported; empty if none do."""
        graph: dict[str, set[str]] = {module: set() for module in self.modules}
        for one in self.imports:
            if one.when == "start" and one.source != one.target:
                graph[one.source].add(one.target)
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            return list(error.args[1])
        return []

    def touched_privates(self) -> list[str]:
        """Return where a module takes a private name out of another room.

        ``x._name`` counts where x is not ``self``, ``cls`` or ``super()``, another room has a
        `_name`, and the module has none of its own. What is in no room is some library's.
        """
        owners: dict[str, set[str]] = {}
        for source in self.sources:
            for name in _private_definitions(source):
                owners.setdefault(name, set()).add(source.module)
        faults = [
            f"{one.source} imports {one.name} of {one.target}"
            for one in self.imports
            if _PRIVATE.fullmatch(one.name) and self.floor(one.source) != self.floor(one.target)
        ]
        for source in self.sources:
            for line, name in _private_accesses(source):
                owning = owners.get(name, set())
                rooms = {self.floor(module) for module in owning} - {self.floor(source.module)}
                if rooms and source.module not in owning:
                    where = " or ".join(sorted({place_of(module) for module in owning}))
                    faults.append(f"{source.module}:{line} touches {name} of {where}")
        return sorted(faults)


# ------------------------------------------------------------------------------------------ imports


def _imports(source: Source, modules: set[str]) -> Iterator[Import]:
    if source.suffix in (".pyx", ".pxd"):
        found = _cython_imports(source)
    else:
        when: Literal["start", "types"] = "types" if source.suffix == ".pyi" else "start"
        found = _python_imports(ast.parse(source.text), source.module, (), when)
    for one in found:
        assert not one.target.startswith("."), f"{source.module} imports a relative name"
        if one.target.split(".")[0] != PACKAGE:
            continue
        whole = f"{one.target}.{one.name}"
        if whole in modules:
            yield Import(one.source, whole, one.function, one.when)
        elif one.target in modules:
            yield one
        else:
            raise AssertionError(f"{source.module} imports {one.target}, which is not there")


def _python_imports(
    node: ast.AST, module: str, inside: tuple[str, ...], when: Literal["start", "call", "types"]
) -> Iterator[Import]:
    """Yield what the children of a node import; `inside` are the classes and functions around."""
    for child in ast.iter_child_nodes(node):
        function = ".".join(inside) if when == "call" else ""
        if isinstance(child, ast.Import):
            for name in child.names:
                yield Import(module, name.name, function, when)
        elif isinstance(child, ast.ImportFrom):
            for name in child.names:
                target = "." * child.level + (child.module or "")
                yield Import(module, target, function, when, name.name)
        elif isinstance(child, ast.Call) and _name_of(child.func) == "import_module":
            for name in child.args[:1]:
                if isinstance(name, ast.Constant):
                    yield Import(module, str(name.value), function, when)
        within, then = inside, when
        if isinstance(child, ast.ClassDef):
            within = (*inside, child.name)
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            within = (*inside, child.name)
            then = "call" if when == "start" else when
        elif isinstance(child, ast.If) and _name_of(child.test) == "TYPE_CHECKING":
            then = "types"
        yield from _python_imports(child, module, within, then)


def _name_of(node: ast.expr) -> str:
    """Return ``name`` of ``name`` and of ``module.name``."""
    return getattr(node, "attr", getattr(node, "id", ""))


def _cython_imports(source: Source) -> Iterator[Import]:
    """Yield what a Cython file imports; there it all counts as needed from the start."""
    code = _cython_code(source.text)
    code = re.sub(r"\([^()]*\)", lambda found: " ".join(found[0].split()), code)  # in one line
    for match in _CYTHON_IMPORT.finditer(code):
        names = [name.split()[0] for name in match[2].strip("() ").split(",") if name.strip()]
        for name in names:
            target, taken = (match[1], name) if match[1] else (name, "")
            yield Import(source.module, target, "", "start", taken)


def _cython_code(text: str) -> str:
    """Return Cython without strings and comments; lines keep their numbers."""
    return _CYTHON_NO_CODE.sub(lambda found: "\n" * found[0].count("\n"), text)


# ----------------------------------------------------------------------------------- private names


def _private_definitions(source: Source) -> set[str]:
    """Return the private names that a file gives to things, to attributes of its classes, too."""
    if source.suffix in (".pyx", ".pxd"):
        words = re.findall(r"(?<![\w.])(?:self\.|cls\.)?(\w+)", _cython_code(source.text))
        return {word for word in words if _PRIVATE.fullmatch(word)}
    names = set()
    for node in ast.walk(ast.parse(source.text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and _name_of(node.value) in _OWN
        ):
            names.add(node.attr)
    return {name for name in names if _PRIVATE.fullmatch(name)}


def _private_accesses(source: Source) -> Iterator[tuple[int, str]]:
    """Yield line and name of ``x._name`` and ``getattr(x, "_name")``, x not the own object."""
    if source.suffix in (".pyx", ".pxd"):
        for number, line in enumerate(_cython_code(source.text).splitlines(), 1):
            for match in _CYTHON_ATTRIBUTE.finditer(line):
                if match[1] not in (*_OWN, PACKAGE) and _PRIVATE.fullmatch(match[2]):
                    yield number, match[2]
        return
    for node in ast.walk(ast.parse(source.text)):
        if isinstance(node, ast.Attribute):
            owner, name = node.value, node.attr
        elif (
            isinstance(node, ast.Call)
            and _name_of(node.func) in ("getattr", "setattr", "hasattr", "delattr")
            and len(node.args) > 1
            and isinstance(node.args[1], ast.Constant)
        ):
            owner, name = node.args[0], str(node.args[1].value)
        else:
            continue
        is_own = isinstance(owner, ast.Name) and owner.id in (*_OWN, PACKAGE)
        is_super = isinstance(owner, ast.Call) and _name_of(owner.func) == "super"
        if _PRIVATE.fullmatch(name) and not is_own and not is_super:
            yield node.lineno, name
