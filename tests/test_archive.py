"""Saved results are written whole or not at all."""

import errno
import resource
from pathlib import Path

import pytest

from pellucid.archive import write_whole


@pytest.fixture
def small_files_only():
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_that_does_not_fit_names_its_path_and_size_and_leaves_the_old_one(
    tmp_path: Path, small_files_only: None
) -> None:
    place = tmp_path / "page.html"
    write_whole(place, b"old")
    with pytest.raises(OSError, match="1,000,000 bytes are needed") as told:
        write_whole(place, b"x" * 1_000_000)
    assert (told.value.errno, told.value.filename) == (errno.EFBIG, str(place))
    assert place.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]
