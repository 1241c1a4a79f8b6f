"""The child process that runs native extraction; `watched_child` starts, watches and replaces it.

Frames on stdin and stdout: an 8-byte little-endian length, then a pickle. Requests are (extractor, html), answers
are (text or None, fault or None).
"""

import ctypes
import pickle
import resource
import signal
import struct
import sys
from typing import IO, Any

LENGTH = struct.Struct("<Q")
PR_SET_PDEATHSIG = 1  # linux/prctl.h


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
    """Answer requests until stdin ends; argv[1] is the limit of address space in bytes."""
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # a parser that hangs would outlive a killed parent
    limit = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    from pipeline.text.extract import extract

    while True:
        try:
            extractor, html = read_frame(sys.stdin.buffer)
        except EOFError:
            return
        write_frame(sys.stdout.buffer, extract(html, extractor))


if __name__ == "__main__":
    main()
