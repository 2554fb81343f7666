"""Numbers as a reader wants them: few digits, a true minus, groups of three."""

import math

MINUS = "\u2212"
THIN = "\u202f"
"""Narrow no-break space, between groups of three digits."""


def number(value: float, *, digits: int = 3, sign: bool = False) -> str:
    """A number with `digits` significant digits, as text for people.

    Whole numbers below ten million are written out in full, in groups of three from five digits on. What is very large
    or very small gets an exponent ("4.56e−7"). Zero is "0", never "-0".

    Args:
        value: Any float or int.
        digits: Significant digits of what is not whole.
        sign: Whether a positive number gets a plus.
    """
    value = float(value)
    if math.isnan(value):
        return "NaN"
    if value == 0:
        return "0"
    lead = MINUS if value < 0 else "+" if sign else ""
    size = abs(value)
    if math.isinf(size):
        return f"{lead}\u221e"
    if size == int(size) and size < 1e7:
        return lead + grouped(int(size))
    # Rounded first: 999.7 has four digits before the point once it has three significant ones.
    mantissa, exponent = f"{size:.{digits - 1}e}".split("e")
    power = int(exponent)
    if power < -4 or power > 6:
        return f"{lead}{mantissa}e{MINUS if power < 0 else ''}{abs(power)}"
    if power >= digits - 1:
        return lead + grouped(round(size))
    return f"{lead}{size:.{digits - 1 - power}f}"


def grouped(count: int) -> str:
    """A whole number in groups of three from five digits on, with narrow spaces: 154587 is "154 587"."""
    text = f"{abs(count):,}".replace(",", THIN) if abs(count) >= 10_000 else str(abs(count))
    return (MINUS if count < 0 else "") + text
