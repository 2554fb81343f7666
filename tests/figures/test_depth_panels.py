"""Diagrams along the depth: numbers stand where they should, names are there, and what makes no sense is refused."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from pellucid.errors import SettingError
from pellucid.figures.curves import Curve
from pellucid.figures.depth_panels import CurvesPanel, SharesPanel, draw_depth_panels


def curves(*values: list[float | None], level: tuple[float, str] | None = None) -> CurvesPanel:
    found = [
        Curve(label=name, style=name, values=each, lows=each, highs=each)
        for name, each in zip(("main", "control"), values, strict=False)
    ]
    return CurvesPanel(title="a < b", curves=found, low=0.0, high=1.0, ticks=((0.0, "0"), (1.0, "1")), level=level)


def shares(*, controls: bool = True, names: int = 3) -> SharesPanel:
    rows = [[1.0], [0.25, 0.75], [0.5, 0.25, 0.25]]
    called = [f"hop {i}" for i in range(names)]
    return SharesPanel(title="shares", shares=rows, controls=rows if controls else [], names=called)


def test_a_drawing_is_whole_xml_with_every_name_in_it() -> None:
    drawn = draw_depth_panels([curves([0.0, 0.5, 1.0], [0.1, None, 0.2]), shares()], ["one", "two & more", "three"])
    root = ElementTree.fromstring(drawn.svg)
    said = " ".join(root.itertext())
    for words in ("a < b", "shares", "two & more", "main", "control", "hop 2"):
        assert words in said
    assert drawn.legend["sites"] == ["one", "two & more", "three"]
    assert (drawn.width, str(drawn.height)) == (760, root.attrib["height"])


def test_bars_are_as_tall_as_their_shares_and_stand_on_each_other() -> None:
    drawn = draw_depth_panels([shares(controls=False)], ["a", "b", "c"])
    rects = re.findall(
        r'<rect x="([\d.]+)" y="([\d.]+)" width="[\d.]+" height="([\d.]+)" fill="[^"]+"><title>', drawn.svg
    )
    tall = [float(height) for _, _, height in rects]
    assert tall == [96, 24, 72, 48, 24, 24]
    assert float(rects[2][1]) + 72 == float(rects[1][1])


def test_a_control_has_bars_of_its_own_in_grey() -> None:
    alone, both = (draw_depth_panels([shares(controls=on)], ["a", "b", "c"]).svg for on in (False, True))
    assert both.count("<title>hop") == 2 * alone.count("<title>hop")
    colours = re.findall(r'fill="#(\w{2})(\w{2})(\w{2})"><title>', both)
    assert sum(red == green == blue for red, green, blue in colours) == len(colours) // 2


def test_a_level_is_a_dashed_line_with_its_name() -> None:
    drawn = draw_depth_panels([curves([0.5], level=(0.25, "chance"))], ["a"]).svg
    assert "stroke-dasharray" in drawn
    assert "chance" in drawn


def test_many_names_of_shares_leave_some_out_of_the_key_but_not_of_the_bars() -> None:
    panel = SharesPanel(title="x", shares=[[0.05] * 20], controls=[], names=[f"hop {i}" for i in range(20)])
    drawn = draw_depth_panels([panel], ["a"]).svg
    assert drawn.count("<title>hop") == 20


@pytest.mark.parametrize(
    ("panels", "names", "width", "said"),
    [
        ([], ["a"], 760, "panels is 0, expected 1 or more"),
        ([shares()], [], 760, "names is 0, expected 1 or more"),
        ([shares()], ["a"], 300, "width is 300, expected 480 or more"),
    ],
)
def test_what_makes_no_sense_is_refused(panels: list[SharesPanel], names: list[str], width: int, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        draw_depth_panels(panels, names, width=width)
