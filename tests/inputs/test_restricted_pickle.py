"""Pickles of plain data are read; whatever else a pickle asks for is refused and not run."""

import collections
import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

from pellucid.errors import InputError
from pellucid.inputs.archives import npy_array, npz_arrays, unzip
from pellucid.inputs.restricted_pickle import load_plain

PLAIN: list[Any] = [
    [1, 2.5, "a", None, True, {"k": (1, 2)}, {3}],
    np.arange(6.0).reshape(2, 3),
    np.asfortranarray(np.arange(6).reshape(2, 3)),
    np.array(["ab", "c"]),
    np.array([[np.ones(2), None], [{"a": np.arange(3)}, 1]], dtype=object).T,
    np.array([{"nodes": np.ones((2, 2), np.float32), "n": np.int32(3)}, None], dtype=object),
    np.float64(1.5),
    collections.defaultdict(list, {0: [1, 2]}),
    collections.OrderedDict(a=1),
    b"bytes",
]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("value", PLAIN, ids=lambda value: type(value).__name__)
def test_plain_data_reads_as_pickle_reads_it(value: Any, protocol: int) -> None:
    found = load_plain(pickle.dumps(value, protocol=protocol), called="'p'")
    assert type(found) is type(value)
    if isinstance(value, np.ndarray) and value.dtype == object and value.ndim == 2:
        assert found[0, 0].tolist() == [1, 1]
        assert found[0, 1]["a"].tolist() == [0, 1, 2]
    elif isinstance(value, np.ndarray) and value.dtype == object:
        np.testing.assert_array_equal(found[0]["nodes"], value[0]["nodes"])
        assert found[0]["n"] == 3
    else:
        assert np.array_equal(found, value) if isinstance(value, np.ndarray) else found == value


@pytest.mark.parametrize("protocol", range(6))
def test_sparse_matrices_are_read_and_their_parts_compared(protocol: int) -> None:
    matrix = scipy.sparse.csr_matrix(np.eye(3)[:, :2])
    found = load_plain(pickle.dumps(matrix, protocol=protocol), called="'p'")
    np.testing.assert_array_equal(found.toarray(), matrix.toarray())
    matrix.indices[0] = 1_000_000
    with pytest.raises(InputError, match="'p' holds a sparse matrix whose parts do not fit"):
        load_plain(pickle.dumps(matrix, protocol=protocol), called="'p'")


class Hostile:
    """Its pickle runs a command when it is read."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("function", [os.system, eval, exec, getattr, open, np.load, pickle.loads, __import__])
def test_a_hostile_pickle_is_refused_and_nothing_runs(tmp_path: Path, function: Any, protocol: int) -> None:
    proof = tmp_path / "ran"
    argument = f"open({str(proof)!r}, 'w')" if function in (eval, exec) else f"touch {proof}"
    content = pickle.dumps(Hostile(function, argument), protocol=protocol)
    with pytest.raises(
        InputError, match=r"'p' is a pickle that asks for .*, which is refused and was not run"
    ) as caught:
        load_plain(content, called="'p'")
    assert "\n" not in str(caught.value)
    assert not proof.exists()


def test_a_hostile_pickle_inside_an_array_of_objects_is_refused(tmp_path: Path) -> None:
    proof = tmp_path / "ran"
    file = io.BytesIO()
    np.savez(file, names=np.array([Hostile(os.system, f"touch {proof}")], dtype=object))
    with pytest.raises(InputError, match=r"'n.npz', array 'names', is a pickle that asks for posix.system"):
        npz_arrays(file.getvalue(), called="'n.npz'")
    assert not proof.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        pickle.dumps(np.arange(100))[:-20],
        b"cnumpy\nndarray\n(I1000000000000\ntR.",
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I1000000000000\ntS'b'\ntR.",
        b"cnumpy\ndtype\n(S'V8'\ntR.",
        b"ccopy_reg\n_reconstructor\n(c__builtin__\nint\nc__builtin__\nobject\nNtR.",
        b"Pid\n.",
        b"garbage",
        b"\x80\x02K\x01r\xff\xff\xff\x7f.",
        b"I1\np99999999999999999999999999\n.",
        b"I1\np999999999\n.",
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR.",
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
        b"(I1\n(I9\ntcnumpy\ndtype\n(S'O8'\nI0\nI1\ntRI00\n(ltb.",
    ],
)
def test_a_damaged_or_forged_pickle_is_one_line(content: bytes) -> None:
    with pytest.raises(InputError, match=r"^'p' is .*") as caught:
        load_plain(content, called="'p'", encoding="latin1")
    assert "\n" not in str(caught.value)


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_an_archive_is_read_in_memory_without_folders_and_hidden_files() -> None:
    content = zipped({"A/x.txt": b"1", "__MACOSX/A/x.txt": b"2", "A/.hidden": b"3"})
    assert unzip(content, called="'z'") == {"x.txt": b"1"}


@pytest.mark.parametrize("name", ["../x.txt", "/x.txt", "A/../../x.txt", "C:\\x.txt", "..\\x.txt"])
def test_a_name_that_leads_out_of_the_archive_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="which leads out of the archive"):
        unzip(zipped({name: b"1"}), called="'z'")


def test_a_bomb_is_refused_by_its_declared_size() -> None:
    with pytest.raises(InputError, match="'z' unpacks to 600 MiB, the limit is 512 MiB"):
        unzip(zipped({f"{number}.txt": bytes(100 * 2**20) for number in range(6)}), called="'z'")
    with pytest.raises(InputError, match="holds 1,001 files"):
        unzip(zipped({f"{number}.txt": b"" for number in range(1001)}), called="'z'")


def test_a_false_size_does_not_unpack_more_than_it_says() -> None:
    content = bytearray(zipped({"x.txt": bytes(2**20)}))
    for start in (content.find(b"PK\x03\x04") + 22, content.find(b"PK\x01\x02") + 24):
        content[start : start + 4] = (10).to_bytes(4, "little")
    with pytest.raises(InputError, match="damaged ZIP archive"):
        unzip(bytes(content), called="'z'")


def test_damaged_archives_and_arrays_are_one_line() -> None:
    whole = zipped({"x.npy": b"no array"})
    with pytest.raises(InputError, match="'z' is a damaged ZIP archive"):
        unzip(whole[:-10], called="'z'")
    with pytest.raises(InputError, match="'z', array 'x', is no readable array"):
        npz_arrays(whole, called="'z'")
    file = io.BytesIO()
    np.save(file, np.arange(10))
    with pytest.raises(InputError, match="is no readable array"):
        npy_array(file.getvalue()[:-8], called="'z'")
    with pytest.raises(InputError, match="archive without files"):
        unzip(zipped({}), called="'z'")


def test_an_array_of_objects_is_read() -> None:
    file = io.BytesIO()
    names = np.array([["a", "é"], ["b", "c"]], dtype=object)
    np.savez(file, names=names, numbers=np.arange(3))
    found = npz_arrays(file.getvalue(), called="'z'")
    assert found["names"].tolist() == names.tolist()
    assert found["numbers"].tolist() == [0, 1, 2]


def test_an_empty_array_for_python_2_is_read_and_bytes_of_a_length_are_not() -> None:
    empty = load_plain(pickle.dumps(np.zeros((2, 0)), protocol=2), called="'x'", encoding="latin1")
    assert empty.shape == (2, 0)
    with pytest.raises(InputError, match="no readable pickle"):
        load_plain(b"\x80\x02c__builtin__\nbytes\nJ\x00\x00\x00\x7f\x85R.", called="'x'")
