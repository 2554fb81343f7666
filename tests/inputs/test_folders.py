"""Which files of a folder are pictures, in which order, under which label."""

import os
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

import pellucid
from pellucid.errors import InputError
from pellucid.inputs.folders import pictures_in

HANGUL = unicodedata.normalize("NFD", "고양이.png")


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4)).save(path, format="PNG")
    return path


def test_pictures_come_in_order_and_other_files_do_not(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "c.webp", "d.tiff", "notes.txt", "e.npy", ".hidden.png", "._a.png"):
        put(tmp_path / name)
    assert [found.path.name for found in pictures_in(tmp_path)] == ["a.png", "b.JPG", "c.webp", "d.tiff"]


def test_the_subfolder_is_the_label_at_any_depth(tmp_path: Path) -> None:
    for name in ("cat/1.png", "cat/deep/2.png", "dog/1.png", "free.png", ".cache/3.png"):
        put(tmp_path / name)
    assert [(found.path.relative_to(tmp_path).as_posix(), found.label) for found in pictures_in(tmp_path)] == [
        ("cat/1.png", "cat"),
        ("cat/deep/2.png", "cat"),
        ("dog/1.png", "dog"),
        ("free.png", None),
    ]


@pytest.mark.parametrize("name", ["a cat.png", "two\nlines.png", "-rf.png", "🐈.png", "x" * 251 + ".png", HANGUL])
def test_strange_names_are_found_and_can_be_read(tmp_path: Path, name: str) -> None:
    put(tmp_path / name)
    (found,) = pictures_in(tmp_path)
    assert found.path.name == name
    assert pellucid.read(found.path).pixels.shape == (4, 4, 3)


def test_composed_and_decomposed_letters_have_one_place_in_the_order(tmp_path: Path) -> None:
    for name in ("가.png", HANGUL, "하.png"):
        put(tmp_path / name)
    assert [unicodedata.normalize("NFC", found.path.name) for found in pictures_in(tmp_path)] == [
        "가.png",
        "고양이.png",
        "하.png",
    ]


def test_links_that_lead_back_end_and_a_folder_is_listed_once(tmp_path: Path) -> None:
    put(tmp_path / "cat" / "1.png")
    (tmp_path / "cat" / "again").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "kitten").symlink_to(tmp_path / "cat", target_is_directory=True)
    (tmp_path / "loop.png").symlink_to("loop.png")
    found = pictures_in(tmp_path)
    assert [each.path.relative_to(tmp_path).as_posix() for each in found] == ["cat/1.png", "loop.png"]
    with pytest.raises(InputError, match="leads back to itself"):
        pellucid.read(found[1].path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list everything")
def test_a_subfolder_that_may_not_be_listed_is_told_by_whoever_reads_it(tmp_path: Path) -> None:
    put(tmp_path / "open.png")
    put(tmp_path / "secret" / "1.png")
    (tmp_path / "secret").chmod(0)
    try:
        found = pictures_in(tmp_path)
        assert [each.path.name for each in found] == ["open.png", "secret"]
        with pytest.raises(InputError, match="permission denied"):
            pellucid.read(found[1].path)
    finally:
        (tmp_path / "secret").chmod(0o700)


def test_a_subfolder_whose_listing_fails_is_among_the_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "open.png")
    put(tmp_path / "secret" / "1.png")
    listing = os.scandir

    def refusing(path: Path) -> object:
        if Path(path).name == "secret":
            raise PermissionError(13, "Permission denied")
        return listing(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert [each.path.name for each in pictures_in(tmp_path)] == ["open.png", "secret"]


def test_a_folder_without_pictures_and_no_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no picture, expected files that end in \.png"):
        pictures_in(tmp_path)
    with pytest.raises(InputError, match="is no folder, expected a folder of pictures"):
        pictures_in(tmp_path / "missing")
