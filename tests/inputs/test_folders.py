"""Folders of pictures, with the names that people and file systems come up with."""

import os
from pathlib import Path

import pytest

from pellucid.errors import InputError
from pellucid.inputs.folders import pictures_in

NAMES = ("a b.png", "line\nbreak.jpg", "-rf.png", "🐱.webp", "고양이.PNG", "x" * 251 + ".png", "z.JPEG")


def test_files_are_found_by_suffix_and_folders_are_classes(tmp_path: Path) -> None:
    for name in ("cats/1.png", "cats/deep/2.jpg", "dogs/3.gif", "dogs/notes.txt", ".hidden/4.png", "dogs/.5.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [(picture.path.relative_to(tmp_path).as_posix(), picture.label) for picture in pictures_in(tmp_path)]
    assert found == [("cats/1.png", "cats"), ("cats/deep/2.jpg", "cats"), ("dogs/3.gif", "dogs")]


def test_odd_names_are_found_in_order_and_have_no_class(tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / name).touch()
    found = pictures_in(tmp_path)
    assert [picture.path.name for picture in found] == sorted(NAMES)
    assert {picture.label for picture in found} == {None}


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    (tmp_path / "1.png").touch()
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert len(pictures_in(tmp_path)) == 1


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser may read everything")
def test_a_folder_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    tmp_path.chmod(0)
    with pytest.raises(InputError, match="may not be read"):
        pictures_in(tmp_path)
    tmp_path.chmod(0o700)


def test_no_folder_and_no_pictures_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no folder"):
        pictures_in(tmp_path / "none")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match="holds no pictures"):
        pictures_in(tmp_path)
