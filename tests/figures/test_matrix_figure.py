"""Matrices: tables show their numbers, pictures their cells, sums of blocks add up, and nothing large becomes dense."""

import base64
import io
import time
import tracemalloc
from xml.etree import ElementTree

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pellucid.errors import SettingError
from pellucid.figures.colour import PAPER, palette, sequential, signed
from pellucid.figures.matrix import CELLS, TABLE, draw_matrix
from pellucid.figures.matrix_blocks import block_order, reduced

SVG = "{http://www.w3.org/2000/svg}"


def elements(svg: str, name: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(svg).iter(f"{SVG}{name}"))


def texts(svg: str) -> list[str]:
    return ["".join(each.itertext()) for each in elements(svg, "text")]


def picture(svg: str) -> np.ndarray:
    """The colours of the cells: the first picture of the drawing."""
    content = base64.b64decode(elements(svg, "image")[0].get("href", "").partition("base64,")[2])
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


def test_a_small_matrix_is_a_table_of_its_numbers_with_names() -> None:
    figure = draw_matrix([[0.5, -0.25], [0.0, 2.0]], row_names=["탄소", "O"], column_names=["h0", "h1"], unit="weight")
    assert texts(figure.svg)[:8] == ["h0", "h1", "탄소", "0.500", "−0.250", "O", "0", "2"]
    assert "weight" in texts(figure.svg)
    assert (figure.legend["low"], figure.legend["high"]) == (-2.0, 2.0)
    fills = [r.get("fill") for r in elements(figure.svg, "rect")]
    wanted = palette("signed")[signed(np.array([0.5, -0.25, 0.0, 2.0]), 2.0)]
    assert fills == ["#{:02x}{:02x}{:02x}".format(*c) for c in wanted.tolist()]


def test_zeros_are_white_in_a_table_and_in_a_picture() -> None:
    table = draw_matrix(np.eye(4))
    assert [r.get("fill") for r in elements(table.svg, "rect")].count("#ffffff") == 12
    cells = picture(draw_matrix(np.eye(40)).svg)
    assert (cells[~np.eye(40, dtype=bool)] == palette("sequential")[PAPER]).all()


def test_numbers_can_be_read_on_their_colours() -> None:
    figure = draw_matrix(np.linspace(-1, 1, 144).reshape(12, 12))
    assert max(figure.cells.shape) == TABLE
    colours = [r.get("fill", "") for r in elements(figure.svg, "rect")]
    inks = [t[0].get("fill", "") for t in elements(figure.svg, "text") if "".join(t.itertext())[0] in "−0123456789"]

    def light(colour: str) -> float:
        share = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        return float(
            np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4) @ (0.2126, 0.7152, 0.0722)
        )

    inks = [ink for ink in inks if ink.startswith("#")]
    for colour, ink in zip(colours, inks, strict=True):
        bright, dark = sorted((light(colour), light(ink)))[::-1]
        assert (bright + 0.05) / (dark + 0.05) > 4.0


