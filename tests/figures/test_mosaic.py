import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pellucid.errors import SettingError
from pellucid.figures.colour import FLAT, NOT_FINITE, NOT_FINITE_TOO, palette, sequential
from pellucid.figures.mosaic import depth_sheet, feature_map_grid


def some_maps(count, height=6, width=7):
    return np.random.default_rng(count).normal(size=(count, height, width)).astype(np.float32)


def pixels_of(content):
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


def cut(pixels, box):
    return pixels[box.top : box.top + box.height, box.left : box.left + box.width]


@settings(deadline=None, max_examples=25)
@given(
    st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.sampled_from(["map", "shared"]), st.integers(1, 40),
    st.booleans(), st.sampled_from(["", "features.20", "고양이"]),
)  # fmt: skip
def test_every_cell_is_its_map_in_palette_colours_each_value_a_square(
    count, height, width, scale, cell, numbers, title
):
    maps = some_maps(count, height, width)

    grid = feature_map_grid(
        maps, channels=range(count), rows=3, columns=3, scale=scale, cell=cell, numbers=numbers, title=title
    )

    pixels = pixels_of(grid.png())
    for values, box in zip(maps, grid.boxes, strict=True):
        low, high = (maps.min(), maps.max()) if scale == "shared" else (values.min(), values.max())
        colours = palette("sequential")[sequential(values, low=low, high=high)]
        wanted = np.kron(colours, np.ones((int(grid.factor), int(grid.factor), 1), dtype=np.uint8))
        np.testing.assert_array_equal(cut(pixels, box), wanted)


def test_cells_lie_in_rows_in_the_order_of_the_channels_and_do_not_touch():
    grid = feature_map_grid(some_maps(7), channels=[3, 1, 4, 15, 9, 2, 6], rows=3, columns=3)

    places = [(box.top, box.left) for box in grid.boxes]
    assert places == sorted(places)
    assert [sum(box.top == top for box in grid.boxes) for top in sorted({top for top, _ in places})] == [3, 3, 1]
    assert all(
        right.left - left.left - left.width >= 8 for left, right in zip(grid.boxes[:2], grid.boxes[1:3], strict=True)
    )
    assert grid.channels == (3, 1, 4, 15, 9, 2, 6)


def test_the_number_of_a_channel_is_written_below_its_map():
    grids = [feature_map_grid(some_maps(1), channels=[channel], rows=1, columns=1) for channel in (17, 42)]
    below = [
        grid.canvas[box.top + box.height : box.top + box.height + 18, box.left : box.left + 20]
        for grid in grids
        for box in grid.boxes
    ]

    assert not np.array_equal(*below)
    plain = feature_map_grid(some_maps(1), channels=[17], rows=1, columns=1, numbers=False)
    assert plain.canvas.shape[0] < grids[0].canvas.shape[0]


def test_cells_are_at_least_as_large_as_asked_and_large_maps_are_never_reduced():
    small = feature_map_grid(some_maps(4, 6, 7), channels=range(4), cell=48)
    large = feature_map_grid(some_maps(4, 200, 150), channels=range(4), cell=48)

    assert (small.factor, small.boxes[0].width) == (7, 49)
    assert (large.factor, large.boxes[0][2:]) == (1, (150, 200))


def test_maps_beyond_the_cap_leave_out_values_evenly_and_say_so(monkeypatch):
    monkeypatch.setattr("pellucid.figures.mosaic._LARGEST", 4 * 20 * 20)
    maps = some_maps(4, 40, 40)

    grid = feature_map_grid(maps, channels=range(4), rows=2, columns=2, scale="shared")

    assert grid.factor == 1 / 2
    wanted = palette("sequential")[sequential(maps, low=maps.min(), high=maps.max())[:, ::2, ::2]]
    np.testing.assert_array_equal(cut(pixels_of(grid.png()), grid.boxes[3]), wanted[3])


def test_the_two_scale_rules_give_different_legends_and_the_ends_are_the_values():
    maps = some_maps(4)
    own, shared = (feature_map_grid(maps, channels=range(4), scale=scale) for scale in ("map", "shared"))

    assert (own.low, own.high) == (shared.low, shared.high) == (maps.min(), maps.max())
    np.testing.assert_array_equal(own.lows, maps.min(axis=(1, 2)))
    np.testing.assert_array_equal(own.highs, maps.max(axis=(1, 2)))
    assert "each map on its own scale" in repr(own)
    assert "one scale for all maps" in repr(shared)
    assert not np.array_equal(own.canvas[-40:], shared.canvas[-40:])


def test_a_constant_map_is_flat_on_its_own_scale_and_has_its_colour_on_a_shared_one():
    maps = some_maps(3)
    maps[1] = maps.max()

    own = feature_map_grid(maps, channels=range(3))
    shared = feature_map_grid(maps, channels=range(3), scale="shared")

    assert (own.entries[1] == FLAT).all()
    assert (shared.entries[1] == 239).all()
    assert (own.entries[[0, 2]] != FLAT).all()


def test_a_dead_site_is_flat_as_a_whole():
    for scale in ("map", "shared"):
        grid = feature_map_grid(np.zeros((2, 3, 3), np.float32), channels=range(2), scale=scale)

        assert (grid.entries == FLAT).all()
        assert (grid.low, grid.high) == (0, 0)


