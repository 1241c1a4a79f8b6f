"""Run native HTML extraction in a child process that may hang, crash or eat memory without taking the run along.

Alarms do not interrupt C code, and every HTML parser can be made to hang. The parent measures the child's CPU time
since the record began, kills it past the limit, and gives the record one more chance in a fresh child. A record
that kills two fresh children is reported with its fault; the caller writes the verdict before it goes on. A page that
ran out of memory is tried alone as well: what pages before it left behind must not decide.

A process with one thread forks its child, which then has the libraries that are loaded here; a fresh interpreter needs
a second of CPU to load them. With other threads about, which may hold locks that nobody would release in the fork, the
child is a fresh interpreter.
"""

import atexit
import mmap
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

from pipeline.errors import PipelineError
from pipeline.execution.sandbox.child import AT_WORK, FIRST_PAGE, read_frame, serve, write_frame
from pipeline.text.main_text import Utf8, as_utf8, tokenise
from pipeline.text.main_text.extractors import Extraction

# last words of a process whose allocation failed: Rust's and C++'s, which abort, and Python's
OUT_OF_MEMORY = re.compile(rb"memory allocation of \d+ bytes failed|std::bad_alloc|^MemoryError", re.MULTILINE)
TICKS = os.sysconf("SC_CLK_TCK")
CHUNK_BYTES = 2**20  # of pages that the child is given at once, one page at least; they are still in the cache then
CHUNK_PAGES = 256
# A thread of pyarrow's allocator, which gets ready for a fork by itself (pthread_atfork), as the C library's does.
HARMLESS_THREADS = ("jemalloc_bg_thd",)


