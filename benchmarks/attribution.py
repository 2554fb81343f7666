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
from scipy.stats import spearmanr
from torch import Tensor, nn

import pellucid
from pellucid.capture.hastening import Precision

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
    return module.eval()


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


def occlusion(name: str, precision: Precision = "float32") -> Callable[[], Any]:
    """Windows of 16 pixels every 8."""

    def prepare() -> tuple[Callable[[], Any], Callable[[], Any], Callable[[Any, Any], str]]:
        from captum.attr import Occlusion

        module, x = network(name), picture()
        target = target_of(module, x)
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
            made = pellucid.explain(module, x, method=method, target=f"class:{target}", precision=precision)
            return made.values

        def agreement(mine: np.ndarray, other: np.ndarray) -> str:
            return f"{how_near(mine, other)}; the peer's batch {best}"

        return ours, theirs, agreement

    return prepare


def how_near(mine: np.ndarray, other: np.ndarray) -> str:
    """The largest difference, the largest value, and the rank correlation."""
    difference, ranks = float(np.abs(mine - other).max()), float(spearmanr(mine.ravel(), other.ravel()).statistic)
    return f"largest difference {difference:.1e} of {float(np.abs(other).max()):.2e}, Spearman {ranks:.4f}"


def integrated(name: str, precision: Precision) -> Callable[[], Any]:
    """Integrated gradients from black, 50 Gauss-Legendre nodes."""

    def prepare() -> tuple[Callable[[], Any], Callable[[], Any], Callable[[Any, Any], str]]:
        from captum.attr import IntegratedGradients

        module, x = network(name), picture()
        target = target_of(module, x)
        peer = IntegratedGradients(module)

        def attribute(at_once: int, steps: int) -> np.ndarray:
            found = peer.attribute(x, target=target, n_steps=steps, method="gausslegendre", internal_batch_size=at_once)
            return found[0].detach().numpy()  # type: ignore[no-any-return]

        best = fastest((4, 8, 16), lambda count: attribute(count, count))

        def theirs() -> np.ndarray:
            return attribute(best, 50)

        def ours() -> np.ndarray:
            method = "integrated-gradients(steps=50, rule=gauss-legendre)"
            made = pellucid.explain(module, x, method=method, target=f"class:{target}", precision=precision)
            return made.values

        def agreement(mine: np.ndarray, other: np.ndarray) -> str:
            return f"{how_near(mine, other)}; the peer's batch {best}"

        return ours, theirs, agreement

    return prepare


def target_of(module: nn.Module, x: Tensor) -> int:
    """The class that a row is about."""
    with torch.no_grad():
        return int(module(x)[0].argmax())


def trial_cam(name: str, layer: str, method: str) -> Callable[[], Any]:
    """Ablation-CAM or Score-CAM; compared as maps from 0 to 1, which is all the peer gives."""

    def prepare() -> tuple[Callable[[], Any], Callable[[], Any], Callable[[Any, Any], str]]:
        torchvision_beside_any_torch()
        from pytorch_grad_cam import AblationCAM, ScoreCAM
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        module, x = network(name), picture()
        target = target_of(module, x)
        kind = AblationCAM if method == "ablation-cam" else ScoreCAM
        peer = kind(model=module, target_layers=[module.get_submodule(layer)])
        peer.batch_size = 32

        def theirs() -> np.ndarray:
            return peer(input_tensor=x, targets=[ClassifierOutputTarget(target)])[0]  # type: ignore[no-any-return]

        def ours() -> np.ndarray:
            return pellucid.explain(module, x, method=f"{method}(site={layer})", target=f"class:{target}").values

        def agreement(mine: np.ndarray, other: np.ndarray) -> str:
            # The peer has enlarged its map to the picture, as OpenCV does, and brought it to 0 … 1.
            large = F.interpolate(torch.tensor(mine)[None, None], size=(SIDE, SIDE), mode="bilinear")[0, 0].numpy()
            drawn = (large - large.min()) / (np.ptp(large) or 1.0)
            return f"largest difference of maps from 0 to 1: {float(np.abs(drawn - other).max()):.1e}"

        return ours, theirs, agreement

    return prepare


