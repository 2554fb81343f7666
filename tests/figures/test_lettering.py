import numpy as np
import pytest

from pellucid.figures.colour import INK, PAPER, SOFT, STRENGTHS
from pellucid.figures.lettering import line_height, plain, shorten, text_width, wrap, write


def blank(height=30, width=200):
    return np.full((height, width), PAPER, dtype=np.uint8)


def test_letters_that_the_font_lacks_are_replaced_by_ones_it_has():
    assert plain("−0.5 × 10\u202f000 … 고양이") == "-0.5 x 10 000 ... ???"


@pytest.mark.parametrize("tone", [INK, SOFT])
def test_text_uses_the_strengths_of_its_own_ink_only(tone):
    canvas = blank()

    write(canvas, "features.20 gjy", left=5, top=5, tone=tone)

    used = set(np.unique(canvas)) - {PAPER}
    assert tone + STRENGTHS - 1 in used
    assert used <= set(range(tone, tone + STRENGTHS))


def test_text_stays_inside_its_line_and_its_width():
    canvas = blank()

    write(canvas, "Ag|1", left=10, top=4, size=13)

    rows, columns = np.nonzero(canvas != PAPER)
    assert rows.min() >= 4
    assert rows.max() < 4 + line_height(13)
    assert columns.min() >= 10
    assert columns.max() < 10 + text_width("Ag|1", size=13)


@pytest.mark.parametrize(("left", "top"), [(-300, 0), (190, 25), (-5, -5), (400, 0), (0, 90)])
def test_what_lies_outside_the_canvas_is_left_out(left, top):
    canvas, wide = blank(), blank(230, 800)

    write(canvas, "outside 123", left=left, top=top)
    write(wide, "outside 123", left=left + 300, top=top + 100)

    np.testing.assert_array_equal(canvas, wide[100:130, 300:500])


def test_a_whole_number_set_digit_by_digit_is_as_wide_as_its_text():
    assert text_width("512", size=13) == 3 * text_width("0", size=13)


def test_wrapped_lines_fit_and_lose_no_word():
    text = "each map on its own scale, from its least to its largest value, incomprehensibilities included"

    lines = wrap(text, width=120, size=13)

    assert " ".join(lines) == text
    assert all(text_width(line, size=13) <= 120 or " " not in line for line in lines)


def test_a_long_name_is_cut_with_three_dots():
    assert shorten("features", width=200, size=13) == "features"
    short = shorten("features.denseblock4.denselayer16.conv2", width=120, size=13)
    assert short.endswith("...")
    assert text_width(short, size=13) <= 120
