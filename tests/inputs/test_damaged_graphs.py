"""Files of graphs cut, changed and filled at random places: a graph, or one line that names the file, and in time."""

import io
import pickle
import random
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import scipy.sparse
import trimesh

from pellucid.errors import InputError
from pellucid.inputs.graph import Graph
from pellucid.inputs.reading import read

ODD = (b"nan", b"-1", b"99999999999999999999", b"1e999", b"\xff\xfe", b"\n", b",", b'"', b"\0")


def npz() -> bytes:
    matrix = scipy.sparse.csr_array(np.eye(4, k=1, dtype=np.float32))
    parts = {f"adj_{key}": getattr(matrix, key) for key in ("data", "indices", "indptr", "shape")}
    buffer = io.BytesIO()
    np.savez(buffer, **parts, node_names=np.array(list("abcd"), dtype=object), labels=np.arange(4))
    return buffer.getvalue()


def matlab(compressed: bool) -> bytes:
    buffer = io.BytesIO()
    parts = {"A": scipy.sparse.csc_matrix(np.ones((4, 4)) - np.eye(4)), "local_info": np.ones((4, 7), np.uint16)}
    scipy.io.savemat(buffer, parts, do_compression=compressed)
    return buffer.getvalue()


def motif() -> bytes:
    ring = np.roll(np.eye(3), 1, axis=1) + np.roll(np.eye(3), -1, axis=1)
    masks = [np.arange(3) == number for number in range(3)]
    return pickle.dumps((ring, np.ones((3, 2)), np.eye(3), np.zeros((3, 3)), np.zeros((3, 3)), *masks, ring))


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("T_A.txt", "1, 2\n2, 1\n3, 4\n4, 3\n")
        made.writestr("T_graph_indicator.txt", "1\n1\n2\n2\n")
        made.writestr("T_graph_labels.txt", "1\n-1\n")
        made.writestr("T_node_labels.txt", "0\n1\n1\n0\n")
    return buffer.getvalue()


def mesh(kind: str, **options: str) -> bytes:
    content = trimesh.creation.box().export(file_type=kind, **options)
    return content.encode() if isinstance(content, str) else content


WHOLE = {
    "a.npz": npz(),
    "a.mat": matlab(compressed=True),
    "b.mat": matlab(compressed=False),
    "a.pkl": motif(),
    "a.zip": archive(),
    "a.stl": mesh("stl"),
    "b.stl": mesh("stl_ascii"),
    "a.ply": mesh("ply"),
    "b.ply": mesh("ply", encoding="ascii"),
    "a.obj": mesh("obj"),
    "a.off": mesh("off"),
    "a.csv": b"source,target,weight,type\na,b,1,x\nb,c,2,y\nc,d,3,x\n",
    "b.csv": b"1 2\n2 3\n4 5\n",
    "a.json": Graph(edges=[(0, 1), (1, 2)], features=scipy.sparse.csr_array(np.eye(3)), labels=[0, 1, 2])
    .to_json()
    .encode(),
}


def damaged(content: bytes, rng: random.Random) -> bytes:
    changed, way = bytearray(content), rng.random()
    place = rng.randrange(len(changed))
    if way < 0.3:
        return bytes(changed[: max(1, place)])
    if way < 0.45:
        del changed[place : place + rng.randrange(1, 20)]
    elif way < 0.6:
        changed[place:place] = rng.choice(ODD)
    else:
        for _ in range(rng.randrange(1, 6)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed) or b" "


@pytest.mark.parametrize("name", WHOLE)
def test_a_damaged_file_is_a_graph_or_one_line_that_names_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(WHOLE[name])
    read(path)
    rng = random.Random(0)
    for _ in range(150):
        path.write_bytes(damaged(WHOLE[name], rng))
        began = time.perf_counter()
        said = name
        try:
            read(path)
        except InputError as error:
            said = str(error)
        assert name in said
        assert "\n" not in said
        assert time.perf_counter() - began < 5
