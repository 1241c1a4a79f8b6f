"""What a run must not import: seconds of start-up for nothing, in each of its processes."""

import os
import subprocess
import sys
from pathlib import Path

from tests.make_warc import Page, write_warc

UNUSED = ("ray", "altair", "pandas", "scipy.linalg", "spacy", "polars", "duckdb", "datatrove", "trafilatura", "torch")
PRINT_IMPORTS = "import atexit, sys; atexit.register(lambda: print('imported', *sorted(sys.modules), file=sys.stderr))"


def test_a_run_imports_no_library_that_it_does_not_use(tmp_path: Path) -> None:
    page = b"<html><body><p>" + b"The cat sat on the mat and looked at the dog. " * 20 + b"</p></body></html>"
    write_warc(tmp_path / "a.warc.gz", [Page("https://example.org/", page)])
    command = ["run", "--input", str(tmp_path / "a.warc.gz"), "--output", str(tmp_path / "out")]
    start = f"import sys; sys.argv = {['glotmill', *command]!r}; from pipeline.cli.main import main; main()"
    code = f"{PRINT_IMPORTS}; {start}"
    done = subprocess.run([sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=True)
    imported = next(line for line in done.stderr.splitlines() if line.startswith("imported ")).split()
    assert "pyarrow" in imported
    assert set(UNUSED) & set(imported) == set()
