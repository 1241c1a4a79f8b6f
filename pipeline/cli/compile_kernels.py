"""What a machine needs once: modules and kernels compiled, lists hashed. `python -m pipeline.cli.compile_kernels`.

`make setup` calls it, so that the first run is as quick as the next, also where Python is told to write no bytecode. It
runs the whole pipeline on two pages that are copies of each other, whose cluster takes the kernels of deduplication
along.
"""

import compileall
import logging
import tempfile
from pathlib import Path

from pipeline.config.reading import load_run_config
from pipeline.kernels.ahead_of_time import compile_ahead_of_time
from pipeline.kernels.compile import PACKAGE, Kernel
from pipeline.operations.run import run
from pipeline.text.main_text.extractors import extract

logger = logging.getLogger(__name__)

PAGES = 2
LINE = "The machine reads pages, finds words in them, and remembers which of them it has met before."
UNCOMMON = "q\N{COMBINING ACUTE ACCENT}"  # of which NFC makes no one character


def compile_kernels() -> None:
    """Run all passes on pages made here by Numba, and compile what that ran. Raises what `run` raises."""
    Kernel.ahead_is_used = False
    lines = "".join(f"<p>{number} {LINE} {UNCOMMON}</p>" for number in range(20))
    body = f"<html><body><article>{lines}</article></body></html>".encode()
    http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + body
    with tempfile.TemporaryDirectory() as folder:
        warc = Path(folder) / "one-page.warc"
        with warc.open("wb") as file:
            for number in range(PAGES):
                file.write(
                    b"WARC/1.0\r\nWARC-Type: response\r\nContent-Type: application/http; msgtype=response\r\n"
                    + f"WARC-Record-ID: <urn:glotmill:{number}>\r\n".encode()
                    + f"WARC-Target-URI: https://example.org/{number}\r\n".encode()
                    + f"WARC-Date: 2026-01-01T00:00:00Z\r\nContent-Length: {len(http)}\r\n\r\n".encode()
                    + http
                    + b"\r\n\r\n"
                )
        extract(body)  # in this process: what the child compiles ends with it
        layout = run(load_run_config(None, {"inputs": [str(warc)], "output": str(Path(folder) / "output")}))
        if lost := [manifest.dropped for manifest in layout.manifests() if manifest.documents < PAGES]:
            logger.warning("not all kernels were compiled: pages made for it were dropped, %s", lost[0])
    compile_ahead_of_time(Kernel.registered)
    compileall.compile_dir(PACKAGE, quiet=2)  # pip does so for what it installs, but not for a checkout


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    compile_kernels()
