"""Documents are taken out of finished selections: only the files concerned change, and they stay out."""

import hashlib
import os
import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline.config.run_settings import RunConfig
from pipeline.errors import AuditError, ConfigError, InputError
from pipeline.execution.commit import read_json
from pipeline.operations.audit import audit
from pipeline.operations.remove.remove import remove
from pipeline.operations.run import reselect, run
from pipeline.output.decisions import read_decisions
from pipeline.output.output import Output
from pipeline.output.take_downs import name_of, request_of
from pipeline.text.urls import host_of, registered_domain
from tests.make_warc import conversion_record, write_records
from tests.outputs import digests

# small parts and row groups, a split: a language has several files
SAMPLES = Path(__file__).resolve().parents[2] / "samples"
CUT: dict[str, Any] = {"part_bytes": 20_000, "row_group_rows": 7, "test_fraction": 0.2}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    settings = {
        "inputs": [str(SAMPLES / "crawl-00001.warc.gz")],
        "output": str(tmp_path_factory.mktemp("many") / "output"),
        "select": CUT,
    }
    return RunConfig.model_validate(settings)


@pytest.fixture(scope="module")
def many_files(config: RunConfig) -> Output:
    """A selection in many files; nobody writes into it."""
    return run(config)


@pytest.fixture
def output(many_files: Output, tmp_path: Path) -> Output:
    """A copy to take documents out of."""
    shutil.copytree(many_files.root, tmp_path / "output")
    return Output(tmp_path / "output")


def clean_rows(layout: Output) -> list[dict[str, Any]]:
    folder = layout.selection("main")
    files = [file for files in read_json(folder / "manifest.json")["files"].values() for file in files]
    return [row | {"path": file["path"]} for file in files for row in pq.read_table(folder / file["path"]).to_pylist()]


def facts(layout: Output) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in read_decisions(layout, "main").to_pylist()}


