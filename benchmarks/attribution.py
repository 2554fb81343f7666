"""Attribution on pictures: ours and the peer's on the same work, in one process and in turns.

    python benchmarks/attribution.py [--json] [--only ROW …] [--rounds 3]

Networks are torchvision's with random weights and batch norms that know their own statistics; the picture is smooth
noise of 224 pixels. Each round times ours and the peer once; the ratio is the median over rounds. Agreement is measured
in the same run. A peer that is not installed is named, and its rows are left out.
"""

import argparse
import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from peers import torchvision_beside_any_torch
from torch import Tensor, nn

import pellucid

SIDE = 224


def network(name: str) -> nn.Module:
    """A network with random weights whose batch norms have the statistics of what they see."""
    torch.manual_seed(0)
    module: nn.Module = getattr(torchvision_beside_any_torch().models, name)(weights=None)
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
    with torch.no_grad():
        for seed in range(2 if norms else 0):
            module.train()(picture(8, seed=seed + 1))
    return module.eval().requires_grad_(False)


def picture(count: int = 1, *, seed: int = 0) -> Tensor:
    """Smooth noise."""
    coarse = torch.randn(count, 3, 14, 14, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, size=(SIDE, SIDE), mode="bicubic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """One row.

    Attributes:
        goal: How many times as fast it should be.
        peer: What it is timed against.
        needs: The package of the peer.
        prepare: Makes ours, the peer's, and what tells how far both agree.
    """

    goal: float
    peer: str
    needs: str
    prepare: Callable[[], tuple[Callable[[], Any], Callable[[], Any], Callable[[Any, Any], str]]]


def occlusion(name: str) -> Callable[[], Any]:
    """Windows of 16 pixels every 8."""

    def prepare() -> tuple[Callable[[], Any], Callable[[], Any], Callable[[Any, Any], str]]:
        from captum.attr import Occlusion

        module, x = network(name), picture()
        target = int(module(x).argmax())
        peer = Occlusion(module)

        def theirs(at_once: int = 0) -> np.ndarray:
            found = peer.attribute(
                x,
                sliding_window_shapes=(3, 16, 16),
                strides=(3, 8, 8),
                target=target,
                perturbations_per_eval=at_once or best,
            )
            return found[0, 0].numpy()  # type: ignore[no-any-return]

        best = fastest((4, 16, 64), lambda count: module(x.expand(count, -1, -1, -1).contiguous()))

        def ours() -> np.ndarray:
            method = "occlusion(window=16, stride=8)"
            return pellucid.explain(module, x, method=method, target=f"class:{target}").values

        def agreement(mine: np.ndarray, other: np.ndarray) -> str:
            difference = float(np.abs(mine - other).max())
            return f"largest difference {difference:.1e} of {float(np.abs(other).max()):.2e}; the peer's batch {best}"

        return ours, theirs, agreement

    return prepare


def fastest(counts: tuple[int, ...], run: Callable[[int], Any]) -> int:
    """The batch size with the least time for an item."""
    times = {}
    with torch.no_grad():
        for count in counts:
            run(count)
            started = time.perf_counter()
            run(count)
            times[count] = (time.perf_counter() - started) / count
    return min(times, key=lambda count: times[count])


RACES = {
    "occlusion-vgg16_bn": Race(goal=10, peer="captum Occlusion", needs="captum", prepare=occlusion("vgg16_bn")),
    "occlusion-resnet18": Race(goal=5, peer="captum Occlusion", needs="captum", prepare=occlusion("resnet18")),
}


def race(name: str, *, rounds: int) -> dict[str, Any]:
    """One row, timed and compared."""
    chosen = RACES[name]
    ours, theirs, agreement = chosen.prepare()
    mine, other = ours(), None
    times: list[tuple[float, float]] = []
    for _ in range(rounds):
        started = time.perf_counter()
        mine = ours()
        middle = time.perf_counter()
        other = theirs()
        times.append((middle - started, time.perf_counter() - middle))
    return {
        "row": name,
        "ours_seconds": statistics.median(mine for mine, _ in times),
        "peer": chosen.peer,
        "peer_seconds": statistics.median(other for _, other in times),
        "ratio": round(statistics.median(other / mine for mine, other in times), 1),
        "goal": chosen.goal,
        "agreement": agreement(mine, other),
    }


def main() -> int:
    """Run the races and print one table or one JSON list."""
    parser = argparse.ArgumentParser(description="Attribution on pictures, against the peers.")
    parser.add_argument("--json", action="store_true", help="print one JSON list of rows")
    parser.add_argument("--only", nargs="+", choices=list(RACES), default=list(RACES))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(2)
    rows = []
    for name in options.only:
        if importlib.util.find_spec(RACES[name].needs) is None:
            print(f"{name}: left out, {RACES[name].needs} is not installed", file=sys.stderr)
            continue
        rows.append(race(name, rounds=options.rounds))
        if not options.json:
            row = rows[-1]
            print(f"{row['row']}: {row['ours_seconds']:.2f} s, {row['peer']}: {row['peer_seconds']:.2f} s")
            print(f"  {row['ratio']} times as fast (goal {row['goal']}); {row['agreement']}")
    if options.json:
        print(json.dumps(rows, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
