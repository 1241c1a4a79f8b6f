"""A page that hangs or eats memory is stopped, and its neighbours come through in order."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.execution.sandbox.parent import SandboxedExtractor, _cpu_seconds
from pipeline.text.main_text.extractors import Extraction

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = "<select>" + "<option>x" * 100_000
MEMORY = 2 * 2**30
WORDS = "A paragraph that is long enough to be taken for the main text of a page. "


def page(name: str) -> str:
    return f"<html><body><main><p>Page {name}. {WORDS * 4}</p></main></body></html>"


def starts(answers: list[Extraction]) -> list[tuple[str | None, str | None]]:
    return [(text.strip()[:6] if text else None, fault) for text, fault, *_ in answers]


def test_a_page_over_the_cpu_limit_is_stopped_and_the_pages_around_it_are_extracted() -> None:
    pages = [page("a"), page("b"), OPTIONS, page("c"), page("d")]
    with SandboxedExtractor("resiliparse", 0.5, MEMORY) as child:
        answers = list(child.extract(pages))
    assert starts(answers) == [
        ("Page a", None),
        ("Page b", None),
        (None, "cpu_limit"),
        ("Page c", None),
        ("Page d", None),
    ]


@pytest.mark.parametrize(
    "huge",
    [
        pytest.param("<p>" + "<b>x</b>" * 1_200_000, id="the parser reports an error"),
        pytest.param("<p>" + "word " * 8_000_000, id="the extractor or the child itself fails to allocate"),
    ],
)
def test_a_page_over_the_memory_limit_is_dropped_for_that_and_the_next_page_is_extracted(huge: str) -> None:
    with SandboxedExtractor("resiliparse", 60.0, 220 * 2**20) as child:
        answers = list(child.extract([page("a"), huge, page("b")]))
    assert starts(answers) == [("Page a", None), (None, "memory_limit"), ("Page b", None)]


def test_a_page_within_the_memory_limit_is_no_parser_error() -> None:
    large = page("a") + "<p>" + "<b>x</b>" * 100_000
    with SandboxedExtractor("resiliparse", 60.0, 220 * 2**20) as child:
        assert starts(list(child.extract([large]))) == [("Page a", None)]


def test_a_child_that_dies_for_another_reason_is_killed() -> None:
    ended = threading.Event()

    def shoot(child: SandboxedExtractor, started: float) -> None:
        while not ended.wait(0.1):
            if child._process is not None and _cpu_seconds(child._process.pid) > started + 0.5:
                child._process.kill()

    with SandboxedExtractor("resiliparse", 600.0, MEMORY) as child:
        assert starts(list(child.extract([page("a")]))) == [("Page a", None)]
        assert child._process is not None
        gun = threading.Thread(target=shoot, args=(child, _cpu_seconds(child._process.pid)))
        gun.start()
        try:
            assert list(child.extract([OPTIONS * 10])) == [Extraction(fault="killed")]
        finally:
            ended.set()
            gun.join()
        assert starts(list(child.extract([page("b")]))) == [("Page b", None)]


def test_a_child_that_cannot_start_is_a_clear_error() -> None:
    with (
        SandboxedExtractor("no-such-extractor", 5.0, MEMORY) as child,
        pytest.raises(PipelineError, match="did not start"),
    ):
        list(child.extract([page("a")]))


@pytest.mark.parametrize("count", [0, 1, 300])
def test_answers_keep_the_order_of_the_pages(count: int) -> None:
    with SandboxedExtractor("resiliparse", 5.0, MEMORY) as child:
        answers = list(child.extract([page(f"{number:03d}") for number in range(count)]))
    assert [text.strip()[:8] if text else None for text, *_ in answers] == [
        f"Page {number:03d}" for number in range(count)
    ]
    assert {fault for _, fault, *_ in answers} <= {None}


def test_one_child_answers_several_batches_and_is_gone_afterwards() -> None:
    with SandboxedExtractor("resiliparse", 5.0, MEMORY) as child:
        first = starts(list(child.extract([page("a")])))
        process = child._process
        second = starts(list(child.extract([page("b")])))
        assert child._process is process
    assert (first, second) == ([("Page a", None)], [("Page b", None)])
    assert process is not None
    assert process.poll() is not None


def test_a_page_that_hangs_does_not_outlive_a_killed_parent() -> None:
    program = (
        "from pipeline.execution.sandbox.parent import SandboxedExtractor\n"
        f"pages = ['<p>a</p>', {'<select>'!r} + {'<option>x'!r} * 1_000_000]\n"
        "for text, fault, *_ in SandboxedExtractor('resiliparse', 600, 2**33).extract(pages):\n"
        "    print(text, fault, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline().endswith("None\n")
        (child,) = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        time.sleep(1.0)  # until the child has the whole page and works on it
        parent.kill()
        parent.wait()
    for _ in range(50):
        if not Path(f"/proc/{child}").exists() or ") Z " in Path(f"/proc/{child}/stat").read_text():
            return
        time.sleep(0.1)
    os.kill(int(child), signal.SIGKILL)
    pytest.fail("the child still works on its page 5 s after its parent was killed")


PROGRAM = """
import os, sys, threading
os.environ["OPENBLAS_NUM_THREADS"] = "1"  # numpy's threads would be others that could hold a lock
from pipeline.execution.sandbox.parent import SandboxedExtractor, kept_extractor
if "thread" in sys.argv:
    threading.Thread(target=threading.Event().wait, daemon=True).start()
