"""Occlusion: the score without each part of the picture."""

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor

from pellucid.capture.asks import INPUT, Ask, Facts, Given, Parts, Passes, Piece, Probing, Variants
from pellucid.errors import MethodError, SettingError
from pellucid.methods.baselines import baseline_of, check_baseline
from pellucid.methods.catalogue import register


@register("occlusion")
@dataclass(frozen=True, slots=True, kw_only=True)
class Occlusion:
    """How much the score falls when a window of the picture is covered.

    The value of a pixel is the mean fall over all windows that cover it, in units of the score. Windows begin every
    `stride` pixels, and the border cuts the last ones, so that each pixel is covered (Captum's rule). Only what a
    window changes is run, layer by layer, as far as the model allows; the result is that of whole pictures.

    Attributes:
        window: Side of the square window in pixels.
        stride: Pixels from one window to the next, no more than `window`.
        baseline: What is put in the window, as for integrated gradients: `zero`, `black`, `white`, `mean`, `noise`,
            `blur:SIGMA` or the path of a picture.

    Reference:
        Zeiler & Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014, section 4.2.
    """

    window: int = 16
    stride: int = 8
    baseline: str = "zero"

    def __post_init__(self) -> None:
        for name in ("window", "stride"):
            given = getattr(self, name)
            if isinstance(given, bool) or not isinstance(given, int) or given < 1:
                raise SettingError(name, given=given, expected="a whole number of pixels, 1 or more")
        if self.stride > self.window:
            raise SettingError(
                "stride", given=self.stride, expected=f"no more than the window, {self.window}, or pixels are left out"
            )
        check_baseline(self.baseline)

    def passes(self, facts: Facts) -> Passes:
        """One forward per window and item."""
        height, width = facts.input_shape[-2:]
        return Passes(forwards=facts.items * len(self._begins(height)) * len(self._begins(width)))

    def probe(self, given: Given) -> Probing:
        """Cover one window after the other."""
        x = given.x
        if x.dim() != 4:
            shape = "×".join(map(str, x.shape[1:]))
            raise MethodError(f"occlusion covers windows of pictures, and the input has shape {shape}; use saliency.")
        height, width = x.shape[-2:]
        boxes = [
            (top, left, min(top + self.window, height), min(left + self.window, width))
            for top, left in itertools.product(self._begins(height), self._begins(width))
        ]
        cover = baseline_of(given, self.baseline)

        def covered(number: int) -> Tensor:
            top, left, bottom, right = boxes[number]
            made = x.clone()
            made[:, :, top:bottom, left:right] = cover[:, :, top:bottom, left:right]
            return made

        scores = yield Ask(variants=Variants(count=len(boxes), make=covered, boxes=torch.tensor(boxes)), want="score")
        total = torch.zeros(len(x), height, width, dtype=torch.float64, device=x.device)
        count = torch.zeros(height, width, dtype=torch.float64, device=x.device)
        for (top, left, bottom, right), fall in zip(boxes, (given.scores - scores).double(), strict=True):
            total[:, top:bottom, left:right] += fall[:, None, None]
            count[top:bottom, left:right] += 1
        return Parts(pieces=(Piece(place=INPUT, axes=("height", "width"), values=(total / count).to(x.dtype)),))

    def _begins(self, side: int) -> list[int]:
        """Where windows begin along one side; the border may cut the last one."""
        return list(range(0, max(side - self.window, 0) + self.stride, self.stride))
