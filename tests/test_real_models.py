"""Real networks on real photographs: the whole chain against plain PyTorch."""

from pathlib import Path

import pytest
import torch

import pellucid
from real_models import NAMES, loaded, photographs, plain_hooks


@pytest.mark.parametrize("name", NAMES)
def test_predictions_on_ten_photographs_equal_plain_pytorch(name: str, shared_data: Path) -> None:
    model = loaded(name, shared_data)
    files, labels = photographs(name, shared_data, count=10)
    assert len(files) == 10
    for file in files:
        why = pellucid.explain(model, file, method="saliency")
        with torch.no_grad():
            logits = model.module.eval()(model.tensor([pellucid.read(file)]))[0]
        assert torch.allclose(torch.tensor(why.logits), logits, rtol=1e-5, atol=1e-5)
        assert why.target.classes == (int(logits.argmax()),)
        if name in labels[file.name]:
            assert why.target.classes[0] == labels[file.name][name]["class_index"]


@pytest.mark.parametrize("name", NAMES)
def test_all_leaf_sites_equal_plain_hooks_to_the_bit(name: str, shared_data: Path) -> None:
    model = loaded(name, shared_data)
    model.module.eval()
    files, _ = photographs(name, shared_data, count=10)
    for file in files[:3]:
        batch = model.tensor([pellucid.read(file)])
        expected = plain_hooks(model.module, batch)
        trace = pellucid.trace(model, file)
        assert all(path in trace for path in expected)
        assert all(torch.equal(trace[path].values, values) for path, values in expected.items())
        with torch.no_grad():
            assert torch.equal(trace.output, model.module(batch))
