"""Curves as coordinates: values land where they should, and labels do not cover each other."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.figures.curves import Curve, panel


def curve(values: list[float | None], *, style: str = "main") -> Curve:
    return Curve(label="x", style=style, values=values, lows=values, highs=values)


def drawn(*curves: Curve, low: float = 0.0, high: float = 1.0):
    return panel(curves, width=300, height=140, margins=(10, 60, 30, 40), low=low, high=high, ticks=((0.0, "0"),))


def test_ends_of_the_scale_are_the_ends_of_the_diagram_and_sites_are_evenly_apart() -> None:
    found = drawn(curve([0.0, 0.5, 1.0]))
    assert found.curves[0].dots == (("73.3", "110.0"), ("140.0", "60.0"), ("206.7", "10.0"))
    assert (found.ticks[0], found.bottom, found.places) == (("110.0", "0"), 110, ("73.3", "140.0", "206.7"))


def test_what_lies_beyond_the_scale_is_drawn_at_its_end() -> None:
    found = drawn(curve([-3.0, 7.0]))
    assert [y for _, y in found.curves[0].dots] == ["110.0", "10.0"]


def test_sites_that_were_not_measured_have_no_dot() -> None:
    assert len(drawn(curve([0.1, None, 0.3])).curves[0].dots) == 2
    assert drawn(curve([None, None])).curves[0].line == ""


def test_a_band_goes_out_along_the_upper_ends_and_back_along_the_lower() -> None:
    found = drawn(Curve(label="x", style="main", values=[0.5, 0.5], lows=[0.0, 0.0], highs=[1.0, 1.0]))
    assert found.curves[0].band == "90.0,10.0 190.0,10.0 190.0,110.0 90.0,110.0"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=4))
@settings(deadline=None)
def test_labels_keep_their_distance(ends: list[float]) -> None:
    found = drawn(*(curve([0.5, end], style=str(i)) for i, end in enumerate(ends)))
    heights = sorted(float(c.label_y) for c in found.curves)
    assert all(b - a >= 14.8 for a, b in itertools.pairwise(heights))
    assert [c.style for c in found.curves] == [str(i) for i in range(len(ends))]


def test_one_label_stands_beside_its_line() -> None:
    found = drawn(curve([0.2, 0.5]))
    assert float(found.curves[0].label_y) == pytest.approx(64.0)
