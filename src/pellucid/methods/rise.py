"""RISE: the score under many random masks."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from pellucid.capture.asks import INPUT, Ask, Facts, Given, Parts, Passes, Piece, Probing, Variants
from pellucid.errors import SettingError
from pellucid.methods.baselines import baseline_of, check_baseline
from pellucid.methods.catalogue import register
from pellucid.methods.segments import PLANE, pictures_only, whole_number


@register("rise")
@dataclass(frozen=True, slots=True, kw_only=True)
class Rise:
    """By how much the score is higher, on average, when a pixel is shown, among random smooth masks.

    The value of a pixel is `mean of (score(x under mask) − mean score) × mask / expected mask`, in units of the score:
    0 where showing the pixel changes nothing. The part `not centred` is the paper's, whose values each contain the mean
    score under all masks; drawn around 0 it would have one colour everywhere. The paper takes probabilities; here the
    score is what the target says, usually a logit.

    Attributes:
        masks: How many random masks, 2 or more; the same for every picture of a batch.
        cells: Cells of a mask along each side, before it is enlarged bilinearly and shifted at random.
        probability: How likely a cell is shown, above 0 and below 1; the expected mask.
        baseline: What shows where a mask is 0, as for integrated gradients: `zero` (the paper's, in the model's own
            units), `black`, `white`, `mean`, `noise`, `blur:SIGMA` or a picture's path.

    Reference:
        Petsiuk et al., RISE: Randomized Input Sampling for Explanation of Black-box Models, BMVC 2018, eq. 6 and
        section 3.2.
    """

    masks: int = 1000
    cells: int = 7
    probability: float = 0.5
    baseline: str = "zero"

    def __post_init__(self) -> None:
        whole_number("masks", self.masks, least=2, hint="the paper takes 4000 to 8000")
        whole_number("cells", self.cells, least=1, hint="the paper takes 7")
        given = self.probability
        if not isinstance(given, float) or not 0 < given < 1:
            raise SettingError("probability", given=given, expected="a number above 0 and below 1")
        check_baseline(self.baseline)

    def passes(self, facts: Facts) -> Passes:
        """One forward per mask and item."""
        return Passes(forwards=facts.items * self.masks)

    def probe(self, given: Given) -> Probing:
        """Score the pictures under all masks, then average the masks."""
        x = given.x
        pictures_only(x, "rise")
        cover = baseline_of(given, self.baseline)
        grids, shifts = self._drawn(given.rng, x.shape[-2], x.shape[-1])

        def mask(number: int) -> Tensor:
            return mask_of(grids[number], shifts[number], x.shape[-2], x.shape[-1]).to(x)

        def masked(number: int) -> Tensor:
            return cover + mask(number) * (x - cover)

        scores = (yield Ask(variants=Variants(count=self.masks, make=masked), want="score")).double()
        # Sums of masks, of masks squared, and of both times the score and its square; relative to the score of the
        # whole picture, for differences of large numbers lose digits.
        relative = scores - given.scores.double()
        mean = relative.mean(0)
        sums = torch.zeros(4, len(x), *x.shape[-2:], dtype=torch.float64, device=x.device)
        for number, (whole, score) in enumerate(zip(scores, relative - mean, strict=True)):
            shown = mask(number).double() / self.probability
            for place, terms in enumerate((whole[:, None, None] * shown, score[:, None, None] * (shown - 1))):
                sums[2 * place] += terms
                sums[2 * place + 1] += terms**2
        pieces = []
        for name, (total, squares) in ((None, sums[2:]), ("not centred", sums[:2])):
            value = total / self.masks
            spread = (squares / self.masks - value**2).clamp(min=0) / (self.masks - 1)
            pieces.append(
                Piece(place=INPUT, axes=PLANE, values=value.to(x), name=name, standard_error=spread.sqrt().to(x))
            )
        mean_score = (mean + given.scores.double()).to(x)
        return Parts(pieces=tuple(pieces), checks={"mean score under the masks": mean_score})

    def _drawn(self, rng: torch.Generator, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Masks of cells, one cell more than asked for along each side, and their shifts, less than a cell."""
        shape = (self.masks, self.cells + 1, self.cells + 1)
        grids = (torch.rand(shape, generator=rng) < self.probability).float()
        sides = torch.tensor([-(-side // self.cells) for side in (height, width)])
        shifts = (torch.rand(self.masks, 2, generator=rng) * sides).long()
        return grids, shifts


def mask_of(
    grid: Float[Tensor, "rows columns"], shift: Tensor, height: int, width: int
) -> Float[Tensor, "{height} {width}"]:
    """A mask of cells, enlarged bilinearly and cut out at a shift."""
    rows, columns = (count - 1 for count in grid.shape)
    size = (grid.shape[0] * -(-height // rows), grid.shape[1] * -(-width // columns))
    large = functional.interpolate(grid[None, None], size=size, mode="bilinear", align_corners=False)[0, 0]
    top, left = shift.tolist()
    return large[top : top + height, left : left + width]
