"""Whether a model is the one that explanations are about."""

from collections.abc import Sequence

from pellucid.errors import SettingError
from pellucid.methods.explanation import Explanation
from pellucid.models.model import Model


def check_model(explanations: Sequence[Explanation], model: Model) -> None:
    """Refuse another model than the explained one.

    Raises:
        SettingError: The weights differ; digests say so.
    """
    digest = model.weights_digest
    for each in explanations:
        if each.weights_digest != digest:
            raise SettingError(
                "model",
                given=f"{model.name} ({digest[:12]})",
                expected=f"the explained one, {each.model} ({each.weights_digest[:12]})",
                hint="its weights differ: explain again, or load the weights of that time",
            )