CAMS = ("grad-cam", "grad-cam++", "xgrad-cam", "hirescam", "layer-cam", "eigen-grad-cam")


def many_cams(methods: tuple[str, ...]) -> Callable[[], Any]:
    """Methods × the four stages of resnet18 × 32 pictures."""

    def prepare() -> tuple[Callable[[], Any], Callable[[], Any], Callable[[Any, Any], str]]:
        torchvision_beside_any_torch()
        import pytorch_grad_cam as peers
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        module, x = network("resnet18"), picture(32)
        stages = [f"layer{number}" for number in (1, 2, 3, 4)]
        names = {
            "grad-cam": "GradCAM",
            "grad-cam++": "GradCAMPlusPlus",
            "xgrad-cam": "XGradCAM",
            "hirescam": "HiResCAM",
            "layer-cam": "LayerCAM",
            "eigen-grad-cam": "EigenGradCAM",
        }

        def theirs() -> list[np.ndarray]:
            found = []
            for method in methods:
                for stage in stages:
                    with getattr(peers, names[method])(
                        model=module, target_layers=[module.get_submodule(stage)]
                    ) as cam:
                        found += [
                            cam(input_tensor=x[i : i + 1], targets=[ClassifierOutputTarget(3)]) for i in range(32)
                        ]
            return found

        def ours() -> list[pellucid.Explanation]:
            texts = [f"{method}(site={'+'.join(stages)})" for method in methods]
            return list(pellucid.explain_many(module, [x], methods=texts, targets=["class:3"], batch_size=32))

        def agreement(mine: list[pellucid.Explanation], other: list[np.ndarray]) -> str:
            worst = 0.0
            for picture_number in range(2):
                explanation = mine[picture_number * len(methods)]
                for number, part in enumerate(explanation.parts):
                    large = F.interpolate(torch.tensor(part.values)[None, None], size=(SIDE, SIDE), mode="bilinear")[
                        0, 0
                    ].numpy()
                    drawn = (large - large.min()) / (np.ptp(large) or 1.0)
                    worst = max(worst, float(np.abs(drawn - other[number * 32 + picture_number][0]).max()))
            return f"grad-cam of two pictures, maps from 0 to 1: largest difference {worst:.1e}"

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
    "occlusion-vgg16_bn-fast": Race(
        goal=15, peer="captum Occlusion", needs="captum", prepare=occlusion("vgg16_bn", "fast")
    ),
    "occlusion-resnet18-fast": Race(
        goal=7, peer="captum Occlusion", needs="captum", prepare=occlusion("resnet18", "fast")
    ),
    "integrated-gradients-resnet18": Race(
        goal=1, peer="captum IntegratedGradients", needs="captum", prepare=integrated("resnet18", "float32")
    ),
    "integrated-gradients-resnet18-fused": Race(
        goal=1.8, peer="captum IntegratedGradients", needs="captum", prepare=integrated("resnet18", "fused")
    ),
    "integrated-gradients-resnet18-fast": Race(
        goal=3, peer="captum IntegratedGradients", needs="captum", prepare=integrated("resnet18", "fast")
    ),
    "ablation-cam-resnet18": Race(
        goal=340,
        peer="pytorch-grad-cam",
        needs="pytorch_grad_cam",
        prepare=trial_cam("resnet18", "layer4", "ablation-cam"),
    ),
    "ablation-cam-vgg16_bn": Race(
        goal=200,
        peer="pytorch-grad-cam",
        needs="pytorch_grad_cam",
        prepare=trial_cam("vgg16_bn", "features.42", "ablation-cam"),
    ),
    "score-cam-resnet18": Race(
        goal=3, peer="pytorch-grad-cam", needs="pytorch_grad_cam", prepare=trial_cam("resnet18", "layer4", "score-cam")
    ),
    "six-cams-four-sites": Race(
        goal=60, peer="pytorch-grad-cam one by one", needs="pytorch_grad_cam", prepare=many_cams(CAMS)
    ),
    "grad-cam-four-sites": Race(
        goal=12, peer="pytorch-grad-cam one by one", needs="pytorch_grad_cam", prepare=many_cams(("grad-cam",))
    ),
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
