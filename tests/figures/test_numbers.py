import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.figures.numbers import MINUS, THIN, grouped, number


def value_of(text):
    return float(text.replace(MINUS, "-").replace(THIN, ""))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-0.0, "0"),
        (0.706, "0.706"),
        (-0.8249, "−0.825"),
        (23.224, "23.2"),
        (1666, "1666"),
        (154587, "154\u202f587"),
        (-154587, "−154\u202f587"),
        (999.7, "1000"),
        (9.999, "10.0"),
        (0.5, "0.500"),
        (77, "77"),
        (4.56e-7, "4.56e−7"),
        (1.234e12, "1.23e12"),
        (0.00012345, "0.000123"),
        (math.nan, "NaN"),
        (-math.inf, "−∞"),
    ],
)
def test_a_number_reads_as_a_person_would_write_it(value, text):
    assert number(value) == text


@settings(deadline=None)
@given(st.floats(-1e300, 1e300, allow_subnormal=False), st.integers(2, 6))
def test_a_number_keeps_its_digits_and_its_sign(value, digits):
    text = number(value, digits=digits)

    assert math.isclose(value_of(text), value, rel_tol=0.5000001 * 10 ** (1 - digits))
    assert "-" not in text
    assert text.startswith(MINUS) == (value < 0)


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_zero_is_the_only_number_without_a_sign_when_signs_are_asked_for(value):
    text = number(value, sign=True)

    assert text[0] == ("0" if value == 0 else "+" if value > 0 else MINUS)


@settings(deadline=None)
@given(st.integers(-(10**12), 10**12))
def test_groups_have_three_digits(count):
    text = grouped(count)
    groups = text.removeprefix(MINUS).split(THIN)

    assert value_of(text) == count
    assert all(len(group) == 3 for group in groups[1:])
    assert (len(groups) > 1) == (abs(count) >= 10_000)
