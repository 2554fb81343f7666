"""The parts of SVG drawings: text, colours, marks, strokes and keys."""

import itertools
import re
from collections.abc import Iterator
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.figures.categories import COLOURS, SHAPES, colour_of, mark, shape_of
from pellucid.figures.key import MarkKey, ScaleKey, key
from pellucid.figures.paint import fills, ink_on, scale_of, weights
from pellucid.figures.strokes import STROKES, between, lines, loop
from pellucid.figures.svg import clean, document, element, px, shortened, stand_alone, text, text_room
from pellucid.figures.wording import ENGLISH

SVG = "{http://www.w3.org/2000/svg}"


@given(st.text(st.characters(codec=None), max_size=30))
@settings(deadline=None)
def test_any_text_gives_a_readable_svg(words: str) -> None:
    svg = document([text(words, x=1, y=2)], width=10, height=10, title=words, description=words)
    root = ElementTree.fromstring(svg.encode("utf-8", "strict"))
    assert root.get("viewBox") == "0 0 10 10"
    assert "\x00" not in clean(words)


def test_coordinates_are_short_and_never_minus_zero() -> None:
    assert [px(v) for v in (1.0, 1.25, -0.01, 99.96, -3.5)] == ["1", "1.2", "0", "100", "-3.5"]
    assert element("path", d="M0 0", stroke_width=1.0, fill=None) == '<path d="M0 0" stroke-width="1"/>'
    assert element("g", "x", id='"<') == '<g id="&quot;&lt;">x</g>'


def test_korean_letters_take_more_room_than_latin_ones_and_long_text_is_cut() -> None:
    assert text_room("한글", size=10) == 20
    assert text_room("ab", size=10) < 13
    assert shortened("short", room=100, size=12) == "short"
    cut = shortened("a rather long name of a node", room=60, size=12)
    assert cut.endswith("…")
    assert text_room(cut, size=12) <= 60


def test_alone_means_no_variables_and_white_paper_below_everything() -> None:
    svg = stand_alone(document([text("x", x=0, y=0, halo=True)], width=5, height=5, title="t", description="d"))
    assert "var(" not in svg
    assert ElementTree.fromstring(svg)[0].tag == f"{SVG}rect"


