import json
from pathlib import Path

import pytest

from pellucid.errors import ArchiveError, SettingError
from pellucid.pages.bundle import Bundle
from pellucid.pages.page import render
from pellucid.pages.saved import find_saved, load_saved, report_saved


def test_a_saved_bundle_gives_the_page_of_the_bundle(bundle: Bundle, tmp_path: Path) -> None:
    bundle.save(tmp_path / "cat")
    for name in ("cat", "cat.json", "cat.safetensors"):
        page = report_saved(tmp_path / name, to=tmp_path / "cat.html", lang="ko")
        assert page.read_text(encoding="utf-8") == render(bundle, lang="ko")


def test_only_bundles_are_found_and_the_rest_is_counted(bundle: Bundle, tmp_path: Path) -> None:
    bundle.save(tmp_path / "b")
    bundle.save(tmp_path / "a")
    bundle.explanations[0].save(tmp_path / "why")
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "c.txt").write_text('{"pellucid": "bundle"}')
    found = find_saved(tmp_path)
    assert [file.name for file in found.bundles] == ["a.json", "b.json"]
    assert found.passed_over == 3


def test_json_that_is_nested_without_end_is_no_crash(tmp_path: Path) -> None:
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "deep.safetensors").write_bytes(b"")
    assert [file.name for file in find_saved(tmp_path).bundles] == ["deep.json"]
    with pytest.raises(ArchiveError, match="nested too deeply"):
        load_saved(tmp_path / "deep")


def test_a_record_that_is_not_complete_is_told_and_nothing_is_written(bundle: Bundle, tmp_path: Path) -> None:
    file = bundle.save(tmp_path / "cat")
    record = json.loads(file.read_text(encoding="utf-8"))
    del record["answer"]["rows"][0]["logit"]
    file.write_text(json.dumps(record))
    with pytest.raises(ArchiveError, match=r"what was saved is not complete \(KeyError: 'logit'\); make it again"):
        report_saved(tmp_path / "cat", to=tmp_path / "cat.html")
    assert not (tmp_path / "cat.html").exists()


@pytest.mark.parametrize("wrong", [{"lang": "fr"}, {"to": "nowhere/cat.html"}])
def test_what_cannot_work_is_refused_before_reading(wrong: dict[str, str], tmp_path: Path) -> None:
    settings = {"to": tmp_path / "cat.html", **wrong}
    with pytest.raises(SettingError):
        report_saved("no such bundle", **settings)  # type: ignore[arg-type]
