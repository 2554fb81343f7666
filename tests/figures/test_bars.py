"""Bars: ranked by size, around one zero, every number written, the rest counted and summed."""

from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.errors import SettingError
from pellucid.figures.bars import BarsFigure, draw_bars

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    return ["".join(each.itertext()) for each in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def bars(figure: BarsFigure) -> list[tuple[float, float, str]]:
    """Left, right and colour of each bar from the top."""
    found = ElementTree.fromstring(figure.svg).iter(f"{SVG}rect")
    return [
        (float(r.get("x", 0)), float(r.get("x", 0)) + float(r.get("width", 0)), r.get("fill", ""))
        for r in found
        if r.get("fill", "").startswith("#")
    ]


def test_the_largest_come_first_whatever_their_sign_and_the_rest_is_counted_and_summed() -> None:
    figure = draw_bars([0.1, -3.0, 2.0, 0.2, -0.5], ["a", "b", "c", "d", "e"], top=2, unit="logits")
    assert figure.order == (1, 2)
    assert figure.left_out == 3
    assert texts(figure.svg) == ["b", "−3", "c", "+2", "and 3 more, together −0.200", "logits"]


def test_bars_are_as_long_as_their_values_on_both_sides_of_one_zero() -> None:
    (a, b, blue), (c, d, red) = bars(draw_bars([-2.0, 1.0]))
    assert b == pytest.approx(c, abs=0.11)
    assert (b - a) / (d - c) == pytest.approx(2.0, rel=0.01)
    assert (blue, red) == ("#1f5fa8", "#c23b22")


def test_a_tiny_value_keeps_a_sliver_and_zero_has_none() -> None:
    lengths = [right - left for left, right, _ in bars(draw_bars([1e9, 1e-9, 0.0]))]
    assert len(lengths) == 3
    assert lengths[1] == pytest.approx(1.5)
    assert lengths[2] == 0
    assert "0" in texts(draw_bars([0.0, 0.0]).svg)


def test_a_shared_limit_gives_equal_values_equal_bars_and_longer_ones_a_gap() -> None:
    one, other = draw_bars([1.0, -2.0], ["a", "long name"], limit=2.0), draw_bars([1.0, 0.1], ["b", "c"], limit=2.0)
    assert bars(one)[1][1] - bars(one)[1][0] == pytest.approx(bars(other)[0][1] - bars(other)[0][0], abs=0.11)
    assert 'fill="var(--paper' not in one.svg
    assert 'fill="var(--paper' in draw_bars([3.0], limit=2.0).svg


def test_what_is_not_finite_is_said_and_comes_last() -> None:
    figure = draw_bars([np.nan, 1.0, np.inf], ["a", "b", "c"])
    assert texts(figure.svg) == ["b", "+1", "a", "no value", "c", "no value"]
    assert figure.legend["not_finite"] == 2


def test_a_long_name_is_cut_and_told_whole_when_pointed_at() -> None:
    name = "방향족 고리에 속한 원자인지 여부를 나타내는 특징"
    figure = draw_bars([1.0], [name], width=240)
    assert texts(figure.svg)[0].endswith("…")
    assert f"<title>{name}: +1</title>" in figure.svg


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=30), st.integers(200, 700))
@settings(deadline=None, max_examples=40)
def test_every_bar_stays_inside_and_the_bytes_are_the_same_twice(values: list[float], width: int) -> None:
    figure = draw_bars(values, width=width)
    assert figure.svg == draw_bars(values, width=width).svg
    assert all(0 <= left <= right <= width for left, right, _ in bars(figure))


def test_what_makes_no_sense_is_refused_in_one_line() -> None:
    for values, wishes, line in (
        ([], {}, "values is 'float64 (0,)', expected one or more numbers in a row."),
        ([1.0], {"names": ["a", "b"]}, "names is '2 names', expected 1."),
        ([1.0], {"top": 0}, "top is 0, expected 1 or more."),
        ([1.0], {"limit": 0.0}, "limit is 0.0, expected a number above 0."),
        ([1.0], {"width": 20}, "width is 20, expected 200 or more."),
    ):
        with pytest.raises(SettingError) as caught:
            draw_bars(values, **wishes)
        assert str(caught.value) == line


def test_a_drawing_prints_itself_as_a_line() -> None:
    assert repr(draw_bars([1.0, 2.0], title="two")).startswith("BarsFigure('two', 480 × ")
