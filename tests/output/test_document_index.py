"""Every record of the demo's samples is found again by id and by URL, dropped or not."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.config.run_settings import RunConfig
from pipeline.errors import InputError
from pipeline.execution.commit import read_manifest
from pipeline.execution.storage import readable
from pipeline.kernels.hashing import hash64
from pipeline.operations.explain import explain
from pipeline.operations.run import run
from pipeline.output.document_index import Place, find, url_key
from pipeline.output.output import Output
from pipeline.schema.manifests import DocumentIndexManifest
from pipeline.text.urls import host_of, registered_domain

SAMPLES = Path(__file__).resolve().parents[2] / "samples"


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Output:
    """A run over three files in two shard groups, one of them damaged."""
    files = ("crawl-00003.warc.zst", "crawl-00004.warc.wet.gz", "broken/truncated.warc.gz")
    config = RunConfig(
        inputs=tuple(str(SAMPLES / name) for name in files),
        output=str(tmp_path_factory.mktemp("run") / "output"),
        dedup={"shard_group_size": 2},
    )
    return run(config)


def rows(layout: Output) -> list[tuple[str, bool, int, dict[str, str]]]:
    found = []
    for shard in layout.shards():
        for path, dropped in ((layout.annotated(shard), False), (layout.dropped(shard), True)):
            table = pq.read_table(readable(path), columns=["id", "url"])
            found += [(shard, dropped, number, row) for number, row in enumerate(table.to_pylist())]
    return found


def addresses(places: list[Place]) -> set[tuple[str, int, bool]]:
    """Shard, row and whether it is of dropped/."""
    return {(place.shard, place.row, place.dropped) for place in places}


def test_every_record_is_found_by_its_id_its_url_and_its_domain(layout: Output) -> None:
    everything = rows(layout)
    assert len({dropped for _, dropped, _, _ in everything}) == 2
    for shard, dropped, number, row in everything[::7]:
        address = (shard, number, dropped)
        assert address in addresses(find(layout, "id", [row["id"]]))
        if row["url"]:
            assert address in addresses(find(layout, "url", [url_key(row["url"])]))
            assert address in addresses(find(layout, "domain", [registered_domain(host_of(row["url"]))]))


def test_hashes_stored_with_a_document_are_those_of_its_id_url_and_domain(layout: Output) -> None:
    for shard_group, shards in enumerate(
        read_manifest(layout.document_index_manifest, DocumentIndexManifest).shard_groups
    ):
        stored = {(row["kind"], row["shard"], row["row"], row["dropped"]): row["hash"] for row in
                  pq.read_table(readable(layout.document_index(shard_group))).to_pylist()}  # fmt: skip
        for shard, dropped, number, row in rows(layout):
            if shard in shards:
                url = row["url"] or ""
                wanted = row["id"], url_key(url), registered_domain(host_of(url))
                place = shards.index(shard), number, dropped
                assert [stored[(kind, *place)] for kind in range(3)] == list(map(hash64, wanted))


def test_a_domain_finds_all_of_its_records_and_nothing_else(layout: Output) -> None:
    domains = [registered_domain(host_of(row["url"] or "")) for _, _, _, row in rows(layout)]
    most = max(set(domains), key=domains.count)
    assert len(find(layout, "domain", [most])) == domains.count(most)
    assert find(layout, "domain", ["nobody.invalid"]) == []


def test_explain_finds_a_document_of_the_second_shard_group_with_its_decision(layout: Output) -> None:
    table = pq.read_table(readable(layout.annotated(layout.shards()[2])), columns=["id", "url"])
    row = table.to_pylist()[0]
    by_id = explain(layout, "main", row["id"].strip("<>"))
    assert [explanation.record["id"] for explanation in by_id] == [row["id"]]
    assert by_id[0].decision["outcome"]
    assert {explanation.record["url"] for explanation in explain(layout, "main", row["url"])} == {row["url"]}
    alike = [explanation.record["id"] for explanation in explain(layout, "main", f"{row['url']}?utm_source=feed#top")]
    assert row["id"] in alike
    with pytest.raises(InputError, match="neither the URL nor the id"):
        explain(layout, "main", "https://never.invalid/seen")
