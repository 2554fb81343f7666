"""From what a user gives to what a model takes: a batch."""

from typing import Any

from torch import Tensor, nn

from pellucid.errors import InputError
from pellucid.inputs.graph import Graph
from pellucid.inputs.graph_features import prepared
from pellucid.inputs.graph_set import GraphSet
from pellucid.inputs.image import Image
from pellucid.inputs.picture_reading import read_picture
from pellucid.inputs.reading import read
from pellucid.models.loading import load
from pellucid.models.model import Model


def as_batch(model: Model | nn.Module | str, given: Any) -> tuple[Model, Tensor, tuple[Image, ...]]:
    """A usable model, the prepared batch on the model's device, and the pictures it was made of (none for a tensor).

    Raises:
        InputError: What was given is no picture, no list of pictures and no float tensor.
    """
    known = load(model)
    if isinstance(given, Tensor):
        return known, _checked(given, known.module).to(known.device), ()
    if isinstance(given, Graph | GraphSet):
        raise InputError(
            f"a graph was given, and {known.name} takes pictures; give it a picture, or load a model whose forward "
            "takes x and edge_index."
        )
    several = given if isinstance(given, list | tuple) else [given]
    if not several:
        raise InputError("an empty list of pictures was given; give one or more.")
    images = tuple(read_picture(each) for each in several)
    # A model in half or double precision takes pictures of its own type.
    weight = next((p for p in known.module.parameters() if p.is_floating_point()), None)
    batch = known.tensor(images)
    return known, batch if weight is None else batch.to(weight.dtype), images


def as_graph(model: Model, given: Any) -> Graph:
    """One graph, from whatever `pellucid.read` makes one of, with its features as the model was trained on them.

    Raises:
        InputError: What was given is no graph, or is several.
    """
    found = read(given)
    if isinstance(found, GraphSet) and len(found) == 1:
        found = found[0]
    if not isinstance(found, Graph):
        what = f"a data set of {len(found)} graphs" if isinstance(found, GraphSet) else "a picture"
        hint = "take one of its graphs" if isinstance(found, GraphSet) else "give a graph: this model takes no pictures"
        raise InputError(f"{what} was given, expected one graph; {hint}.")
    # Done twice it changes nothing more, so a graph that is prepared already stays as it is.
    return prepared(found, model.card.get("preparation"))


def _checked(batch: Tensor, module: nn.Module) -> Tensor:
    if not batch.is_floating_point():
        raise InputError(
            f"a tensor of {str(batch.dtype).removeprefix('torch.')} was given, expected prepared floats "
            "(batch, channels, height, width); give a picture as an array of uint8 instead, and it will be prepared."
        )
    first = next((part for part in module.modules() if isinstance(part, nn.Conv1d | nn.Conv2d | nn.Conv3d)), None)
    # A convolution would take one picture for a batch of rows.
    bare = isinstance(first, nn.Conv2d) and batch.dim() == 3
    if batch.dim() < 2 or batch.shape[0] == 0 or bare:
        raise InputError(
            f"a tensor of shape {tuple(batch.shape)} was given, expected a batch (batch, channels, height, width); "
            "add the batch dimension with x[None]."
        )
    return batch
