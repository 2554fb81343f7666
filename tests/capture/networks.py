"""Networks that the tests of capture share: the textbook's class as it is, and plain hooks as an oracle."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Textbook(nn.Module):
    """The seed network exactly as the textbook lists it: `view(-1, 512)` and log_softmax."""

    def __init__(self, num_classes: int = 2) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for channels, dropouts in (
            (64, (0.3,)),
            (128, (0.4,)),
            (256, (0.4, 0.4)),
            (512, (0.4, 0.4)),
            (512, (0.4, 0.4)),
        ):
            for dropout in (*dropouts, None):
                padding = 1 if layers else 0
                layers += [
                    nn.Conv2d(before, channels, 3, padding=padding, bias=False),
                    nn.BatchNorm2d(channels),
                    nn.ReLU(inplace=True),
                    nn.MaxPool2d(2, 2) if dropout is None else nn.Dropout(dropout),
                ]
                before = channels
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(512, 512, bias=False),
            nn.Dropout(0.5),
            nn.BatchNorm1d(512),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
            nn.Linear(512, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = x.view(-1, 512)
        return F.log_softmax(self.classifier(x), dim=1)


def plain_hooks(model: nn.Module, batch: Tensor) -> tuple[dict[str, list[Tensor]], object]:
    """Every leaf's outputs, call by call, cloned in an ordinary forward hook; and the model's output."""
    kept: dict[str, list[Tensor]] = {}

    def keep(name: str, out: object) -> None:
        if isinstance(out, Tensor):
            kept.setdefault(name, []).append(out.clone())

    handles = [
        part.register_forward_hook(lambda _m, _i, out, name=name: keep(name, out))
        for name, part in model.named_modules()
        if not list(part.children())
    ]
    modes = [(part, part.training) for part in model.modules()]
    try:
        with torch.no_grad():
            output = model.eval()(batch)
    finally:
        for handle in handles:
            handle.remove()
        for part, mode in modes:
            part.training = mode
    return kept, output


def positive(model: nn.Module) -> nn.Module:
    """All weights positive, batch norm without a shift: then no path cancels, and a gradient's support is all paths."""
    for part in model.modules():
        for parameter in part._parameters.values():
            if parameter is not None:
                parameter.data.uniform_(0.5, 1.0)
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.zero_()
            part.running_var.fill_(1.0)
    return model.eval()
