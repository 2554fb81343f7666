"""What watching a model costs, beside the plain forward: ours, a naive clone in every hook, and TorchLens.

    python benchmarks/capture.py [--json] [--batch 32] [--rounds 7]

Each contestant runs in rounds between two plain forwards, so that a machine that slows down slows both; the figure is
the median of the ratios to the mean of the two. One contestant after another: what one keeps alive, or TorchLens has
wrapped, would weigh on the rest.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

import pellucid
from pellucid.capture import passes

Work = Callable[[], object]


def resnet18() -> nn.Module:
    """Torchvision's resnet18 with random weights and batch-norm statistics that fit them."""
    from peers import torchvision_beside_any_torch

    models = torchvision_beside_any_torch().models
    torch.manual_seed(0)
    model = models.resnet18(weights=None)
    with torch.no_grad():
        for _ in range(3):
            model.train()(torch.randn(8, 3, 224, 224))
    return model.eval()  # type: ignore[no-any-return]


def naive(model: nn.Module, batch: Tensor) -> Work:
    """A clone of every leaf's output in a forward hook: what most scripts do."""

    def run() -> dict[str, Tensor]:
        kept: dict[str, Tensor] = {}
        handles = [
            part.register_forward_hook(lambda _m, _i, out, name=name: kept.__setitem__(name, out.clone()))
            for name, part in model.named_modules()
            if not list(part.children())
        ]
        with torch.no_grad():
            model(batch)
        for handle in handles:
            handle.remove()
        return kept

    return run


def naive_statistics(model: nn.Module, batch: Tensor) -> Work:
    """Mean and standard deviation of every leaf's output with torch's reductions."""

    def run() -> dict[str, tuple[float, float]]:
        kept: dict[str, tuple[float, float]] = {}
        handles = [
            part.register_forward_hook(
                lambda _m, _i, out, name=name: kept.__setitem__(name, (float(out.mean()), float(out.std())))
            )
            for name, part in model.named_modules()
            if not list(part.children())
        ]
        with torch.no_grad():
            model(batch)
        for handle in handles:
            handle.remove()
        return kept

    return run


def torchlens(model: nn.Module, batch: Tensor) -> Work | None:
    """TorchLens's full capture, if it is installed."""
    try:
        import torchlens
    except ImportError:
        return None
    # It wraps torch's functions; unless it takes the wrappers off, they would slow the contestants after it.
    options = torchlens.options.CaptureOptions(unwrap_when_done=True)
    return lambda: torchlens.trace(model, batch, capture=options)


def plain(model: nn.Module, batch: Tensor) -> Work:
    """The forward that all others are compared with."""

    def run() -> Tensor:
        with torch.no_grad():
            return model(batch)  # type: ignore[no-any-return]

    return run


def seconds(work: Work) -> float:
    """How long one call takes."""
    started = time.perf_counter()
    result = work()
    ended = time.perf_counter()
    del result
    return ended - started


def agreement(model: nn.Module, batch: Tensor) -> float:
    """Largest difference between our values and those of plain hooks that clone (0: equal to the bit)."""
    theirs = naive(model, batch)()
    assert isinstance(theirs, dict)
    seen = pellucid.trace(model, batch)
    called_once = [name for name in theirs if f"{name}#2" not in seen]
    return max(float((seen[name].values - theirs[name]).abs().max()) for name in called_once)


def main() -> int:
    """Run the race and print one table or one JSON list."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--no-torchlens", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(2)
    model = resnet18()
    batch = torch.randn(given.batch, 3, 224, 224, generator=torch.Generator().manual_seed(1))

    contestants: dict[str, tuple[Callable[[], Work | None], float]] = {
        "watch(reuse=True), all values": (lambda: watched(model, batch), 1.10),
        "trace, all values": (lambda: lambda: pellucid.trace(model, batch), 1.40),
        "statistics of every site": (lambda: lambda: passes.record(model, batch, statistics="basic"), 1.50),
        "naive clone in every hook": (lambda: naive(model, batch), float("nan")),
        "naive mean and std": (lambda: naive_statistics(model, batch), float("nan")),
    }
    if not given.no_torchlens:
        contestants["torchlens"] = (lambda: torchlens(model, batch), float("nan"))
    base = plain(model, batch)
    times: dict[str, list[float]] = {}
    bases: list[float] = []
    for name, (enter, _) in contestants.items():
        work = enter()
        if work is None:
            continue
        work()
        before = seconds(base)
        times[name] = []
        for _ in range(given.rounds):
            taken = seconds(work)
            after = seconds(base)
            times[name].append(taken / ((before + after) / 2))
            before = after
            bases.append(after)
        del work
    differs = agreement(model, batch[:2])
    rows = [
        {
            "row": name,
            "ours_seconds": statistics.median(ratios) * statistics.median(bases),
            "peer": "plain forward",
            "peer_seconds": statistics.median(bases),
            "ratio": statistics.median(ratios),
            "goal": None if goal != goal else goal,
            "agreement": f"largest difference to plain hooks {differs}",
        }
        for name, ratios in times.items()
        for goal in (contestants[name][1],)
    ]
    if given.json:
        print(json.dumps(rows, indent=1))
    else:
        print(
            f"resnet18, batch {given.batch}: cost as a multiple of the plain forward ({rows[0]['peer_seconds']:.2f} s)"
        )
        for row in rows:
            goal = "" if row["goal"] is None else f"   goal ≤ {row['goal']:.2f}"
            print(f"  {row['row']:32} {row['ratio']:6.2f}{goal}")
        print(f"  values equal those of plain hooks to {differs}")
    return 0


def watched(model: nn.Module, batch: Tensor) -> Work:
    """One pass inside a watch that stays open, as in a user's own loop."""
    stack = pellucid.watch(model, reuse=True)
    inside = stack.__enter__()
    forward = plain(model, batch)
    forward()
    stack.__exit__(None, None, None)

    def run() -> int:
        with inside._recorder:
            forward()
        return len(inside)

    return run


if __name__ == "__main__":
    sys.exit(main())
