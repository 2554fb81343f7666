import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pellucid.errors import SettingError
from pellucid.figures.colour import (
    FLAT,
    NOT_FINITE,
    NOT_FINITE_TOO,
    SEQUENTIAL_LEVELS,
    SIGNED_LEVELS,
    ZERO,
    measure,
    palette,
    sequential,
    signed,
)

any_floats = hnp.arrays(
    st.sampled_from([np.float32, np.float64]),
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
    elements=st.floats(width=32),
)


def test_the_sequential_colours_are_matplotlibs_viridis():
    from matplotlib import colormaps

    wanted = colormaps["viridis"].resampled(SEQUENTIAL_LEVELS)(np.arange(SEQUENTIAL_LEVELS), bytes=True)[:, :3]

    np.testing.assert_array_equal(palette("sequential")[:SEQUENTIAL_LEVELS], wanted)


def test_the_signed_colours_end_in_the_two_named_ones_and_have_white_in_the_middle():
    colours = palette("signed")

    assert colours[0].tolist() == [0x1F, 0x5F, 0xA8]
    assert colours[ZERO].tolist() == [255, 255, 255]
    assert colours[SIGNED_LEVELS - 1].tolist() == [0xC2, 0x3B, 0x22]
    assert len({tuple(colour) for colour in colours[:SIGNED_LEVELS].tolist()}) == SIGNED_LEVELS


def test_sequential_levels_are_those_of_matplotlibs_normalisation():
    from matplotlib.colors import Normalize

    values = np.random.default_rng(0).normal(size=(40, 50)).astype(np.float32)
    share = Normalize(values.min(), values.max())(values)

    found = sequential(values, low=values.min(), high=values.max())

    np.testing.assert_array_equal(found, np.minimum(share * SEQUENTIAL_LEVELS, SEQUENTIAL_LEVELS - 1).astype(int))


def test_each_map_can_have_ends_of_its_own():
    maps = np.random.default_rng(1).normal(size=(5, 4, 4)) * np.array([1, 10, 0, 1e-6, 1e6])[:, None, None]
    lows, highs = maps.min(axis=(1, 2)), maps.max(axis=(1, 2))

    together = sequential(maps, low=lows[:, None, None], high=highs[:, None, None])

    for found, values, low, high in zip(together, maps, lows, highs, strict=True):
        np.testing.assert_array_equal(found, sequential(values, low=low, high=high))
    assert (together[2] == FLAT).all()


@settings(deadline=None)
@given(any_floats)
def test_every_array_has_colours_and_a_scale_without_a_warning(values):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind, last in (("sequential", SEQUENTIAL_LEVELS - 1), ("signed", SIGNED_LEVELS - 1)):
            scale = measure(values, kind=kind)
            entries = scale.entries(values)

            finite = np.isfinite(values)
            assert np.isin(entries[~finite], (NOT_FINITE, NOT_FINITE_TOO)).all()
            assert scale.beyond == 0
            assert scale.not_finite == np.count_nonzero(~finite)
            assert ((entries[finite] <= last) | (entries[finite] == FLAT)).all()
            # A larger value never has a lower colour.
            order = np.argsort(values[finite])
            assert (np.diff(entries[finite][order].astype(int)) >= 0).all()


@settings(deadline=None)
@given(any_floats.filter(lambda values: np.isfinite(values).all()))
def test_signed_colours_of_the_negative_are_mirrored_and_zero_is_white(values):
    limit = float(np.abs(values).max())

    found, mirrored = signed(values, limit), signed(-values, limit)

    np.testing.assert_array_equal(found.astype(int) + mirrored, SIGNED_LEVELS - 1)
    assert (found[values == 0] == ZERO).all()


@pytest.mark.parametrize("value", [0.0, -0.0, 3.25, -1e-20, 1e30])
@pytest.mark.parametrize("kind", ["sequential", "signed"])
def test_a_constant_map_is_flat_and_says_so(value, kind):
    values = np.full((3, 4), value, dtype=np.float32)

    scale = measure(values, kind=kind)

    assert (scale.entries(values) == FLAT).all()
    assert any(remark.startswith("flat (range 0)") for remark in scale.remarks())


