"""The seed network: a small VGG with batch normalisation, as a textbook on explainable AI builds it for cats and dogs.

    features     0   1   2     3      4   5   6     7        conv, norm, ReLU, dropout | conv, norm, ReLU, pool
                 8   9   10    11     12  13  14    15
                 16  17  18    19     20  21  22    23       24  25  26    27
                 28  29  30    31     32  33  34    35       36  37  38    39
                 40  41  42    43     44  45  46    47       48  49  50    51
    classifier   0 linear, 1 dropout, 2 norm, 3 ReLU, 4 dropout, 5 linear

The textbook reads its feature maps at `features.0`, `features.20` and `features.40`, so these places must not move.
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pellucid.errors import SettingError

# (width of the block as a multiple of `width`, dropout after each convolution; the last one is pooled instead).
_BLOCKS: tuple[tuple[int, tuple[float, ...]], ...] = (
    (1, (0.3,)),
    (2, (0.4,)),
    (4, (0.4, 0.4)),
    (8, (0.4, 0.4)),
    (8, (0.4, 0.4)),
)


class XAI(nn.Module):
    """Thirteen convolutions and two fully connected layers, for pictures of 100×100.

    The names and shapes of all parameters and buffers at `width=64` are those of the textbook's class, so weights that
    were made with it load unchanged. One difference is deliberate: the textbook flattens with `view(-1, 512)`, and a
    100×100 picture leaves 512×3×3 values there, so its own class returns *nine* rows for one picture. This one averages
    the positions first: the same function wherever one position is left (40×40), and one row per picture at any size.

    Args:
        num_classes: How many classes the last layer tells apart.
        width: Channels of the first block; the others have 2, 4, 8 and 8 times as many.

    Raises:
        SettingError: `num_classes` or `width` is less than 1.
    """

    def __init__(self, num_classes: int = 2, width: int = 64) -> None:
        super().__init__()
        if num_classes < 1:
            raise SettingError("num_classes", given=num_classes, expected="1 or more", hint="cat and dog are 2")
        if width < 1:
            raise SettingError("width", given=width, expected="1 or more", hint="the textbook's network has 64")
        layers: list[nn.Module] = []
        channels = 3
        for multiple, dropouts in _BLOCKS:
            for dropout in (*dropouts, None):
                # Only the very first convolution has no padding: 100×100 becomes 98×98.
                padding = 1 if layers else 0
                convolution = nn.Conv2d(channels, multiple * width, kernel_size=3, padding=padding, bias=False)
                last: nn.Module = nn.MaxPool2d(2, 2) if dropout is None else nn.Dropout(dropout)
                layers += [convolution, nn.BatchNorm2d(multiple * width), nn.ReLU(inplace=True), last]
                channels = multiple * width
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(channels, channels, bias=False),
            nn.Dropout(0.5),
            nn.BatchNorm1d(channels),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
            nn.Linear(channels, num_classes),
        )

    def forward(self, pictures: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch classes"]:
        """Log-probabilities, one row per picture.

        Args:
            pictures: Prepared pictures; each side must be 34 or more, so that the five poolings leave something.

        Returns:
            Natural logarithms of the classes' probabilities.
        """
        maps = self.features(pictures)
        logits = self.classifier(maps.mean((2, 3)))
        return F.log_softmax(logits, dim=1)
