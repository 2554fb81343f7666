import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pellucid.errors import SettingError
from pellucid.figures.colour import FLAT, ZERO, measure, palette
from pellucid.figures.contours import contours
from pellucid.figures.overlay import overlay

PLAIN = np.full((40, 60, 3), 90, dtype=np.uint8)
"""A picture without lines, so that only the cells' own colours are left."""


def half_and_half(height=60, width=80):
    picture = np.zeros((height, width, 3), dtype=np.uint8)
    picture[:, width // 2 :] = 200
    return picture


def decoded(content):
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 5), st.integers(1, 5), st.sampled_from(["sequential", "signed"]),
    st.integers(0, 40), st.integers(0, 20), st.integers(5, 20), st.integers(5, 20), st.integers(30, 250),
)  # fmt: skip
def test_every_pixel_of_the_box_has_the_colour_of_the_cell_it_lies_in(rows, columns, kind, left, top, wide, high, side):
    values = np.random.default_rng(rows * 7 + columns).normal(size=(rows, columns))
    box = (left, top, left + wide, top + high)

    drawn = overlay(values, PLAIN, kind=kind, box=box, side=side)

    colours = palette(kind)[measure(values, kind=kind).entries(values)]
    veiled = np.rint(np.float32(90) * (1 - np.float32(0.62)) + np.float32(255) * np.float32(0.62))
    factor = int(drawn.factor)
    for y in range(0, drawn.pixels.shape[0], 3):
        for x in range(0, drawn.pixels.shape[1], 3):
            down, right = ((y + 0.5) / factor - top) / high, ((x + 0.5) / factor - left) / wide
            inside = 0 <= down < 1 and 0 <= right < 1
            wanted = colours[int(down * rows + 1e-9), int(right * columns + 1e-9)] if inside else veiled
            np.testing.assert_array_equal(drawn.pixels[y, x], wanted)


