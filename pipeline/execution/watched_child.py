"""Run native HTML extraction in a child process that may hang, crash or eat memory without taking the run along.

Alarms do not interrupt C code, and every HTML parser can be made to hang. The parent measures the child's CPU time
since the record began, kills it past the limit, and gives the record one more chance in a fresh child. A record
that kills two fresh children is reported with its fault; the caller writes the verdict before it goes on. A page that
ran out of memory is tried alone as well: what pages before it left behind must not decide.
"""

import os
import re
import select
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.execution.child import read_frame, write_frame
from pipeline.text.extract import Extraction

# last words of a process whose allocation failed: Rust's and C++'s, which abort, and Python's
OUT_OF_MEMORY = re.compile(rb"memory allocation of \d+ bytes failed|std::bad_alloc|^MemoryError", re.MULTILINE)
TICKS = os.sysconf("SC_CLK_TCK")


class WatchedChild:
    """Extracts texts in a child process; use as a context manager."""

    def __init__(self, extractor: str, cpu_seconds: float, memory_bytes: int) -> None:
        self.extractor = extractor
        self.cpu_seconds = cpu_seconds
        self.memory_bytes = memory_bytes
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "WatchedChild":
        return self

    def __exit__(self, *_: object) -> None:
        self._kill()

    def extract(self, pages: Sequence[str]) -> Iterator[Extraction]:
        """Text or fault of each page, in order. Faults: cpu_limit, killed, or those of `extract`."""
        position = 0
        while position < len(pages):
            answered, fault = 0, None
            for answer in self._attempt(pages[position:]):
                if isinstance(answer, str):
                    fault = answer
                    break
                answered += 1
                yield answer
            position += answered
            if fault is not None:
                yield self._alone(pages[position])
                position += 1

    def _alone(self, page: str) -> Extraction:
        fault = "killed"
        for _ in range(2):
            self._kill()
            answer = next(self._attempt([page]))
            if not isinstance(answer, str):
                return answer
            fault = answer
        return Extraction(fault=fault)

    def _attempt(self, pages: Sequence[str]) -> Iterator[Extraction | str]:
        """Answers in order; a string is the fault that killed the child while it worked on the next page."""
        process = self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        writer = threading.Thread(target=self._feed, args=(process, pages), daemon=True)
        writer.start()
        for _ in pages:
            start = _cpu_seconds(process.pid)
            while not select.select([process.stdout], [], [], 0.1)[0]:
                if _cpu_seconds(process.pid) - start > self.cpu_seconds:
                    self._kill()
                    yield "cpu_limit"
                    return
            try:
                answer = read_frame(process.stdout)
            except EOFError:
                process.wait()
                self._errors.seek(0)
                answer = Extraction(fault="memory_limit" if OUT_OF_MEMORY.search(self._errors.read()) else "killed")
            if answer.fault in ("memory_limit", "killed"):
                self._kill()
                yield answer.fault
                return
            yield answer
        writer.join()

    def _feed(self, process: subprocess.Popen[bytes], pages: Sequence[str]) -> None:
        assert process.stdin is not None
        try:
            for page in pages:
                write_frame(process.stdin, page)
        except (BrokenPipeError, ValueError):
            return  # the reader side sees the death and acts on it

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            root = str(Path(__file__).resolve().parent.parent.parent)
            path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as the process
            process = subprocess.Popen(
                [sys.executable, "-m", "pipeline.execution.child", self.extractor, str(self.memory_bytes)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                bufsize=0,  # select must see what has arrived: no answer may hide in a buffer
                env=os.environ | {"PYTHONPATH": path},
            )
            assert process.stdout is not None
            self._process = process
            try:
                read_frame(process.stdout)  # ready: imports and kernels are not the first page's time
            except EOFError:
                self._kill()
                raise PipelineError(
                    f"the child that runs {self.extractor} did not start; to see why, run\n"
                    f"{sys.executable} -m pipeline.execution.child {self.extractor} {self.memory_bytes}"
                ) from None
        return self._process

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    stream.close()
            self._errors.close()
            self._process = None


def _cpu_seconds(pid: int) -> float:
    """User and system CPU of a process so far, in seconds; 0 when it is gone, which its closed pipe will tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS
