"""Inputs that stand for "nothing": where a path to the picture begins, or what a picture is compared with."""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from pellucid.capture.asks import Given
from pellucid.errors import SettingError
from pellucid.inputs.folders import pictures_in
from pellucid.inputs.picture_reading import read_picture
from pellucid.models.preprocessing import Preprocessing

WORDS = ("zero", "black", "white", "mean", "noise")
KNOWN = "zero, black, white, mean, noise, blur:SIGMA or the path of a picture"
_LEVELS = {"black": 0, "white": 255}


def check_baseline(name: object) -> None:
    """Refuse what is no baseline.

    Raises:
        SettingError: It is no known word, no blur and no file.
    """
    if isinstance(name, str) and name.partition(":")[0] == "blur":
        _sigma(name)
    elif name not in WORDS and not (isinstance(name, str) and name and Path(name).is_file()):
        raise SettingError("baseline", given=name, expected=KNOWN)


def baseline_of(given: Given, name: str, *, seed: int | None = None) -> Float[Tensor, "batch *dims"]:
    """The input that stands for "nothing", of the batch's shape.

    Args:
        given: What a probe begins with.
        name: `zero` (0 in the model's own units), `black` and `white` (pixel values 0 and 255, prepared as the model
            prepares pictures), `mean` (each channel's mean over the picture), `blur:SIGMA` (Gaussian, in pixels),
            `noise` (each value uniform between the picture's smallest and largest), or the path of a picture, which is
            read and prepared as the model prepares pictures.
        seed: Of the noise, which is the same for all items; None draws one.

    Raises:
        SettingError: An input of this kind has no such baseline.
    """
    x = given.x
    if name == "zero":
        return torch.zeros_like(x)
    if name == "mean" and x.dim() > 2:
        return x.mean(dim=tuple(range(2, x.dim())), keepdim=True).expand_as(x).clone()
    if name == "noise":
        return _noise(x, drawn(given, 1)[0] if seed is None else seed)
    if name in _LEVELS:
        return _grey(given, name)
    if name == "mean" or name.partition(":")[0] == "blur":
        if x.dim() != 4:
            expected = (
                "zero, mean or noise for an input that is no picture"
                if x.dim() > 2
                else "zero or noise for an input of plain numbers"
            )
            raise SettingError("baseline", given=name, expected=expected)
        return blurred(x, _sigma(name))
    return _from_file(given, name)


def drawn(given: Given, count: int) -> list[int]:
    """Seeds for generators of their own, so that what is made with one is the same however often it is made."""
    return torch.randint(2**62, (count,), generator=given.rng).tolist()


def pooled(names: Sequence[str]) -> list[list[str]]:
    """For each baseline its alternatives: itself, or all pictures of a folder."""
    return [[str(each.path) for each in pictures_in(name)] if Path(name).is_dir() else [name] for name in names]


def noise_like(x: Float[Tensor, "batch *dims"], seed: int, *, uniform: bool) -> Float[Tensor, "one *dims"]:
    """One draw that all items share, so that none depends on its company."""
    generator = torch.Generator(device="cpu").manual_seed(seed)
    kind = torch.float64 if x.dtype == torch.float64 else torch.float32
    draw = torch.rand if uniform else torch.randn
    return draw(x.shape[1:], generator=generator, dtype=kind)[None].to(device=x.device, dtype=x.dtype)


def range_of(x: Float[Tensor, "batch *dims"]) -> tuple[Tensor, Tensor]:
    """Each item's smallest and largest value, ready to be multiplied with the batch."""
    flat = x.flatten(1)
    shape = (len(x), *[1] * (x.dim() - 1))
    return flat.amin(1).view(shape), flat.amax(1).view(shape)


def _noise(x: Tensor, seed: int) -> Tensor:
    low, high = range_of(x)
    return low + (high - low) * noise_like(x, seed, uniform=True)


def _grey(given: Given, name: str) -> Tensor:
    levels = _preparing(given, name).grey(_LEVELS[name])
    return given.x.new_tensor(levels).view(1, 3, 1, 1).expand_as(given.x).clone()


def _from_file(given: Given, name: str) -> Tensor:
    preparing = _preparing(given, name)
    made = torch.from_numpy(preparing.prepare(read_picture(name))).to(given.x)
    if made.shape != given.x.shape[1:]:
        theirs, ours = ("×".join(map(str, shape[-2:])) for shape in (made.shape, given.x.shape))
        raise SettingError(
            "baseline",
            given=Path(name).name,
            expected=f"a picture that is {ours} (height×width) after preprocessing, as the explained one is",
            hint=f"it is {theirs}",
        )
    return made[None].expand_as(given.x).clone()


def _preparing(given: Given, name: str) -> Preprocessing:
    if given.preparing is None:
        raise SettingError(
            "baseline",
            given=name,
            expected="zero, mean, noise or blur:SIGMA for a tensor",
            hint="nobody knows how it was prepared; give a picture, or a model with its preprocessing",
        )
    if given.x.dim() != 4 or given.x.shape[1] != 3:
        raise SettingError("baseline", given=name, expected="zero or noise for an input that is no colour picture")
    return given.preparing


def _sigma(name: str) -> float:
    try:
        sigma = float(name.partition(":")[2])
    except ValueError:
        sigma = 0.0
    if not 0 < sigma < 1000:
        raise SettingError("baseline", given=name, expected="blur:SIGMA with SIGMA in pixels above 0, e.g. blur:11")
    return sigma


def blurred(
    x: Float[Tensor, "batch channels height width"], sigma: float
) -> Float[Tensor, "batch channels height width"]:
    """A Gaussian blur with repeated borders, cut at four standard deviations."""
    radius = int(4 * sigma + 0.5)
    places = torch.arange(-radius, radius + 1, dtype=x.dtype, device=x.device)
    kernel = torch.exp(-0.5 * (places / sigma) ** 2)
    kernel = kernel / kernel.sum()
    channels = x.shape[1]
    for shape, pad in (((channels, 1, -1, 1), (0, 0, radius, radius)), ((channels, 1, 1, -1), (radius, radius, 0, 0))):
        weight = kernel.view(1, 1, *shape[2:]).expand(channels, 1, *(s if s > 0 else kernel.numel() for s in shape[2:]))
        x = torch.nn.functional.conv2d(torch.nn.functional.pad(x, pad, mode="replicate"), weight, groups=channels)
    return x