def _seen_by(colour: str, kind: str) -> np.ndarray:
    """A colour as a dichromat sees it (Viénot, Brettel & Mollon 1999), in CIE Lab."""
    share = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    if kind != "all":
        to_lms = np.array([[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709]])
        loss = {
            "no red": np.array([[0, 2.02344, -2.52581], [0, 1, 0], [0, 0, 1]]),
            "no green": np.array([[1, 0, 0], [0.494207, 0, 1.24827], [0, 0, 1]]),
        }[kind]
        linear = np.clip(np.linalg.inv(to_lms) @ loss @ to_lms @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear
    f = np.cbrt(xyz / np.array([0.9505, 1.0, 1.089]))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("kind", ["all", "no red", "no green"])
def test_colours_of_groups_stay_apart_for_colour_blind_eyes(kind: str) -> None:
    seen = [_seen_by(colour, kind) for colour in COLOURS]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 15


def test_groups_repeat_no_pair_of_colour_and_shape_before_56() -> None:
    assert len({(colour_of(group), shape_of(group)) for group in range(56)}) == 56
    assert shape_of(-1) == "circle"


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_about_as_large_as_a_circle_and_around_its_point(shape: str) -> None:
    drawn = mark(shape, 50.0, 60.0, 10.0)
    numbers = {k: float(v) for k, v in re.findall(r'(\w+)="(-?[\d.]+)"', drawn)}
    if shape == "circle":
        assert numbers == {"cx": 50, "cy": 60, "r": 10}
        return
    if shape == "square":
        assert numbers["x"] + numbers["width"] / 2 == pytest.approx(50)
        area = numbers["width"] * numbers["height"]
    else:
        points = np.array(re.findall(r"(-?[\d.]+),(-?[\d.]+)", drawn), dtype=float)
        x, y = points.T
        area = abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
        np.testing.assert_allclose(points.mean(axis=0), [50, 60], atol=0.3)
    assert 0.6 < area / (np.pi * 100) < 1.2


@given(st.floats(-50, 50), st.floats(-50, 50), st.floats(-20, 20))
@settings(deadline=None)
def test_an_edge_begins_and_ends_at_the_rims_and_bends_to_its_left(x: float, y: float, bend: float) -> None:
    far = np.hypot(x, y)
    if far < 30:
        return
    way = between((0.0, 0.0), (x, y), leave=6.0, reach=8.0, bend=bend)
    assert np.hypot(*way.start) == pytest.approx(6.0)
    assert np.hypot(way.end[0] - x, way.end[1] - y) == pytest.approx(8.0)
    if bend:
        # Left of the direction of travel, on a screen, where y points down.
        side = way.control[0] * y - way.control[1] * x
        assert np.sign(side) == np.sign(bend) or abs(bend) < 1e-9


def test_a_loop_leaves_and_reaches_the_rim_of_its_node() -> None:
    way = loop((0.0, 0.0), radius=10.0, towards=0.0, size=12.0)
    assert np.hypot(*way.start) == pytest.approx(10.0)
    assert np.hypot(*way.end) == pytest.approx(10.0)
    assert way.middle()[0] == pytest.approx(10 + 12, abs=4)
    assert way.path().startswith("M8.8 -4.8C")


@pytest.mark.parametrize(("stroke", "count"), [("double", 2), ("triple", 3), ("aromatic", 2), ("dashed", 1)])
def test_strokes_are_told_apart_by_their_lines(stroke: str, count: int) -> None:
    way = between((0.0, 0.0), (50.0, 0.0), leave=0.0, reach=0.0)
    assert len(lines(way, stroke, width=2.0)) == count  # type: ignore[arg-type]
    assert len({str(lines(way, each, width=2.0)) for each in STROKES}) == len(STROKES)


def test_a_head_has_its_tip_at_the_end_of_the_edge() -> None:
    way = between((0.0, 0.0), (50.0, 0.0), leave=0.0, reach=5.0)
    assert way.head(8.0).startswith("45,0 37,")
    assert way.shortened(6.0).end == (39.0, 0.0)


def test_strength_is_the_distance_from_zero() -> None:
    values = np.array([-2.0, 0.0, 1.0, np.nan])
    assert weights(values, scale_of(values)).tolist() == [1.0, 0.0, 0.5, 0.0]
    assert weights(np.zeros(3), scale_of(np.zeros(3))).tolist() == [0.0, 0.0, 0.0]
    assert scale_of(np.array([0.2, 0.4])).kind == "sequential"
    assert scale_of(np.array([0.2, 0.4]), low=-1.0).kind == "signed"


def test_no_value_has_no_colour_and_ink_is_read_on_every_colour() -> None:
    assert fills(np.array([np.nan, 1.0, np.inf]), scale_of(np.array([1.0])))[::2] == [None, None]
    assert (ink_on("#ffffff"), ink_on("#1f5fa8"), ink_on("#fde725"), ink_on("#440154")) == (
        "#171a1e", "#ffffff", "#171a1e", "#ffffff",
    )  # fmt: skip


def test_a_key_has_its_bars_side_by_side_where_there_is_room_and_below_each_other_where_not() -> None:
    scales = [ScaleKey(scale=scale_of(np.arange(3.0)), what=what, unit="u") for what in ("nodes", "edges")]
    wide, high_wide = key(scales, [], left=0, top=0, width=640, wording=ENGLISH)
    narrow, high_narrow = key(scales, [], left=0, top=0, width=300, wording=ENGLISH)
    assert high_narrow > high_wide
    assert "nodes: u" in "".join(wide)
    assert "edges: u" in "".join(narrow)


def test_marks_of_a_key_go_on_in_the_next_row() -> None:
    marks = [MarkKey(drawn="<g/>", name=f"a longer name {i}") for i in range(9)]
    drawn, high = key([], marks, left=8, top=0, width=340, wording=ENGLISH)
    places = re.findall(r"translate\(([\d.]+) ([\d.]+)\)", "".join(drawn))
    assert len({y for _, y in places}) > 2
    assert all(float(x) + 28 + text_room("a longer name 0", size=12) <= 350 for x, _ in places)
    assert high > 60


def test_a_scale_without_a_single_value_has_no_bar() -> None:
    drawn, high = key([ScaleKey(scale=scale_of(np.array([np.nan])))], [], left=0, top=0, width=300, wording=ENGLISH)
    assert drawn == []
    assert high == 0


def test_a_name_of_a_million_letters_is_cut_without_looking_at_all_of_them() -> None:
    class Counted(str):
        seen = 0

        def __iter__(self) -> Iterator[str]:
            for letter in str.__iter__(self):
                Counted.seen += 1
                yield letter

    assert shortened(Counted("n" * 1_000_000), room=60, size=12).endswith("n…")
    assert Counted.seen < 20