def test_a_larger_matrix_is_a_picture_with_one_cell_per_entry() -> None:
    matrix = np.random.default_rng(0).random((30, 20))
    figure = draw_matrix(matrix)
    wanted = palette("sequential")[sequential(matrix, low=0.0, high=float(matrix.max()))]
    np.testing.assert_array_equal(picture(figure.svg), wanted)
    assert figure.block == (1, 1)
    assert "30 × 20 entries" in texts(figure.svg)
    sparse = draw_matrix(scipy.sparse.csr_array(matrix))
    assert sparse.svg == figure.svg


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 30), st.booleans(), st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_sums_of_blocks_add_up_however_the_matrix_is_stored(
    rows: int, columns: int, most: int, sort: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    dense = rng.integers(-3, 4, size=(rows, columns if not sort else rows)).astype(np.float64)
    order = rng.permutation(rows) if sort else None
    whole = dense if order is None else dense[order][:, order]
    cells, (a, b) = reduced(scipy.sparse.coo_array(dense), order, most=most)
    assert max(cells.shape) <= most
    for i in range(cells.shape[0]):
        for j in range(cells.shape[1]):
            assert cells[i, j] == whole[i * a : (i + 1) * a, j * b : (j + 1) * b].sum()
    np.testing.assert_array_equal(reduced(dense, order, most=most)[0], cells)


def test_groups_lie_together_in_their_order_and_unknown_ones_come_last() -> None:
    order, blocks = block_order(np.array([2, -1, 0, 2, 0]))
    assert order.tolist() == [2, 4, 0, 3, 1]
    assert blocks == [(0, 0, 2), (2, 2, 4), (-1, 4, 5)]


def test_a_matrix_sorted_by_groups_has_its_blocks_named_and_its_cells_moved() -> None:
    groups = np.tile([1, 0], 15)
    matrix = (groups[:, None] == groups[None]).astype(float)
    figure = draw_matrix(matrix, groups=groups, group_names=["임원", "Mr. Hi"])
    assert figure.cells.tolist() == np.kron(np.eye(2), np.ones((15, 15))).tolist()
    assert {"임원", "Mr. Hi"} <= set(texts(figure.svg))


def test_a_graph_of_22_470_nodes_takes_less_than_a_second_and_no_dense_matrix() -> None:
    n, links = 22_470, 340_000
    rng = np.random.default_rng(0)
    matrix = scipy.sparse.csr_array((np.ones(links), rng.integers(0, n, size=(2, links))), shape=(n, n))
    groups = rng.integers(0, 4, n)
    start = time.perf_counter()
    figure = draw_matrix(matrix, groups=groups, width=640)
    seconds = time.perf_counter() - start
    tracemalloc.start()
    draw_matrix(matrix, groups=groups, width=640)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seconds < 1.0
    assert peak < 100e6
    assert max(figure.cells.shape) <= CELLS
    assert figure.cells.sum() == links
    assert any(line.startswith("one cell is the sum of 44 × 44 entries") for line in texts(figure.svg))
    assert "22\u202f470 × 22\u202f470 entries" in texts(figure.svg)


def test_a_scale_that_hides_the_densest_blocks_says_so() -> None:
    matrix = scipy.sparse.lil_array((2000, 2000))
    matrix[:, 5] = 1.0
    matrix[:4, :4] = 1000.0
    figure = draw_matrix(matrix.tocsr(), width=400)
    assert figure.legend["beyond"] > 0
    assert any("beyond the ends" in line for line in texts(figure.svg))


def test_a_long_narrow_matrix_is_no_thread() -> None:
    figure = draw_matrix(np.random.default_rng(0).random((5000, 3)))
    image = elements(figure.svg, "image")[0]
    assert float(image.get("width", 0)) >= 60
    assert figure.cells.shape[1] == 3


@pytest.mark.parametrize(
    "matrix", [np.zeros((3, 3)), np.full((30, 30), 2.0), np.full((3, 3), -1.0), np.full((2, 2), np.nan)]
)
def test_equal_values_are_drawn_and_the_key_has_their_number(matrix: np.ndarray) -> None:
    figure = draw_matrix(matrix)
    said = texts(figure.svg)
    assert "no value: 4" in said if np.isnan(matrix).any() else {"0", "2", "−1"} & set(said)


def test_entries_without_a_value_are_crossed_out_and_counted() -> None:
    assert "no value: 1" in texts(draw_matrix([[np.nan, 1.0]]).svg)
    matrix = np.ones((20, 20))
    matrix[3, 4] = np.nan
    assert "no value: 1" in texts(draw_matrix(matrix).svg)


def test_rows_are_named_where_each_name_has_room() -> None:
    names = [f"node {i}" for i in range(30)]
    assert set(names) <= set(texts(draw_matrix(np.eye(30), row_names=names).svg))
    many = [f"node {i}" for i in range(200)]
    assert not set(many) & set(texts(draw_matrix(np.eye(200), row_names=many).svg))


def test_what_makes_no_sense_is_refused_in_one_line() -> None:
    for matrix, wishes, line in (
        (np.zeros(3), {}, "matrix is 'float64 (3,)', expected numbers of shape (rows, columns)."),
        (np.array([["a"]]), {}, "matrix is '<U1 (1, 1)', expected numbers of shape (rows, columns)."),
        (np.eye(3), {"row_names": ["a"]}, "row_names is '1 names', expected 3."),
        (np.ones((3, 2)), {"groups": np.zeros(3, dtype=int)}, "groups is 'the groups of a matrix that is not square'"),
        (np.eye(3), {"groups": np.zeros(2, dtype=int)}, "groups is 'int64 (2,)', expected 3 whole numbers"),
        (np.eye(3), {"width": 3}, "width is 3, expected 200 or more."),
    ):
        with pytest.raises(SettingError) as caught:
            draw_matrix(matrix, **wishes)
        assert str(caught.value).startswith(line)
