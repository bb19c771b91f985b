"""The rooms of CONTRIBUTING.md, and that the borders between them hold."""

from __future__ import annotations

import pytest
from support.paths import ROOT
from support.rooms import House, Source, read_rooms, read_sources

_, _, AFTER = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## The rooms")
ROOMS = read_rooms(AFTER.partition("\n## ")[0])
SOURCES = read_sources(ROOT / "instmodel")
HOUSE = House(ROOMS, SOURCES)

# The imports of a room above, each in the one method that does it when it is called.
INFO, MODEL = "document.schema.InstructionModelInfo", "model.InstructionModel"
UPWARD = {
    (f"{INFO}.load", "formats"): "who holds a path expects to load it by the class",
    (f"{INFO}.from_bytes", "formats"): "the same, for the bytes of a file",
    (f"{INFO}.save", "formats"): "who holds a document expects to save it",
    (f"{INFO}.to_bytes", "formats"): "the same, for the bytes of a file",
    (f"{INFO}.digest", "formats"): "the digest of a document is that of its binary file",
    (f"{INFO}.to_onnx", "exporters"): "who holds a document expects to export it",
    ("document.signature.Signature.from_data", "signatures"): "who wants a signature has data",
    (f"{INFO}._repr_html_", "reports"): "a notebook asks the object to draw itself",
    (f"{MODEL}._repr_html_", "reports"): "a notebook asks the object to draw itself",
}


def test_every_module_has_one_room():
    assert HOUSE.misplaced() == []


def test_imports_go_down_into_the_rooms_that_the_list_names():
    assert HOUSE.wrong_imports(UPWARD) == []


def test_no_modules_need_each_other_while_they_are_imported():
    assert HOUSE.cycle() == []


def test_private_names_stay_in_their_room():
    assert HOUSE.touched_privates() == []


# ------------------------------------------------------------------ the tests above, put to test

LIST = """
| Room | What it is for | May import |
| --- | --- | --- |
| `top/`, `roof` | looks down | `wall` |
| `wall` | holds | |
| *to come* | trees | |
| *ground floor* | | |
| `_ground` | carries | |
"""
FILES = {
    "top": "",
    "top.one": "from instmodel import wall\nfrom instmodel.top import two\n",
    "top.two": "from instmodel._ground import carry\n",
    "roof": "",
    "wall": "class Wall:\n    def __init__(self):\n        self._bricks = 3\n",
    "_ground": "def carry(): pass\n",
}


def house(suffix: str = ".py", **changes: str) -> House:
    """Return a small house; of a changed module, the text is what comes after its own."""
    files = {name: text + changes.pop(name.replace(".", "_"), "") for name, text in FILES.items()}
    files |= changes
    sources = [Source("instmodel", ".py", "")]
    for name, text in files.items():
        kind = suffix if name == "_ground" else ".py"
        sources.append(Source(f"instmodel.{name}", kind, text))
    roof = "| `__init__` | | |\n" + LIST.strip()
    return House(read_rooms(roof), sources)


def faults(house: House, upward: tuple[tuple[str, str], ...] = ()) -> list[str]:
    return [
        *house.misplaced(),
        *house.wrong_imports(upward),
        *house.cycle(),
        *house.touched_privates(),
    ]


def test_a_house_in_order_has_no_fault():
    assert faults(house()) == []


def test_the_list_is_read_from_top_to_bottom():
    rooms = read_rooms(LIST)
    assert [room.names for room in rooms] == [("top", "roof"), ("wall",), ("_ground",)]
    assert [room.below for room in rooms] == [{"wall"}, set(), set()]
    assert [room.is_ground for room in rooms] == [False, False, True]


@pytest.mark.parametrize("name", ["cellar", "cellar.one"])
def test_a_module_without_a_room_is_found(name):
    assert faults(house(**{name: ""})) == ["cellar has no room"]


def test_a_room_that_is_not_there_or_listed_twice_is_found():
    rooms = read_rooms("| `__init__` | | `loft` |\n| `wall` | | |\n| `wall`, `attic/` | | |")
    sources = [Source("instmodel", ".py", ""), Source("instmodel.wall", ".py", "")]
    assert House(rooms, sources).misplaced() == [
        "__init__ may import loft, which is no room",
        "attic is listed, but holds no module",
        "wall is listed twice",
    ]


@pytest.mark.parametrize(
    "planted",
    [
        "from instmodel import top",
        "from instmodel.top import two",
        "from instmodel.top.two import name",
        "import instmodel.top.two",
        "import instmodel.top.two as two",
        "import importlib\nimportlib.import_module('instmodel.top')",
        "try:\n    from instmodel import top\nexcept ImportError: pass",
        "class A:\n    from instmodel import top",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from instmodel import top",
        "import typing\nif typing.TYPE_CHECKING:\n    from instmodel import top",
    ],
)
def test_a_planted_upward_import_is_found(planted):
    assert faults(house(wall=planted)) == ["wall imports top, which is above it"]
    # Not even the list of conveniences allows it, which is for calls.
    assert faults(house(wall=planted), (("wall", "top"),)) == [
        "wall imports top, which is above it"
    ]


