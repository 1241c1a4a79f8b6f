"""annotate: cached failures that are replayed, and what a process keeps from shard to shard."""

import gc
import hashlib
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.config.reading import load_run_config
from pipeline.execution.commit import write_json
from pipeline.output.layout import Layout, shard_name
from pipeline.passes.annotate.shard import AnnotateTask, annotate_shard
from pipeline.plan import STAGES
from tests.make_warc import Page, page_record_id, write_warc

SENTENCE = "The weather was so fine that we all went for a long walk along the river, and it took us the whole day."


@pytest.mark.parametrize("refused", [[], [0], [3], [0, 1, 3], [0, 1, 2, 3]])
def test_a_page_that_killed_its_children_is_not_tried_again_and_the_others_keep_their_texts(
    refused: Sequence[int], tmp_path: Path
) -> None:
    pages = [
        Page(f"https://example.org/{number}", f"<html><body><p>{number} {SENTENCE}</p></body></html>".encode())
        for number in range(4)
    ]
    warc = tmp_path / "a.warc.gz"
    write_warc(warc, pages)
    faults = {hashlib.sha256(pages[number].html).hexdigest(): "cpu_limit" for number in refused}
    (tmp_path / "out" / "quarantine").mkdir(parents=True)
    write_json(tmp_path / "out" / "quarantine" / f"{shard_name(str(warc))}.json", faults)

    annotate_shard(
        AnnotateTask(load_run_config(None, {"inputs": [str(warc)]}), STAGES, str(warc), Layout(tmp_path / "out"))
    )

    texts, losses = (
        pq.read_table(tmp_path / "out" / name / f"{shard_name(str(warc))}.parquet") for name in ("annotated", "dropped")
    )
    ids = list(map(page_record_id, pages))
    assert dict(zip(losses["id"].to_pylist(), losses["drop_reason"].to_pylist(), strict=True)) == {
        ids[number]: "cpu_limit" for number in refused
    }
    assert dict(zip(texts["id"].to_pylist(), texts["text"].to_pylist(), strict=True)) == {
        ids[number]: f"{number} {SENTENCE}" for number in range(4) if number not in refused
    }


def test_what_is_loaded_is_frozen_once_a_process_and_nothing_of_later_shards(tmp_path: Path) -> None:
    counts = []
    for name in ("a", "b"):
        warc = tmp_path / f"{name}.warc.gz"
        write_warc(warc, [Page(f"https://example.org/{name}", f"<p>{SENTENCE}</p>".encode())])
        annotate_shard(
            AnnotateTask(load_run_config(None, {"inputs": [str(warc)]}), STAGES, str(warc), Layout(tmp_path / "out"))
        )
        counts.append(gc.get_freeze_count())
    assert counts[0] > 10_000
    assert counts[1] <= counts[0]
