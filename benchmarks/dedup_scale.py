"""What linking and clustering of one large group cost: seconds, memory, bytes on disk, and how they grow.

python -m benchmarks.dedup_scale FOLDER [--documents 1000000 10000000] [--shape tail | giant]
                                       [--bands 14] [--no-verify] [--workers 2]

Makes signature files as collate does, then runs the tasks of the deduplicate pass on them in processes of their own.
The signatures are drawn, not computed, a row group at a time: half of the documents resemble no other; the others lie
in clusters whose sizes have a heavy tail (the largest holds 2 % of all; with `--shape giant` ten million or 80 %). A
member of a cluster is an exact copy (three in ten) or has a Jaccard similarity of .6 to 1 with its centre, so that it
shares some bands and most low bytes of the minima. Figures go to docs/scale.md by hand. 100,000,000 documents take
about 30 GB of disk, which is given back at the end.
"""

import argparse
import os
import resource
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config.run_settings import RunConfig
from pipeline.dedup.shingles import mix64
from pipeline.kernels.compile import kernel
from pipeline.output.grouped_parquet import ROW_GROUP_ROWS
from pipeline.output.output import Output
from pipeline.passes.deduplicate.collate import signature_writer
from pipeline.passes.deduplicate.deduplicate import cluster_signatures

GROUP = "eng_Latn"
FILE_ROWS = 20_000_000  # a shard group of 1,000 shards
HEXADECIMAL = np.frombuffer(b"0123456789abcdef", np.uint8)
ID_TEMPLATE = np.frombuffer(b"<urn:uuid:00000000-0000-4000-8000-000000000000>", np.uint8)


