"""Pages and forms of the repository: what they name exists, and what machines read of them can be read.

Links and commands of all pages are tested in `tests/docs`.
"""

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
DESIGN = sorted((ROOT / "docs" / "design").glob("*.md"))
FORMS = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
LINK = re.compile(r"\]\(([^)#\s]+)")
FOLDERS = "pipeline|tests|lang_configs|recipes|docs"
NAMED = re.compile(rf"`((?:{FOLDERS})/[\w./-]+|[\w-]+\.py)`")


def path_id(path: Path) -> str:
    return str(path.relative_to(ROOT))


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", DESIGN, ids=path_id)
def test_a_design_page_names_only_files_that_exist(page: Path) -> None:
    modules = {path.name for folder in ("pipeline", "tests") for path in (ROOT / folder).rglob("*.py")}
    names = NAMED.findall(page.read_text(encoding="utf-8"))
    assert [name for name in names if not ((ROOT / name).exists() if "/" in name else name in modules)] == []


def test_the_index_lists_every_design_page() -> None:
    index = (ROOT / "docs" / "design" / "index.md").read_text(encoding="utf-8")
    listed = {link for link in LINK.findall(index) if "/" not in link}
    assert listed == {page.name for page in DESIGN} - {"index.md"}


def test_the_log_has_its_newest_entry_first() -> None:
    log = (ROOT / "dev" / "LOG.md").read_text(encoding="utf-8")
    dates = re.findall(r"^## (\d{4}-\d{2}-\d{2}): \S", log, re.MULTILINE)
    assert len(dates) > 1
    assert dates == sorted(dates, reverse=True)


def test_the_citation_has_the_version_and_licence_of_the_package() -> None:
    citation = read_yaml(ROOT / "CITATION.cff")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])


@pytest.mark.parametrize("form", FORMS, ids=path_id)
def test_the_questions_of_an_issue_form_have_labels_and_ids_of_their_own(form: Path) -> None:
    questions = [part for part in read_yaml(form)["body"] if part["type"] != "markdown"]
    assert {part["type"] for part in questions} <= {"input", "textarea", "dropdown", "checkboxes"}
    assert [part["id"] for part in questions if not part["attributes"]["label"]] == []
    assert len({part["id"] for part in questions}) == len(questions)


def test_pre_commit_runs_what_make_check_runs() -> None:
    hooks = [hook["entry"] for repo in read_yaml(ROOT / ".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    make = ["make", "--just-print", "--assume-old=setup", "check"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # of make test
    planned = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True, env=environment).stdout
    assert hooks == planned.splitlines()
