"""The drawings: everything outside a part's mask is equal, and nothing but the parts depends on the kind."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.errors import SettingError
from pellucid.models.recipes.drawings import (
    PARTS,
    TAG,
    TAG_COLOUR,
    Drawing,
    Sitting,
    covered,
    draw,
    majority,
    mixes,
    pure,
    with_tag,
)

seeds = st.integers(min_value=0, max_value=2**32 - 1)
kinds = st.sampled_from(["cat", "dog"])
some_parts = st.fixed_dictionaries(dict.fromkeys(PARTS, kinds))


def different(first: Drawing, second: Drawing) -> np.ndarray:
    return np.asarray((first.pixels != second.pixels).any(axis=2))


@settings(max_examples=25, deadline=None)
@given(seed=seeds, first=some_parts, second=some_parts)
def test_two_mixes_differ_only_inside_the_parts_that_differ(seed: int, first: dict, second: dict) -> None:
    sitting = Sitting(seed)
    one, other = sitting.draw(first), sitting.draw(second)
    allowed = np.zeros((100, 100), dtype=bool)
    for part in PARTS:
        if first[part] != second[part]:
            allowed |= one.masks[part]
    assert not (different(one, other) & ~allowed).any()


@settings(max_examples=15, deadline=None)
@given(seed=seeds)
def test_every_part_can_be_seen_to_change(seed: int) -> None:
    sitting = Sitting(seed)
    cat = sitting.draw(pure("cat"))
    for part in PARTS:
        other = sitting.draw({**pure("cat"), part: "dog"})
        # 40 of 10 000 pixels are about the size of one pupil.
        assert different(cat, other).sum() >= 40, part


@settings(max_examples=15, deadline=None)
@given(seed=seeds)
def test_no_pixel_belongs_to_two_parts(seed: int) -> None:
    masks = Sitting(seed).draw(pure("dog")).masks
    assert set(masks) == set(PARTS)
    assert np.sum(list(masks.values()), axis=0).max() == 1


@settings(max_examples=10, deadline=None)
@given(seed=seeds)
def test_a_covered_cat_and_a_covered_dog_are_the_same_picture(seed: int) -> None:
    sitting = Sitting(seed)
    cat, dog = covered(sitting.draw(pure("cat"))), covered(sitting.draw(pure("dog")))
    assert np.array_equal(cat.pixels, dog.pixels)


def test_the_same_seed_and_parts_give_the_same_pixels() -> None:
    parts = {"ears": "cat", "muzzle": "dog", "whiskers": "cat", "pupils": "covered"}
    assert np.array_equal(draw(11, parts).pixels, draw(11, parts).pixels)


def test_drawing_leaves_the_global_random_state_alone() -> None:
    before = np.random.get_state()[1].copy()
    draw(3, pure("cat"))
    assert np.array_equal(before, np.random.get_state()[1])


def test_other_seeds_give_other_faces() -> None:
    first, second = draw(1, pure("cat")), draw(2, pure("cat"))
    assert different(first, second).mean() > 0.9


def test_a_drawing_is_100_by_100_bytes_of_rgb_that_nobody_can_change() -> None:
    drawing = draw(5, pure("dog"))
    assert drawing.pixels.shape == (100, 100, 3)
    assert drawing.pixels.dtype == np.uint8
    with pytest.raises(ValueError, match="read-only"):
        drawing.pixels[0, 0] = 0
    with pytest.raises(ValueError, match="read-only"):
        drawing.masks["ears"][0, 0] = True


def test_the_frame_of_the_picture_tells_nothing_about_the_kind() -> None:
    # Two independent samples, as in training: background, light and colour come from the same distributions.
    cats = np.array([draw(seed, pure("cat")).pixels[2:12, 40:60].mean(axis=(0, 1)) for seed in range(40)])
    dogs = np.array([draw(seed, pure("dog")).pixels[2:12, 40:60].mean(axis=(0, 1)) for seed in range(40, 80)])
    error = np.sqrt(cats.var(axis=0) / 40 + dogs.var(axis=0) / 40)
    assert (np.abs(cats.mean(axis=0) - dogs.mean(axis=0)) < 3.5 * error).all()


def test_the_tag_changes_its_corner_and_nothing_else() -> None:
    plain = draw(8, pure("cat"))
    tagged = with_tag(plain)
    corner = np.zeros((100, 100), dtype=bool)
    corner[TAG] = True
    assert np.array_equal(different(plain, tagged) | corner, corner)
    assert (tagged.pixels[corner] == TAG_COLOUR).all()
    assert np.array_equal(tagged.masks["tag"], corner)
    assert np.sum(list(tagged.masks.values()), axis=0).max() == 1


def test_there_are_sixteen_mixes_and_six_of_them_are_ties() -> None:
    leaders = [majority(parts) for parts in mixes()]
    assert [leaders.count(kind) for kind in ("cat", "dog", None)] == [5, 5, 6]


def test_covered_parts_have_no_vote() -> None:
    assert majority({"ears": "covered", "muzzle": "dog", "whiskers": "cat", "pupils": "dog"}) == "dog"


def test_a_drawing_says_what_it_is() -> None:
    assert repr(draw(4, pure("cat"))) == "Drawing(seed=4: ears cat, muzzle cat, whiskers cat, pupils cat)"


@pytest.mark.parametrize(
    ("seed", "parts", "sentence"),
    [
        (-1, pure("cat"), "seed is -1, expected a whole number from 0 to 4294967295."),
        (0, {"ears": "cat"}, "muzzle is None, expected 'cat', 'dog' or 'covered'."),
        (0, {**pure("cat"), "pupils": "fox"}, "pupils is 'fox', expected 'cat', 'dog' or 'covered'."),
        (
            0,
            {**pure("cat"), "ear": "dog"},
            "parts is 'ear', expected ears, muzzle, whiskers and pupils; did you mean 'ears'.",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_sentence(seed: int, parts: dict, sentence: str) -> None:
    with pytest.raises(SettingError) as refusal:
        draw(seed, parts)
    assert str(refusal.value) == sentence
