"""Localisation against rules written out pixel by pixel, and against what the geometry of a crop must give."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import pellucid
from pellucid.errors import SettingError
from pellucid.methods.explanation import Explanation, Part
from pellucid.metrics.localisation import Localisation, energy_in, evaluate_localisation, pointing_at
from pellucid.metrics.objects import hit_by, mask_of, seen_area, seen_share
from pellucid.models.geometry import Geometry
from pellucid.models.preprocessing import Preprocessing

# 48 × 60 becomes 32 × 40, of which the middle 32 columns are seen: 6 columns of the original are lost on either side.
HEIGHT, WIDTH, SIDE = 48, 60, 32


@pytest.fixture(scope="module")
def why() -> Explanation:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    model = pellucid.load(module, preprocessing=Preprocessing(resize=SIDE, crop=SIDE, source="flags"))
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    return pellucid.explain(model, pixels, method="saliency", target="class:0")


def with_map(why: Explanation, values: np.ndarray, **changes: Any) -> Explanation:
    part = Part(
        name="pixels", place="input", axes=("height", "width"), values=values, box=(0.0, 0.0, float(SIDE), float(SIDE))
    )
    return replace(why, parts=(replace(part, **changes),))


def peak(why: Explanation, *places: tuple[int, int], background: float = 0.0) -> Explanation:
    values = np.full((SIDE, SIDE), background)
    for place in places:
        values[place] = 1.0
    return with_map(why, values)


def one(why: Explanation, given: Any, **settings: Any) -> Localisation:
    return evaluate_localisation(why, objects=[given], **settings)


def torchrays_rule(mask: np.ndarray, row: int, column: int, tolerance: float) -> bool:
    """A hit whenever a disc around the pixel, its rim left out, meets the mask."""
    return any(
        (y - row) ** 2 + (x - column) ** 2 < tolerance**2
        for y in range(mask.shape[0])
        for x in range(mask.shape[1])
        if mask[y, x]
    )


def test_pointing_equals_torchrays_rule_at_every_place(why: Explanation) -> None:
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[8:14, 12:20] = mask[40, 50] = True
    for y, x in ((4, 4), (5, 17), (9, 14), (18, 3), (26, 27), (31, 31), (31, 0)):
        # 1.5 original pixels for one that the model sees, and 6 columns cut off.
        row, column = int((y + 0.5) * 1.5), int((x + 4 + 0.5) * 1.5)
        found = one(peak(why, (y, x)), mask, tolerance=6).items[0].pointing["explanation"]
        assert found == torchrays_rule(mask, row, column, 6)


def test_the_tolerance_is_measured_in_pixels_of_the_original(why: Explanation) -> None:
    box = (6, 0, 9, 48)  # the two leftmost columns that the model sees
    places = [one(peak(why, (16, x)), box, tolerance=6).items[0].pointing["explanation"] for x in range(10)]
    # Middles fall into the original's columns 6, 8, 9, 11, 12, 14, 15 …; column 8 is the object's last.
    assert places == [1, 1, 1, 1, 1, 0, 0, 0, 0, 0]


def test_without_tolerance_the_object_itself_is_still_hit(why: Explanation) -> None:
    assert one(peak(why, (16, 16)), (20, 10, 50, 40), tolerance=0).pointing_game().value == 1


def test_several_largest_values_count_by_the_share_of_them_that_hits(why: Explanation) -> None:
    three = peak(why, (2, 2), (2, 3), (30, 30))
    found = one(three, (6, 0, 14, 10), tolerance=1.0)
    assert found.pointing_game().value == pytest.approx(2 / 3)


def test_random_pointing_is_what_all_single_points_give_on_average(why: Explanation) -> None:
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[20:30, 5:15] = True
    known = one(peak(why, (0, 0)), mask, tolerance=4).items[0].pointing["random"]
    each = [
        torchrays_rule(mask, int((y + 0.5) * 1.5), int((x + 4.5) * 1.5), 4) for y in range(SIDE) for x in range(SIDE)
    ]
    assert known == pytest.approx(np.mean(each))


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000))
def test_energy_inside_equals_a_sum_over_small_squares(seed: int) -> None:
    rng = np.random.default_rng(seed)
    geometry = Geometry(original=(7, 9), resized=(4, 6), crop_box=(1, 0, 5, 4))
    mask, plane = rng.random((7, 9)) < 0.4, rng.normal(size=(4, 4))
    fine = 21  # small squares that never lie across an edge of either grid
    places = (np.arange(4 * fine) + 0.5) / fine
    rows, columns = (places * 7 / 4).astype(int), ((places + 1) * 9 / 6).astype(int)
    values = plane.clip(min=0).repeat(fine, axis=0).repeat(fine, axis=1)
    inside = values[mask[np.ix_(rows, columns)]].sum()
    assert energy_in(plane, seen_share(mask, geometry)) == pytest.approx(inside / values.sum(), abs=1e-9)


def test_equal_values_in_the_object_alone_are_all_inside_and_a_flat_background_adds_the_area_share(
    why: Explanation,
) -> None:
    box = (6 + 12, 12, 6 + 36, 36)  # 16 × 16 pixels of what the model sees, a quarter
    values = np.zeros((SIDE, SIDE))
    values[8:24, 8:24] = 1
    found = one(with_map(why, values), box)
    assert found.energy_inside().value == pytest.approx(1)
    assert found.energy_inside("random").value == pytest.approx(0.25)
    assert one(with_map(why, values + 1), box).energy_inside().value == pytest.approx(2 * 0.25 / (2 * 0.25 + 0.75))


def test_values_against_the_class_are_no_energy(why: Explanation) -> None:
    values = np.full((SIDE, SIDE), -5.0)
    values[10, 10] = 1
    assert one(with_map(why, values), (18, 12, 30, 24)).energy_inside().value == pytest.approx(1)


def test_a_map_without_positive_values_still_points_but_has_no_energy(why: Explanation) -> None:
    values = np.full((SIDE, SIDE), -2.0)
    values[10, 10] = -1
    found = one(with_map(why, values), (18, 12, 30, 24))
    assert found.pointing_game().value == 1
    with pytest.raises(SettingError, match="1 without a positive value"):
        found.energy_inside()


def test_the_middle_hits_what_lies_in_the_middle(why: Explanation) -> None:
    found = one(peak(why, (0, 0)), (24, 18, 36, 30), tolerance=2)
    assert (found.pointing_game().value, found.pointing_game("centre").value) == (0, 1)
    assert found.energy_inside("centre").value > found.energy_inside("random").value
    assert found.gain("pointing", over="centre").value == -1


def test_an_object_outside_of_the_crop_is_left_out_and_counted(why: Explanation) -> None:
    lost, there = (0, 0, 6, 48), (6, 0, 12, 48)
    hit = peak(why, (3, 0))
    found = evaluate_localisation([hit, hit], objects=[lost, there])
    assert [item.status for item in found.items] == ["cropped away", "scored"]
    assert found.count("cropped away") == 1
    assert found.items[0].seen == 0
    assert "1 cropped away" in repr(found)
    with pytest.raises(SettingError, match="1 cropped away, 0 without a ranking', expected one or more"):
        one(hit, lost).pointing_game()


def test_half_of_an_object_is_seen() -> None:
    geometry = Geometry(original=(HEIGHT, WIDTH), resized=(32, 40), crop_box=(4, 0, 36, 32))
    mask = mask_of((3, 10, 9, 20), (HEIGHT, WIDTH), name="objects[0]")
    assert seen_area(mask, geometry) == pytest.approx(0.5)


def test_a_constant_map_has_no_ranking_and_is_counted_not_scored(why: Explanation) -> None:
    flat = with_map(why, np.full((SIDE, SIDE), 0.1))
    found = evaluate_localisation([flat, peak(why, (0, 0))], objects=[(6, 0, 12, 12)] * 2)
    assert (found.count("no ranking"), found.count("scored")) == (1, 1)
    assert found.pointing_game().count == 1
    assert found.to_record()["items"][0]["pointing"] == {}


def test_nan_is_refused_and_never_a_zero(why: Explanation) -> None:
    values = np.zeros((SIDE, SIDE))
    values[3, 3] = np.nan
    with pytest.raises(SettingError, match="1 of 1024 values are NaN or infinite', expected finite values"):
        one(with_map(why, values), (6, 0, 12, 12))


@pytest.mark.parametrize(
    ("given_object", "told"),
    [
        ((10, 10, 10, 20), r"objects\[0\] is \(10, 10, 10, 20\), expected a mask, or a box"),
        ((0, 0, 61, 10), "inside of the original picture, 60×48"),
        ((0, 0, float("nan"), 10), "expected a mask, or a box"),
        ("left", "expected a mask, or a box"),
        (np.zeros((HEIGHT, WIDTH), dtype=bool), "without a pixel', expected an object of one pixel or more"),
        ((10.1, 10.1, 10.2, 10.2), "without a pixel"),
        (np.ones((SIDE, SIDE), dtype=bool), "bool, 32×32', expected bool of the original picture's size, 60×48"),
        (np.ones((HEIGHT, WIDTH)), "float64, 60×48"),
    ],
)
def test_a_bad_object_is_refused_by_its_number(why: Explanation, given_object: Any, told: str) -> None:
    with pytest.raises(SettingError, match=told):
        one(peak(why, (0, 0)), given_object)


def test_numbers_of_objects_and_tolerance_are_checked(why: Explanation) -> None:
    with pytest.raises(SettingError, match="2 objects', expected one for each of 1 explanations"):
        evaluate_localisation(why, objects=[(6, 0, 12, 12)] * 2)
    with pytest.raises(SettingError, match="tolerance is -1, expected pixels, 0 or more; TorchRay uses 15"):
        one(why, (6, 0, 12, 12), tolerance=-1)
    with pytest.raises(SettingError, match="explain a picture: where a tensor lies"):
        one(replace(why, subject=None), (6, 0, 12, 12))


def test_a_picture_counts_once_however_many_objects_are_asked(why: Explanation) -> None:
    assert why.subject is not None
    other = replace(peak(why, (0, 0)), subject=replace(why.subject, digest="other"))  # type: ignore[arg-type]
    hit = peak(why, (16, 16))
    found = evaluate_localisation([hit, hit, hit, other], objects=[(24, 18, 36, 30)] * 4, tolerance=1.0)
    assert (found.pointing_game().value, found.pointing_game().count) == (0.5, 2)


def test_cells_of_a_feature_map_are_enlarged_about_their_middles(why: Explanation) -> None:
    cells = np.arange(16.0).reshape(4, 4)
    small = with_map(why, cells)
    large = torch.nn.functional.interpolate(torch.tensor(cells)[None, None], size=SIDE, mode="bilinear")[0, 0].numpy()
    same = with_map(why, large)
    box = (20, 12, 40, 30)
    assert one(small, box).energy_inside().value == pytest.approx(one(same, box).energy_inside().value)
    # Moved half a cell to the right, the largest value of a row lies half a cell further, too.
    moved = with_map(why, np.eye(4)[[1]] * np.ones((4, 1)), box=(4.0, 0.0, 36.0, 32.0))
    assert one(moved, (6 + 21, 0, 6 + 27, 48), tolerance=0).pointing_game().value == 1


def test_pointing_at_a_single_largest_value_is_whole() -> None:
    plane = np.array([[0.0, 2.0], [1.0, -5.0]])
    geometry = Geometry(original=(2, 2), resized=(2, 2), crop_box=(0, 0, 2, 2))
    hit = hit_by(np.array([[False, True], [False, False]]), geometry, tolerance=1.0)
    assert (hit == [[False, True], [False, False]]).all()
    assert pointing_at(plane, hit) == 1
