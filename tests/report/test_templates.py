"""Templates are kept compiled, and compiled anew where their text or an option is another."""

from pathlib import Path

import jinja2
import pytest

from pipeline.report import templates
from pipeline.report.templates import render


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(templates, "FOLDER", tmp_path)
    (tmp_path / "page.md.j2").write_text("{% if 1 %}\n{{ text }} & more\n{% endif %}\n")
    return tmp_path


def test_a_template_is_compiled_once(folder: Path) -> None:
    (folder / "__pycache__").mkdir()
    assert render("page.md.j2", {"text": "a"}) == "\na & more\n\n"
    (kept,) = (folder / "__pycache__").iterdir()
    kept.write_bytes(kept.read_bytes().replace(b" & more", b" & less"))
    assert render("page.md.j2", {"text": "a"}) == "\na & less\n\n"


def test_another_text_or_option_is_compiled_anew(folder: Path) -> None:
    (folder / "__pycache__").mkdir()
    assert render("page.md.j2", {"text": "a"}) == "\na & more\n\n"
    assert render("page.md.j2", {"text": "a"}, trim_blocks=True) == "a & more\n"
    (folder / "page.md.j2").write_text("{{ text }}")
    assert render("page.md.j2", {"text": "a"}) == "a"


@pytest.mark.parametrize("left", [0, 5, 40, 60, 200])
def test_a_damaged_file_is_not_used(left: int, folder: Path) -> None:
    (folder / "__pycache__").mkdir()
    render("page.md.j2", {"text": "a"})
    (kept,) = (folder / "__pycache__").iterdir()
    kept.write_bytes(kept.read_bytes()[:left])
    assert render("page.md.j2", {"text": "a"}) == "\na & more\n\n"


def test_a_page_is_made_where_nothing_can_be_kept() -> None:
    assert render("page.md.j2", {"text": "a"}) == "\na & more\n\n"  # there is no folder to keep it in


def test_html_is_escaped_and_what_is_missing_is_an_error(folder: Path) -> None:
    (folder / "page.html.j2").write_text("{{ text }}")
    assert render("page.html.j2", {"text": "<b>"}) == "&lt;b&gt;"
    assert render("page.md.j2", {"text": "<b>"}) == "\n<b> & more\n\n"
    with pytest.raises(jinja2.UndefinedError):
        render("page.md.j2", {})
