"""Deletion and insertion curves: ours and plain loops in the same orders, in one process and in turns.

    python benchmarks/curves.py [--json] [--only ROW …] [--size 224] [--pictures 16] [--steps 50] [--rounds 3]

The network is torchvision's resnet18 with random weights and batch norms that know their own statistics; the pictures
are smooth noise; the orders are those of saliency, with equal values put apart. No library is the peer, but the loop
that one writes oneself, in eval mode and without gradients: `one by one` puts each changed picture through the network
by itself, `batched` as many at once as ours. Each round times ours and the peer once; the ratio is the median over
rounds. The largest difference of the probabilities is measured in the same run.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.ndimage
import torch
import torch.nn.functional as F
from attribution import network
from torch import Tensor, nn

import pellucid
from pellucid.methods.explanation import Explanation
from pellucid.metrics.deletion import deletion_insertion

Curves = npt.NDArray[np.float64]
TOGETHER = {"curves-one-by-one": 1, "curves-batched": 32}
PEERS = {"curves-one-by-one": "a plain loop, one changed picture at a time", "curves-batched": "a plain loop, batched"}
SIGMA = 5.0


def pictures(count: int, size: int) -> Tensor:
    """Smooth noise, (count, 3, size, size)."""
    coarse = torch.randn(count, 3, 14, 14, generator=torch.Generator().manual_seed(0))
    return F.interpolate(coarse, size=(size, size), mode="bicubic")


def ours(module: nn.Module, x: Tensor, whys: Sequence[Explanation], *, steps: int) -> Curves:
    """The target's probability, (pictures, 2, steps + 1): deletion, insertion."""
    found = deletion_insertion(
        whys,
        model=module,
        input=x,
        steps=steps,
        deletion_baseline="zero",
        insertion_baseline=f"blur:{SIGMA:g}",
        orders=0,
        batch_size=32,
    )
    return np.stack([found.deletion.amount, found.insertion.amount], axis=1)


def plain(module: nn.Module, x: Tensor, whys: Sequence[Explanation], *, steps: int, together: int) -> Curves:
    """The same by a loop over pictures, ways and steps, some changed pictures at a time."""
    curves = np.empty((len(x), 2, steps + 1))
    pixels = x[0, 0].numel()
    counts = [int(pixels * step / steps + 0.5) for step in range(steps + 1)]
    with torch.no_grad():
        for number, (picture, why) in enumerate(zip(x, whys, strict=True)):
            order = np.argsort(-why.values.ravel())
            ranks = np.empty(pixels, dtype=np.int64)
            ranks[order] = np.arange(pixels)
            places = torch.from_numpy(ranks).reshape(picture.shape[1:])
            blurred = scipy.ndimage.gaussian_filter(picture.numpy(), (0, SIGMA, SIGMA), mode="nearest", truncate=4)
            nothing = torch.zeros_like(picture)
            for way, (start, end) in enumerate(((picture, nothing), (torch.from_numpy(blurred), picture))):
                for first in range(0, steps + 1, together):
                    several = counts[first : first + together]
                    changed = torch.stack([torch.where(places < many, end, start) for many in several])
                    answers = module(changed).double().softmax(dim=1)[:, why.target.classes[0]]
                    curves[number, way, first : first + together] = answers.numpy()
    return curves


def explained(module: nn.Module, x: Tensor) -> list[Explanation]:
    """Of each picture the ranks of saliency's values as a map: its order, and no two values are equal."""
    whys = pellucid.explain_many(module, [x], methods=["saliency"], targets=["top:1"])
    found = []
    for why in whys:
        strength = why.values.sum(axis=0)
        ranks = np.empty(strength.size, dtype=np.float32)
        ranks[np.argsort(strength.ravel(), kind="stable")] = np.arange(strength.size)
        part = replace(why.parts[0], axes=("height", "width"), values=ranks.reshape(strength.shape))
        found.append(replace(why, parts=(part,)))
    return found


def race(module: nn.Module, row: str, *, size: int, count: int, steps: int, rounds: int) -> dict[str, Any]:
    """One row, timed and compared."""
    x = pictures(count, size)
    whys = explained(module, x)
    times: list[tuple[float, float]] = []
    worst = 0.0
    for _ in range(rounds):
        started = time.perf_counter()
        mine = ours(module, x, whys, steps=steps)
        middle = time.perf_counter()
        other = plain(module, x, whys, steps=steps, together=TOGETHER[row])
        times.append((middle - started, time.perf_counter() - middle))
        worst = max(worst, float(np.abs(mine - other).max()))
    return {
        "row": row,
        "ours_seconds": statistics.median(mine for mine, _ in times),
        "peer": PEERS[row],
        "peer_seconds": statistics.median(other for _, other in times),
        "ratio": round(statistics.median(other / mine for mine, other in times), 2),
        "goal": 1.0,
        "agreement": f"largest difference of {2 * count * (steps + 1)} probabilities: {worst:.1e}",
        "largest_difference": worst,
    }


def main() -> int:
    """Run the races and print one table or one JSON list."""
    parser = argparse.ArgumentParser(description="Deletion and insertion curves, against plain loops.")
    parser.add_argument("--json", action="store_true", help="print one JSON list of rows")
    parser.add_argument("--only", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--size", type=int, default=224, help="sides of the pictures, in pixels")
    parser.add_argument("--pictures", type=int, default=16)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    module = network("resnet18")
    rows = []
    for name in options.only:
        rows.append(
            race(
                module,
                name,
                size=options.size,
                count=options.pictures,
                steps=options.steps,
                rounds=options.rounds,
            )
        )
        if not options.json:
            row = rows[-1]
            print(f"{row['row']}: ours {row['ours_seconds']:.2f} s, {row['peer']}: {row['peer_seconds']:.2f} s")
            print(f"  {row['ratio']} times as fast (goal {row['goal']}); {row['agreement']}")
    if options.json:
        print(json.dumps(rows, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
