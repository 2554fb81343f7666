"""`pellucid compare`: two pictures in one model, one picture in two, and what cannot be compared."""

import json
import re
from pathlib import Path

import PIL.Image
import pytest
from tests.cli.conftest import Cli, of_net
from tests.cli.test_bad_input import one_line

import pellucid


@pytest.fixture
def dog(place: Path) -> str:
    with PIL.Image.open("cat.png") as cat:
        cat.rotate(180).save("dog.png")
    return "dog.png"


def test_two_pictures_give_a_page_beside(cli: Cli, place: Path, dog: str) -> None:
    ended = cli("compare", *of_net(), "cat.png", dog)
    assert (ended.code, ended.out) == (0, "cat-compared.html\n")
    page = (place / "cat-compared.html").read_text(encoding="utf-8")
    assert "cat.png" in page
    assert "dog.png" in page
    assert "pellucid compare net.py:build cat.png dog.png" in page
    assert "furthest apart at " in ended.err
    assert ended.err.count("the answer is") == 2


def test_the_same_architecture_with_re_drawn_weights(cli: Cli, place: Path) -> None:
    ended = cli("compare", *of_net(), "cat.png", "--with", "random", "--seed", "5", "--json")
    document = json.loads(ended.out)
    assert [side["model"]["name"] for side in document["sides"]] == ["Net", "Net@random"]
    assert document["sites"][0]["distance"] > 0.1
    assert document["input"]["distance"] == 0
    assert document["files"] == []
    assert not list(place.glob("*.html"))
    again = json.loads(cli("compare", *of_net(), "cat.png", "--with", "random", "--seed", "5", "--json").out)
    assert again["sites"] == document["sites"]


def test_another_model_gets_trust_and_preparation_of_the_first(cli: Cli, place: Path) -> None:
    (place / "other.py").write_text((place / "net.py").read_text().replace("manual_seed(0)", "manual_seed(1)"))
    ended = cli("compare", *of_net(), "cat.png", "--with", "other.py:build", "-o", "both.html", "--lang", "ko")
    assert (ended.code, ended.out) == (0, "both.html\n")
    page = (place / "both.html").read_text(encoding="utf-8")
    assert "--with=other.py:build" in page
    assert '<html lang="ko">' in page


def test_two_files_of_weights_share_the_architecture(cli: Cli, place: Path, dog: str) -> None:
    import safetensors.torch

    for name, seed in (("a", 0), ("b", 1)):
        import torch

        torch.manual_seed(seed)
        module = pellucid.load("net.py:build", trust=True).module
        state = {key: value + seed for key, value in module.state_dict().items()}
        safetensors.torch.save_file(state, f"{name}.safetensors")
    words = ("--architecture", "net.py:build", *of_net()[1:])
    ended = cli("compare", "a.safetensors", "cat.png", "--with", "b.safetensors", "--json", *words)
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["sites"][0]["distance"] > 0.1


def test_a_saved_comparison_gives_the_same_page_and_a_line_in_the_index(cli: Cli, place: Path, dog: str) -> None:
    (place / "b").mkdir()
    assert cli("compare", *of_net(), "cat.png", dog, "-o", "made.html", "--bundle", "b/both").code == 0
    assert cli("explain", *of_net(), "cat.png", "--bundle", "b/cat", "--method", "saliency").code == 0
    ended = cli("report", "b")
    assert ended.out.split() == ["b/both.html", "b/cat.html", "b/index.html"]
    assert (place / "b" / "both.html").read_bytes() == (place / "made.html").read_bytes()
    index = (place / "b" / "index.html").read_text(encoding="utf-8")
    assert index.count('href="both.html"') == 4
    assert "2 pages" in index


def test_a_chosen_site_is_the_one_that_is_drawn(cli: Cli, place: Path, dog: str) -> None:
    cli("compare", *of_net(), "cat.png", dog, "--site", "features.2", "--bundle", "both")
    record = json.loads((place / "both.json").read_text())
    assert [record["pairs"][shown["pair"]]["first"] for shown in record["maps"]] == ["features.2"]
    assert not (place / "cat-compared.html").exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((), 2, "PICTURE is 'missing', expected a picture after the model"),
        (("cat.png",), 2, "PICTURE2, --with or --methods is 'missing', expected one of them"),
        (("cat.png", "cat.png", "--with", "random"), 2, "is 'PICTURE2 and --with', expected one of them"),
        (("cat.png", "cat.png", "--methods", "saliency"), 2, "is 'PICTURE2 and --methods', expected one of them"),
        (("cat.png", "--with", "random", "--methods", "all"), 2, "is '--with and --methods', expected one of them"),
        (("cat.png", "cat.png", "--png", "x.png"), 2, "--png is 'x.png', expected nothing without --methods"),
        (("cat.png", "cat.png", "--save", "x"), 2, "--save is 'x', expected nothing without --methods"),
        (("cat.png", "cat.png", "--target", "top:1"), 2, "--target is 'top:1', expected nothing without --methods"),
        (("cat.png", "--methods", "saliency", "--site", "features.2"), 2, "say it as 'grad-cam(site=NAME)'"),
        (("cat.png", "--methods", "grad-cm"), 2, "no method 'grad-cm'; did you mean 'grad-cam'?"),
        (("cat.png", "--methods", "saliency", "--methods", "saliency"), 2, "methods is 'saliency twice'"),
        (("cat.png", "--methods", "saliency", "--target", "class:9"), 2, "class:9"),
        (("cat.png", "--methods", "saliency", "--png", "x.jpg"), 2, "expected a name that ends in .png"),
        (("cat.png", "--methods", "saliency", "--save", "x", "--bundle", "x"), 2, "another place than that of --save"),
        (("cat.png", "cta.png"), 1, "'cta.png' does not exist; did you mean 'cat.png'?"),
        (("cat.png", "--with", "animal"), 2, "no model 'animal'; did you mean 'animals'?"),
        (("cat.png", "cat.png", "--site", "features.9"), 2, "no site 'features.9'; did you mean"),
        (("cat.png", "cat.png", "--site", "head"), 2, "'head' has no feature maps with a partner of equal shape"),
        (("cat.png", "cat.png", "-o", "no/x.html"), 2, "expected a file in a folder that exists"),
        (("cat.png", "--with", "random", "--seed", "-1"), 2, "Invalid value for '--seed'"),
        (("cat.png", "--with", "net.py:with_nan"), 1, "at site 'features.0'"),
        (("cat.png", "--with", "net.py:Answering"), 1, "returned a dict with the keys 'out'"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_leaves_nothing(
    cli: Cli, place: Path, words: tuple[str, ...], code: int, message: str
) -> None:
    assert message in one_line(cli("compare", *of_net(), *words), code)
    assert not [*place.glob("*.html"), *place.glob("*.json")]


def test_a_number_is_told_as_a_number_and_what_is_not_aligned_is_not_said_to_be_equal(cli: Cli, place: Path) -> None:
    with (place / "net.py").open("a") as file:
        file.write("\n\ndef value():\n    torch.manual_seed(0)\n    return Net(classes=1)\n")
    ended = cli("compare", *of_net(), "cat.png", "--with", "net.py:value")
    assert ended.code == 0
    assert re.search(r"B: cat\.png in Net: the answer is [−0-9.]+\n", ended.err)
    assert "they differ at no aligned site" in ended.err


def test_foreign_code_needs_trust_in_the_second_model_as_well(cli: Cli) -> None:
    assert "--trust" in one_line(cli("compare", "animals", "cat.png", "--with", "net.py:build"), 4)
