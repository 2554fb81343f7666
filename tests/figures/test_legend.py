import io

import numpy as np
import pytest
from PIL import Image

from pellucid.figures.colour import INK, PAPER, SOFT, STRENGTHS, ZERO, levels, measure, palette
from pellucid.figures.legend import bar_png, end_labels, stack, strip


@pytest.mark.parametrize("kind", ["sequential", "signed"])
def test_the_bar_holds_every_colour_of_the_scale_once_and_in_order(kind):
    with Image.open(io.BytesIO(bar_png(kind))) as image:
        found = np.asarray(image.convert("RGB"))

    np.testing.assert_array_equal(found, palette(kind)[None, : levels(kind)])


@pytest.mark.parametrize("width", [239, 240, 320, 700])
def test_a_strip_runs_from_the_first_colour_to_the_last_and_has_zero_in_the_middle(width):
    canvas = strip("signed", width=width, ends=("-1", "+1"), zero=0.5)

    assert (canvas[0, 0], canvas[0, -1]) == (0, levels("signed") - 1)
    assert canvas[0, width // 2] == ZERO
    assert canvas[10, round(width / 2)] == INK + STRENGTHS - 1
    assert (np.diff(canvas[0].astype(int)) >= 0).all()


def test_zero_is_marked_only_where_the_scale_crosses_it():
    def marks(zero):
        return np.count_nonzero(strip("sequential", width=200, ends=("a", "b"), zero=zero)[10] != PAPER)

    assert [marks(zero) for zero in (None, 0.0, 1.0, 0.3)] == [0, 0, 0, 1]


def test_lines_are_set_below_in_the_soft_ink():
    bare = strip("sequential", width=200, ends=("0", "1"))
    said = strip("sequential", width=200, ends=("0", "1"), lines=["flat (range 0): every value is 3"])

    np.testing.assert_array_equal(said[: len(bare)], bare)
    assert SOFT + STRENGTHS - 1 in said[len(bare) :]


def test_only_a_signed_scale_shows_a_plus():
    values = np.array([[-0.5, 2.0]])

    assert end_labels(measure(values, kind="sequential")) == ("−0.500", "2")
    assert end_labels(measure(values, kind="signed")) == ("−2", "+2")


def test_stacked_parts_keep_their_pixels():
    first, second = np.full((3, 5), 7, np.uint8), np.full((2, 9), 8, np.uint8)

    sheet = stack([first, second], gap=4, margin=2)

    assert sheet.shape == (3 + 4 + 2 + 4, 9 + 4)
    assert (sheet[2:5, 2:7] == 7).all()
    assert (sheet[9:11, 2:11] == 8).all()
    assert np.count_nonzero(sheet != PAPER) == 15 + 18
