from pathlib import Path

import pytest
from tests.pages.conftest import model, picture

from pellucid.errors import SettingError
from pellucid.pages.report import report


def test_one_call_writes_a_page(tmp_path: Path) -> None:
    path = report(model(), picture(), to=tmp_path / "cat.html", methods=("grad-cam",), lang="ko")
    assert path == tmp_path / "cat.html"
    assert "왜 이 신경망의 답은" in path.read_text(encoding="utf-8")


def test_a_module_and_a_file_will_do(tmp_path: Path) -> None:
    picture().pil().save(tmp_path / "cat.png")
    path = report(model().module, tmp_path / "cat.png", to=tmp_path / "cat.html", methods=("saliency",))
    page = path.read_text(encoding="utf-8")
    assert "cat.png" in page
    assert str(tmp_path) not in page


@pytest.mark.parametrize("wrong", [{"lang": "fr"}, {"to": "nowhere/cat.html"}])
def test_what_cannot_work_is_refused_before_any_work(wrong: dict[str, str], tmp_path: Path) -> None:
    settings = {"to": tmp_path / "cat.html", **wrong}
    with pytest.raises(SettingError):
        report(model(), "no such file.png", **settings)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
