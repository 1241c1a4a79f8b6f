"""What benchmarks read from a WARC file are the texts of its pages, and the benchmark of encoding repair reads them."""

from pathlib import Path

import pytest

from benchmarks import repair
from benchmarks.pages import texts_of_pages
from tests.make_warc import Page, write_warc

SENTENCE = "The river rose in the night, and the people of the lower town left their houses before it was light."
LONG = " ".join([SENTENCE] * 60)


@pytest.fixture
def warc(tmp_path: Path) -> Path:
    """A page with a short text, one that shows nothing, and one with a long text."""
    bodies = {"short": f"<p>{SENTENCE}</p>", "empty": "", "long": f"<p>{LONG}</p>"}
    path = tmp_path / "pages.warc.gz"
    write_warc(path, [Page(f"https://a.example/{name}", body.encode()) for name, body in bodies.items()])
    return path


def test_each_page_that_has_a_text_gives_it(warc: Path) -> None:
    assert list(texts_of_pages(warc)) == [SENTENCE, LONG]


def test_the_benchmark_of_encoding_repair_counts_the_whole_pieces_of_the_pages(
    warc: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repair.main([str(warc)])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["Latn", "1"], ["all", "1"]]
