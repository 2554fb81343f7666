import pytest
from captum.attr import LayerGradientXActivation
from tests.methods.cam_oracles import near, ours
from tests.methods.nets import Unrolled, net, pictures, seeded


@pytest.mark.parametrize("layer", ["one", "relu1", "two", "relu2"])
def test_values_equal_captums_gradient_times_activation(layer: str) -> None:
    module, x = seeded(Unrolled).double(), pictures(2).double()
    theirs = LayerGradientXActivation(module, module.get_submodule(layer)).attribute(x, target=1).sum(1)
    assert near(ours(module, x, f"hirescam(site={layer})", 1), theirs, 1e-10)
    assert near(ours(module, x, f"hirescam(site={layer}, sign=positive)", 1), theirs.clamp(min=0), 1e-10)


def test_before_a_linear_head_the_values_add_up_to_the_score_without_its_bias() -> None:
    module, x = net("batch norm").double(), pictures(2).double()
    made = ours(module, x, "hirescam", 2).sum((1, 2))
    assert near(made, module(x)[:, 2] - module.last.bias[2], 1e-10)  # type: ignore[index, union-attr]
