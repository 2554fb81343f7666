"""Methods that draw or search: the peer, or the paper's formula, on the very same draws; or all sets there are."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F
from conformance_networks import Subject, in_batches
from conformance_peers import Against
from scipy.ndimage import gaussian_filter
from scipy.optimize import brentq
from torch import Tensor

import pellucid
from pellucid.methods.baselines import noise_like
from pellucid.methods.lime import nearness
from pellucid.methods.rise import Rise, mask_of
from pellucid.methods.shapley import paired_orders

SAMPLES, SIDES = 6, 2


def _rng() -> torch.Generator:
    """As pellucid begins with seed 0."""
    return torch.Generator().manual_seed(0)


def _noise(x: Tensor, seeds: list[int], share: float) -> Tensor:
    return torch.cat([share * (x.max() - x.min()) * noise_like(x, seed, uniform=False) for seed in seeds])


def _seeds(rng: torch.Generator) -> list[int]:
    return torch.randint(2**62, (SAMPLES,), generator=rng).tolist()


@contextmanager
def _drawing(noise: Tensor, places: np.ndarray | None = None) -> Iterator[None]:
    """What Captum draws is what pellucid drew."""
    with mock.patch.object(torch, "normal", return_value=noise):
        if places is None:
            yield
        else:
            with mock.patch.object(np.random, "uniform", return_value=places):
                yield


def _smooth_grad(subject: Subject) -> Tensor:
    from captum.attr import NoiseTunnel, Saliency

    with _drawing(_noise(subject.x, _seeds(_rng()), 0.15)):
        tunnel = NoiseTunnel(Saliency(subject.twin))
        found = tunnel.attribute(subject.x, nt_samples=SAMPLES, stdevs=1.0, target=subject.target, abs=False)
    return cast(Tensor, found[0].detach())


def _gradient_shap(share: float) -> Callable[[Subject], Tensor]:
    def run(subject: Subject) -> Tensor:
        from captum.attr import GradientShap

        rng = _rng()
        _seeds(rng)  # those of the baselines, of which there is but one
        noise = _noise(subject.x, _seeds(rng), share)
        places = torch.rand(SAMPLES, generator=rng, dtype=torch.float64).numpy()
        start = subject.x.mean((2, 3), keepdim=True).expand_as(subject.x)
        with _drawing(noise, places):
            found = GradientShap(subject.twin).attribute(
                subject.x, start, n_samples=SAMPLES, stdevs=1.0, target=subject.target
            )
        return cast(Tensor, found[0].detach())

    return run


def _labels(subject: Subject) -> Tensor:
    rows = torch.arange(subject.x.shape[-1]) * SIDES // subject.x.shape[-1]
    return rows[:, None] * SIDES + rows[None, :]


def _logits(subject: Subject, tables: Tensor) -> Tensor:
    """Logits of pictures of which some segments are left."""
    with torch.no_grad():
        return torch.cat(
            [
                subject.twin(rows[:, _labels(subject)][:, None].to(subject.x) * subject.x)
                for rows in in_batches(tables, 32)
            ]
        )


def _every_set() -> Tensor:
    return torch.tensor(list(itertools.product((False, True), repeat=SIDES**2)))


def _spread(subject: Subject, values: np.ndarray) -> np.ndarray:
    return cast(np.ndarray, values[_labels(subject).numpy()])


def _shapley(subject: Subject) -> Tensor:
    from captum.attr import ShapleyValueSampling

    peer = ShapleyValueSampling(subject.twin)
    orders = paired_orders(SAMPLES // 2, SIDES**2, _rng()).tolist()
    peer.permutation_generator = lambda *_: iter(orders)
    mask = _labels(subject)[None, None]
    made = peer.attribute(subject.x, target=subject.target, feature_mask=mask, n_samples=SAMPLES)
    return cast(Tensor, made[0, 0])


def _kernel_shap(subject: Subject) -> Tensor:
    from captum.attr import ShapleyValues

    made = ShapleyValues(subject.twin).attribute(
        subject.x, target=subject.target, feature_mask=_labels(subject)[None, None]
    )
    return cast(Tensor, made[0, 0])


def _lime(subject: Subject) -> np.ndarray:
    from sklearn.linear_model import Ridge

    shown = torch.rand(30, SIDES**2, generator=_rng()) < 0.5
    shown[0] = True
    scores = _logits(subject, shown)[:, subject.target].double().numpy()
    cosine = F.cosine_similarity(shown.double(), torch.ones(1, SIDES**2, dtype=torch.float64), dim=1)
    weights = torch.exp(-((1 - cosine) ** 2) / 0.25**2)
    assert torch.allclose(weights, nearness(shown, 0.25))
    fit = Ridge(alpha=1.0).fit(shown.double().numpy(), scores, sample_weight=weights.numpy())
    return _spread(subject, fit.coef_)


def _rise(subject: Subject) -> np.ndarray:
    """Equation 6, less the mean score: Σ (y(x ⊙ M) − ȳ) M / (p N)."""
    side = subject.x.shape[-1]
    grids, shifts = Rise(masks=20, cells=4)._drawn(_rng(), side, side)
    masks = torch.stack([mask_of(grid, shift, side, side) for grid, shift in zip(grids, shifts, strict=True)])
    with torch.no_grad():
        scores = subject.twin(masks[:, None].to(subject.x) * subject.x)[:, subject.target].double()
    return cast(np.ndarray, ((scores - scores.mean())[:, None, None] * masks / 0.5).mean(0).numpy())


def _bumps(side: int, cells: int) -> np.ndarray:
    """Gaussians with a standard deviation of half a cell, that sum to 1 at each pixel."""
    centres = (np.arange(cells) + 0.5) * side / cells
    made = np.exp(-0.5 * ((np.arange(side)[:, None] + 0.5 - centres) / (0.5 * side / cells)) ** 2)
    return cast(np.ndarray, made / made.sum(1, keepdims=True))


def _extremal(subject: Subject) -> np.ndarray:
    """Three steps uphill through the mask by automatic differentiation, each projected by a root of the area."""
    area, rate, steps, x = 0.4, 0.1, 3, subject.x
    side = _bumps(x.shape[-1], 4)
    share = side.mean(0)[:, None] * side.mean(0)
    cover = torch.from_numpy(
        np.stack([gaussian_filter(each, 3.0, mode="nearest", truncate=4.0) for each in x[0].double().numpy()])
    ).to(x)
    cells, speed = np.full((4, 4), area), np.zeros((4, 4))
    for step in range(steps):
        leaf = torch.from_numpy(cells).requires_grad_()
        mask = (torch.from_numpy(side) @ leaf @ torch.from_numpy(side).T).to(x)
        score = subject.twin(cover + mask * (x - cover))[0, subject.target]
        slope = torch.autograd.grad(score, leaf)[0].numpy()
        speed = 0.9 * speed + 0.1 * slope / np.sqrt((slope**2).mean())
        cells = _nearest(cells + rate * (1 - step / steps) * speed, share, area)
    return cast(np.ndarray, side @ cells @ side.T)


def _nearest(cells: np.ndarray, share: np.ndarray, area: float) -> np.ndarray:
    far = (np.abs(cells).max() + 1) / share.min()
    moved = brentq(lambda by: (np.clip(cells + by * share, 0, 1) * share).sum() - area, -far, far, xtol=1e-13)
    return cast(np.ndarray, np.clip(cells + moved * share, 0, 1))


def _region(*, enough: bool) -> Callable[[Subject], np.ndarray]:
    """Of all sets those with the fewest segments that do it; of these the one nearest to ours, for several may do."""

    def run(subject: Subject) -> np.ndarray:
        sets = _every_set()
        logits = _logits(subject, sets if enough else ~sets)
        other = logits.clone()
        other[:, subject.target] = -torch.inf
        answers = logits[:, subject.target] > other.amax(1)
        does = sets[answers if enough else ~answers].double().numpy()
        if not len(does):
            return _spread(subject, np.zeros(SIDES**2))
        fewest = does[does.sum(1) == does.sum(1).min()]
        text = DRAWN["sufficient-region" if enough else "necessary-region"].text
        made = pellucid.explain(subject.module, subject.x, method=text, target=f"class:{subject.target}")
        ours = made.part("segments").values
        return _spread(subject, fewest[np.abs(fewest - ours).sum(1).argmin()])

    return run


def _score_cam(subject: Subject) -> Tensor:
    """Equations 2 and 3: masks enlarged, then brought to 0 … 1; Softmax of the logits; Σ, cut at 0."""
    kept: list[Tensor] = []
    handle = subject.twin.get_submodule(subject.layer).register_forward_hook(lambda _m, _g, made: kept.append(made))
    with torch.no_grad():
        subject.twin(subject.x)
        handle.remove()
        masks = F.interpolate(kept[0], size=subject.x.shape[2:], mode="bilinear", align_corners=False)[0]
        low, high = masks.amin((1, 2), keepdim=True), masks.amax((1, 2), keepdim=True)
        masks = torch.where(high > low, (masks - low) / torch.where(high > low, high - low, 1), 0)
        scores = torch.cat(
            [subject.twin(each[:, None] * subject.x)[:, subject.target] for each in in_batches(masks, 32)]
        ).double()
    return (scores.softmax(0)[:, None, None] * kept[0][0]).sum(0).clamp(min=0)


def _against(text: str, peer: str, run: Callable[[Subject], Any]) -> Against:
    return Against(text=text, peer=peer, run=run)


DRAWN: dict[str, Against] = {
    "smooth-grad": _against(
        f"smooth-grad(samples={SAMPLES})", "captum NoiseTunnel of Saliency, same noise", _smooth_grad
    ),
    "expected-gradients": _against(
        f"expected-gradients(baselines=mean, samples={SAMPLES})",
        "captum GradientShap without noise, same points",
        _gradient_shap(0.0),
    ),
    "gradient-shap": _against(
        f"gradient-shap(baselines=mean, samples={SAMPLES}, noise=0.1)",
        "captum GradientShap, same noise and points",
        _gradient_shap(0.1),
    ),
    "shapley": _against(
        f"shapley(permutations={SAMPLES}, segments=grid:{SIDES})",
        "captum ShapleyValueSampling, same orders",
        _shapley,
    ),
    "kernel-shap": _against(f"kernel-shap(segments=grid:{SIDES})", "captum ShapleyValues, all orders", _kernel_shap),
    "lime": _against(
        f"lime(samples=30, segments=grid:{SIDES})", "scikit-learn Ridge, same samples and paper's weights", _lime
    ),
    "rise": _against("rise(masks=20, cells=4)", "the paper's equation 6 less the mean score, same masks", _rise),
    "extremal-perturbation": _against(
        "extremal-perturbation(area=0.4, steps=3, cells=4, baseline=blur:3)",
        "three steps by autograd, projected by SciPy's brentq",
        _extremal,
    ),
    "sufficient-region": _against(
        f"sufficient-region(segments=grid:{SIDES})", "the smallest of all sets", _region(enough=True)
    ),
    "necessary-region": _against(
        f"necessary-region(segments=grid:{SIDES})", "the smallest of all sets", _region(enough=False)
    ),
    "score-cam": _against("score-cam(site={layer})", "the paper's equations 2 and 3, passes with masks", _score_cam),
}