@kernel
def _draw_kernel(
    first: int,
    documents: int,
    alone: float,
    giant: float,
    rows: int,
    bands: np.ndarray,
    exact: np.ndarray,
    minima: np.ndarray,
    ids: np.ndarray,
    id_hash: np.ndarray,
    hexadecimal: np.ndarray,
) -> None:
    one = np.uint64(1)
    tops = 2.0**64
    for place in range(exact.size):
        document = np.uint64(first + place)
        draw = mix64(document * np.uint64(8) + one)
        kind = draw / tops
        cluster = document + np.uint64(2**40)  # of its own
        if kind < giant:
            cluster = np.uint64(0)
        elif kind > alone:
            spread = mix64(draw + one) / tops
            cluster = one + np.uint64(spread**2.5 * documents * 0.15)  # size falls with rank**-0.6
        similarity = 1.0
        if cluster < np.uint64(2**40):
            choice = mix64(draw + np.uint64(2)) / tops
            if choice > 0.3:
                similarity = 0.6 + 0.4 * (choice - 0.3) / 0.7
        differs = np.uint64((1 - similarity) * 256)
        base = mix64(cluster * np.uint64(0x9E3779B97F4A7C15) + np.uint64(3))
        own = mix64(draw + np.uint64(4))
        exact[place] = base if similarity == 1.0 else own
        changed = False
        word = decision = np.uint64(0)
        for k in range(bands.shape[1] * rows):
            shift = np.uint64(k % 8 * 8)
            if k % 8 == 0:
                word = mix64(base + np.uint64(k) + one)
                decision = mix64(own + np.uint64(k))
            if k % rows == 0:
                changed = False
            byte = (word >> shift) & np.uint64(255)
            if (decision >> shift) & np.uint64(255) < differs:
                changed = True
                byte = mix64(own + np.uint64(1000 + k)) & np.uint64(255)
            if minima.shape[1]:
                minima[place, k] = byte
            if k % rows == rows - 1:
                bands[place, k // rows] = mix64((own if changed else base) + np.uint64(2000 + k))
        id_hash[place] = mix64(document + np.uint64(5))
        digits = id_hash[place]
        for k in range(10, 46):
            if k == 26:
                digits = mix64(digits)
            if k != 18 and k != 23 and k != 28 and k != 33:
                ids[place, k] = hexadecimal[digits & np.uint64(15)]
                digits >>= np.uint64(4)


def make_signatures(layout: Output, documents: int, bands: int, verify: bool, giant: float) -> list[Path]:
    """Write signature files of one group; giant is the share of documents in the largest cluster."""
    files = []
    width = 112 if verify else 0
    for number, begin in enumerate(range(0, documents, FILE_ROWS)):
        path = layout.signatures(number)
        assert isinstance(path, Path)
        path.parent.mkdir(parents=True, exist_ok=True)
        files.append(path)
        writer = None
        end = min(documents, begin + FILE_ROWS)
        for first in range(begin, end, ROW_GROUP_ROWS):
            n = min(ROW_GROUP_ROWS, end - first)
            band_keys, minima = np.empty((n, bands), np.uint64), np.empty((n, width), np.uint8)
            exact, id_hash = np.empty(n, np.uint64), np.empty(n, np.uint64)
            ids = np.tile(ID_TEMPLATE, (n, 1))
            alone = max(0.5, giant)
            _draw_kernel(
                first, documents, alone, giant, 8, band_keys, exact, minima, ids, id_hash, HEXADECIMAL
            )  # fmt: skip
            columns: dict[str, Any] = {
                "group": pa.repeat(GROUP, n),
                "id": _fixed_strings(ids),
                "id_hash": id_hash,
                "is_eligible": np.ones(n, bool),
                "exact_hash": exact,
            }
            columns |= {f"band_{band:02d}": band_keys[:, band] for band in range(bands)}
            if verify:
                columns["minima"] = pa.FixedSizeBinaryArray.from_buffers(
                    pa.binary(width), n, [None, pa.py_buffer(minima)]
                )
                columns["signed"] = np.ones(n, bool)
            table = pa.table(columns)
            writer = writer or signature_writer(path, table.schema)
            writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
        assert writer
        writer.close()
    return files


def _fixed_strings(rows: np.ndarray) -> pa.Array:
    offsets = np.arange(0, rows.size + 1, rows.shape[1], dtype=np.int32)
    return pa.StringArray.from_buffers(len(rows), pa.py_buffer(offsets), pa.py_buffer(rows))


def _measured(function: Callable[[Any], Any], task: Any) -> tuple[Any, float, int]:
    """What a task returned, its CPU seconds, and the peak memory of this process in bytes."""
    before = time.process_time()
    result = function(task)
    return result, time.process_time() - before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class MeasuringExecutor:
    """Runs every task in a process of its own, `workers` at a time, and keeps time and memory by function."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.rows: list[tuple[str, int, float, float, int]] = []

    def run(
        self, function: Callable[[Any], Any], tasks: Sequence[Any], attempts: int = 3
    ) -> Iterator[tuple[int, Any, str | None]]:
        """See Executor.run; nothing is tried again."""
        begin = time.perf_counter()
        context = get_context("spawn")
        with ProcessPoolExecutor(self.workers, mp_context=context, max_tasks_per_child=1) as pool:
            pending = [pool.submit(_measured, function, task) for task in tasks]
            done = [future.result() for future in pending]
        wall = time.perf_counter() - begin
        if done:
            peak = max(memory for _, _, memory in done)
            self.rows.append((function.__name__, len(done), wall, sum(cpu for _, cpu, _ in done), peak))
        yield from ((position, result, None) for position, (result, _, _) in enumerate(done))

    def close(self) -> None:
        """Nothing to give back."""


def _bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def measure(folder: Path, documents: int, arguments: argparse.Namespace) -> tuple[float, float]:
    """Make, link and cluster so many documents; print what each step took. Returns seconds of wall and CPU time."""
    folder = folder / f"{documents}"
    layout = Output(folder)
    verify = not arguments.no_verify
    settings = {"dedup": {"bands": arguments.bands, "verify": verify, "large_group_rows": 1}}
    begin = time.perf_counter()
    giant = {"tail": 0.02, "giant": max(0.8, min(1.0, 10_000_000 / documents))}[arguments.shape]
    files = make_signatures(layout, documents, arguments.bands, verify, giant)
    made, on_disk = time.perf_counter() - begin, _bytes_below(folder / "signatures")
    executor = MeasuringExecutor(arguments.workers)
    print(f"\n{documents:,} documents, {arguments.shape}, {arguments.bands} bands, verify {verify}", flush=True)
    print(f"  signatures made in {made:.0f} s; {on_disk / documents:.0f} B a document; load {os.getloadavg()[0]:.1f}")
    try:
        dedup = RunConfig.model_validate(settings).dedup
        (clustered,) = cluster_signatures(dedup, layout, executor, list(files), {GROUP: documents}, {})
        for name, tasks, wall, cpu, peak in executor.rows:
            print(f"  {name:18} {tasks:3} tasks {wall:7.1f} s {cpu:7.1f} s CPU {peak / 2**30:6.2f} GiB at most")
        print(f"  load at the end {os.getloadavg()[0]:.1f}")
        edges = _bytes_below(folder / "clusters" / "edges")
        clusters = _bytes_below(folder / "clusters") - edges
        print(f"  edges {edges / documents:.1f} B, clusters {clusters / documents:.1f} B a document on disk")
        with pq.ParquetFile(layout.clusters(0)) as file:
            largest = max(file.metadata.row_group(n).column(3).statistics.max for n in range(file.num_row_groups))
        print(f"  {clustered.clusters[GROUP]:,} clusters, largest {largest:,}, overflow {clustered.overflow:,}")
    finally:
        shutil.rmtree(folder)
    wall, cpu = sum(row[2] for row in executor.rows), sum(row[3] for row in executor.rows)
    print(
        f"  altogether {wall:.0f} s wall, {cpu:.0f} s CPU: {cpu / documents * 1e6:.2f} us of CPU a document", flush=True
    )
    return wall, cpu


def main() -> None:
    """Measure each size given, and how time grows from one to the next."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--documents", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--shape", choices=["tail", "giant"], default="tail")
    parser.add_argument("--bands", type=int, default=14)
    parser.add_argument("--no-verify", action="store_true")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    before: tuple[int, float] | None = None
    for documents in arguments.documents:
        _, cpu = measure(arguments.folder, documents, arguments)
        if before:
            print(
                f"  growth: {documents / before[0]:.1f} times the documents, {cpu / before[1]:.1f} times the CPU time"
            )
        before = documents, cpu


if __name__ == "__main__":
    main()
