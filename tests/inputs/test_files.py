import os
import unicodedata
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from pellucid.errors import InputError
from pellucid.inputs.files import readable
from pellucid.inputs.reading import read

PIXELS = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)


def save(path: Path) -> Path:
    PIL.Image.fromarray(PIXELS).save(path, "PNG")
    return path


def refusal(path: object) -> str:
    with pytest.raises(InputError) as caught:
        read(path)
    message = str(caught.value)
    assert message.replace("\u200d", "").isprintable(), "one line, nothing hidden"
    message.encode()
    return message


NAMES = [
    "with space.png",
    "with\nnewline.png",
    "with 'quotes\".png",
    "고양이 사진.png",
    unicodedata.normalize("NFD", "고양이.png"),
    "👩‍👩‍👧 family.png",
    "no_suffix",
    "-rf.png",
    "wrong.txt",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", [str, Path])
def test_a_file_is_read_whatever_its_name(tmp_path, name, kind):
    image = read(kind(save(tmp_path / name)))
    assert np.array_equal(image.pixels, PIXELS)
    image.name.encode()
    assert "\n" not in image.name


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_named_on_one_line(tmp_path, name):
    assert "does not exist; check the path." in refusal(tmp_path / name)


def test_the_name_is_shown_without_its_folders(tmp_path):
    assert read(save(tmp_path / "cat.png")).name == "cat.png"


def test_a_name_cannot_hide_or_reorder_text(tmp_path):
    assert read(save(tmp_path / "a\u202egnp.exe\x1b[31m.png")).name == "a\ufffdgnp.exe\ufffd[31m.png"


def test_a_name_that_is_no_unicode_is_read_and_can_be_encoded(tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff.png"
    with open(path, "wb") as file:
        file.write(save(tmp_path / "cat.png").read_bytes())
    assert read(os.fsdecode(path)).name == "\ufffd.png"
    assert "'" in refusal(os.fsdecode(path + b".missing"))


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_korean_name_is_found_in_either_spelling(tmp_path, form):
    save(tmp_path / unicodedata.normalize(form, "고양이.png"))
    other = "NFC" if form == "NFD" else "NFD"
    assert np.array_equal(read(tmp_path / unicodedata.normalize(other, "고양이.png")).pixels, PIXELS)


@pytest.mark.parametrize("given", ["cta.png", "Cat.PNG", "cat.jpg", "cat"])
def test_the_nearest_name_is_suggested(tmp_path, given):
    save(tmp_path / "cat.png")
    save(tmp_path / "zebra crossing.png")
    assert refusal(tmp_path / given).endswith("does not exist; did you mean 'cat.png'?")


def test_a_missing_folder_is_named(tmp_path):
    message = refusal(tmp_path / "photos" / "cat.png")
    assert "nor does its folder" in message
    assert "photos'" in message


def test_a_folder_is_refused_and_a_picture_in_it_named(tmp_path):
    assert refusal(tmp_path).endswith("is a folder, expected a picture; name a file.")
    save(tmp_path / "cat.PNG")
    assert refusal(tmp_path).endswith("is a folder, expected a picture; it holds 'cat.PNG', for one.")


def test_a_link_to_itself_is_refused(tmp_path):
    (tmp_path / "a.png").symlink_to(tmp_path / "b.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "a.png")
    assert "symbolic link that leads back to itself" in refusal(tmp_path / "a.png")


def test_a_link_to_nothing_is_refused(tmp_path):
    (tmp_path / "a.png").symlink_to(tmp_path / "gone.png")
    assert "symbolic link to a file that does not exist" in refusal(tmp_path / "a.png")


def test_a_file_used_as_a_folder_is_refused(tmp_path):
    assert "a part of the path is a file, expected a folder" in refusal(save(tmp_path / "cat.png") / "dog.png")


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    assert "is no regular file; give the picture's bytes instead." in refusal(tmp_path / "pipe.png")


def test_a_file_without_permission_is_refused(tmp_path, monkeypatch):
    path = save(tmp_path / "cat.png")
    path.chmod(0)

    # The administrator may read everything, so the system's answer is given here.
    def closed(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", closed)
    assert "may not be read: permission denied; change its permissions or copy it." in refusal(path)


def test_a_very_large_file_is_refused_unread(tmp_path):
    path = tmp_path / "large.png"
    with open(path, "wb") as file:
        file.truncate(600 * 2**20)
    assert "has 600 MiB, the limit is 512 MiB" in refusal(path)


def test_impossible_paths_are_refused(tmp_path):
    assert refusal("") == "the path is empty, expected the path of a picture."
    assert "embedded null byte" in refusal("cat\0.png")
    assert "file name too long" in refusal(tmp_path / ("x" * 5000))
    assert refusal("https://example.org/cat.png").startswith("'https://example.org/cat.png' is an address")


def test_a_long_text_loses_its_middle():
    assert readable("a" * 500 + "z", limit=10) == "aaaaa…aaaaz"
