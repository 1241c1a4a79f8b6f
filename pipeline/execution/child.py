"""The child process that runs native extraction; `watched_child` starts, watches and replaces it.

Frames on stdin and stdout: an 8-byte little-endian length, then a pickle. A child says
"ready" once its parser is loaded, and its compiled kernels with it, so that no page is charged for that; then a request
is a page's HTML and the answer an `Extraction`.
"""

import ctypes
import pickle
import resource
import signal
import struct
import sys
from pathlib import Path
from typing import IO, Any

LENGTH = struct.Struct("<Q")
PR_SET_PDEATHSIG = 1  # linux/prctl.h
WARM_UP = "<title>a</title><h1>a b</h1><p>one, two.<p>three<table><tr><td>1<td>2</table>"


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


def main() -> None:
    """Answer requests until stdin ends; argv has the extractor and how many bytes of address space pages may take."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # a parser that hangs would outlive a killed parent
    from pipeline.text.extract import extract

    extractor, limit = sys.argv[1], int(sys.argv[2])
    extract(WARM_UP, extractor)
    pages = int(Path("/proc/self/statm").read_text().split()[0])  # parser and kernels are not the page's memory
    limit += pages * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    write_frame(sys.stdout.buffer, "ready")
    while True:
        try:
            html = read_frame(sys.stdin.buffer)
        except EOFError:
            return
        write_frame(sys.stdout.buffer, extract(html, extractor))


if __name__ == "__main__":
    main()
