"""The attribution of a picture as one plane of numbers, a value for each pixel that the model sees.

Every measurement on pictures begins here, so that all of them look at the same numbers.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pellucid.errors import SettingError
from pellucid.figures.colour import is_flat
from pellucid.methods.explanation import Explanation
from pellucid.methods.graph_subject import GraphSubject

Plane = npt.NDArray[np.float64]


def pictures_only(explanations: Explanation | Sequence[Explanation]) -> list[Explanation]:
    """Explanations of pictures as a list.

    Raises:
        SettingError: There is none, or one is about a graph.
    """
    several = [explanations] if isinstance(explanations, Explanation) else list(explanations)
    if not several:
        raise SettingError("explanations", given=several, expected="one or more")
    for each in several:
        if not isinstance(each, Explanation) or isinstance(each.subject, GraphSubject):
            hint = "evaluate_graph and graph_curves measure those of graphs"
            raise SettingError("explanations", given=repr(each), expected="explanations of pictures", hint=hint)
    return several


def plane_of(explanation: Explanation, size: tuple[int, int]) -> Plane:
    """The first part of an explanation at the size of the prepared picture.

    Colours are added up. Cells of a feature map are enlarged bilinearly between their middles, which lie where the
    site's receptive fields have theirs; beyond the outermost middles the nearest cell counts alone. Nothing is
    rescaled.

    Args:
        explanation: Of a picture.
        size: Height and width of what the model sees.

    Returns:
        float64 (height, width).

    Raises:
        SettingError: The values are no map, lie nobody knows where, or are not all finite.
    """
    part = explanation.parts[0]
    if not part.is_map or part.box is None:
        axes = ", ".join(part.axes)
        given = f"{explanation!r}: {axes}" if not part.is_map else f"{explanation!r}: nobody knows where its cells lie"
        raise SettingError("explanations", given=given, expected="a map over the picture (height, width)")
    values = part.plane().astype(np.float64)
    bad = int(values.size - np.isfinite(values).sum())
    if bad:
        given = f"{explanation!r}: {bad} of {values.size} values are NaN or infinite"
        hint = "an order of such values means nothing; find out where they come from: its notes, the model's weights"
        raise SettingError("explanations", given=given, expected="finite values", hint=hint)
    left, top, right, bottom = part.box
    if values.shape == size and (left, top, right, bottom) == (0.0, 0.0, float(size[1]), float(size[0])):
        return values
    rows = _between_middles(top, bottom, values.shape[0], size[0])
    columns = _between_middles(left, right, values.shape[1], size[1])
    return np.asarray(rows @ values @ columns.T)


def without_ranking(plane: Plane) -> bool:
    """Whether all values are equal, up to the rounding of one number in single precision: nothing comes first."""
    return bool(is_flat(float(plane.min()), float(plane.max())))


def _between_middles(start: float, stop: float, cells: int, pixels: int) -> Plane:
    """How much each cell counts for each pixel along one axis, (pixels, cells)."""
    places = (np.arange(pixels) + 0.5 - start) * (cells / (stop - start)) - 0.5
    # Interpolating the unit vectors gives the weights; it keeps the end values beyond the ends.
    return np.stack([np.interp(places, np.arange(cells), unit) for unit in np.eye(cells)], axis=1)