def test_only_the_file_of_a_document_changes_and_the_books_balance(output: Output) -> None:
    before, rows = digests(output.root / "selections" / "main" / "clean"), clean_rows(output)
    victim = rows[len(rows) // 2]
    done = remove(output, {"url": [victim["url"] + "#fragment"]})
    assert (done.documents, done.unknown, done.selections["main"].files) == (1, [], [victim["path"]])
    after = digests(output.root / "selections" / "main" / "clean")
    assert {path for path in before if before[path] != after.get(path)} == {victim["path"].removeprefix("clean/")}
    left = clean_rows(output)
    assert [row["id"] for row in left] == [row["id"] for row in rows if row["id"] != victim["id"]]
    assert facts(output)[victim["id"]]["outcome"] == "removed"
    entries = [
        file for files in read_json(output.selection("main") / "manifest.json")["files"].values() for file in files
    ]
    (entry,) = [file for file in entries if file["path"] == victim["path"]]
    told = sum(run["rows"] for run in entry["runs"]), sum(run["characters"] for run in entry["runs"])
    mine = [row for row in left if row["path"] == victim["path"]]
    assert told == (len(mine), sum(row["character_count"] for row in mine)) == (entry["rows"], entry["characters"])
    assert sum(file["rows"] for file in entries) == len(rows) - 1
    mix = read_json(output.selection("main") / "mixtures" / "default.json")
    assert sum(total["documents"] for total in mix["totals"].values()) == sum(
        file["rows"] for file in entries if file["split"] == "train"
    )
    audit(output, "main")


def test_no_url_of_what_was_taken_out_is_left_but_in_annotated_and_inputs(output: Output) -> None:
    victim = clean_rows(output)[0]
    remove(output, {"url": [victim["url"]]})
    (record,) = (output.root / "take_downs").glob("*.json")
    assert victim["url"] not in record.read_text()
    for path in (output.root / "selections").rglob("*.parquet"):
        table = pq.read_table(path)
        assert "url" not in table.column_names or victim["url"] not in table["url"].to_pylist(), path
    for path in (output.root / "selections").rglob("*.*"):
        assert path.suffix not in (".json", ".html", ".md") or victim["url"] not in path.read_text(), path
    assert list((output.root / "selections").glob("*~1")) == []


def test_a_domain_goes_with_all_below_it_and_nothing_else(output: Output) -> None:
    rows = clean_rows(output)
    domains = Counter(registered_domain(host_of(row["url"])) for row in rows)
    domain = domains.most_common(1)[0][0]
    remove(output, {"domain": [domain.upper()]})
    left = clean_rows(output)
    assert len(left) == len(rows) - domains[domain] > 0
    assert domain not in {registered_domain(host_of(row["url"])) for row in left}
    assert {row["outcome"] for row in facts(output).values()} >= {"removed", "kept", "duplicate"}
    audit(output, "main")


def test_a_host_goes_with_its_own_hosts_and_not_with_the_rest_of_its_domain(tmp_path: Path) -> None:
    hosts = ["example.org", "news.example.org", "a.news.example.org", "oldnews.example.org", "xn--bcher-kva.example"]
    pages = [conversion_record(f"https://{one}/page", f"A page of {one}. " * 9, f"<urn:test:{one}>") for one in hosts]
    write_records(tmp_path / "hosts.warc.wet.gz", pages)
    layout = run(RunConfig(inputs=(str(tmp_path / "hosts.warc.wet.gz"),), output=str(tmp_path / "output")))
    remove(layout, {"domain": ["news.example.org", "b\u00fccher.example"]})
    gone = {row["id"][10:-1] for row in read_decisions(layout, "main").to_pylist() if row["outcome"] == "removed"}
    assert gone == {"news.example.org", "a.news.example.org", "xn--bcher-kva.example"}


def test_what_no_record_has_is_named_and_changes_nothing(output: Output) -> None:
    before = digests(output.root)
    done = remove(output, {"url": ["https://never.invalid/seen"], "domain": ["never.invalid"], "id": ["<urn:no>"]})
    assert done.unknown == ["https://never.invalid/seen", "never.invalid", "<urn:no>"]
    assert digests(output.root) == before
    with pytest.raises(InputError, match="no url"):
        remove(output, {"url": ["urls.txt"]})
    with pytest.raises(ConfigError, match="no selection strict; there are main"):
        remove(output, {"id": ["<urn:no>"]}, ["strict"])


def cluster_with_passing_members(layout: Output) -> tuple[str, list[str]]:
    """A kept document and the other members of its cluster that pass."""
    rows = facts(layout)
    members: dict[str, list[str]] = {}
    for row in rows.values():
        if row["outcome"] == "duplicate":
            members.setdefault(row["kept_document"], []).append(row["id"])
    return next((one, others) for one, others in sorted(members.items()) if rows[one]["outcome"] == "kept" and others)


def test_a_representative_is_replaced_only_on_request_and_its_cluster_is_listed(output: Output) -> None:
    victim, others = cluster_with_passing_members(output)
    told = remove(output, {"id": [victim.strip("<>")]}, dry_run=True).selections["main"]
    assert told.orphans[0].kept_document == victim
    assert told.orphans[0].count >= len(others) > 0
    assert {one["outcome"] for one in told.orphans[0].others} <= {"duplicate", "failed_rules"}
    assert {one["id"] for one in told.orphans[0].others} & set(others)
    kept = {row["id"] for row in clean_rows(output)}
    remove(output, {"id": [victim]})
    assert {row["id"] for row in clean_rows(output)} == kept - {victim}
    done = remove(output, {"id": [victim]}, keep_another=True)
    (heir,) = {row["id"] for row in clean_rows(output)} - kept
    assert heir in others
    assert done.selections["main"].replacements == 1
    rows = facts(output)
    assert {rows[one]["kept_document"] for one in others} == {heir}
    assert rows[victim]["outcome"] == "removed"
    audit(output, "main")


@pytest.mark.parametrize("keep_another", [False, True])
def test_a_selection_made_afterwards_is_the_same_as_the_one_rewritten(
    keep_another: bool, output: Output, config: RunConfig
) -> None:
    def named(selection: str) -> RunConfig:  # a file a language: another cut has other files, too
        settings = config.model_dump() | {"output": str(output.root), "selection": selection, "select": {}}
        return RunConfig.model_validate(settings)

    reselect(named("rewritten"), output, {})
    victim, _ = cluster_with_passing_members(output)
    others = [row["id"] for row in facts(output).values() if row["outcome"] != "kept"][::20]
    remove(output, {"id": [victim, *others]}, keep_another=keep_another)
    before = digests(output.selection("rewritten"))
    reselect(named("again"), output, {})
    again = digests(output.selection("again"))
    data = {path for path in before if path.endswith(".parquet")}
    assert len(data) > 20
    assert {path for path in data if before[path] != again.get(path)} == set()
    manifests = [read_json(output.selection(name) / "manifest.json") for name in ("rewritten", "again")]
    assert manifests[0] | {"selection": "again"} == manifests[1]
    reselect(named("rewritten"), output, {})  # not made again, since it is what would be made
    assert not (output.root / "selections" / "rewritten~1").exists()


def changes_until_killed(layout: Output, victim: str, moment: int) -> bool:
    """Take a document out in a fork that dies before the moment-th change; whether it died."""
    process = os.fork()
    if process == 0:
        import sys

        seen = 0

        def watch(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal seen
            if event in ("os.rename", "os.remove", "shutil.rmtree", "os.link") and str(layout.root) in str(
                arguments[0]
            ):
                seen += 1
                if seen == moment:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(watch)
        try:
            remove(layout, {"id": [victim]}, keep_another=True)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(process, 0)[1])


def test_a_removal_killed_before_a_change_is_finished_by_the_same_command(many_files: Output, tmp_path: Path) -> None:
    victim, _ = cluster_with_passing_members(many_files)
    whole = Output(tmp_path / "whole")
    shutil.copytree(many_files.root, whole.root)
    remove(whole, {"id": [victim]}, keep_another=True)
    wanted = digests(whole.root)
    caught = 0
    for moment in range(1, 60, 3):
        layout = Output(tmp_path / f"killed-{moment}")
        shutil.copytree(many_files.root, layout.root)
        died = changes_until_killed(layout, victim, moment)
        if died and (layout.root / "take_downs").exists() and list((layout.root / "take_downs").glob("*.json")):
            try:
                audit(layout, "main")
            except AuditError:
                caught += 1
        remove(layout, {"id": [victim]}, keep_another=True)
        assert digests(layout.root) == wanted, moment
        shutil.rmtree(layout.root)
        if not died:
            break
    assert moment > 10
    assert caught > 2


def test_purge_empties_the_text_in_annotated_and_nothing_else(output: Output, config: RunConfig) -> None:
    victim = clean_rows(output)[0]
    before = {shard: pq.read_table(output.annotated(shard)) for shard in output.shards()}
    done = remove(output, {"id": [victim["id"]]}, purge=True)
    (shard,) = done.purged
    table = pq.read_table(output.annotated(shard))
    place = table["id"].to_pylist().index(victim["id"])
    assert table["text"][place].as_py() == ""
    other = [row for row in range(table.num_rows) if row != place]
    assert table.take(other).equals(before[shard].take(other))
    assert table.drop_columns(["text"]).equals(before[shard].drop_columns(["text"]))
    assert all(pq.read_table(output.annotated(one)).equals(before[one]) for one in before if one != shard)
    audit(output, "main")
    kept = {row["id"] for row in clean_rows(output)}
    reselect(config.model_copy(update={"output": str(output.root)}), output, {})
    assert {row["id"] for row in clean_rows(output)} == kept
    text = victim["text"].encode()
    assert [path for path in output.root.rglob("*") if path.is_file() and text in path.read_bytes()] == []


def test_requests_are_known_by_their_hashes_in_any_writing() -> None:
    assert request_of("domain", "b\u00fccher.example") != request_of("domain", "bucher.example")
    assert set(request_of("domain", "xn--bcher-kva.example").digests) <= set(
        request_of("domain", "b\u00fccher.example").digests
    )
    assert request_of("id", "<urn:a>") == request_of("id", "urn:a")
    one, two = request_of("url", "http://a.example/1"), request_of("url", "http://a.example/2")
    assert name_of([one, two], False) == name_of([two, one], False) != name_of([one, two], True)
    assert one.digests == (hashlib.sha256(b"a.example/1").hexdigest(),)
