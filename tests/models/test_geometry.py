import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.errors import SettingError
from pellucid.inputs.image import Image
from pellucid.inputs.reading import read
from pellucid.models.geometry import Geometry
from pellucid.models.preprocessing import Preprocessing

PICTURE = read(np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8))


def plain(height: int, width: int) -> Image:
    return read(np.zeros((height, width, 3), np.uint8))


PREPROCESSINGS = st.one_of(
    st.just(Preprocessing.none()),
    st.builds(lambda side: Preprocessing(resize=side), st.integers(1, 60)),
    st.builds(lambda side, less: Preprocessing(resize=side + less, crop=side), st.integers(1, 60), st.integers(0, 40)),
    st.builds(
        lambda height, width, less: Preprocessing(resize=(height + less, width + less), crop=(height, width)),
        st.integers(1, 60),
        st.integers(1, 60),
        st.integers(0, 9),
    ),
)


@settings(deadline=None)
@given(
    preprocessing=PREPROCESSINGS,
    size=st.tuples(st.integers(1, 200), st.integers(1, 200)),
    y=st.floats(-500, 500),
    x=st.floats(-500, 500),
)
def test_there_and_back_is_the_same_place(preprocessing, size, y, x):
    geometry = preprocessing.geometry(plain(*size))
    assert geometry.to_original(*geometry.to_prepared(y, x)) == pytest.approx((y, x), abs=1e-6)
    assert geometry.to_prepared(*geometry.to_original(y, x)) == pytest.approx((y, x), abs=1e-6)
    assert isinstance(geometry.to_original(y, x)[0], float)


@settings(deadline=None)
@given(preprocessing=PREPROCESSINGS, size=st.tuples(st.integers(1, 200), st.integers(1, 200)))
def test_the_geometry_tells_the_size_that_comes_out(preprocessing, size):
    geometry = preprocessing.geometry(plain(*size))
    assert preprocessing.prepare(plain(*size)).shape == (3, *geometry.prepared)
    left, top, right, bottom = geometry.frame
    assert -1e-6 <= left < right <= size[1] + 1e-6
    assert -1e-6 <= top < bottom <= size[0] + 1e-6


def test_arrays_of_places_are_taken():
    geometry = Preprocessing(resize=30, crop=20).geometry(PICTURE)
    y, x = geometry.to_original(np.array([0.0, 20.0]), np.array([0.0, 20.0]))
    assert (x[0], y[0], x[1], y[1]) == pytest.approx(geometry.frame)
    # 60×90 becomes 30×45, of which 20×20 from (5, 12) remain; a pixel there is two pixels here.
    assert geometry.frame == (24.0, 10.0, 64.0, 50.0)


@pytest.mark.parametrize("size", [(60, 91), (61, 90), (83, 47)])
@pytest.mark.parametrize("crop", [21, 22, (17, 30)])
@pytest.mark.parametrize("corner", ["top left", "bottom right"])
def test_a_crops_corner_pixel_is_where_the_geometry_says(size, crop, corner):
    preprocessing = Preprocessing(crop=crop)
    geometry = preprocessing.geometry(plain(*size))
    height, width = geometry.prepared
    y, x = (0, 0) if corner == "top left" else (height - 1, width - 1)
    marked = np.zeros((*size, 3), np.uint8)
    row, column = geometry.to_original(y + 0.5, x + 0.5)
    marked[int(row), int(column)] = 255
    seen = np.argwhere(preprocessing.pixels(read(marked))[..., 0])
    assert seen.tolist() == [[y, x]]


@pytest.mark.parametrize("size", [(60, 90), (83, 47), (64, 64)])
@pytest.mark.parametrize(
    "preprocessing", [Preprocessing(resize=120, crop=100), Preprocessing(resize=(90, 150), crop=70)]
)
def test_a_spot_is_found_where_the_geometry_says_after_resizing(size, preprocessing):
    geometry = preprocessing.geometry(plain(*size))
    marked = np.zeros((*size, 3), np.uint8)
    row, column = size[0] // 2 + 3, size[1] // 2 - 4
    marked[row, column] = 255
    seen = preprocessing.pixels(read(marked))[..., 0].astype(float)
    # The spot's centre of mass, in pixel-edge coordinates.
    rows, columns = np.mgrid[0 : seen.shape[0], 0 : seen.shape[1]] + 0.5
    centre = (seen * rows).sum() / seen.sum(), (seen * columns).sum() / seen.sum()
    assert geometry.to_prepared(row + 0.5, column + 0.5) == pytest.approx(centre, abs=0.1)


def test_geometry_records_give_the_same_geometry_back():
    geometry = Preprocessing(resize=30, crop=20).geometry(PICTURE)
    assert Geometry.from_record(json.loads(json.dumps(geometry.to_record()))) == geometry


@pytest.mark.parametrize("box", [[0, 0, 0, 5], [0, 0, 46, 5], [-1, 0, 5, 5], [0, 0, 5], [0, 0, 5, 2.5]])
def test_a_geometry_whose_crop_lies_outside_is_refused(box):
    geometry = Preprocessing(resize=30, crop=20).geometry(PICTURE)
    with pytest.raises(SettingError, match=r"crop_box is .*, expected left, top, right, bottom within 45×30"):
        Geometry.from_record({**geometry.to_record(), "crop_box": box})
