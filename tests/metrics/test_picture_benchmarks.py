"""The benchmarks of localisation and of curves run, on networks and pictures whose answers are known."""

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pellucid
from pellucid.metrics.localisation import evaluate_localisation
from pellucid.models.bundled import load_truth
from pellucid.models.preprocessing import Preprocessing

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SIDE = 32
SEEN = (slice(20, 28), slice(2, 10))


@pytest.fixture
def located(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return fresh(monkeypatch, "located")


@pytest.fixture
def localisation(located: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return fresh(monkeypatch, "localisation")


def fresh(monkeypatch: pytest.MonkeyPatch, name: str) -> ModuleType:
    """A benchmark's module, forgotten again after the test."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    known = set(sys.modules)
    module = importlib.import_module(name)
    for new in set(sys.modules) - known:
        if str(getattr(sys.modules[new], "__file__", "")).startswith(str(BENCHMARKS)):
            monkeypatch.setitem(sys.modules, new, sys.modules[new])
    return module


class Window(nn.Module):
    """Looks at one corner of the picture and nowhere else, until its weights are drawn anew."""

    def __init__(self) -> None:
        super().__init__()
        self.maps, self.head = nn.Conv2d(3, 2, 1), nn.Linear(2 * SIDE * SIDE, 2)
        weight = torch.zeros(2, 2, SIDE, SIDE)
        weight[0, :, SEEN[0], SEEN[1]] = 1
        with torch.no_grad():
            self.maps.weight.fill_(1)
            self.head.weight.copy_(weight.flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.maps(x).flatten(1))  # type: ignore[no-any-return]


@pytest.fixture
def corner(located: ModuleType) -> Any:
    """The network above, and pictures whose object is the corner that it looks at."""
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    mask[SEEN] = True
    rng = np.random.default_rng(0)
    cases = tuple(
        located.Case(
            picture=pellucid.read(rng.integers(1, 256, (SIDE, SIDE, 3), dtype=np.uint8)),
            target="class:0",
            objects={"corner": mask},
            difficult=number > 0,
        )
        for number in range(3)
    )
    model = pellucid.load(Window().eval(), preprocessing=Preprocessing(resize=SIDE, crop=SIDE, source="flags"))
    return located.Trial(name="mobilenet_v2", model=model, cases=cases, tolerance=1.0)


def test_a_network_that_looks_at_the_object_scores_one_and_its_random_control_does_not(
    localisation: ModuleType, corner: Any
) -> None:
    [trained] = localisation.rows_of(corner, "input-x-gradient")
    [random] = localisation.rows_of(corner, "input-x-gradient", weights="random")
    assert (trained["pointing"]["value"], trained["energy"]["value"]) == (1, 1)
    assert random["energy"]["value"] < 0.3
    assert trained["difficult"]["pointing"]["count"] == 2
    centre = trained["baselines"]["centre"]
    assert centre["pointing"]["value"] == 0
    assert trained["gain_of_energy"]["value"] == pytest.approx(1 - centre["energy"]["value"], abs=2e-4)


def test_what_has_no_map_is_a_row_that_says_why_and_the_table_says_it_too(
    localisation: ModuleType, corner: Any
) -> None:
    rows = [row for method in ("saliency", "channel-ablation", "cam") for row in localisation.rows_of(corner, method)]
    assert [sorted({"pointing", "left_out"} & set(row)) for row in rows] == [["pointing"], ["left_out"], ["left_out"]]
    text = localisation.markdown(rows)
    assert "- `channel-ablation`: its values are one for each of the channels" in text
    assert [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| ")] == [
        "| who points",
        "| *centre*",
        "| *edges*",
        "| *random*",
        "| `saliency`",
    ]


def test_all_methods_of_the_registry_are_asked_with_settings_that_exist(localisation: ModuleType) -> None:
    for network in ("mobilenet_v2", "animals"):
        texts = localisation.method_texts(network, list(localisation.METHODS))
        named = [localisation.name_of(localisation.method_from(text)) for text in texts]
        assert named == list(localisation.METHODS)


def test_a_page_is_written_between_its_marks_only(localisation: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"above\n{localisation.START}\nold\n{localisation.END}\nbelow\n", encoding="utf-8")
    localisation.write_between(page, "new")
    localisation.write_between(page, "newer")
    assert page.read_text(encoding="utf-8") == (f"above\n{localisation.START}\n\nnewer\n\n{localisation.END}\nbelow\n")
    page.write_text("no marks", encoding="utf-8")
    with pytest.raises(SystemExit, match="add them where the tables belong"):
        localisation.write_between(page, "new")


def test_difficult_is_small_and_not_alone(located: ModuleType) -> None:
    small, large = {"label": "cup", "box": [0, 0, 40, 50]}, {"label": "cup", "box": [0, 0, 60, 50]}
    other = {"label": "dog", "box": [0, 0, 100, 100]}
    size = {"width": 100, "height": 100}
    assert located.is_difficult(size | {"objects": [small, other]}, {"cup"})
    assert not located.is_difficult(size | {"objects": [small]}, {"cup"})
    assert not located.is_difficult(size | {"objects": [large, other]}, {"cup"})
    assert not located.is_difficult(size | {"objects": [small, small, other]}, {"cup"})


def test_of_each_drawing_the_part_with_the_largest_value_for_the_answer_is_asked(located: ModuleType) -> None:
    first, second = located.trial("animals", pictures=2).cases
    truth = load_truth("animals")["drawings"]
    assert (first.target, second.target) == ("contrast:cat,dog", "contrast:dog,cat")
    for case, known in zip((first, second), truth, strict=False):
        strongest = max(known["values"], key=lambda part: abs(known["values"][part]))  # both are pure: one sign
        drawing = located.draw(known["seed"], known["parts"])
        assert (case.objects["strongest part"] == drawing.masks[strongest]).all()
        assert (case.objects["parts"] >= case.objects["strongest part"]).all()


def test_the_shortcut_is_asked_about_its_tag(located: ModuleType) -> None:
    known = located.trial("animals-shortcut", pictures=1)
    [case] = known.cases
    why = pellucid.explain(known.model, case.picture, method="input-x-gradient", target=case.target)
    found = evaluate_localisation(why, objects=[case.objects["tag"]], tolerance=known.tolerance)
    assert found.energy_inside().value > 10 * found.energy_inside("random").value


def test_curves_equal_plain_loops_one_by_one_and_batched(monkeypatch: pytest.MonkeyPatch) -> None:
    curves = fresh(monkeypatch, "curves")
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 14 * 14, 3)).eval()
    for row, together in curves.TOGETHER.items():
        found = curves.race(module, row, size=16, count=2, steps=6, rounds=1)
        assert found["largest_difference"] < 1e-6, together
        assert found["ratio"] > 0
    x = curves.pictures(1, 16)
    [why] = curves.explained(module, x)
    deletion, insertion = curves.plain(module, x, [why], steps=6, together=4)[0]
    assert deletion[0] == pytest.approx(insertion[-1])
    assert deletion[0] != pytest.approx(deletion[-1])
