"""Means over random draws, with their standard errors, in memory that does not grow with the number of draws."""

from collections.abc import Callable, Generator, Iterator
from typing import Any

import torch
from torch import Tensor

from pellucid.capture.asks import Ask, Given, Reads, Ruling, Seen, Variants
from pellucid.errors import SettingError

TOGETHER = 16
"""Most variants of items whose answers are held at once."""


def check_samples(samples: object) -> None:
    """Refuse a number of draws that gives no standard error.

    Raises:
        SettingError: It is no whole number, 2 or more.
    """
    if not isinstance(samples, int) or isinstance(samples, bool) or samples < 2:
        raise SettingError("samples", given=samples, expected="a whole number, 2 or more", hint="50 suits most models")


def check_noise(noise: object, *, least: str) -> None:
    """Refuse a noise that is no share of the input's range.

    Raises:
        SettingError: It is no number from 0 (or above it) to 1.
    """
    fits = isinstance(noise, int | float) and not isinstance(noise, bool) and 0 <= noise <= 1
    if not fits or (least == "above 0" and noise == 0):
        raise SettingError(
            "noise", given=noise, expected=f"a share of the input's range, {least}, to 1", hint="0.15 suits most models"
        )


def read_each(
    given: Given, variants: Variants, reads: Reads, *, ruling: Ruling | None = None, use: Callable[[int, Seen], None]
) -> Generator[Ask, Any, None]:
    """Ask for what is read of each variant, some at a time, and hand it over one by one.

    Args:
        given: What the probe begins with.
        variants: The variants.
        reads: What is read of each.
        ruling: Another backward rule per operation.
        use: Called with the number of each variant and what was read of it.
    """
    size = max(1, TOGETHER // len(given.x))
    for first in range(0, variants.count, size):
        count = min(size, variants.count - first)
        some = Variants(count=count, make=lambda i, first=first: variants.make(first + i))  # type: ignore[misc]
        seen = yield Ask(variants=some, want="read", reads=reads, ruling=ruling)
        for number, each in enumerate(apart(seen, count)):
            use(first + number, each)


def apart(seen: Seen, count: int) -> Iterator[Seen]:
    """What was read of each of some variants."""
    for i in range(count):
        yield Seen(
            values={name: tensor[i] for name, tensor in seen.values.items()},
            slopes={name: tensor[i] for name, tensor in seen.slopes.items()},
        )


class Moments:
    """Mean, variance and their standard errors of what was added, without keeping it.

    Sums are of distances from the first draw, in float64, so that a small spread around a large mean is not lost.
    """

    def __init__(self, *, powers: int = 2) -> None:
        self._powers, self._count = powers, 0
        self._first: Tensor
        self._sums: list[Tensor] = []

    def add(self, values: Tensor) -> None:
        """One more draw."""
        exact = values.double()
        if self._count == 0:
            self._first, self._sums = exact, [torch.zeros_like(exact) for _ in range(self._powers)]
        distance = exact - self._first
        for power, total in enumerate(self._sums, start=1):
            total += distance**power
        self._count += 1

    def mean(self) -> tuple[Tensor, Tensor]:
        """The mean and its standard error."""
        return self._first + self._sums[0] / self._count, (self._central(2) / (self._count - 1)).sqrt()

    def variance(self) -> tuple[Tensor, Tensor]:
        """The unbiased sample variance and its standard error, from the fourth central moment."""
        n = self._count
        variance = self._central(2) * n / (n - 1)
        error = (self._central(4) - (n - 3) / (n - 1) * variance**2) / n
        return variance, error.clamp(min=0).sqrt()

    def _central(self, power: int) -> Tensor:
        """The mean of powers of the distances from the mean."""
        n, first = self._count, self._sums[0] / self._count
        if power == 2:
            return (self._sums[1] / n - first**2).clamp(min=0)
        raw = [total / n for total in self._sums]
        return raw[3] - 4 * first * raw[2] + 6 * first**2 * raw[1] - 3 * first**4


def relative(error: Tensor, values: Tensor) -> Tensor:
    """The root mean square of the standard errors as a share of that of the values; two runs differ by 1.4 times that.

    NaN where all values are 0 and there is nothing to take a share of.
    """
    size, spread = (tensor.flatten(1).double().square().mean(1).sqrt() for tensor in (values, error))
    return torch.where(size == 0, torch.nan, spread / size)
