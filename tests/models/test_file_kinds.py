"""A weights file is known by what is in it; what is damaged or something else says so in one line."""

import contextlib
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from pellucid.errors import CheckpointError, UntrustedModelError
from pellucid.models.checkpoints import read_weights


def one_line(error: pytest.ExceptionInfo[Exception]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert "\x1b" not in text
    return text


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("kind", ["safetensors", "pt", "old.pt"])
def test_a_file_that_is_cut_short_says_so_and_is_not_called_code(tmp_path: Path, kind: str, share: float) -> None:
    file = tmp_path / f"w.{kind}"
    state = nn.Linear(100, 100).state_dict()
    if kind == "safetensors":
        save_file(state, file)
    else:
        torch.save(state, file, _use_new_zipfile_serialization=kind == "pt")
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CheckpointError, match=r"cut short|damaged") as error:
        read_weights(file)
    assert f"{int(len(content) * share):,}" in one_line(error)
    if kind == "safetensors" and share > 0.1:
        assert f"{len(content):,} bytes of safetensors expected" in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("w.pt", b"", "empty"),
        ("w.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 12\n", "Git-LFS pointer"),
        ("w.pth", b"<!DOCTYPE html>\n<html><body>Not found</body></html>", "HTML page"),
        ("w.pth", b"\n  <html>", "HTML page"),
        ("w.pt", b"hello world, this is text", "the text 'hello world"),
        ("w.h5", b"\x89HDF\r\n\x1a\n" + b"\0" * 20, "HDF5"),
        ("w.tflite", b"\x1c\0\0\0TFL3" + b"\0" * 20, "TensorFlow Lite"),
        ("w.onnx", b"\x08\x07\x12\x07pytorch", "ONNX"),
        ("w.npy", b"\x93NUMPY\x01\0", "numpy"),
        ("w.pt", b"\0\xff\0\xff\0\xff", "the bytes 00 ff"),
        ("w.safetensors", (2).to_bytes(8, "little") + b"{]", "damaged"),
    ],
)
def test_a_file_of_another_kind_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as error:
        read_weights(file)
    text = one_line(error)
    assert name in text
    assert "expected" in text or "fetch it again" in text


def test_a_missing_file_names_its_neighbour_and_a_folder_is_refused(tmp_path: Path) -> None:
    save_file({"w": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"did you mean 'model\.safetensors'"):
        read_weights(tmp_path / "modle.safetensors")
    with pytest.raises(CheckpointError) as error:
        read_weights(tmp_path)
    assert str(error.value) == f"{tmp_path} is a folder, expected a weights file; name the file itself."
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(CheckpointError, match="TensorFlow SavedModel"):
        read_weights(tmp_path)


@pytest.mark.parametrize(
    ("member", "message"), [("model.weights.h5", "Keras"), ("notes.txt", "a zip file with 'notes.txt'")]
)
def test_a_zip_file_of_another_kind_is_named(tmp_path: Path, member: str, message: str) -> None:
    file = tmp_path / "w.pt"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(member, "x")
    with pytest.raises(CheckpointError, match=message):
        read_weights(file)


@settings(deadline=None, max_examples=60)
@given(place=st.integers(0, 2_000), value=st.integers(0, 255))
def test_a_flipped_byte_is_read_or_refused_but_nothing_else_is_raised(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int
) -> None:
    file = tmp_path_factory.mktemp("flip") / "w.pt"
    torch.save(nn.Linear(2, 2).state_dict(), file)
    content = bytearray(file.read_bytes())
    content[place % len(content)] = value
    file.write_bytes(bytes(content))
    with contextlib.suppress(CheckpointError, UntrustedModelError):
        read_weights(file)