def test_what_is_not_finite_is_shown_and_does_not_move_the_scale():
    maps = some_maps(4)
    clean = feature_map_grid(maps, channels=range(4))
    maps[1, 2, 3], maps[1, 0, 0], maps[2] = np.nan, np.inf, np.nan
    inside = maps[1][np.isfinite(maps[1])]

    grid = feature_map_grid(maps, channels=range(4))

    np.testing.assert_array_equal(grid.entries[[0, 3]], clean.entries[[0, 3]])
    assert (grid.lows[1], grid.highs[1]) == (inside.min(), inside.max())
    assert np.isnan(grid.lows[2])
    assert np.isin(grid.entries[2], (NOT_FINITE, NOT_FINITE_TOO)).all()
    assert np.isin(grid.entries[1, [2, 0], [3, 0]], (NOT_FINITE, NOT_FINITE_TOO)).all()
    assert "NaN" not in repr(grid)


def test_maps_without_one_finite_value_can_be_drawn():
    for scale in ("map", "shared"):
        grid = feature_map_grid(np.full((2, 3, 3), np.nan), channels=range(2), scale=scale)

        assert repr(grid).endswith("not finite)")
        assert pixels_of(grid.png()).size


def test_a_saved_grid_is_the_picture_or_the_numbers(tmp_path):
    maps = some_maps(3)
    grid = feature_map_grid(maps, channels=[5, 9, 2])

    assert grid.save(tmp_path / "maps.png").read_bytes() == grid.png() == grid._repr_png_()
    with np.load(grid.save(tmp_path / "maps.NPZ")) as saved:
        np.testing.assert_array_equal(saved["maps"], maps)
        assert saved["channels"].tolist() == [5, 9, 2]
    with pytest.raises(SettingError, match=r"expected a name that ends in .png \(picture\) or .npz \(numbers\)"):
        grid.save(tmp_path / "maps.jpg")
    assert {file.name for file in tmp_path.iterdir()} == {"maps.png", "maps.NPZ"}


def test_a_grid_keeps_its_own_numbers():
    maps = some_maps(2)
    grid = feature_map_grid(maps, channels=range(2))
    before = grid.png()

    maps[:] = 0

    assert grid.maps.any()
    assert grid.png() == before
    with pytest.raises(ValueError, match="read-only"):
        grid.maps[:] = 0


def test_integers_and_half_precision_are_drawn_like_their_values():
    values = np.arange(12).reshape(1, 3, 4)
    for kind in (np.uint8, np.int64, np.float16, np.float64):
        grid = feature_map_grid(values.astype(kind), channels=[0])

        np.testing.assert_array_equal(grid.entries[0], sequential(values[0].astype(float), low=0, high=11))


def test_more_channels_than_places_is_refused_with_the_rows_that_are_needed():
    with pytest.raises(SettingError) as caught:
        feature_map_grid(some_maps(17), channels=range(17))

    assert str(caught.value) == (
        "rows, columns is (4, 4), expected places for 17 maps; "
        "rows=5 with columns=4 shows them all, or select fewer channels."
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"maps": np.zeros((3, 3))}, "maps is 'float64 (3, 3)', expected numbers of shape (maps, height, width)."),
        ({"maps": np.zeros((0, 3, 3))}, "maps is 'float64 (0, 3, 3)'"),
        ({"maps": np.zeros((2, 3, 3), complex)}, "maps is 'complex128 (2, 3, 3)'"),
        ({"channels": [1]}, "channels is 1, expected 2 numbers, one for each map."),
        ({"rows": 0}, "rows is 0, expected 1 or more."),
        ({"columns": -1}, "columns is -1, expected 1 or more."),
        ({"cell": 0}, "cell is 0, expected 1 or more."),
        ({"scale": "log"}, "scale is 'log', expected 'map' (each map its own) or 'shared' (one for all)."),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(wrong, message):
    settings = {"maps": np.zeros((2, 3, 3)), "channels": [0, 1], **wrong}
    with pytest.raises(SettingError) as caught:
        feature_map_grid(settings.pop("maps"), **settings)

    assert message in str(caught.value)


def test_a_depth_sheet_holds_every_grid_whole_and_in_order(tmp_path):
    rows = [
        (f"features.{k}", feature_map_grid(some_maps(2, 8 - k, 8 - k), channels=range(2), total=64)) for k in (0, 3)
    ]

    sheet = depth_sheet(rows)

    strips = [sheet.canvas[:, : grid.canvas.shape[1]] for _, grid in rows]
    starts = [
        next(top for top in range(len(part)) if np.array_equal(part[top : top + len(grid.canvas)], grid.canvas))
        for part, (_, grid) in zip(strips, rows, strict=True)
    ]
    assert starts == sorted(starts)
    assert sheet.save(tmp_path / "depth.png").read_bytes() == sheet.png() == sheet._repr_png_()
    with np.load(sheet.save(tmp_path / "depth.npz")) as saved:
        assert saved["labels"].tolist() == ["features.0", "features.3"]
        np.testing.assert_array_equal(saved["maps_1"], rows[1][1].maps)
        assert saved["channels_0"].tolist() == [0, 1]
    assert repr(sheet) == "Sheet(features.0, features.3)"


def test_a_depth_sheet_of_nothing_is_refused():
    with pytest.raises(SettingError, match="one or more pairs of a site's name and its grid"):
        depth_sheet([])


def test_many_dead_and_broken_channels_are_named_up_to_a_dozen():
    maps = some_maps(40, 3, 3)
    maps[:20], maps[20] = 1.0, np.inf

    named, fewer = (feature_map_grid(m, channels=range(len(m)), rows=4, columns=10) for m in (maps, maps[25:]))

    assert named.canvas.shape[0] > fewer.canvas.shape[0]
