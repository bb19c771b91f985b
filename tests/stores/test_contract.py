"""What every location does, wherever it is."""

import io
import json

import pytest

from instmodel.errors import InputError
from instmodel.stores import location


def write(place, data=b"some bytes"):
    place.parent.make_folder()
    with place.replacing() as file:
        file.write(data)
    return place


def stop_after(written):
    raise ZeroDivisionError(written)


def names(folder, hidden=False):
    return [file.relative_to(folder) for file in folder.files(hidden)]


def test_a_file_is_there_when_it_was_written(place):
    file = place / "a.txt"
    assert not file.exists()
    write(file)
    assert file.exists()
    assert not file.is_folder()
    assert file.read_bytes() == b"some bytes"
    assert (file.name, file.parent.name) == ("a.txt", place.name)
    assert str(file).endswith("a.txt")


def test_a_file_can_be_written_back_and_forth(place):
    with (place / "a").replacing() as file:
        file.write(b"?ello")
        file.seek(0)
        file.write(b"h")
        file.seek(1)
        assert file.read() == b"ello"
    assert (place / "a").read_bytes() == b"hello"


def test_an_error_leaves_what_was_there(place):
    file = write(place / "a", b"before")
    for target in (file, place / "new"):
        with pytest.raises(ZeroDivisionError), target.replacing() as opened:
            stop_after(opened.write(b"half"))
    assert names(place, hidden=True) == ["a"]
    assert file.read_bytes() == b"before"


def test_a_file_can_be_sought(place):
    with write(place / "a", bytes(range(100))).open() as file:
        assert file.seekable()
        assert file.seek(-3, io.SEEK_END) == 97
        assert file.read() == bytes([97, 98, 99])
        assert file.read(5) == b""
        file.seek(10)
        assert file.read(2) == bytes([10, 11])
        file.seek(3, io.SEEK_CUR)
        assert file.read(1) == bytes([15])
        with pytest.raises((OSError, ValueError)):
            file.seek(-1)


def test_two_readers_of_a_file_do_not_meet(place):
    file = write(place / "a", b"0123456789")
    with file.open(0) as one, file.open(0) as other:
        assert (one.read(3), other.read(2), one.read(3)) == (b"012", b"01", b"345")


def test_a_stamp_changes_with_the_file_and_is_json(place):
    file = write(place / "a")
    stamp = file.stamp()
    assert stamp == file.stamp() == json.loads(json.dumps(stamp))
    assert stamp["size"] == len(b"some bytes")
    assert place.files()[0].stamp() == stamp
    write(file, b"other byte")
    assert file.stamp() != stamp


def test_what_is_not_there_has_no_stamp(place):
    for ask in (lambda at: at.stamp(), lambda at: at.open(), lambda at: at.read_bytes()):
        with pytest.raises(FileNotFoundError) as caught:
            ask(place / "none")
        assert caught.value.filename == str(place / "none")


def test_files_are_found_in_the_order_of_their_names_and_hidden_ones_on_demand(place):
    every = ["_work/x", "a.b/c", "a/b", "a/.hidden", "a/z/y", "b", ".c/d"]
    for name in every:
        write(place / name)
    assert names(place) == ["a/b", "a/z/y", "a.b/c", "b"]
    assert sorted(names(place, hidden=True)) == sorted(every)
    assert place.is_folder()
    assert (place / "a").is_folder()


def test_removing_takes_a_file_or_a_tree_and_is_fine_without(place):
    for name in ("a", "b/c", "b/d/e"):
        write(place / name)
    (place / "a").remove()
    (place / "a").remove()
    assert names(place) == ["b/c", "b/d/e"]
    (place / "b").remove_tree()
    (place / "b").remove_tree()
    assert names(place) == []


def test_files_move_one_by_one_into_a_folder_that_stays(place):
    staged, target = place / ".staged", place / "out"
    for name in ("a", "b/c", "left"):
        write(staged / name, b"new")
    for name in ("a", "old"):
        write(target / name, b"old")
    staged.move(["a", "b/c", "moved before"], target)
    assert names(target) == ["a", "b/c", "old"]
    assert [(target / name).read_bytes() for name in ("a", "b/c", "old")] == [
        b"new",
        b"new",
        b"old",
    ]


def test_pruning_leaves_what_holds_something(place):
    for name in ("a/b/c", "d/e/f"):
        write(place / name)
    (place / "a/b/c").remove()
    place.prune()
    if place.local is not None:  # a store has no folders, though some of fsspec's do
        assert not (place / "a").exists()
    assert names(place) == ["d/e/f"]


@pytest.mark.parametrize("replace", [False, True])
def test_a_published_folder_has_its_final_place(place, replace):
    staged, target = place / ".staged", place / "out"
    for name in ("a", "b/c"):
        write(staged / name, b"new")
    staged.publish(target, replace)
    assert names(target) == ["a", "b/c"]
    assert (target / "b/c").read_bytes() == b"new"


def test_publishing_replaces_only_if_it_may(place):
    staged, target = place / ".staged", place / "out"
    write(staged / "a", b"new")
    for name in ("a", "old"):
        write(target / name, b"old")
    with pytest.raises(FileExistsError) as caught:
        staged.publish(target)
    assert caught.value.filename == str(target)
    assert names(target) == ["a", "old"]
    staged.publish(target, replace=True)
    assert names(target) == ["a"]
    assert (target / "a").read_bytes() == b"new"
    staged.remove_tree()
    assert sorted(names(place, hidden=True)) == ["out/a"]


def test_only_one_run_works_in_a_folder(place):
    folder = place / "work"
    with folder.locked() as lock:
        lock.check()
        with pytest.raises(InputError, match="another run") as caught, folder.locked():
            pass
        assert caught.value.code == "output_busy"
        assert caught.value.file == str(folder)
        with (place / "other").locked():
            pass
    with folder.locked():
        pass
    with pytest.raises(ZeroDivisionError), folder.locked():
        stop_after(0)
    with folder.locked():
        pass


def test_names_are_no_patterns(place):
    for name in ("x[1]/a", "x1/a", "x*/a", "x?/b[0-9]*.txt"):
        write(place / name, name.encode())
    assert names(place / "x[1]") == ["a"]
    (place / "x[1]").remove_tree()
    (place / "x*").remove_tree()
    (place / "x?").publish(place / "y?")
    (place / "x?").remove_tree()
    (place / "y?").move(["b[0-9]*.txt"], place / "z")
    (place / "y?").remove_tree()
    assert names(place) == ["x1/a", "z/b[0-9]*.txt"]
    assert (place / "z/b[0-9]*.txt").read_bytes() == b"x?/b[0-9]*.txt"
    (place / "z/b[0-9]*.txt").remove()
    assert names(place) == ["x1/a"]


def test_places_are_compared(place):
    folder, file = place / "a", place / "a/b"
    assert file.is_inside(folder)
    assert not folder.is_inside(file)
    assert not file.is_inside(file)
    assert not (place / "ab").is_inside(folder)
    assert file.is_same(place / "a/b")
    assert not file.is_same(folder)
    elsewhere = location("memory://elsewhere/a") if folder.local else location("/elsewhere/a")
    assert not folder.is_same(elsewhere)
    assert not file.is_inside(elsewhere)
