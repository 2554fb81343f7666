"""The questions of a probe, run in batches that halve when memory runs out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pellucid.capture.asks import Ask, Facts
from pellucid.capture.failures import DecidesTogetherError, is_out_of_memory, too_large
from pellucid.capture.scores import Score

# Runs some inputs, each with its own score: the scores' values, and their slopes at the inputs where they are wanted.
Run = Callable[[Tensor, Sequence[Score], bool], tuple[Tensor, Tensor | None]]


@dataclass(slots=True)
class Questions:
    """Answers one ask after the other; a size that memory did not allow is not tried again.

    Attributes:
        run: Runs a batch.
        batch: The inputs that are explained.
        scores: One score per input.
        size: Most items in one batch.
        facts: What is known about the model, for a message.
    """

    run: Run
    batch: Tensor
    scores: Sequence[Score]
    size: int
    facts: Facts | None

    def answer(self, ask: Ask) -> Tensor:
        """The scores of all variants, (count, batch), or the weighted sum of the slopes, of the batch's shape.

        Raises:
            CapacityError: Not even one item fits into memory.
        """
        items, count = len(self.batch), ask.variants.count
        weights = ask.weights or (1.0,) * count
        exact = torch.float64 if self.batch.dtype == torch.float64 else torch.float32
        total = torch.zeros_like(self.batch, dtype=exact)
        values = self.batch.new_zeros((count, items))
        work = [(variant, item) for variant in range(count) for item in range(items)]
        made: dict[int, Tensor] = {}
        done = 0
        while done < len(work):
            chunk = work[done : done + self.size]
            try:
                for variant in sorted({variant for variant, _ in chunk} - made.keys()):
                    made[variant] = ask.variants.make(variant)
                x = torch.stack([made[variant][item] for variant, item in chunk])
                score, slope = self.run(x, [self.scores[item] for _, item in chunk], ask.want == "slope")
            except DecidesTogetherError:
                self.size = 1
                continue
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if len(chunk) == 1:
                    raise too_large(self.batch[:1], self.facts, error) from error
                self.size = len(chunk) // 2
                continue
            for place, (variant, item) in enumerate(chunk):
                values[variant, item] = score[place]
                if slope is not None:
                    total[item] += weights[variant] * slope[place]
            done += len(chunk)
            oldest = work[done][0] if done < len(work) else count
            made = {variant: tensor for variant, tensor in made.items() if variant >= oldest}
        return total.to(self.batch.dtype) if ask.want == "slope" else values
