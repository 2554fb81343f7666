"""Extremal perturbation: the smooth mask of a given area that keeps the score highest."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pellucid.capture.asks import INPUT, Ask, Facts, Given, Parts, Passes, Piece, Probing, Variants
from pellucid.errors import SettingError
from pellucid.methods.baselines import baseline_of, check_baseline
from pellucid.methods.catalogue import register
from pellucid.methods.segments import PLANE, pictures_only, whole_number

_MOMENTUM = 0.9
_HALVINGS = 60
_WIDTH = 0.5


@register("extremal-perturbation")
@dataclass(frozen=True, slots=True, kw_only=True)
class ExtremalPerturbation:
    """Which part of a given area must be shown to keep the score as high as possible.

    Values are a mask, 0 … 1 and no score: how much of each pixel is shown, the rest is the baseline. It is found by
    climbing the slope of the score with respect to the mask, from an even mask; after every step the mask is projected
    to the given area, exactly. Masks are sums of Gaussians whose standard deviation is half a cell, so nothing
    smaller than a cell is seen. What the mask keeps is reported: `score under the mask`, `score of the baseline`, and
    `sharpness`, the share of pixels below 0.1 or above 0.9. Climbing may end in a local optimum; nothing is drawn at
    random.

    Attributes:
        area: The share of the picture that is shown, above 0 and below 1: the mean of the mask.
        steps: Steps uphill, 1 or more; each costs one forward and one backward.
        cells: Cells of the mask along each side.
        rate: Length of the first step: the root mean square of the change of the cells.
        baseline: What shows where the mask is 0, as for integrated gradients: `blur:SIGMA` (the paper's), `zero`,
            `black`, `white`, `mean`, `noise` or a picture's path.

    Reference:
        Fong et al., Understanding Deep Networks via Extremal Perturbations and Smooth Masks, ICCV 2019, eq. 2. The
        paper replaces the constraint by a penalty on the sorted mask (eq. 4) and smooths by a maximum.
    """

    area: float = 0.1
    steps: int = 100
    cells: int = 16
    rate: float = 0.1
    baseline: str = "blur:11"

    def __post_init__(self) -> None:
        for name in ("area", "rate"):
            given = getattr(self, name)
            if not isinstance(given, float) or not 0 < given < 1:
                raise SettingError(name, given=given, expected="a number above 0 and below 1")
        whole_number("steps", self.steps, least=1, hint="100 suits most models")
        whole_number("cells", self.cells, least=2, hint="16 suits most pictures")
        check_baseline(self.baseline)

    def passes(self, facts: Facts) -> Passes:
        """One forward and backward per step and item, and two forwards for the checks."""
        return Passes(forwards=(self.steps + 2) * facts.items, backwards=self.steps * facts.items)

    def probe(self, given: Given) -> Probing:
        """Climb, project, repeat."""
        x = given.x
        pictures_only(x, "extremal-perturbation")
        cover = baseline_of(given, self.baseline)
        tall, wide = (bumps(side, self.cells).to(x.device) for side in x.shape[-2:])
        share = (tall.mean(0)[:, None] * wide.mean(0)).expand(len(x), -1, -1)
        cells = torch.full(share.shape, float(self.area), dtype=torch.float64, device=x.device)
        speed = torch.zeros_like(cells)
        moved = torch.zeros(len(x), dtype=torch.bool, device=x.device)

        def shown(number: int = 0) -> Tensor:
            return cover + (tall @ cells @ wide.T)[:, None].to(x.dtype) * (x - cover)

        for step in range(self.steps):
            slope = yield Ask(variants=Variants(count=1, make=shown), want="slope")
            uphill = tall.T @ (slope * (x - cover)).double().sum(1) @ wide
            size = uphill.square().mean((1, 2), keepdim=True).sqrt()
            moved |= size.flatten() != 0
            # Its length is the same whatever the scale of the score; without any slope it stays.
            speed = _MOMENTUM * speed + (1 - _MOMENTUM) * uphill / torch.where(size == 0, 1, size)
            cells = projected(cells + self.rate * (1 - step / self.steps) * speed, share, self.area)
        scores = yield Ask(variants=Variants(count=2, make=lambda number: cover if number else shown()), want="score")
        mask = tall @ cells @ wide.T
        flat = "no slope of the score with respect to the mask was found, so no mask is better than another; all is 0"
        odd = "the score under the mask or of the baseline is not finite, so the mask means nothing"
        finite_scores = scores.isfinite().all(0).tolist()
        values = torch.where(moved[:, None, None], mask, torch.zeros_like(mask)).to(x.dtype)
        sharp = ((mask < 0.1) | (mask > 0.9)).double().mean((1, 2))
        return Parts(
            pieces=(Piece(place=INPUT, axes=PLANE, values=values),),
            checks={
                "score under the mask": scores[0],
                "score of the baseline": scores[1],
                "area": values.double().mean((1, 2)),
                "sharpness": sharp,
            },
            notes={
                item: tuple(note for note, said in ((flat, not climbed), (odd, not finite)) if said)
                for item, (climbed, finite) in enumerate(zip(moved.tolist(), finite_scores, strict=True))
            },
        )


def bumps(side: int, cells: int) -> Float[Tensor, "{side} {cells}"]:
    """How much each cell counts at each pixel of one side: Gaussians that sum to 1 at every pixel."""
    width = side / cells
    pixels = torch.arange(side, dtype=torch.float64) + 0.5
    centres = (torch.arange(cells, dtype=torch.float64) + 0.5) * width
    found = torch.exp(-0.5 * ((pixels[:, None] - centres) / (_WIDTH * width)) ** 2)
    return found / found.sum(1, keepdim=True)


def projected(
    cells: Float[Tensor, "batch rows columns"], share: Float[Tensor, "batch rows columns"], area: float
) -> Float[Tensor, "batch rows columns"]:
    """The nearest cells within 0 … 1 whose mean, weighted by their share of the picture, is the area.

    Nearest in the sense of squares: cells move along their shares and are cut at 0 and 1; how far is found by halving.
    """
    widest = (cells.abs().amax((1, 2), keepdim=True) + 1) / share.amin((1, 2), keepdim=True)
    low, high = -widest, widest
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        full = ((cells + middle * share).clamp(0, 1) * share).sum((1, 2), keepdim=True) > area
        low, high = torch.where(full, low, middle), torch.where(full, middle, high)
    return (cells + (low + high) / 2 * share).clamp(0, 1)
