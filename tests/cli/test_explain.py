"""`pellucid explain`: what it writes where, and that one broken picture does not stop the others."""

import json
from pathlib import Path

import PIL.Image
import pytest
from tests.cli.conftest import Cli, of_net

import pellucid
from pellucid.methods.explanation import Explanation
from pellucid.models.preprocessing import Preprocessing


def test_without_a_word_about_results_it_writes_a_page_beside_and_says_where(cli: Cli, place: Path) -> None:
    ended = cli("explain", *of_net(), "cat.png")
    assert (ended.code, ended.out) == (0, "cat-explained.html\n")
    page = (place / "cat-explained.html").read_text(encoding="utf-8")
    assert "cat.png" in page
    assert "grad-cam" in page.lower() or "Grad-CAM" in page


def test_a_saved_explanation_is_the_one_that_the_library_gives(cli: Cli, place: Path) -> None:
    ended = cli("explain", *of_net(), "cat.png", "--save", "why", "--method", "saliency", "--target", "class:2")
    assert (ended.code, ended.out) == (0, "why.json\n")
    side = Preprocessing(resize=32, crop=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    model = pellucid.load("net.py:build", trust=True, preprocessing=side)
    expected = pellucid.explain(model, "cat.png", method="saliency", target="class:2")
    assert Explanation.load("why").same_as(expected)


def test_the_usual_method_without_a_page_is_that_of_the_library(cli: Cli) -> None:
    document = json.loads(cli("explain", *of_net(), "cat.png", "--json").out)
    assert [each["method"] for each in document["pictures"][0]["explanations"]] == ["grad-cam"]


def test_a_usual_method_that_does_not_apply_is_left_out_of_the_page_and_that_is_said(cli: Cli, place: Path) -> None:
    ended = cli("explain", *of_net("smooth"), "cat.png", "-o", "page.html", "--save", "why")
    reason = "guided-backpropagation is defined for ReLU, and site 'features.1' is silu"
    assert (ended.code, ended.out.split()) == (0, ["page.html", "why-grad-cam.json", "why-integrated-gradients.json"])
    assert f"note: cat.png: guided-backpropagation was left out: {reason}\n" in ended.err
    page = (place / "page.html").read_text(encoding="utf-8")
    assert "--method" not in page


def test_without_a_page_saliency_stands_in_for_a_grad_cam_that_does_not_apply(cli: Cli) -> None:
    document = json.loads(cli("explain", *of_net("dense"), "cat.png", "--json").out)
    assert [each["method"] for each in document["pictures"][0]["explanations"]] == ["saliency"]
    assert [each["method"] for each in document["pictures"][0]["left_out"]] == ["grad-cam"]


def test_a_named_method_that_does_not_apply_ends_with_2(cli: Cli) -> None:
    ended = cli("explain", *of_net("dense"), "cat.png", "--json", "--method", "saliency", "--method", "grad-cam")
    assert (ended.code, ended.out) == (2, "")
    assert "grad-cam finds no site of its own in this model" in ended.errors[0]


def test_several_methods_give_a_file_each(cli: Cli, place: Path) -> None:
    methods = ("--method", "saliency", "--method", "grad-cam", "--method", "grad-cam(site=features.0)")
    ended = cli("explain", *of_net(), "cat.png", "--png", "why.png", *methods)
    assert ended.out.split() == ["why-saliency.png", "why-grad-cam.png", "why-grad-cam-2.png"]
    assert all((place / name).read_bytes().startswith(b"\x89PNG") for name in ended.out.split())


def test_over_the_original_the_drawing_has_its_proportions(cli: Cli, place: Path) -> None:
    sizes = []
    for name, words in (("a.png", ()), ("b.png", ("--original",))):
        assert cli("explain", *of_net(), "cat.png", "--png", name, *words).code == 0
        with PIL.Image.open(name) as drawing:
            sizes.append(drawing.size)
    # Prepared 32×32 is drawn 480×480; the original of 48×40 is drawn 480×400: the same width, 80 pixels lower.
    assert sizes[0][0] == sizes[1][0]
    assert sizes[0][1] - sizes[1][1] == 80


def test_json_is_one_document_whatever_the_model_prints(cli: Cli) -> None:
    ended = cli("explain", *of_net(), "cat.png", "--json", "-o", "cat.html")
    document = json.loads(ended.out)
    assert document["pictures"][0]["files"] == ["cat.html"]
    assert len(document["pictures"][0]["answer"]) == 3
    assert "the model says hello" in ended.err


def test_broken_pictures_among_others_are_told_one_by_one_and_skipped(cli: Cli, place: Path) -> None:
    (place / "text.png").write_text("no picture")
    (place / "pages").mkdir()
    ended = cli("explain", *of_net(), "text.png", "cat.png", "none.png", "-o", "pages", "--method", "saliency")
    assert ended.code == 3
    assert ended.out == "pages/cat.html\n"
    assert len(ended.errors) == 2
    assert "text.png" in ended.errors[0]
    assert "none.png" in ended.errors[1]
    assert [file.name for file in (place / "pages").iterdir()] == ["cat.html"]


def test_only_broken_pictures_is_a_failure(cli: Cli, place: Path) -> None:
    (place / "text.png").write_text("no picture")
    ended = cli("explain", *of_net(), "text.png", "none.png", "--json")
    assert ended.code == 1
    assert [bool(each["error"]) for each in json.loads(ended.out)["pictures"]] == [True, True]


def test_pictures_of_one_name_from_two_folders_do_not_overwrite_each_other(cli: Cli, place: Path) -> None:
    (place / "more").mkdir()
    (place / "out").mkdir()
    (place / "more" / "cat.png").write_bytes((place / "cat.png").read_bytes())
    ended = cli("explain", *of_net(), "cat.png", "more/cat.png", "--png", "out", "--method", "saliency")
    assert ended.out.split() == ["out/cat.png", "out/cat-2.png"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--target", "class:9"), "target 'class:9' is out of range: the model has 3 outputs, 0 to 2."),
        (("--target", "clas:1"), "did you mean 'class'?"),
        (("--method", "gradcam"), "no method 'gradcam'; did you mean 'grad-cam'?"),
        (("--method", "grad-cam(site=feature.0)"), "no site 'feature.0'; did you mean 'features.0'?"),
        (("--method", "integrated-gradients(steps=0)"), "steps is 0, expected a whole number, 1 or more"),
        (("--lang", "fr"), "'fr' is not one of 'en', 'ko'"),
        (("--png", "why.jpg"), "--png is 'why.jpg', expected a name that ends in .png"),
        (("--seed", "-1"), "Invalid value for '--seed'"),
        (("--seed", "4294967296"), "Invalid value for '--seed'"),
        (
            ("--probe", "drawings"),
            "--probe is 'drawings', expected a page or a bundle to put it in; say -o or --bundle.",
        ),
    ],
)
def test_a_wrong_word_ends_with_2_and_leaves_nothing(
    cli: Cli, place: Path, words: tuple[str, ...], message: str
) -> None:
    before = sorted(place.iterdir())
    ended = cli("explain", *of_net(), "cat.png", "--save", "why", *words)
    assert ended.code == 2
    assert len(ended.errors) == 1
    assert message in ended.errors[0]
    assert [each for each in sorted(place.iterdir()) if each.name != "__pycache__"] == before


def test_too_few_pictures_to_probe_are_told_the_option_that_helps(cli: Cli, place: Path) -> None:
    (place / "few").mkdir()
    (place / "few" / "cat.png").write_bytes((place / "cat.png").read_bytes())
    ended = cli("explain", *of_net(), "cat.png", "--probe", "few", "-o", "why.html")
    assert ended.code == 1
    assert ended.errors[0].endswith("; give a larger folder, or say --probe drawings.")
    assert not (place / "why.html").exists()


def test_a_wrong_word_stops_several_pictures_at_once(cli: Cli) -> None:
    ended = cli("explain", *of_net(), "cat.png", "cat.png", "--json", "--target", "class:9")
    assert (ended.code, ended.out) == (2, "")
    assert len(ended.errors) == 1
