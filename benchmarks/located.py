"""Pictures in which the place of what counts is known: photographs with the masks of their objects, and drawings."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image
from real_networks import DATA, real_network

import pellucid
from pellucid.inputs.image import Image
from pellucid.models.bundled import load_truth
from pellucid.models.recipes.drawings import PARTS, draw, with_tag

Mask = npt.NDArray[np.bool_]
NETWORKS = ("mobilenet_v2", "squeezenet1_0", "animals", "animals-shortcut")
PHOTOGRAPHED = NETWORKS[:2]
PHOTOGRAPHS = Path("images") / "boxes_masks"
# 15 pixels, as TorchRay has it, of COCO's pictures, which are 640 pixels long; these were made 400 pixels long.
TOLERANCE = 15 * 400 / 640


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One picture, what is explained, and where the objects are that it may be about.

    Attributes:
        picture: As it was read.
        target: What is explained.
        objects: A mask of the picture for each question, by its name.
        difficult: Small and not alone, by the pointing game's rule; None where the rule says nothing.
    """

    picture: Image
    target: str
    objects: Mapping[str, Mask]
    difficult: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A network and its pictures.

    Attributes:
        name: Of the network.
        model: The network.
        cases: The pictures.
        tolerance: Of the pointing game, in pixels of the pictures.
    """

    name: str
    model: pellucid.Model
    cases: tuple[Case, ...]
    tolerance: float


def trial(name: str, *, pictures: int, data: Path = DATA) -> Trial:
    """A network with the first pictures that are known for it.

    Args:
        name: One of `NETWORKS`.
        pictures: How many at most.
        data: The folder of real data.
    """
    if name in PHOTOGRAPHED:
        cases = tuple(islice(photographs(name, data), pictures))
        return Trial(name=name, model=real_network(name, data), cases=cases, tolerance=TOLERANCE)
    return Trial(name=name, model=pellucid.load(name), cases=tuple(islice(drawings(name), pictures)), tolerance=0.0)


def photographs(network: str, data: Path = DATA) -> Iterator[Case]:
    """Those in which one of the network's first five classes names an object; the likeliest such class is explained."""
    folder = data / PHOTOGRAPHS
    classes = json.loads((folder / "coco_to_imagenet.json").read_text(encoding="utf-8"))
    for record in json.loads((folder / "annotations.json").read_text(encoding="utf-8")):
        matches = record["top5_matches"].get(network, [])
        if not matches:
            continue
        number = max(matches, key=lambda match: float(match["probability"]))["class_index"]
        labels = {label for label, known in classes.items() if number in known["class_indices"]}
        yield Case(
            picture=pellucid.read(folder / record["file"]),
            target=f"class:{number}",
            objects={"object": object_mask(record, labels, folder)},
            difficult=is_difficult(record, labels),
        )


def object_mask(record: Mapping[str, Any], labels: set[str], folder: Path) -> Mask:
    """All objects with one of some labels, as one mask."""
    with PIL.Image.open(folder / record["mask"]) as opened:
        values = np.asarray(opened)
    chosen = [each["mask_value"] for each in record["objects"] if each["label"] in labels]
    return np.asarray(np.isin(values, chosen))


def is_difficult(record: Mapping[str, Any], labels: set[str]) -> bool:
    """Whether the objects' boxes together take less than a quarter of the picture, beside an object of another kind.

    Reference:
        Zhang et al., Top-down Neural Attention by Excitation Backprop, ECCV 2016, section 4.1.
    """
    boxes = [each["box"] for each in record["objects"] if each["label"] in labels]
    area = sum((right - left) * (bottom - top) for left, top, right, bottom in boxes)
    return area < record["width"] * record["height"] / 4 and len(boxes) < len(record["objects"])


def drawings(network: str) -> Iterator[Case]:
    """Those whose exact Shapley values come along; explained is the margin of the answer over the other animal.

    `parts` is all that tells the animals apart: outside of it both are the same pixels. `strongest part` is the one
    with the largest Shapley value for the answer. Of `animals-shortcut` only drawings with the tag are taken; there the
    question is the `tag`.
    """
    for truth in load_truth(network)["drawings"]:
        if truth["tag"] is False:
            continue
        drawing = draw(truth["seed"], truth["parts"])
        drawing = with_tag(drawing) if truth["tag"] else drawing
        cat = truth["all_own"] > 0
        worth = {part: value if cat else -value for part, value in truth["values"].items()}
        strongest = max(worth, key=lambda part: float(worth[part]))
        masks = drawing.masks
        objects = (
            {"tag": masks["tag"]}
            if truth["tag"]
            else {"parts": together([masks[part] for part in PARTS]), "strongest part": masks[strongest]}
        )
        target = "contrast:cat,dog" if cat else "contrast:dog,cat"
        yield Case(picture=pellucid.read(drawing.pixels), target=target, objects=objects)


def together(masks: Sequence[Mask]) -> Mask:
    """All that lies in one of some masks."""
    return np.asarray(np.logical_or.reduce(np.stack(masks)))