def test_the_picture_lies_over_the_cells_as_lines_and_leaves_the_rest_opaque():
    values = np.array([[0.0, 1.0], [0.5, 0.2]])

    drawn = overlay(values, half_and_half(), kind="sequential")

    colours = palette("sequential")[measure(values, kind="sequential").entries(values)]
    wanted = colours.repeat(drawn.pixels.shape[0] // 2, axis=0).repeat(drawn.pixels.shape[1] // 2, axis=1)
    changed = (drawn.pixels != wanted).any(axis=2)
    middle = drawn.pixels.shape[1] // 2
    assert changed[:, middle - 5 : middle + 5].any(axis=1).all()
    assert not changed[:, : middle - 30].any()
    assert not changed[:, middle + 30 :].any()


def test_between_the_box_and_what_the_model_saw_there_is_paper_and_beyond_a_veil():
    drawn = overlay(np.eye(2), PLAIN, kind="signed", box=(20, 10, 40, 30), seen=(10, 5, 50, 35), side=60)

    assert drawn.factor == 1
    assert drawn.pixels[7, 30].tolist() == [255, 255, 255]
    assert drawn.pixels[2, 30].tolist() == [192, 192, 192]
    assert drawn.pixels[12, 22].tolist() == [0xC2, 0x3B, 0x22]


def test_a_box_that_reaches_over_the_picture_keeps_its_cells_where_they_are():
    values = np.array([[1.0, 2.0, 3.0]])

    drawn = overlay(values, PLAIN, kind="sequential", box=(-20, 0, 40, 40), side=60)

    colours = palette("sequential")[measure(values, kind="sequential").entries(values)][0]
    np.testing.assert_array_equal(drawn.pixels[20, 0], colours[1])
    np.testing.assert_array_equal(drawn.pixels[20, 39], colours[2])


def test_a_pixel_whose_middle_lies_on_the_far_edge_belongs_to_what_comes_next():
    drawn = overlay(np.eye(2), PLAIN, kind="signed", box=(0.5, 0, 30.5, 40), side=60)

    assert drawn.pixels[10, 0].tolist() == [0xC2, 0x3B, 0x22]
    assert drawn.pixels[30, 29].tolist() == [0xC2, 0x3B, 0x22]
    assert drawn.pixels[30, 30].tolist() == [192, 192, 192]


def test_a_large_picture_is_reduced_and_the_box_with_it():
    picture = np.full((1000, 2400, 3), 90, dtype=np.uint8)

    drawn = overlay(np.array([[1.0]]), picture, kind="signed", box=(1200, 500, 2400, 1000))

    assert drawn.factor == 0.5
    assert drawn.pixels.shape == (500, 1200, 3)
    red = (drawn.pixels == palette("signed")[FLAT]).all(axis=2)
    assert red[250:, 600:].all()
    assert red.sum() == 250 * 600


def test_zero_is_drawn_white_exactly():
    drawn = overlay(np.array([[-1.0, 0.0, 2.0]]), PLAIN, kind="signed", side=60)

    assert palette("signed")[ZERO].tolist() == drawn.pixels[20, 30].tolist() == [255, 255, 255]


@pytest.mark.parametrize("kind", ["sequential", "signed"])
@pytest.mark.parametrize("value", [0.0, 4.0, -4.0])
def test_a_constant_attribution_is_one_flat_colour_and_flagged(kind, value):
    drawn = overlay(np.full((3, 3), value), PLAIN, kind=kind)

    assert {tuple(colour) for colour in drawn.pixels.reshape(-1, 3).tolist()} == {tuple(palette(kind)[FLAT].tolist())}
    assert any(flag.startswith("flat (range 0)") for flag in drawn.legend["flags"])


def test_the_legend_is_json_and_has_numbers_unit_and_flags():
    values = np.array([[-3.0, -1.0, np.nan]])

    legend = overlay(values, PLAIN, kind="sequential", unit="logits per cell").legend

    assert json.loads(json.dumps(legend, allow_nan=False)) == {
        "kind": "sequential", "low": -3.0, "high": 0.0, "least": -3.0, "most": -1.0, "unit": "logits per cell",
        "not_finite": 1, "beyond": 0, "flags": ["not finite: 1 value", "no positive evidence"],
    }  # fmt: skip


def test_a_map_without_one_finite_value_is_drawn_and_said():
    drawn = overlay(np.full((2, 2), np.nan), PLAIN, kind="signed")

    assert drawn.legend["flags"] == ["not finite: all 4 values"]
    assert drawn.figure_png()


def test_values_beyond_given_ends_are_counted():
    drawn = overlay(np.array([[0.0, 1.0, 2.0, 9.0]]), PLAIN, kind="sequential", high=2.0)

    assert (drawn.legend["high"], drawn.legend["beyond"]) == (2.0, 1)
    assert drawn.legend["flags"] == ["25 % of the values lie beyond the ends, up to 9"]


def test_the_png_is_the_drawing_and_the_figure_holds_it_whole(tmp_path):
    drawn = overlay(np.eye(3), half_and_half(), kind="signed", unit="logits")
    height, width = drawn.pixels.shape[:2]

    figure = decoded(drawn.figure_png(title="Grad-CAM", lines=["one more sentence"]))

    np.testing.assert_array_equal(decoded(drawn.png()), drawn.pixels)
    assert any(np.array_equal(figure[top : top + height, 16 : 16 + width], drawn.pixels) for top in range(80))
    assert figure.shape[0] > decoded(drawn.figure_png()).shape[0]
    assert drawn.save(tmp_path / "why.png").read_bytes() == drawn.figure_png() == drawn._repr_png_()
    with pytest.raises(SettingError, match=r"expected a name that ends in .png"):
        drawn.save(tmp_path / "why.pdf")


def test_the_bar_of_the_legend_has_the_colours_of_the_drawing():
    for kind in ("sequential", "signed"):
        values = np.linspace(-1 if kind == "signed" else 0, 1, 60)[None]
        drawn = overlay(values, PLAIN, kind=kind, side=60)

        bar = {tuple(colour) for colour in decoded(drawn.legend_png(width=400))[0].tolist()}

        assert {tuple(colour) for colour in drawn.pixels.reshape(-1, 3).tolist()} <= bar


def test_the_arrays_that_were_given_are_not_changed():
    values, picture = np.array([[1.0, np.nan]]), half_and_half()
    before = values.copy(), picture.copy()

    drawn = overlay(values, picture, kind="signed")

    np.testing.assert_array_equal(values, before[0])
    np.testing.assert_array_equal(picture, before[1])
    assert not drawn.pixels.flags.writeable
    assert repr(drawn) == "Overlay(signed, −1 to +1, flat (range 0): every value is 1, not finite: 1 value)"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"values": np.zeros((1, 2, 2))},
            "values is 'float64 (1, 2, 2)', expected numbers of shape (rows, columns), not empty.",
        ),
        ({"values": np.zeros((0, 2))}, "values is 'float64 (0, 2)'"),
        (
            {"picture": np.zeros((4, 4, 3))},
            "picture is 'float64 (4, 4, 3)', expected uint8 of shape (height, width, 3)",
        ),
        ({"picture": np.zeros((4, 4), np.uint8)}, "picture is 'uint8 (4, 4)'"),
        ({"box": (5, 0, 5, 9)}, "box is (5, 0, 5, 9), expected (left, top, right, bottom)"),
        ({"seen": (0, 0, np.inf, 9)}, "seen is (0, 0, inf, 9), expected (left, top, right, bottom)"),
    ],
)
def test_arrays_and_boxes_that_make_no_sense_are_refused(wrong, message):
    given = {"values": np.eye(2), "picture": PLAIN, **wrong}
    with pytest.raises(SettingError) as caught:
        overlay(given.pop("values"), given.pop("picture"), kind="signed", **given)

    assert message in str(caught.value)


def test_an_even_picture_and_its_sensor_noise_have_no_lines():
    noise = np.random.default_rng(0).integers(118, 123, (200, 200, 3), dtype=np.uint8)

    assert not contours(PLAIN, size=(80, 120)).any()
    assert contours(noise, size=(400, 400)).mean() < 0.02
    assert not contours(PLAIN[:1], size=(1, 60)).any()


@pytest.mark.parametrize("turned", [False, True])
def test_a_line_lies_where_the_brightness_changes(turned):
    picture = half_and_half(60, 60)
    picture = picture.transpose(1, 0, 2).copy() if turned else picture

    drawn = contours(picture, size=(240, 240))

    across = drawn.mean(axis=1 if turned else 0)
    assert abs(int(across.argmax()) - 119.5) <= 2
    assert across[[0, 60, 180, -1]].max() == 0
    assert across.max() > 0.5