def test_the_rounding_of_one_number_is_not_blown_up_to_a_picture():
    values = np.float32(0.3) + np.float32(3e-8) * (np.arange(12, dtype=np.float32).reshape(3, 4) % 2)

    assert len(np.unique(values)) > 1
    assert (sequential(values, low=values.min(), high=values.max()) == FLAT).all()


def test_what_is_not_finite_is_a_checkerboard_that_no_value_can_look_like():
    values = np.ones((4, 4), dtype=np.float32)
    values[:, 1] = 2
    values[:2] = np.nan
    values[2, 2:] = [np.inf, -np.inf]

    scale = measure(values, kind="sequential")
    entries = scale.entries(values)

    assert entries[:2].tolist() == [[NOT_FINITE, NOT_FINITE_TOO] * 2, [NOT_FINITE_TOO, NOT_FINITE] * 2]
    assert scale.not_finite == 10
    assert "not finite: 10 values" in scale.remarks()
    colours = {
        kind: {tuple(colour) for colour in palette(kind)[:SIGNED_LEVELS].tolist()} for kind in ("sequential", "signed")
    }
    for kind, used in colours.items():
        assert not used & {tuple(palette(kind)[entry].tolist()) for entry in (NOT_FINITE, NOT_FINITE_TOO)}


def test_nothing_is_cut_unless_asked_and_the_cut_is_counted():
    values = np.concatenate([np.linspace(-1, 1, 199), [50.0]]).reshape(10, 20)

    whole, cut = measure(values, kind="signed"), measure(values, kind="signed", cut=1.0)

    assert (whole.low, whole.high, whole.beyond) == (-50.0, 50.0, 0)
    assert cut.high == pytest.approx(np.percentile(np.abs(values), 99))
    assert cut.beyond == np.count_nonzero(np.abs(values) > cut.high)
    assert cut.remarks() == ("0.50 % of the values lie beyond the ends, up to 50",)


def test_a_cut_that_would_leave_only_zero_is_not_made():
    values = np.zeros((20, 20))
    values[3, 3] = 7

    assert measure(values, kind="sequential", cut=1.0).high == 7


def test_a_sequential_scale_takes_in_zero_so_that_colours_are_amounts():
    scale = measure(np.array([[2.0, 5.0]]), kind="sequential")

    assert (scale.low, scale.high) == (0.0, 5.0)
    assert scale.entries(np.array([[2.5]])).item() == SEQUENTIAL_LEVELS // 2


def test_all_negative_evidence_is_flagged_and_keeps_its_values():
    scale = measure(np.array([[-3.0, -1.0]]), kind="sequential")

    assert (scale.low, scale.high) == (-3.0, 0.0)
    assert scale.remarks() == ("no positive evidence",)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "rainbow"}, "kind is 'rainbow', expected 'sequential' or 'signed'."),
        ({"kind": "signed", "cut": 60}, "cut is 60, expected percent of the values, from 0 up to 50."),
        ({"kind": "signed", "low": -1, "high": 2}, "low is -1, expected -2 on a signed scale, whose middle is 0."),
        ({"kind": "sequential", "low": 2, "high": 1}, "expected two finite numbers, the smaller one first."),
    ],
)
def test_a_scale_that_makes_no_sense_is_refused(wrong, message):
    with pytest.raises(SettingError) as caught:
        measure(np.eye(2), **wrong)

    assert message in str(caught.value)


def test_a_low_end_above_the_high_one_is_refused():
    with pytest.raises(SettingError, match=r"high is 1, expected 2 \(low\) or more"):
        sequential(np.eye(2), low=2, high=1)
    with pytest.raises(SettingError, match="limit is -1, expected a finite number, 0 or more"):
        signed(np.eye(2), -1)


def test_a_palette_cannot_be_changed_by_a_user():
    with pytest.raises(ValueError, match="read-only"):
        palette("signed")[0] = 0
