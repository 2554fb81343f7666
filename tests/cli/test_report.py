"""`pellucid report`: pages from what `pellucid explain --bundle` saved, without the model."""

import json
import shutil
from pathlib import Path

import PIL.Image
import pytest
from tests.cli.conftest import NET, Cli, of_net
from tests.cli.test_bad_input import one_line

from pellucid.cli import run


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two bundles, an explanation, and a JSON file of somebody else; made once, never written to."""
    place = tmp_path_factory.mktemp("saved")
    (place / "net.py").write_text(NET)
    PIL.Image.effect_noise((48, 40), 80).convert("RGB").save(place / "cat.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for words in (("--bundle", "b/cat"), ("--save", "b/why")):
            (place / "b").mkdir(exist_ok=True)
            assert run(("explain", *of_net(), "cat.png", "--method", "saliency", *words)) == 0
    for suffix in (".json", ".safetensors"):
        shutil.copy(place / "b" / f"cat{suffix}", place / "b" / f"owl{suffix}")
    (place / "b" / "notes.json").write_text('{"pellucid": ["bundle"]}')
    return place / "b"


@pytest.fixture
def folder(saved: Path, place: Path) -> Path:
    """A copy of what was saved, in the folder to work in."""
    return Path(shutil.copytree(saved, place / "b"))


def test_the_page_of_a_saved_bundle_is_the_page_that_explain_writes(cli: Cli, place: Path) -> None:
    ended = cli("explain", *of_net(), "cat.png", "-o", "made.html", "--bundle", "cat.json")
    assert (ended.code, ended.out) == (0, "made.html\ncat.json\n")
    (place / "net.py").unlink()
    ended = cli("report", "cat", "-q")
    assert (ended.code, ended.out, ended.err) == (0, "cat.html\n", "")
    assert (place / "cat.html").read_bytes() == (place / "made.html").read_bytes()


def test_a_bundle_is_made_by_the_methods_of_a_page(cli: Cli, place: Path) -> None:
    cli("explain", *of_net(), "cat.png", "--bundle", "cat")
    record = json.loads((place / "cat.json").read_text())
    assert len(record["explanations"]) == 3
    assert not (place / "cat-explained.html").exists()


def test_the_same_bundle_gives_the_same_bytes(cli: Cli, folder: Path, place: Path) -> None:
    (place / "one").mkdir()
    (place / "two").mkdir()
    for to in ("one", "two"):
        assert cli("report", "b", "-o", to, "--lang", "ko").code == 0
    files = sorted(file.name for file in (place / "one").iterdir())
    assert files == ["cat.html", "index.html", "owl.html"]
    assert all((place / "one" / name).read_bytes() == (place / "two" / name).read_bytes() for name in files)


def test_a_folder_gets_an_index_that_links_every_page(cli: Cli, folder: Path) -> None:
    ended = cli("report", "b")
    assert ended.out.split() == ["b/cat.html", "b/owl.html", "b/index.html"]
    assert "2 other JSON files passed over" in ended.err
    index = (folder / "index.html").read_text(encoding="utf-8")
    assert 'href="cat.html"' in index
    assert 'href="owl.html"' in index
    assert "2 other JSON files were passed over" in index


def test_json_names_pages_and_what_was_passed_over(cli: Cli, folder: Path) -> None:
    document = json.loads(cli("report", "b", "--json").out)
    assert [row["page"] for row in document["pages"]] == ["b/cat.html", "b/owl.html"]
    assert (document["indexes"], document["passed_over"]) == (["b/index.html"], 2)


def test_a_damaged_bundle_among_others_is_skipped_and_named(cli: Cli, folder: Path) -> None:
    arrays = folder / "cat.safetensors"
    arrays.write_bytes(arrays.read_bytes()[:-1])
    ended = cli("report", "b")
    assert ended.code == 3
    assert ended.out.split() == ["b/owl.html", "b/index.html"]
    assert len(ended.errors) == 1
    assert "b/cat.safetensors does not belong to cat.json or is damaged" in ended.errors[0]
    assert not (folder / "cat.html").exists()
    index = (folder / "index.html").read_text(encoding="utf-8")
    assert "cat.safetensors does not belong to cat.json" in index
    assert "b/cat" not in index


def test_half_a_json_file_beside_its_arrays_was_a_bundle(cli: Cli, folder: Path) -> None:
    text = folder / "cat.json"
    text.write_text(text.read_text()[:200])
    ended = cli("report", "b")
    assert ended.code == 3
    assert "cat.json is no JSON" in ended.errors[0]


def test_only_damaged_bundles_is_a_failure_without_an_index(cli: Cli, folder: Path) -> None:
    for name in ("cat", "owl"):
        (folder / f"{name}.safetensors").unlink()
    ended = cli("report", "b")
    assert (ended.code, ended.out, len(ended.errors)) == (1, "", 2)
    assert list(folder.glob("*.html")) == []


@pytest.mark.parametrize("part", ["answer", "sites", "picture", "maps", "explanations", "input"])
def test_a_record_that_lacks_something_deep_inside_is_one_clear_line(
    cli: Cli, folder: Path, place: Path, part: str
) -> None:
    record = json.loads((folder / "cat.json").read_text())
    record[part] = {} if isinstance(record[part], dict) else [{}]
    (folder / "cat.json").write_text(json.dumps(record))
    message = one_line(cli("report", "b/cat.json", "-o", "x.html"), 1)
    assert "cat" in message
    assert "again" in message
    assert not (place / "x.html").exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("none",), 1, "none.json is missing; a saved bundle is a .json and a .safetensors file side by side."),
        (("b/why.json",), 1, "b/why.json holds explanation, expected a saved bundle."),
        (("empty",), 1, "'empty' holds no saved bundle; make one: pellucid explain MODEL PICTURE --bundle BASE."),
        (("b", "-o", "no"), 2, "--output is 'no', expected a folder that exists, for several pages; make it first"),
        (("b/cat", "-o", "no/x.html"), 2, "expected a file in a folder that exists"),
        (("b/cat", "--lang", "fr"), 2, "'fr' is not one of 'en', 'ko'"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    cli: Cli, folder: Path, place: Path, words: tuple[str, ...], code: int, message: str
) -> None:
    (place / "empty").mkdir()
    assert message in one_line(cli("report", *words), code)
    assert list(place.rglob("*.html")) == []


def test_a_bundle_called_index_does_not_fall_victim_to_the_index(cli: Cli, folder: Path) -> None:
    for suffix in (".json", ".safetensors"):
        (folder / f"cat{suffix}").rename(folder / f"index{suffix}")
    ended = cli("report", "b")
    assert ended.out.split() == ["b/index-2.html", "b/owl.html", "b/index.html"]


def test_an_explanation_and_a_bundle_in_one_place_are_refused(cli: Cli) -> None:
    message = one_line(cli("explain", "none.py:x", "cat.png", "--save", "a", "--bundle", "a.json"), 2)
    assert message == "--bundle is 'a.json', expected another place than that of --save."
