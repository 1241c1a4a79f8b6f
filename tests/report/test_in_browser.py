"""The report in a real browser: it fetches nothing, logs no error, and shows the figures of the manifests."""

import json
import re
import shutil
import subprocess
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pipeline.execution.commit import read_json
from pipeline.output.output import Output
from pipeline.schema.outcomes import STEPS

pytestmark = pytest.mark.full


class Visit:
    """A page opened in headless Chromium: its DOM after scripts ran, what its console said, what it requested."""

    def __init__(self, page: Path, scratch: Path) -> None:
        browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        if not browser:
            pytest.fail("no Chromium on the PATH: apt-get update && apt-get install -y chromium")
        log = scratch / "net.json"
        options = f"""--headless --no-sandbox --disable-gpu --no-first-run --enable-logging=stderr --dump-dom
            --user-data-dir={scratch / "profile"} --log-net-log={log}"""
        command = [browser, *options.split(), "--host-resolver-rules=MAP * ~NOTFOUND", page.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        self.dom = done.stdout
        self.console = re.findall(r"CONSOLE[^\n]*", done.stderr)
        started = [event.get("params", {}) for event in json.loads(log.read_text())["events"]]
        # Requests without an origin are the browser's own: updates, the time.
        self.requests = {one["url"] for one in started if one.get("initiator", "not an origin") != "not an origin"}


class Tables(HTMLParser):
    """Numbers of table rows and of elements with an id: {section or id: {row: [data-value, ...]}}."""

    def __init__(self, dom: str) -> None:
        super().__init__()
        self.section = self.row = ""
        self.numbers: dict[str, dict[str, list[str]]] = {}
        self.feed(dom)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.section = given.get("id") or self.section
        if tag in ("tr", "dd"):
            self.row = given.get("data-key") or ""
        if tag in ("td", "dd") and "data-value" in given:
            self.numbers.setdefault(self.section, {}).setdefault(self.row, []).append(given["data-value"] or "")


@pytest.fixture(scope="module")
def visit(demo: Output, tmp_path_factory: pytest.TempPathFactory) -> Visit:
    return Visit(demo.selection("main") / "report" / "index.html", tmp_path_factory.mktemp("browser"))


def test_the_report_logs_nothing_and_asks_the_network_for_nothing(visit: Visit) -> None:
    assert visit.console == []
    assert visit.requests == set()


def test_the_check_sees_requests_and_errors_where_there_are_some(tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text("<img src='http://127.0.0.1:9/x.png'><script>console.error('oh'); nonsense()</script>")
    bad = Visit(page, tmp_path)
    assert bad.requests == {"http://127.0.0.1:9/x.png"}
    assert len(bad.console) == 2
    assert "nonsense is not defined" in bad.console[1]


def shown_outcomes(demo: Output) -> list[str]:
    """The outcomes that have a column: those of some document, and kept as the last."""
    outcomes = read_json(demo.selection("main") / "manifest.json")["outcomes"]
    found = sum((Counter(counts) for counts in outcomes.values()), Counter())
    return [name for name in STEPS if found[name]] + ["kept"]


def test_the_figures_are_those_of_the_manifests(visit: Visit, demo: Output) -> None:
    shown = Tables(visit.dom).numbers
    manifest = read_json(demo.selection("main") / "manifest.json")
    outcomes = {label: Counter(counts) for label, counts in manifest["outcomes"].items()}
    dropped = sum((Counter(manifest.dropped) for manifest in demo.manifests()), Counter())
    kept = sum(counts["kept"] for counts in outcomes.values())
    documents = sum(counts.total() for counts in outcomes.values())
    assert [shown[name][""][0] for name in ("read", "documents", "kept")] == [
        str(documents + dropped.total()),
        str(documents),
        str(kept),
    ]
    columns = shown_outcomes(demo)
    assert {label: numbers[: 1 + len(columns)] for label, numbers in shown["languages"].items() if label} == {
        label: [str(counts.total()), *(str(counts[name]) for name in columns)] for label, counts in outcomes.items()
    }
    assert {reason: numbers[0] for reason, numbers in shown["dropped"].items() if reason} == {
        reason: str(count) for reason, count in dropped.items()
    }
    fired = sum((Counter(counts) for counts in manifest["rules_fired"].values()), Counter())
    assert {rule: numbers[0] for rule, numbers in shown["rules"].items() if rule in fired} == {
        rule: str(count) for rule, count in fired.items()
    }
    totals = read_json(next((demo.selection("main") / "mixtures").glob("*.json")))["totals"]
    assert {label: numbers[:2] for label, numbers in shown["mixtures"].items()} == {
        label: [str(one["documents"]), str(one["repeated_documents"])] for label, one in totals.items()
    }
    assert list(shown["funnel"].values())[-1][0] == str(kept)


def test_a_click_on_a_heading_sorts_the_table(demo: Output, tmp_path: Path) -> None:
    report = (demo.selection("main") / "report" / "index.html").read_text(encoding="utf-8")
    headings = "document.querySelectorAll('#languages ~ .scroll thead th')"
    clicks = f"for (const one of {headings}) if (one.textContent == 'kept') one.click()"
    page = tmp_path / "sorted.html"
    page.write_text(report.replace("</body>", f"<script>{clicks}</script></body>"), encoding="utf-8")
    rows = Tables(Visit(page, tmp_path).dom).numbers["languages"]
    place = len(shown_outcomes(demo))
    kept = [int(numbers[place]) for label, numbers in rows.items() if label]
    assert kept == sorted(kept, reverse=True)
    assert kept != [int(numbers[place]) for label, numbers in Tables(report).numbers["languages"].items() if label]
