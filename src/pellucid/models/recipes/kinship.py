"""Is a picture of the kind that a network was trained on? Measured against what its BatchNorm layers remember.

Every BatchNorm2d keeps the variance of each channel of its input over the training pictures. One picture's own variance
there, as a share of that, says how much the channel has to do with this picture. A picture of another kind does not
stand out in single channels (means and variances one by one caught a quarter of the photographs), but in which channels
are busy *together*: so the logarithms of these shares are compared by their Mahalanobis distance, layer by layer.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pellucid.errors import SiteError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reference:
    """How the channels of some BatchNorm2d inputs vary over training pictures.

    Args:
        centres: For each layer the mean of the channels' log-shares, float32 (channels,).
        precisions: For each layer the inverse of their covariance, float32 (channels, channels).
    """

    centres: Mapping[str, Tensor]
    precisions: Mapping[str, Tensor]

    def to_tensors(self) -> dict[str, Tensor]:
        """One flat mapping, for a safetensors file."""
        tensors = {f"{layer}.centre": values for layer, values in self.centres.items()}
        return tensors | {f"{layer}.precision": values for layer, values in self.precisions.items()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> "Reference":
        """The reference that `to_tensors` wrote down."""
        layers = [name.removesuffix(".centre") for name in tensors if name.endswith(".centre")]
        return cls(
            centres={layer: tensors[f"{layer}.centre"] for layer in layers},
            precisions={layer: tensors[f"{layer}.precision"] for layer in layers},
        )

    @classmethod
    def fitted(cls, module: nn.Module, inputs_of_batchnorm: Mapping[str, Tensor]) -> "Reference":
        """Learn from the BatchNorm2d inputs of many training pictures.

        Args:
            module: The network, only read.
            inputs_of_batchnorm: For each layer that shall count, by its name, what went into it.
        """
        shares = {name: log_shares(module, name, values) for name, values in inputs_of_batchnorm.items()}
        return cls.from_shares(shares)

    @classmethod
    def from_shares(cls, shares: Mapping[str, Tensor]) -> "Reference":
        """The same from `log_shares` that were collected batch by batch."""
        centres, precisions = {}, {}
        for name, values in shares.items():
            covariance = torch.cov(values.double().T)
            # A tenth of the way to the diagonal keeps the inverse tame where channels go together.
            tamed = 0.9 * covariance + 0.1 * torch.diag(covariance.diagonal()) + 1e-6 * torch.eye(len(covariance))
            centres[name] = values.double().mean(dim=0).float()
            precisions[name] = torch.linalg.inv(tamed).float()
        return cls(centres=centres, precisions=precisions)


def unlikeness(module: nn.Module, inputs_of_batchnorm: Mapping[str, Tensor], reference: Reference) -> Tensor:
    """How far each picture is from those of the training; small for pictures of their kind.

    Args:
        module: The network, only read.
        inputs_of_batchnorm: For each BatchNorm2d, by its name in the module, the tensor that went into it; layers that
            the reference does not know are left out.
        reference: What is usual.

    Returns:
        One number per picture: the squared Mahalanobis distance per channel, averaged over the reference's layers.

    Raises:
        SiteError: The input of one of the reference's layers is missing.
    """
    distances = []
    for name, centre in reference.centres.items():
        if name not in inputs_of_batchnorm:
            raise SiteError(
                f"no input of {name!r} was given, which the reference needs; give those of every BatchNorm2d."
            )
        shares = log_shares(module, name, inputs_of_batchnorm[name])
        apart = shares - centre.to(shares)
        distances.append((apart @ reference.precisions[name].to(shares) * apart).sum(dim=1) / len(centre))
    return torch.stack(distances).mean(dim=0)


def log_shares(module: nn.Module, name: str, values: Tensor) -> Tensor:
    """The logarithm of each picture's variance as a share of the running variance, (batch, channels).

    Raises:
        SiteError: The module has no BatchNorm2d of this name with running statistics.
    """
    layer = dict(module.named_modules()).get(name)
    if not isinstance(layer, nn.BatchNorm2d) or layer.running_var is None:
        raise SiteError(f"no BatchNorm2d {name!r} with running statistics in this network.")
    own = values.detach().flatten(2).var(dim=2, unbiased=False)
    return ((own + layer.eps) / (layer.running_var + layer.eps)).log()


@contextmanager
def batchnorm_inputs(module: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Collect what goes into every BatchNorm2d while the network runs; the hooks are gone afterwards."""
    seen: dict[str, Tensor] = {}
    handles = []

    try:
        for name, layer in module.named_modules():
            if isinstance(layer, nn.BatchNorm2d):
                handles.append(layer.register_forward_pre_hook(_Keeper(name, seen)))
        yield seen
    finally:
        for handle in handles:
            handle.remove()


class _Keeper:
    def __init__(self, name: str, seen: dict[str, Tensor]) -> None:
        self._name, self._seen = name, seen

    def __call__(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._seen[self._name] = inputs[0]
