import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.capture.channels import select_channels
from pellucid.errors import SettingError


def maps(count, side=2):
    return np.random.default_rng(count).normal(size=(count, side, side)).astype(np.float32)


@pytest.mark.parametrize(
    ("spec", "channels"),
    [
        ("0-15", tuple(range(16))),
        ("3,7,12", (3, 7, 12)),
        ("0-3,8", (0, 1, 2, 3, 8)),
        (" 5 , 1 - 2 ", (5, 1, 2)),
        ("4,0-5", (4, 0, 1, 2, 3, 5)),
        ("39", (39,)),
        ([7, 0, 7], (7, 0)),
        (range(3), (0, 1, 2)),
        ("textbook", (0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23, 30, 31, 32, 33)),
        ("all", tuple(range(40))),
    ],
)
def test_words_mean_these_channels(spec, channels):
    assert select_channels(spec, maps(40)) == channels


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 1.0, -2.0, 5.0, np.nan, np.inf, -np.inf]), min_size=1, max_size=12),
    st.integers(1, 14),
)
def test_top_takes_the_highest_means_lower_numbers_first_and_nan_last(means, count):
    values = np.array(means)[:, None, None] * np.ones((1, 2, 3))
    wanted = sorted(range(len(means)), key=lambda k: (np.isnan(means[k]), 0 if np.isnan(means[k]) else -means[k], k))

    assert select_channels(f"top:{count}", values) == tuple(wanted[:count])


def test_top_goes_by_the_mean_not_by_the_highest_value():
    values = np.zeros((2, 2, 2))
    values[0, 0, 0], values[1] = 3.0, 1.0

    assert select_channels("top:1", values) == (1,)


def test_top_of_values_whose_mean_is_undefined_gives_no_warning():
    values = np.array([[[np.inf, -np.inf]], [[0.0, 1.0]]])

    assert select_channels("top:2", values) == (1, 0)


@pytest.mark.parametrize("spec", ["0-16", "16", [0, 16], [-1], "0-99999999999"])
def test_a_channel_that_is_not_there_is_refused_with_the_number_of_channels(spec):
    with pytest.raises(SettingError, match="expected numbers from 0 to 15, since the site has 16 channels"):
        select_channels(spec, maps(16))


def test_the_textbooks_choice_needs_34_channels():
    assert len(select_channels("textbook", maps(34))) == 16
    with pytest.raises(SettingError) as caught:
        select_channels("textbook", maps(33))
    assert str(caught.value) == (
        "channels is 'textbook', expected 34 channels or more, since the textbook's picture takes 0 to 33, "
        "but the site has 33; top:16 shows the most active ones."
    )


@pytest.mark.parametrize("spec", ["", "a", "1,,2", "-3", "1-", "top", [], "0x3", "1.5"])
def test_words_that_mean_no_channel_are_refused_with_the_forms(spec):
    with pytest.raises(SettingError, match='expected numbers and ranges such as "0-15"'):
        select_channels(spec, maps(4))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("spec", [np.array([2, 1]), iter([2, 1]), np.array([2, 1], dtype=np.uint8)])
def test_whole_numbers_of_any_kind_will_do(spec):
    assert select_channels(spec, maps(4)) == (2, 1)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("spec", [["a"], [1.5], [True], [None], [1, "2"], np.array([1.0]), np.array([True, False])])
def test_channels_that_are_no_whole_numbers_are_refused(spec):
    with pytest.raises(SettingError) as caught:
        select_channels(spec, maps(4))
    assert str(caught.value) == f"channels is {list(spec)!r}, expected whole numbers, as [3, 7, 12]."


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("spec", [None, 3, 1.5, np.array(3)])
def test_what_is_no_list_of_channels_is_refused_with_the_forms(spec):
    with pytest.raises(SettingError, match='expected numbers and ranges such as "0-15"'):
        select_channels(spec, maps(4))


@pytest.mark.parametrize("spec", ["top:", "top:0", "top:-1", "top:x"])
def test_top_needs_a_number(spec):
    with pytest.raises(SettingError, match="expected top: and a number from 1, such as top:16"):
        select_channels(spec, maps(4))


def test_a_backward_range_is_refused_with_the_forward_one():
    with pytest.raises(SettingError, match="expected ranges from low to high, such as 2-5"):
        select_channels("5-2", maps(8))


def test_values_without_places_are_refused():
    with pytest.raises(SettingError, match=r"maps is \(1, 8\), expected the shape \(channels, height, width\)"):
        select_channels("all", np.zeros((1, 8)))
