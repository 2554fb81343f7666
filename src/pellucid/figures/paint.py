"""Values as colours of an SVG: which scale they get, which colour each one has, and which ink can be read on it."""

from collections.abc import Sequence

import numpy as np

from pellucid.errors import SettingError
from pellucid.figures.colour import FLAT, WHITE, Kind, Scale, measure, palette, sequential, signed
from pellucid.figures.svg import DARK, LIGHT


def scale_of(
    values: np.ndarray, *, kind: Kind | None = None, low: float | None = None, high: float | None = None, cut: float = 0
) -> Scale:
    """The scale of some values: signed where one of them, or the given low end, is negative; else from 0.

    Args:
        values: Any shape.
        kind: "signed" or "sequential", where the values do not decide it.
        low: The low end, for a scale that several drawings share.
        high: The high end.
        cut: Percent of the values that may lie beyond the ends.
    """
    if kind is None:
        negative = bool((values[np.isfinite(values)] < 0).any()) or (low is not None and low < 0)
        kind = "signed" if negative else "sequential"
    return measure(values, kind=kind, low=low, high=high, cut=cut)


def fills(values: np.ndarray, scale: Scale) -> list[str | None]:
    """The colour of each value as "#rrggbb"; None where there is no finite value.

    Values that are all equal have the colour that they have on their scale, so that their sign can be seen; where the
    scale itself has no extent they are white (signed) or grey.
    """
    flat = np.asarray(values, dtype=np.float64).ravel()
    signs = scale.kind == "signed"
    entries = signed(flat, scale.high) if signs else sequential(flat, low=scale.low, high=scale.high)
    colours = palette(scale.kind)[entries]
    return [
        "#{:02x}{:02x}{:02x}".format(*colour) if known else None
        for colour, known in zip(colours.tolist(), np.isfinite(flat).tolist(), strict=True)
    ]


def weights(values: np.ndarray, scale: Scale) -> np.ndarray:
    """How strong each value is on its scale, 0 … 1: its distance from 0 (from the low end where that is above)."""
    flat = np.nan_to_num(np.asarray(values, dtype=np.float64).ravel(), nan=0.0, posinf=0.0, neginf=0.0)
    start = max(scale.low, 0.0) if scale.kind == "sequential" else 0.0
    reach = max(abs(scale.low), abs(scale.high)) - start
    # Equal values on a scale without extent are all as strong as each other.
    return np.clip(np.abs(flat - start) / reach, 0, 1) if reach > 0 else np.zeros(len(flat))


def ink_on(colour: str) -> str:
    """Dark or light ink, whichever is read better on a colour."""
    share = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    # The luminance at which the contrasts of both inks are equal (WCAG 2, relative luminance).
    return DARK if float(linear @ (0.2126, 0.7152, 0.0722)) > 0.19 else LIGHT


def flat_fill(scale: Scale) -> str:
    """The one colour of a scale without extent."""
    return "#{:02x}{:02x}{:02x}".format(*(WHITE if scale.kind == "signed" else palette("sequential")[FLAT].tolist()))


def checked_values(values: np.ndarray | Sequence[float] | None, *, count: int, name: str) -> np.ndarray | None:
    """Values as float64 of the right length, or an error that says what is wrong."""
    if values is None:
        return None
    found = np.asarray(values)
    if found.shape != (count,) or found.dtype.kind not in "fiub":
        raise SettingError(name, given=f"{found.dtype} {found.shape}", expected=f"{count} numbers, NaN for no value")
    return found.astype(np.float64)