@pytest.mark.parametrize("planted", ["import instmodel as im", "from instmodel import __version__"])
def test_no_room_imports_the_public_names_from_below(planted):
    assert faults(house(wall=planted)) == ["wall imports __init__, which is above it"]


def test_a_planted_lazy_upward_import_is_found_unless_it_is_listed():
    planted = (
        "    def draw(self):\n        from instmodel.top.one import draw\n        return draw\n"
    )
    found = house(wall=planted)
    assert faults(found) == ["wall.Wall.draw imports top, which is above it"]
    assert faults(found, (("wall.Wall.draw", "top"),)) == []
    assert faults(found, (("wall.Wall.draw", "roof"),)) == [
        "wall.Wall.draw imports top, which is above it",
        "wall.Wall.draw may import roof, but does not",
    ]


def test_a_listed_convenience_that_is_gone_is_found():
    assert faults(house(), (("wall.Wall.draw", "top"),)) == [
        "wall.Wall.draw may import top, but does not"
    ]


@pytest.mark.parametrize(
    "planted",
    [
        "from instmodel.wall cimport Wall",
        "from instmodel.wall cimport (Wall,\n    Door)",
        "from instmodel cimport wall",
        "cimport instmodel.wall",
        "def late():\n    from instmodel.wall import Wall",
    ],
)
@pytest.mark.parametrize("suffix", [".pyx", ".pxd"])
def test_a_planted_upward_import_of_cython_is_found(planted, suffix):
    planted = (
        f'"""Not code: from instmodel.top cimport x"""\n{planted}  # from instmodel import top\n'
    )
    assert faults(house(suffix, _ground=planted)) == ["_ground imports wall, which is above it"]


def test_an_upward_import_of_a_stub_is_found():
    found = house(".pyi", _ground="from instmodel.wall import Wall")
    assert faults(found) == ["_ground imports wall, which is above it"]


def test_a_relative_import_is_refused():
    for suffix, planted in ((".py", "from . import top"), (".pyx", "from . cimport top")):
        with pytest.raises(AssertionError, match="relative"):
            house(suffix, _ground=planted)


def test_an_import_of_a_module_that_moved_is_found():
    with pytest.raises(AssertionError, match=r"instmodel\.wall imports instmodel\.cellar"):
        house(wall="    def f(self):\n        from instmodel.cellar import wine\n")


def test_a_room_below_that_the_list_does_not_name_is_found():
    rooms = read_rooms(LIST.replace("| `wall` |\n", "| |\n", 1))
    sources = [Source(f"instmodel.{name}", ".py", text) for name, text in FILES.items()]
    assert House(rooms, sources).wrong_imports(()) == [
        "instmodel.top.one imports instmodel.wall, but top may not import wall: "
        "the list does not say so"
    ]
    sources = [Source("instmodel.top", ".py", ""), Source("instmodel.wall", ".py", "")]
    assert House(read_rooms(LIST), sources).wrong_imports(()) == [
        "top may import wall, but does not"
    ]


def test_a_cycle_is_found_even_inside_a_room():
    assert set(house(top_two="from instmodel.top.one import x").cycle()) == {
        "instmodel.top.one",
        "instmodel.top.two",
    }
    late = "def f():\n    from instmodel.top.one import x"
    assert house(top_two=late).cycle() == []


@pytest.mark.parametrize(
    "planted",
    [
        "wall.Wall()._bricks",
        "w = wall.Wall()\nw._bricks",
        "class A:\n    def f(self):\n        return self.wall._bricks",
        "w = wall.Wall()\nw._bricks = 4",
        "getattr(wall.Wall(), '_bricks')",
    ],
)
def test_a_planted_private_access_is_found(planted):
    (fault,) = faults(house(top_one=planted))
    assert fault.startswith("instmodel.top.one:")
    assert fault.endswith("touches _bricks of wall")


def test_a_planted_private_import_is_found():
    (fault,) = faults(house(top_one="from instmodel.wall import _mortar\n"))
    assert fault == "instmodel.top.one imports _mortar of instmodel.wall"
    assert faults(house(top_one="from instmodel.top.two import _mine\n")) == []


def test_a_private_access_in_cython_is_found():
    (fault,) = faults(house(".pyx", _ground='\n"""w._bricks"""\ndef f(w):\n    return w._bricks\n'))
    assert fault == "instmodel._ground:5 touches _bricks of wall"


@pytest.mark.parametrize(
    "harmless",
    [
        "class A(wall.Wall):\n    def f(self):\n        return self._bricks + super()._bricks",
        "class B:\n    def __init__(self, other):\n        self._bricks = other._bricks",
        "wall.Wall()._replace(a=1)",
        "wall.Wall().__dict__",
        "import keras\nkeras.Model()._layers",
    ],
)
def test_what_is_ones_own_or_a_librarys_is_no_private_access(harmless):
    assert faults(house(top_one=harmless)) == []
