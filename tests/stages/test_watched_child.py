"""A page that hangs or eats memory is stopped, and its neighbours come through in order."""

import pytest

from pipeline.execution.watched_child import WatchedChild
from pipeline.text.extract import Extraction

OPTIONS = "<select>" + "<option>x" * 100_000
MEMORY = 2 * 2**30
WORDS = "A paragraph that is long enough to be taken for the main text of a page. "


def page(name: str) -> str:
    return f"<html><body><main><p>Page {name}. {WORDS * 4}</p></main></body></html>"


def starts(answers: list[Extraction]) -> list[tuple[str | None, str | None]]:
    return [(text.strip()[:6] if text else None, fault) for text, fault, _ in answers]


def test_a_page_over_the_cpu_limit_is_stopped_and_the_pages_around_it_are_extracted() -> None:
    pages = [page("a"), page("b"), OPTIONS, page("c"), page("d")]
    with WatchedChild("resiliparse", 0.5, MEMORY) as child:
        answers = list(child.extract(pages))
    assert starts(answers) == [
        ("Page a", None),
        ("Page b", None),
        (None, "cpu_limit"),
        ("Page c", None),
        ("Page d", None),
    ]


def test_a_page_over_the_memory_limit_has_a_fault_and_the_next_page_is_extracted() -> None:
    huge = "<p>" + "<b>x</b>" * 6_000_000
    with WatchedChild("resiliparse", 20.0, 400 * 2**20) as child:
        answers = list(child.extract([page("a"), huge, page("b")]))
    first, second, third = starts(answers)
    assert (first, third) == (("Page a", None), ("Page b", None))
    assert second[0] is None
    assert second[1] in ("memory_limit", "killed", "parser_error_HTMLParserException")


@pytest.mark.parametrize("count", [0, 1, 300])
def test_answers_keep_the_order_of_the_pages(count: int) -> None:
    with WatchedChild("resiliparse", 5.0, MEMORY) as child:
        answers = list(child.extract([page(f"{number:03d}") for number in range(count)]))
    assert [text.strip()[:8] if text else None for text, _, _ in answers] == [
        f"Page {number:03d}" for number in range(count)
    ]
    assert {fault for _, fault, _ in answers} <= {None}


def test_one_child_answers_several_batches_and_is_gone_afterwards() -> None:
    with WatchedChild("resiliparse", 5.0, MEMORY) as child:
        first = starts(list(child.extract([page("a")])))
        process = child._process
        second = starts(list(child.extract([page("b")])))
        assert child._process is process
    assert (first, second) == ([("Page a", None)], [("Page b", None)])
    assert process is not None
    assert process.poll() is not None
