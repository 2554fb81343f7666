"""Feature ablation: the score without each segment."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pellucid.capture.asks import Ask, Facts, Given, Parts, Passes, Probing, Variants
from pellucid.methods.catalogue import register
from pellucid.methods.segments import check_segments, count_of, game_of, pieces_of


@register("feature-ablation")
@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureAblation:
    """How much the score falls when one segment of the picture shows the baseline instead.

    The value of a segment, drawn at each of its pixels, is `score(x) − score(x without it)`, in units of the score.
    Segments are taken away one at a time. Only what a segment's bounding box can change is run, layer by layer, as far
    as the model allows; the result is that of whole pictures.

    Attributes:
        segments: `grid:N` for N×N rectangles, or `slic:N` for about N superpixels (by scikit-image).
        baseline: What shows in place of a segment, as for integrated gradients: `zero`, `black`, `white`, `mean`,
            `noise`, `blur:SIGMA` or a picture's path.

    Reference:
        Zeiler & Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014, section 4.2, with segments in
        place of a sliding square.
    """

    segments: str = "grid:7"
    baseline: str = "zero"

    def __post_init__(self) -> None:
        check_segments(self.segments, self.baseline)

    def passes(self, facts: Facts) -> Passes:
        """One forward per segment and item."""
        return Passes(forwards=facts.items * count_of(self.segments))

    def probe(self, given: Given) -> Probing:
        """Take away one segment after the other."""
        game = game_of(given, method="feature-ablation", segments=self.segments, baseline=self.baseline)
        cut = game.segments

        def without(number: int) -> Tensor:
            return game.left([torch.arange(count) != number for count in cut.counts])

        scores = yield Ask(variants=Variants(count=cut.most, make=without, boxes=cut.boxes()), want="score")
        falls = (given.scores - scores).T
        return Parts(pieces=pieces_of(game, [fall[:count] for fall, count in zip(falls, cut.counts, strict=True)]))