class SandboxedExtractor:
    """Extracts texts in a child process; use as a context manager."""

    def __init__(self, extractor: str, cpu_seconds: float, memory_bytes: int) -> None:
        self.extractor = extractor
        self.cpu_seconds = cpu_seconds
        self.memory_bytes = memory_bytes
        self._process: subprocess.Popen[bytes] | _Fork | None = None
        self._memory: mmap.mmap
        self._busy = False
        self._ended_cpu = 0.0

    def __enter__(self) -> "SandboxedExtractor":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def extract(self, pages: Iterable[str | Utf8]) -> Iterator[Extraction]:
        """Text or fault of each page, in order. Faults: cpu_limit, killed, or those of `extract`."""
        chunk: list[Utf8] = []
        size = 0
        for page in map(as_utf8, pages):
            if chunk and (size + len(page) > CHUNK_BYTES or len(chunk) == CHUNK_PAGES):
                yield from self._extract(chunk)
                chunk, size = [], 0
            chunk.append(page)
            size += len(page)
        yield from self._extract(chunk)

    def cpu_used(self) -> float:
        """CPU seconds of all children so far."""
        return self._ended_cpu + (_cpu_seconds(self._process.pid) if self._process else 0.0)

    def end(self) -> None:
        """End the child; another is started for the next page."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._requests, self._answers, self._errors):
                stream.close()
            self._memory.close()
            os.close(self._shared)
            self._process = None

    def _extract(self, chunk: Sequence[Utf8]) -> Iterator[Extraction]:
        if not chunk:
            return
        answers, fault, at_work = self._attempt(chunk)
        yield from answers
        if fault is not None:
            yield from self._extract(chunk[len(answers) : at_work])  # done, but the child died before it said so
            yield self._alone(chunk[at_work])
            yield from self._extract(chunk[at_work + 1 :])

    def _alone(self, page: Utf8) -> Extraction:
        fault = "killed"
        for _ in range(2):
            self._kill()
            answers, died, _ = self._attempt([page])
            if died is None:
                return answers[0]
            fault = died
        return Extraction(fault=fault)

    def _attempt(self, chunk: Sequence[Utf8]) -> tuple[list[Extraction], str | None, int]:
        """Answers in order; where the child did not answer all, the fault that killed it, and at which page."""
        if self._busy:
            self._kill()  # someone was interrupted while he waited for it
        process = self._start()
        self._busy = True
        answers: list[Extraction] = []
        fault = None
        try:
            write_frame(self._requests, self._share(chunk))
            while len(answers) < len(chunk) and fault is None:
                if select.select([self._answers], [], [], 0.1)[0]:
                    answers += read_frame(self._answers)
                elif _cpu_seconds(process.pid) - AT_WORK.unpack_from(self._memory)[1] > self.cpu_seconds:
                    fault = "cpu_limit"
        except (EOFError, BrokenPipeError):
            process.wait()
            self._errors.seek(0)
            fault = "memory_limit" if OUT_OF_MEMORY.search(self._errors.read()) else "killed"
        at_work = max(len(answers), AT_WORK.unpack_from(self._memory)[0])
        self._busy = False
        for number, answer in enumerate(answers):
            if answer.fault == "memory_limit":
                fault, at_work = answer.fault, number
                del answers[number:]
                break
        if fault is not None:
            self._kill()
        return answers, fault, at_work

    def _share(self, chunk: Sequence[Utf8]) -> list[int]:
        """Write pages where the child reads them; returns where they end."""
        assert self._process is not None
        ends = [AT_WORK.size]
        for page in chunk:
            ends.append(ends[-1] + len(page))
        size = max(AT_WORK.size + CHUNK_BYTES, ends[-1])
        if len(self._memory) != size:
            self._memory.close()
            os.ftruncate(self._shared, size)
            self._memory = mmap.mmap(self._shared, size)
        AT_WORK.pack_into(self._memory, 0, 0, _cpu_seconds(self._process.pid))
        for page, start, end in zip(chunk, ends, ends[1:], strict=False):
            self._memory[start:end] = page
        return ends[1:]

    def _start(self) -> "subprocess.Popen[bytes] | _Fork":
        if self._process is None or self._process.poll() is not None:
            self._kill()
            self._shared = os.memfd_create("pages")
            os.ftruncate(self._shared, AT_WORK.size + CHUNK_BYTES)
            self._memory = mmap.mmap(self._shared, 0)
            requested, request = os.pipe()
            answer, answered = os.pipe()
            # unbuffered: select must see what has arrived, no answer may hide in a buffer
            self._requests, self._answers = open(request, "wb", 0), open(answer, "rb", 0)  # noqa: SIM115  they live
            self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  as long as the process
            start = _Fork if _is_alone() else _fresh_interpreter
            self._process = start(
                self.extractor, self.memory_bytes, requested, answered, self._shared, self._errors.fileno()
            )
            os.close(requested)
            os.close(answered)
            try:
                read_frame(self._answers)  # ready: imports and kernels are not the first page's time
            except EOFError:
                self._errors.seek(0)
                why = self._errors.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
                self._kill()
                raise PipelineError(f"the child that runs {self.extractor} did not start: {why}") from None
        return self._process

    def _kill(self) -> None:
        self._ended_cpu = self.cpu_used()
        self.end()
        self._busy = False


class _Fork:
    """A child forked from this process, with the methods of a Popen."""

    def __init__(
        self, extractor: str, memory_bytes: int, requested: int, answered: int, shared: int, errors: int
    ) -> None:
        tokenise(FIRST_PAGE)  # with its first kernel Numba loads much that both processes need
        self._status: int | None = None
        self.pid = os.fork()
        if self.pid:
            return
        try:  # nothing of the parent's may run here: no handler, no flush, no exit function
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            os.dup2(errors, 1)
            os.dup2(errors, 2)
            kept = sorted((2, requested, answered, shared, os.sysconf("SC_OPEN_MAX")))
            for low, high in zip(kept, kept[1:], strict=False):
                os.closerange(low + 1, high)
            with open(requested, "rb", 0) as requests, open(answered, "wb", 0) as answers:
                serve(extractor, memory_bytes, requests, answers, shared)
        except MemoryError:
            os.write(2, b"MemoryError")  # with what is left, a traceback may not be made
        except BaseException:  # whatever it is ends here: there is no caller in this process
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(1)

    def poll(self) -> int | None:
        """Its exit status, None while it lives."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._status = status if pid else None
        return self._status

    def wait(self) -> None:
        """Wait until it has ended."""
        if self._status is None:
            self._status = os.waitpid(self.pid, 0)[1]

    def kill(self) -> None:
        """Kill it if it lives."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def _fresh_interpreter(
    extractor: str, memory_bytes: int, requested: int, answered: int, shared: int, errors: int
) -> "subprocess.Popen[bytes]":
    root = str(Path(__file__).resolve().parents[3])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    arguments = [extractor, *map(str, (memory_bytes, requested, answered, shared))]
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.execution.sandbox.child", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=errors,
        stderr=errors,
        pass_fds=(requested, answered, shared),
        env=os.environ | {"PYTHONPATH": path},
    )


def _is_alone() -> bool:
    """Whether this process has no other thread that could hold a lock."""
    others = [thread for thread in Path("/proc/self/task").iterdir() if thread.name != str(os.getpid())]
    try:
        return all((thread / "comm").read_text().strip() in HARMLESS_THREADS for thread in others)
    except OSError:
        return False  # one has just ended: there are threads that come and go


_kept: dict[int, SandboxedExtractor] = {}


def kept_extractor(extractor: str, cpu_seconds: float, memory_bytes: int) -> SandboxedExtractor:
    """A child that goes on with the next shard when one has ended; each process has one, and it ends with it."""
    child = _kept.get(os.getpid())
    settings = (extractor, cpu_seconds, memory_bytes)
    if child is None or settings != (child.extractor, child.cpu_seconds, child.memory_bytes):
        if child is not None:
            child.end()
        child = _kept[os.getpid()] = SandboxedExtractor(*settings)
        atexit.register(child.end)
    return child


def _cpu_seconds(pid: int) -> float:
    """User and system CPU of a process so far, in seconds; 0 when it is gone, which its closed pipe will tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS
