"""Feature maps to PNG: one mosaic against one matplotlib axis per map.

    python benchmarks/figures.py [--json] [--pairs 3]

Both draw the same 512 maps with the same colours, each map on its own scale, with the channel's number, to PNG bytes,
in one process and in turns; the ratio is the median over the pairs. A round of matplotlib takes many seconds, so there
are few.
"""

import argparse
import gc
import io
import json
import statistics
import time
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from PIL import Image

from pellucid.figures.colour import SEQUENTIAL_LEVELS
from pellucid.figures.grid import Grid
from pellucid.figures.mosaic import feature_map_grid

ROWS, COLUMNS = 16, 32


def ours(maps: np.ndarray) -> tuple[Grid, bytes]:
    grid = feature_map_grid(maps, channels=range(len(maps)), rows=ROWS, columns=COLUMNS)
    return grid, grid.png()


def peer(maps: np.ndarray, colours: Colormap) -> bytes:
    figure = Figure(figsize=(COLUMNS * 0.6, ROWS * 0.6), dpi=100)
    FigureCanvasAgg(figure)
    for channel, values in enumerate(maps):
        axis = figure.add_subplot(ROWS, COLUMNS, channel + 1)
        axis.imshow(values, cmap=colours, interpolation="nearest")
        axis.set_title(str(channel), fontsize=6)
        axis.set_axis_off()
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def largest_difference(maps: np.ndarray, grid: Grid, content: bytes, colours: Colormap) -> int:
    """The largest difference to matplotlib's colour (of 255), over one pixel of every value in the decoded mosaic."""
    pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)
    step = int(grid.factor)
    worst = 0
    for values, box in zip(maps, grid.boxes, strict=True):
        drawn = pixels[box.top : box.top + box.height, box.left : box.left + box.width][
            step // 2 :: step, step // 2 :: step
        ]
        wanted = colours(Normalize(values.min(), values.max())(values), bytes=True)[..., :3].astype(int)
        worst = max(worst, int(np.abs(drawn - wanted).max()))
    return worst


def race(side: int, *, pairs: int) -> dict[str, Any]:
    """One row: 512 random maps of `side` × `side`, some of them zero for the larger part, as after a ReLU."""
    maps = np.random.default_rng(0).normal(size=(ROWS * COLUMNS, side, side)).astype(np.float32).clip(min=-0.5)
    colours = colormaps["viridis"].resampled(SEQUENTIAL_LEVELS)
    # Fonts and caches of both are warm before the clock runs.
    grid, content = ours(maps)
    peer(maps[:4], colours)
    mine, theirs = [], []
    for _ in range(pairs):
        gc.collect()
        start = time.perf_counter()
        ours(maps)
        mine.append(time.perf_counter() - start)
        gc.collect()
        start = time.perf_counter()
        peer(maps, colours)
        theirs.append(time.perf_counter() - start)
    ratio = statistics.median(b / a for a, b in zip(mine, theirs, strict=True))
    difference = largest_difference(maps, grid, content, colours)
    return {
        "row": f"grid of {len(maps)} maps {side} x {side} to PNG",
        "ours_seconds": round(statistics.median(mine), 4),
        "peer": "matplotlib, one axis per map",
        "peer_seconds": round(statistics.median(theirs), 2),
        "ratio": round(ratio, 1),
        "goal": 100,
        "agreement": f"{maps.size} values, largest difference to matplotlib's colour {difference} of 255",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Feature maps to PNG: one mosaic against one matplotlib axis per map.")
    parser.add_argument("--json", action="store_true", help="print one JSON list of rows")
    parser.add_argument("--pairs", type=int, default=3, help="how often each is timed (3)")
    options = parser.parse_args()
    rows = [race(side, pairs=options.pairs) for side in (14, 56)]
    if options.json:
        print(json.dumps(rows, indent=1))
        return
    for row in rows:
        print(f"{row['row']}: {row['ours_seconds']} s, {row['peer']} {row['peer_seconds']} s")
        print(f"  {row['ratio']} times as fast (goal {row['goal']}); {row['agreement']}")


if __name__ == "__main__":
    main()
