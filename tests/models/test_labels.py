"""Class names in the shapes that people keep them in."""

import json
from pathlib import Path

import pytest

from pellucid.errors import ModelError
from pellucid.models.labels import class_names_of

NAMES = ("cat", "dog", "cow")


@pytest.mark.parametrize(
    "content",
    [
        ["cat", "dog", "cow"],
        [{"index": 2, "name": "cow"}, {"index": 0, "name": "cat", "synset": "n1"}, {"index": 1, "name": "dog"}],
        {"0": "cat", "2": "cow", "1": "dog"},
        {"0": ["n1", "cat"], "1": ["n2", "dog"], "2": ["n3", "cow"]},
    ],
)
def test_all_shapes_of_json_give_the_names_in_order_of_the_index(tmp_path: Path, content: object) -> None:
    file = tmp_path / "labels.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    assert class_names_of(file) == class_names_of(str(file)) == NAMES


@pytest.mark.parametrize("content", ["cat\ndog\ncow", "cat\r\n dog \r\ncow\r\n\r\n", "\ufeffcat\ndog\ncow\n"])
def test_a_text_file_has_one_name_a_line(tmp_path: Path, content: str) -> None:
    file = tmp_path / "labels.txt"
    file.write_bytes(content.encode())
    assert class_names_of(file) == NAMES


def test_a_sequence_is_taken_as_it_is() -> None:
    assert class_names_of(["고양이", "개"]) == ("고양이", "개")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("l.json", "{", "is no JSON"),
        ("l.json", "3", "holds something else; expected a list of names"),
        ("l.json", "[1, 2]", "holds something else"),
        ("l.json", '{"a": "cat"}', "an index that is no whole number"),
        ("l.json", '{"0": "cat", "2": "dog"}', "2 names but none for index 1"),
        ("l.json", '[{"index": 1, "name": "cat"}]', "none for index 0"),
        ("l.json", '{"0": 7}', "has 7 as the name of class 0"),
        ("l.json", "[]", "holds no class name"),
        ("l.txt", "", "holds no class name"),
        ("l.txt", "cat\n\ndog", "has '' as the name of class 1"),
    ],
)
def test_a_file_that_would_misname_a_class_is_refused(tmp_path: Path, name: str, content: str, message: str) -> None:
    file = tmp_path / name
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ModelError, match=message) as error:
        class_names_of(file)
    assert "\n" not in str(error.value)


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No such file"):
        class_names_of(tmp_path / "absent.json")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match="no UTF-8 text"):
        class_names_of(tmp_path / "binary.txt")


def test_the_labels_of_the_real_models_are_read(shared_data: Path) -> None:
    imagenet = class_names_of(shared_data / "models/squeezenet1_0/labels.json")
    assert len(imagenet) == 1000
    assert imagenet[:2] == ("tench", "goldfish")
    assert class_names_of(shared_data / "models/resnet20_cifar10/labels.json")[-1] == "truck"
