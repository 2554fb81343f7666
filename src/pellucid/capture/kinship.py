"""Is this picture of the kind that a bundled network was trained on? Asked of what its BatchNorm layers remember."""

from pellucid.capture import passes
from pellucid.inputs.image import Image
from pellucid.models.bundled import load_kinship
from pellucid.models.model import Model
from pellucid.models.recipes.kinship import unlikeness


def unlike_training(model: Model, image: Image) -> str | None:
    """A remark for a picture that is not of the kind that a bundled network was trained on.

    Measured at the inputs of the network's BatchNorm layers, as the model card describes; the limit is the 99.5 %
    quantile of unseen pictures of the training kind, fixed when the network was trained.

    Args:
        model: A model; others than the bundled ones have nothing to compare with.
        image: The picture.

    Returns:
        One sentence with its numbers, or None for a picture of the training kind and for models without a reference.
    """
    known = model.card.get("kinship")
    if known is None:
        return None
    batch = model.tensor([image])
    facts = passes.facts(model.module, batch)
    parents = {site.name: site.inputs[0] for site in facts.sites if site.op == "batch_norm" and site.is_map}

    def wants(name: str, op: str, index: int) -> bool:
        return name in parents.values()

    recorder, _ = passes.record(model.module, batch, wants=wants)
    inputs = {name: recorder.value(parent) for name, parent in parents.items()}
    measured = float(unlikeness(model.module, inputs, load_kinship(model.card["name"]))[0])
    limit = float(known["limit"])
    if measured <= limit:
        return None
    return (
        f"this is not the kind of picture that {model.name} was trained on (unlikeness {measured:.1f}; 99.5 % of its "
        f"own drawings stay below {limit:.1f}), so its answer means little"
    )
