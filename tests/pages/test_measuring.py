import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pellucid.inputs.image import Image
from pellucid.models.preprocessing import Preprocessing
from pellucid.pages.measuring import answer_form, answer_record, card_summary, cells, half_of, input_record

logit_rows = hnp.arrays(np.float32, st.integers(2, 30), elements=st.floats(-80, 80, width=32))


def record(logits: np.ndarray, **changes: object) -> dict[str, object]:
    given = {"output": None, "names": None, "looked_through": None, "classes": (), "target": "top:1"}
    return answer_record(logits, **{**given, **changes})  # type: ignore[arg-type]


@settings(deadline=None, max_examples=40)
@given(logit_rows)
def test_the_table_is_torchs_log_softmax_in_double_precision(logits: np.ndarray) -> None:
    expected = torch.log_softmax(torch.from_numpy(logits).double(), dim=0).numpy()
    rows = record(logits)["rows"]
    for row in rows:  # type: ignore[attr-defined]
        assert row["log_probability"] == pytest.approx(expected[row["index"]], abs=1e-9)
        assert row["probability"] == pytest.approx(np.exp(expected[row["index"]]), rel=1e-9, abs=1e-300)


@settings(deadline=None, max_examples=40)
@given(logit_rows)
def test_shown_and_other_probabilities_add_up_to_one(logits: np.ndarray) -> None:
    found = record(logits)
    total = sum(row["probability"] for row in found["rows"]) + found["rest"]["probability"]  # type: ignore[attr-defined,index]
    assert total == pytest.approx(1, abs=1e-12)


def test_an_explained_class_is_shown_with_its_place_though_it_is_far_behind() -> None:
    found = record(np.arange(20, dtype=np.float32), classes=(3,))
    assert found["rows"][-1]["index"] == 3  # type: ignore[index]
    assert found["rows"][-1]["rank"] == 17  # type: ignore[index]
    assert found["rest"]["count"] == 14  # type: ignore[index]


def test_how_far_the_networks_own_output_is_off_is_measured() -> None:
    logits = np.array([1.0, 2.0, 4.0], dtype=np.float32)
    own = torch.log_softmax(torch.from_numpy(logits), dim=0).numpy()[None]
    own[0, 1] += 0.25
    found = record(logits, output=own, looked_through="log_softmax")
    assert found["difference"] == pytest.approx(0.25, abs=1e-6)


@pytest.mark.parametrize(
    ("count", "through", "target", "form"),
    [(10, None, "top:1", "softmax"), (10, "sigmoid", "top:1", "sigmoid"), (1, None, "top:1", "values"),
     (4, None, "output:2", "values"), (1, "sigmoid", "top:1", "sigmoid")],
)  # fmt: skip
def test_one_number_or_an_output_is_never_given_a_softmax(count: int, through: str, target: str, form: str) -> None:
    assert answer_form(count, looked_through=through, target=target) == form


def test_each_probability_behind_a_sigmoid_stands_for_itself() -> None:
    rows = record(np.array([0.0, 2.0], dtype=np.float32), looked_through="sigmoid")["rows"]
    assert [row["probability"] for row in rows] == pytest.approx([1 / (1 + np.exp(-2)), 0.5])  # type: ignore[attr-defined]


@settings(deadline=None, max_examples=40)
@given(hnp.arrays(np.float32, (5, 4), elements=st.floats(-1, 1, width=32)))
def test_no_fewer_values_hold_half(values: np.ndarray) -> None:
    found = half_of(values)
    positive = np.sort(np.clip(values, 0, None).astype(np.float64).ravel())[::-1]
    if found is None:
        assert positive.sum() == 0
        return
    some, count = found
    assert count == 20
    assert positive[:some].sum() >= positive.sum() / 2 * (1 - 1e-12)
    assert positive[: some - 1].sum() < positive.sum() / 2 * (1 + 1e-12)


def test_nothing_is_half_of_what_is_not_finite() -> None:
    assert half_of(np.array([1.0, np.nan])) is None


@settings(deadline=None, max_examples=40)
@given(
    hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.floats(-9, 9)),
    st.integers(1, 5),
)
def test_cells_keep_the_sum_and_their_mean_is_that_of_their_pixels(plane: np.ndarray, size: int) -> None:
    summed, mean = cells(plane, size, mean=False), cells(plane, size, mean=True)
    assert summed.sum() == pytest.approx(plane.sum(), abs=1e-9)
    last = plane[(summed.shape[0] - 1) * size :, (summed.shape[1] - 1) * size :]
    assert mean[-1, -1] == pytest.approx(last.mean(), abs=1e-9)


def test_every_prepared_number_is_counted_under_its_channel() -> None:
    image = Image(pixels=np.full((9, 9, 3), (0, 128, 255), dtype=np.uint8), name="x", digest="0" * 64)
    found = input_record(Preprocessing(channels="BGR"), image)
    assert [channel["name"] for channel in found["channels"]] == ["B", "G", "R"]
    assert [channel["low"] for channel in found["channels"]] == pytest.approx([1, 128 / 255, 0])
    assert all(sum(channel["counts"]) == 81 for channel in found["channels"])


def test_a_model_card_is_cut_down_to_what_a_reader_needs() -> None:
    card = {
        "accuracy": {"mixed": {"accuracy": 0.98, "low": 0.97, "high": 0.99, "drawings": 2000}},
        "tag_experiment": {"tag_on_cats": {"accuracy": 0.9}, "tag_on_dogs": {"accuracy": 0.4}},
        "training_data": "Drawings.",
        "limits_of_use": ["Not for photographs."],
        "seeds": {"training": [0, 2999]},
    }
    found = card_summary(card)
    assert found["accuracy"]["drawings"] == 2000
    assert found["tag"] == {"on_cats": 0.9, "on_dogs": 0.4}
    assert found["sentences"] == ["Drawings.", "Not for photographs."]
    assert "seeds" not in found
    assert card_summary({}) == {}
