"""The child process that runs native extraction; `parent.py` starts, watches and replaces it.

Pages are not sent. The parent writes a chunk of them, one after another, to memory that both processes map, and a frame
(8 bytes of length, little-endian, then a pickle) says where each ends. The child reads them where they lie, and answers
with frames that hold some `Extraction`s each. In front of the pages it notes which one it works on, and how much CPU
it had used when it began: there the parent can read it at any time, also when the child is dead.

A child says "ready" once its parser is loaded, and its compiled kernels with it, so that no page is charged for that.
"""

import ctypes
import gc
import mmap
import os
import pickle
import resource
import signal
import struct
import sys
import time
from pathlib import Path
from typing import IO, Any

LENGTH = struct.Struct("<Q")
AT_WORK = struct.Struct("<qd")  # number of the page in its chunk, CPU seconds of the child when it began
PR_SET_PDEATHSIG = 1  # linux/prctl.h
FIRST_PAGE = "<title>a</title><h1>a b</h1><p>one, two.<p>three<table><tr><td>1<td>2</table>"
ANSWERED_AT_ONCE = 32_768  # characters of text from which answers are sent before the chunk has ended


def write_frame(stream: IO[bytes], value: Any) -> None:
    """Write one frame and flush."""
    data = pickle.dumps(value, protocol=5)
    rest = memoryview(LENGTH.pack(len(data)) + data)
    while rest:  # an unbuffered stream may take a part
        rest = rest[stream.write(rest) or 0 :]
    stream.flush()


def _read_exactly(stream: IO[bytes], count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        if not (part := stream.read(count - len(data))):
            raise EOFError
        data += part
    return bytes(data)


def read_frame(stream: IO[bytes]) -> Any:
    """Read one frame. Raises EOFError at the end of the stream."""
    (length,) = LENGTH.unpack(_read_exactly(stream, LENGTH.size))
    return pickle.loads(_read_exactly(stream, length))  # both ends are ours


def serve(extractor: str, memory_bytes: int, requests: IO[bytes], answers: IO[bytes], shared: int) -> None:
    """Answer requests until they end; pages may take `memory_bytes` of address space beyond those in `shared`."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # a parser that hangs would outlive a killed parent
    from pipeline.text.main_text.extractors import extract_utf8

    extract_utf8(FIRST_PAGE.encode(), extractor)
    gc.freeze()  # what is loaded stays: no collection has to look at it again
    pages = int(Path("/proc/self/statm").read_text().split()[0])  # parser and kernels are not the page's memory
    limit = memory_bytes + pages * resource.getpagesize()
    hardest = resource.getrlimit(resource.RLIMIT_AS)[1]
    hardest = sys.maxsize if hardest == resource.RLIM_INFINITY else hardest
    memory: mmap.mmap | None = None
    write_frame(answers, "ready")
    while True:
        try:
            ends = read_frame(requests)
        except EOFError:
            return
        size = os.fstat(shared).st_size
        if memory is None or len(memory) != size:
            resource.setrlimit(resource.RLIMIT_AS, (min(limit + size, hardest), hardest))
            memory = mmap.mmap(shared, size)
        view = memoryview(memory)
        start, done, length = AT_WORK.size, [], 0
        for number, end in enumerate(ends):
            AT_WORK.pack_into(memory, 0, number, time.process_time())
            done.append(answer := extract_utf8(view[start:end], extractor))
            start = end
            length += len(answer.text or "")
            if length >= ANSWERED_AT_ONCE or number + 1 == len(ends):
                write_frame(answers, done)
                done, length = [], 0
        del view


if __name__ == "__main__":
    with open(int(sys.argv[3]), "rb", 0) as incoming, open(int(sys.argv[4]), "wb", 0) as outgoing:
        serve(sys.argv[1], int(sys.argv[2]), incoming, outgoing, int(sys.argv[5]))