print("unflushed", end=" ")
pages = ["<p>one", "<select>" + "<option>x" * 100_000, "<p>two"]
child = kept_extractor("resiliparse", 0.5, 2**31)
print([(text and text.strip(), fault) for text, fault, *_ in child.extract(pages)])
print(type(child._process).__name__, child is kept_extractor("resiliparse", 0.5, 2**31), child.cpu_used() > 1.5)
sys.stdout.flush()
print(kept_extractor("glotmill", 0.5, 2**31) is child, child._process, file=sys.stderr)
"""


@pytest.mark.parametrize(("threads", "kind"), [([], "_Fork"), (["thread"], "Popen")])
def test_a_process_with_one_thread_forks_its_child_and_the_child_is_kept_and_ends_with_it(
    threads: list[str], kind: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *threads], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    answers = [("one", None), (None, "cpu_limit"), ("two", None)]
    assert done.stdout == f"unflushed {answers}\n{kind} True True\n"
    assert done.stderr == "False None\n"


def test_pages_that_were_done_but_not_answered_when_the_child_died_are_not_lost() -> None:
    pages = [page(f"{number:02d}") for number in range(20)]
    pages[7] = pages[13] = OPTIONS
    with SandboxedExtractor("resiliparse", 0.5, MEMORY) as child:
        answers = list(child.extract(pages))
    assert [fault for _, fault, *_ in answers] == ["cpu_limit" if number in (7, 13) else None for number in range(20)]
    assert [(text or "").strip()[:7] for text, *_ in answers] == [
        "" if number in (7, 13) else f"Page {number:02d}" for number in range(20)
    ]


def test_a_page_larger_than_a_lot_and_its_small_neighbours_come_through() -> None:
    large = page("b").replace("</main>", f"<!-- {'x' * 3_000_000} --></main>")
    with SandboxedExtractor("glotmill", 5.0, MEMORY) as child:
        assert starts(list(child.extract([page("a"), large, page("c")]))) == [
            ("Page a", None), ("Page b", None), ("Page c", None),
        ]  # fmt: skip


def test_a_child_that_somebody_stopped_waiting_for_answers_the_next_one_right(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with SandboxedExtractor("resiliparse", 5.0, MEMORY) as child:
        assert starts(list(child.extract([page("a")]))) == [("Page a", None)]
        with monkeypatch.context() as patch:
            patch.setattr("pipeline.execution.sandbox.parent.read_frame", interrupt)
            with pytest.raises(KeyboardInterrupt):
                next(child.extract([page("b")]))
        assert starts(list(child.extract([page("c")]))) == [("Page c", None)]
