"""Maps that know nothing of the model: what an agreement of explanations has to be measured against."""

import numpy as np
import scipy.ndimage

from pellucid.metrics.rank_agreement import PlacedMap

CENTRE, EDGES = "control: centre", "control: edges"
SPREAD = 0.25
"""Standard deviation of the centre, as a share of the picture's sides."""
_BRIGHTNESS = np.array([0.299, 0.587, 0.114])


def map_controls(pixels: np.ndarray) -> tuple[PlacedMap, PlacedMap]:
    """A Gaussian around the middle of the picture, and the strength of the picture's edges.

    Photographers put things in the middle, and what is seen well has edges. Two methods that agree with one another no
    more than with these two may agree about photographs, and not about the model.

    Args:
        pixels: uint8 (height, width, 3), the prepared picture, RGB.

    Returns:
        Maps of the picture's size: `exp(-(x² + y²) / 2)` with x and y in standard deviations of a quarter of the width
        and of the height; and the magnitude of the Sobel gradient of the brightness.

    Reference:
        Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018: an edge detector as a control.
    """
    height, width = pixels.shape[:2]
    down, across = ((np.arange(side) + 0.5) / side - 0.5 for side in (height, width))
    centre = np.exp(-((down[:, None] / SPREAD) ** 2 + (across / SPREAD) ** 2) / 2)
    bright = pixels.astype(np.float64) @ _BRIGHTNESS
    edges = np.hypot(scipy.ndimage.sobel(bright, axis=0), scipy.ndimage.sobel(bright, axis=1))
    box = (0.0, 0.0, float(width), float(height))
    return (
        PlacedMap(name=CENTRE, values=centre, box=box, signed=False),
        PlacedMap(name=EDGES, values=edges, box=box, signed=False),
    )
