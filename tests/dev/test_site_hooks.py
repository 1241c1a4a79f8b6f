"""Links and navigation of the site, which mkdocs does not make by itself."""

from pathlib import Path

import pytest

from dev.site_hooks import filled_navigation, with_links_on_site


@pytest.mark.parametrize(
    ("uri", "link", "expected"),
    [
        ("concepts.md", "[a](mixtures.md)", "[a](mixtures.md)"),
        ("concepts.md", "[a](../lang_configs/README.md#files)", "[a](languages.md#files)"),
        ("reference/config.md", "[a](../concepts.md#rule)", "[a](../concepts.md#rule)"),
        ("reference/index.md", "[a](../../README.md)", "[a](../overview.md)"),
        ("overview.md", "[a](docs/how-to/thresholds.md)", "[a](how-to/thresholds.md)"),
        ("languages.md", "[a](default.toml)", "a (`lang_configs/default.toml`)"),
        ("overview.md", "[samples](samples)", "samples"),
        ("overview.md", "[recipes/demo.toml](recipes/demo.toml)", "recipes/demo.toml"),
        ("concepts.md", "[a](#rule) [b](https://example.org/c.md)", "[a](#rule) [b](https://example.org/c.md)"),
    ],
)
def test_links_lead_to_pages_of_the_site_or_become_names_of_files(uri: str, link: str, expected: str) -> None:
    assert with_links_on_site(f"See {link}.", uri) == f"See {expected}."


def test_code_keeps_its_links() -> None:
    page = "[a](default.toml)\n\n```\n[a](default.toml)\n```\n\n[a](default.toml)\n"
    expected = "a (`lang_configs/default.toml`)\n\n```\n[a](default.toml)\n```\n\na (`lang_configs/default.toml`)\n"
    assert with_links_on_site(page, "languages.md") == expected


def test_a_folder_in_the_navigation_stands_for_its_pages_index_first(tmp_path: Path) -> None:
    for name in ("b.md", "index.md", "a.md", "notes.txt"):
        (tmp_path / "design").mkdir(exist_ok=True)
        (tmp_path / "design" / name).touch()
    pages = ["design/index.md", "design/a.md", "design/b.md"]
    navigation = [{"Home": "index.md"}, {"Design": "design/"}, {"More": ["design/", {"Last": "last.md"}]}]
    assert filled_navigation(navigation, tmp_path) == [
        {"Home": "index.md"},
        {"Design": pages},
        {"More": [*pages, {"Last": "last.md"}]},
    ]
