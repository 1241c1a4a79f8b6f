"""Lines that repeat across the documents of a host are found in any script, counted once a cluster, and left out."""

import shutil
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipeline.config.run_settings import RunConfig
from pipeline.dedup.lines import line_ranges, normalise_lines
from pipeline.errors import AuditError, ConfigError
from pipeline.execution.commit import read_json, read_manifest, write_json, write_manifest
from pipeline.execution.executors.inline import InlineExecutor
from pipeline.operations.clean_up import clean_up, leftovers
from pipeline.operations.explain import explain
from pipeline.operations.remove.remove import remove
from pipeline.operations.run import reselect, run
from pipeline.operations.tune import metric_quantiles, removal_by_threshold, removal_from_histogram
from pipeline.output.decisions import read_decisions
from pipeline.output.output import Output
from pipeline.passes.audit import audit
from pipeline.passes.boilerplate.boilerplate import BoilerplateSettings, find_boilerplate
from pipeline.passes.boilerplate.count import KeyCounts, whole_keys
from pipeline.schema.manifests import BoilerplateIndex, BoilerplateTotals, ClusterGroup, ClusterIndex
from pipeline.text.edits import apply_edits, with_removed
from tests.make_warc import conversion_record, record_id_of, warcinfo_record, write_records
from tests.planted import BETWEEN_WORDS, vocabulary

METRIC = "host_boilerplate_character_fraction"
LABELS = (
    "eng_Latn", "rus_Cyrl", "arb_Arab", "hin_Deva", "tha_Thai", "khm_Khmr", "cmn_Hani", "jpn_Jpan", "kor_Hang",
    "amh_Ethi",
)  # fmt: skip
DEVANAGARI_DIGITS = str.maketrans("0123456789", "".join(chr(0x966 + digit) for digit in range(10)))
ON = {"enabled": True, "remove": True}
Lines = list[tuple[str, bool]]  # and whether each repeats across the host


def drawn(label: str, words: int, *seed: int) -> str:
    """Random words of a language, as they stand in a line."""
    known = vocabulary(label)
    rng = np.random.default_rng([LABELS.index(label), *seed])
    return BETWEEN_WORDS.get(label, " ").join(known[place] for place in rng.integers(0, len(known), words))


def pages_of_hosts() -> dict[str, Lines]:
    """URL -> lines. Each language has a host of four pages with a menu, a notice and an address on each.

    Two of the four have another writing of the notice and of the host: neither two are enough by themselves.
    """
    pages: dict[str, Lines] = {}
    for number, label in enumerate(LABELS):
        for page in range(4):
            notice = f"{drawn(label, 6, 2)} {page * 37} {drawn(label, 3, 3)}"
            if page % 2:  # the same line in another writing
                notice = unicodedata.normalize("NFD", notice.upper().replace(" ", " \t ").translate(DEVANAGARI_DIGITS))
            pages[f"http://{'www.' * (page % 2)}host-{number}.example/{page}"] = [
                (drawn(label, 4, 1), True),
                (drawn(label, 40, 4, page), False),
                (f"{drawn(label, 20, 5, page)} someone-{page}@mail.test {drawn(label, 20, 6, page)}", False),
                (notice, True),
                (drawn(label, 40, 7, page), False),
                (f"{drawn(label, 3, 8)} office@host-{number}.test 8.8.4.4", True),
            ]
    menu = drawn("eng_Latn", 5, 20)
    pages |= {f"http://copies.example/{copy}": [(menu, True), *copied()] for copy in range(4)}
    for page in range(2):
        pages[f"http://copies.example/other-{page}"] = [(menu, True), (drawn("eng_Latn", 60, 22, page), False)]
    pages["http://copies.example/menu"] = [(menu, True), (menu, True)]
    for page in range(2):
        pages[f"http://two.example/{page}"] = [(menu, False), (drawn("eng_Latn", 60, 23, page), False)]
    pages["urn:no-host:1"] = [(menu, False), (drawn("eng_Latn", 60, 24), False)]
    return pages


def copied() -> Lines:
    """Of a page that is known under four URLs."""
    return [(drawn("eng_Latn", 50, 21, line), False) for line in range(3)]


PAGES = pages_of_hosts()


@pytest.fixture(scope="module")
def config() -> RunConfig:
    settings: dict[str, Any] = {"select": {"rules": False}, "dedup": {"eligible": "all"}, "boilerplate": ON}
    return RunConfig.model_validate(settings | {"perplexity": False, "lid": {"min_score": 0.0}})


@pytest.fixture(scope="module")
def made(config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Output:
    """A run over the pages in three files."""
    folder = tmp_path_factory.mktemp("host-lines")
    files: list[list[bytes]] = [[], [], []]
    for number, (url, lines) in enumerate(PAGES.items()):
        text = "\n".join(line for line, _ in lines)
        files[number % 3].append(conversion_record(url, text, record_id_of(url)))
    for number, records in enumerate(files):
        write_records(folder / f"{number}.warc.wet.gz", [warcinfo_record(f"{number}"), *records])
    values = {"inputs": (str(folder / "*.warc.wet.gz"),), "output": str(folder / "out")}
    return run(RunConfig.model_validate(config.model_dump() | values))


@pytest.fixture
def output(made: Output, tmp_path: Path) -> Output:
    """A copy of the run, to be changed."""
    assert isinstance(made.root, Path)
    return Output(shutil.copytree(made.root, tmp_path / "out"))


def again(layout: Output, config: RunConfig, rules: dict[str, Any] | None = None, **settings: Any) -> None:
    values = config.model_dump()
    for key, value in settings.items():
        values[key] = values[key] | value
    reselect(RunConfig.model_validate(values | {"output": str(layout.root)}), layout, {"rules": rules or {}})


def clean(layout: Output, name: str = "main") -> dict[str, dict[str, Any]]:
    folder = layout.selection(name)
    files = [file["path"] for of in read_json(folder / "manifest.json")["files"].values() for file in of]
    return {row["url"]: row for path in files for row in pq.read_table(folder / path).to_pylist()}


def stored(layout: Output) -> dict[str, str]:
    tables = [pq.read_table(layout.annotated(shard), columns=["url", "text"]) for shard in layout.shards()]
    return {row["url"]: row["text"] for row in pa.concat_tables(tables).to_pylist()}


def written(layout: Output, folder: str) -> dict[str, int]:
    """When each file below a folder was written."""
    assert isinstance(layout.root, Path)
    return {str(path): path.stat().st_mtime_ns for path in (layout.root / folder).rglob("*") if path.is_file()}


# ---- What is found ---------------------------------------------------------------------------------------


def test_what_a_site_prints_on_each_page_is_left_out_in_every_script_and_nothing_else_changes(made: Output) -> None:
    texts, rows = stored(made), clean(made)
    assert len(rows) == len(PAGES) - 4  # three copies, and a page that is all menu
    for url, row in rows.items():
        lines = texts[url].split("\n")
        assert len(lines) == len(PAGES[url])
        left = [line for line, (_, repeats) in zip(lines, PAGES[url], strict=True) if not repeats]
        masked = [line.replace(f"someone-{url[-1]}@mail.test", "email@example.com") for line in left]
        assert row["text"] == "\n".join(masked), url
        assert row["character_count"] == len(row["text"])
        loss = len(texts[url]) - len("\n".join(left))
        assert abs(row["removed_character_count"] - loss) <= len("email@example.com")  # an address goes as masked
        spans = [len(line.strip()) for line in lines]
        share = sum(n for n, (_, repeats) in zip(spans, PAGES[url], strict=True) if repeats) / sum(spans)
        known = url.startswith("http") and "two" not in url
        assert row[METRIC] == (round(share, 4) if known else None)


def test_pages_of_one_cluster_count_once_and_of_the_others_the_same_is_said(made: Output) -> None:
    tables = [pq.read_table(made.annotated(shard), columns=["url", "text"]) for shard in made.shards()]
    marks = [pq.read_table(made.boilerplate(shard)) for shard in made.shards()]
    rows = {
        row["url"]: row | mark
        for table, mark_table in zip(tables, marks, strict=True)
        for row, mark in zip(table.to_pylist(), mark_table.to_pylist(), strict=True)
    }
    copies = [rows[f"http://copies.example/{number}"] for number in range(4)]
    assert len({one["text"] for one in copies}) == 1
    for one in copies:  # also of those in another file than the one that counts
        assert (one["boilerplate_starts"], one["boilerplate_ends"]) == ([0], [one["text"].index("\n") + 1])


def test_equal_texts_that_are_not_eligible_count_once_too(output: Output, config: RunConfig) -> None:
    eligible = {"eligible": "above_language_floor"}
    again(output, config, {"language_score": {"min": 1.1}}, dedup=eligible, select={"rules": True})
    decisions = [
        row for row in read_decisions(output, "main").to_pylist() if row["id"] == record_id_of("http://two.example/0")
    ]
    assert [row["is_eligible"] for row in decisions] == [False]
    for copy in range(4):
        (explanation,) = explain(output, "main", f"http://copies.example/{copy}")
        assert explanation.decision["minhash_cluster_size"] == 1
        assert explanation.boilerplate == [drawn("eng_Latn", 5, 20)]


def test_a_page_that_is_all_menu_is_empty_after_refinement(made: Output) -> None:
    (explanation,) = explain(made, "main", "http://copies.example/menu")
    assert (explanation.decision["outcome"], explanation.decision[METRIC]) == ("empty_after_edits", 1.0)
    assert explanation.boilerplate is not None
    assert len(explanation.boilerplate) == 2


def test_lines_without_a_letter_take_no_part() -> None:
    text = "* * *\n12.5 %\n\N{DEVANAGARI DIGIT FOUR}2\n| |\n\nx\u00b2 = 4\n\N{ETHIOPIC SYLLABLE HA}"
    assert normalise_lines(text) == ["", "", "", "", "", "x\u00b2 = 0", "\N{ETHIOPIC SYLLABLE HA}"]


@given(st.text(alphabet="aB\u0130\u03a3\u00df\u0301\u0345\n\r\t\x0b\x85\u2028 1\u0664\ufb03\uac00\u1112\u1161\u11ab"))
def test_lines_are_the_same_whether_normalised_together_or_alone(text: str) -> None:
    lines = text.split("\n")
    assert normalise_lines(text) == [normalise_lines(line)[0] for line in lines]
    assert [text[start:end].removesuffix("\n") for start, end in line_ranges(text)] == lines
    assert "".join(text[start:end] for start, end in line_ranges(text)) == text


# ---- Work and settings -----------------------------------------------------------------------------------


def totals_of(layout: Output) -> dict[str, BoilerplateTotals]:
    """Totals of boilerplate by label."""
    return read_manifest(layout.boilerplate_index, BoilerplateIndex).totals


def digests(layout: Output) -> dict[str, bytes]:
    """What boilerplate made of each shard, and clean/."""
    folder = layout.selection("main")
    paths = [file["path"] for of in read_json(folder / "manifest.json")["files"].values() for file in of]
    files = {str(path): (folder / path).read_bytes() for path in paths}
    return files | {shard: layout.boilerplate(shard).read_bytes() for shard in layout.shards()}


def test_shard_groups_runs_and_ranges_of_any_size_give_the_same_bytes(
    made: Output, output: Output, config: RunConfig
) -> None:
    cuts = {"shard_group_size": 1, "large_group_rows": 10}
    again(output, config, dedup=cuts, select={"run_bytes": 4_000, "merge_files": 2})
    assert digests(output) == digests(made)
    assert totals_of(output) == totals_of(made)
    histograms = [one.selection("main") / "histograms.parquet" for one in (output, made)]
    assert pq.read_table(histograms[0]).equals(pq.read_table(histograms[1]))
    assert not output.boilerplate_scratch.exists()
    audit(output, "main")


def test_a_setting_invalidates_boilerplate_and_select_and_nothing_before(output: Output, config: RunConfig) -> None:
    before = [
        {folder: written(output, folder) for folder in folders}
        for folders in (
            ("annotated", "signatures", "clusters", "document_index", "histograms"),
            ("boilerplate/counts",),
        )
    ]
    marks, stripped = written(output, "boilerplate"), clean(output)
    again(output, config, boilerplate={"remove": False})
    assert written(output, "boilerplate") == marks
    assert {row["removed_character_count"] for row in clean(output).values()} == {0}
    unstripped = clean(output)
    for url, row in stripped.items():
        assert row["character_count"] + row["removed_character_count"] == unstripped[url]["character_count"]
    again(output, config, boilerplate={"min_documents": 7})
    assert written(output, "boilerplate") != marks
    assert sum(totals.lines for totals in totals_of(output).values()) == 0
    again(output, config)
    for folders in before:
        assert {folder: written(output, folder) for folder in folders} == folders


def test_what_was_interrupted_goes_on_shard_group_by_shard_group(output: Output, config: RunConfig) -> None:
    cuts = {"shard_group_size": 1}
    again(output, config, dedup=cuts)
    whole, times = digests(output), written(output, "boilerplate")
    output.boilerplate_index.unlink()
    (output.boilerplate_totals(1)).unlink()
    again(output, config, dedup=cuts, select={"part_bytes": 2**20})
    changed = {Path(path).name for path, time in written(output, "boilerplate").items() if times[path] != time}
    assert changed == {
        f"{output.shards()[1]}.parquet",
        "shard-group-00001.json",
        "histograms-00001.parquet",
        "index.json",
    }
    assert digests(output) == whole


def test_settings_that_were_given_up_half_way_leave_nothing_behind(output: Output, config: RunConfig) -> None:
    whole, (first, second, _) = digests(output), output.shards()
    annotated = output.annotated(second)
    assert isinstance(annotated, Path)
    other = config.model_copy(update={"boilerplate": config.boilerplate.model_copy(update={"min_documents": 7})})
    hidden = annotated.rename(annotated.with_suffix(".hidden"))
    with pytest.raises(RuntimeError, match="mark_shard_group 0 failed"):
        find_boilerplate(BoilerplateSettings.of(other), output, InlineExecutor())
    hidden.rename(annotated)
    assert output.boilerplate(first).read_bytes() != whole[first]
    assert explain(output, "main", "http://copies.example/menu")[0].boilerplate is None
    find_boilerplate(BoilerplateSettings.of(config), output, InlineExecutor())
    assert digests(output) == whole
    assert len(explain(output, "main", "http://copies.example/menu")[0].boilerplate or []) == 2


def test_gc_deletes_what_a_pass_that_was_interrupted_left(output: Output) -> None:
    assert leftovers(output) == []
    write_json(output.host_hashes(0), "half")
    (found,) = clean_up(output)
    assert found.reason == "of a search for boilerplate that was not finished"
    assert not output.boilerplate_scratch.exists()


def test_with_the_pass_off_nothing_of_it_is_used_and_a_rule_on_it_is_refused(
    output: Output, made: Output, config: RunConfig
) -> None:
    off = {"enabled": False, "remove": False}
    again(output, config, boilerplate=off)
    assert read_json(output.selection("main") / "manifest.json")["boilerplate"] is None
    for row in clean(output).values():
        assert (row[METRIC], row["removed_character_count"]) == (None, 0)
    left_over = digests(output)
    shutil.rmtree(str(output.root / "boilerplate"))
    again(output, config, boilerplate=off, select={"part_bytes": 2**20})
    assert {path: digest for path, digest in left_over.items() if path.endswith(".parquet")}.items() <= {
        **{str(path): (output.selection("main") / path).read_bytes() for path in left_over if path.startswith("clean")}
    }.items()
    with pytest.raises(ConfigError, match=rf"--set: rules\.{METRIC}: is measured with boilerplate\.enabled = true"):
        again(output, config, {METRIC: {"max": 0.5}}, boilerplate=off)
    with pytest.raises(ValueError, match="remove = true: nothing is looked for; set enabled = true"):
        RunConfig.model_validate({"boilerplate": {"remove": True}})


def test_a_rule_on_the_metric_decides_and_is_explained(output: Output, config: RunConfig) -> None:
    rules = {METRIC: {"max": {"percentile": 80}}}
    select = {"rules": True, "percentile_documents": 3}
    again(output, config, rules, select=select, boilerplate={"remove": False})
    url = "http://copies.example/menu"
    (explanation,) = explain(output, "main", url)
    (rule,) = [rule for rule in explanation.rules if rule.metric == METRIC]
    assert (rule.value, rule.fired, explanation.decision["outcome"]) == (1.0, True, "failed_rules")
    assert rule.max is not None
    assert 0 < rule.max < 1
    label = explanation.record["label"]
    (quantiles,) = [one for one in metric_quantiles(output, label) if one.metric == METRIC]
    assert quantiles.values[-1] == 1.0
    exact = removal_by_threshold(output, label, METRIC, "max", [0.75])
    (ranged,) = removal_from_histogram(output, label, METRIC, "max", [0.75])
    assert (ranged.at_least, ranged.at_most) == (exact[0].removed,) * 2 == (1, 1)
    assert METRIC in (output.selection("main") / "report" / "index.html").read_text(encoding="utf-8")


def test_a_rule_on_the_metric_has_no_say_in_who_is_eligible(output: Output, config: RunConfig) -> None:
    found = []
    for highest in (0.5, 0.1):
        again(output, config, {METRIC: {"max": highest}}, dedup={"eligible": "passing"}, select={"rules": True})
        found.append(read_manifest(output.cluster_index, ClusterIndex).fingerprint)
    assert found[0] == found[1]


# ---- What is told ----------------------------------------------------------------------------------------


def test_card_report_manifest_and_rows_tell_the_same_and_audit_checks_it(output: Output) -> None:
    folder = output.selection("main")
    rows = clean(output).values()
    characters = sum(row["removed_character_count"] for row in rows)
    documents = sum(row["removed_character_count"] > 0 for row in rows)
    manifest = read_json(folder / "manifest.json")
    files = [file for of in manifest["files"].values() for file in of]
    assert sum(file["removed_characters"] for file in files) == characters > 1000
    assert sum(file["removed_documents"] for file in files) == documents == 40 + 3
    assert sum(file["characters"] for file in files) == sum(len(row["text"]) for row in rows)
    for told in (folder / "README.md", folder / "report" / "index.html"):
        assert f"{characters:,}" in told.read_text(encoding="utf-8")
    totals = manifest["boilerplate"]["totals"].values()
    assert sum(one["documents"] for one in totals) == len(PAGES)
    assert sum(one["lines"] for one in totals) == sum(repeats for lines in PAGES.values() for _, repeats in lines)
    assert sum(one["with_boilerplate"] for one in totals) == 40 + 7
    assert sum(one["measured"] for one in totals) == len(PAGES) - 3
    audit(output, "main")
    files[0]["removed_characters"] += 1
    next(iter(totals))["documents"] += 1
    write_json(folder / "manifest.json", manifest)
    with pytest.raises(AuditError, match=r"looked at by boilerplate\n(?s:.*)removed_character_count in its rows"):
        audit(output, "main")


def test_boilerplate_is_removed_from_a_document_that_takes_the_place_of_another(
    output: Output, config: RunConfig
) -> None:
    (before,) = [row for url, row in clean(output).items() if url.rpartition("/")[2] in "0123" and "copies" in url]
    remove(output, {"id": [before["id"]]}, keep_another=True)
    (heir,) = [row for url, row in clean(output).items() if url.rpartition("/")[2] in "0123" and "copies" in url]
    assert heir["id"] != before["id"]
    for name in ("text", "removed_character_count", METRIC):
        assert heir[name] == before[name]
    audit(output, "main")
    values = config.model_dump() | {"selection": "other", "output": str(output.root)}
    values["boilerplate"] |= {"min_documents": 4}
    reselect(RunConfig.model_validate(values), output, {})
    assert explain(output, "main", heir["url"])[0].boilerplate is None
    with pytest.raises(ConfigError, match="boilerplate/ was made with other settings since"):
        remove(output, {"id": [heir["id"]]}, ["main"], keep_another=True)
    again(output, config)
    assert heir["id"] not in {row["id"] for row in clean(output).values()}
    audit(output, "main")


# ---- The same, naively -----------------------------------------------------------------------------------


HAN = "\u5bb6"
NAMES = {"": "", "12": "", "Home": "home", "HOME": "home", "Page 12": "page", "page 7": "page", "end": "end", HAN: HAN}


@st.composite
def crawls(draw: st.DrawFn) -> list[list[dict[str, Any]]]:
    """Files of documents on few hosts, with few different lines, in few clusters."""
    document = st.fixed_dictionaries(
        {
            "group": st.sampled_from(["a", "b"]),
            "host": st.sampled_from(["", "x", "y"]),
            "cluster": st.integers(0, 3),
            "is_eligible": st.booleans(),
            "already_read": st.booleans(),
            "lines": st.lists(st.sampled_from(sorted(NAMES)), max_size=5),
        }
    )
    return draw(st.lists(st.lists(document, max_size=8), min_size=1, max_size=3))


def lay_out(root: Path, files: Sequence[list[dict[str, Any]]], shard_group_size: int) -> Output:
    """An output folder as deduplicate leaves it."""
    layout = Output(root)
    for folder in ("annotated", "clusters"):
        (root / folder).mkdir()
    names = [f"shard-{number}" for number in range(len(files))]
    kinds = pa.schema(
        [("group", pa.string()), ("url", pa.string()), ("exact_hash", pa.uint64()), ("label", pa.string())]
    )
    for name, documents in zip(names, files, strict=True):
        rows = [
            {
                "group": one["group"],
                "url": f"http://{one['host']}/" if one["host"] else None,
                "exact_hash": one["cluster"] or None,
                "label": one["group"],
            }
            for one in documents
        ]
        texts = pa.array(["\n".join(one["lines"]) for one in documents], pa.large_string())
        table = pa.Table.from_pylist(rows, schema=kinds).append_column("text", texts)
        pq.write_table(table, layout.annotated(name), row_group_size=3)
    shard_groups = [names[start : start + shard_group_size] for start in range(0, len(names), shard_group_size)]
    groups: dict[str, ClusterGroup] = {}
    kinds = pa.schema(
        [("group", pa.string()), ("centre", pa.uint32()), ("is_eligible", pa.bool_()), ("already_read", pa.bool_())]
    )
    for task, group in enumerate("ab"):
        members = [one for documents in files for one in documents if one["group"] == group]
        if not members:
            continue
        in_shard_group = [
            sum(one["group"] == group for documents in files[start : start + shard_group_size] for one in documents)
            for start in range(0, len(files), shard_group_size)
        ]
        clusters = len({one["cluster"] for one in members})
        groups[group] = ClusterGroup(task=task, rows=in_shard_group, clusters=clusters)
        rows = [{"group": group, "centre": one["cluster"], **{n: one[n] for n in kinds.names[2:]}} for one in members]
        pq.write_table(pa.Table.from_pylist(rows, schema=kinds), layout.clusters(task))
    index = ClusterIndex(
        fingerprint="", shard_groups=shard_groups, groups=groups, overflow=0, baseline=[], baseline_rows=[]
    )
    write_manifest(layout.cluster_index, index)
    return layout


def naive(files: Sequence[list[dict[str, Any]]], least: int, share: float) -> Iterator[tuple[float | None, list[str]]]:
    """The metric of each document, and its lines that repeat: the clusters that have a line are a set."""
    documents = [one for of_file in files for one in of_file]
    having: dict[Any, set[Any]] = defaultdict(set)
    for one in documents:
        if one["host"] and not one["already_read"]:
            for name in ["the host", *(NAMES[line] for line in one["lines"])]:
                having[one["host"], name].add((one["group"], one["is_eligible"], one["cluster"]))
    for one in documents:
        of_host = len(having[one["host"], "the host"])
        enough = max(least, share * of_host)
        repeated = [line for line in one["lines"] if NAMES[line] and len(having[one["host"], NAMES[line]]) >= enough]
        characters = len("".join(one["lines"]))
        known = of_host >= least and characters > 0
        yield (round(len("".join(repeated)) / characters, 4), repeated) if known else (None, [])


@hypothesis_settings(max_examples=15)
@given(crawls(), st.integers(1, 3), st.integers(2, 3), st.sampled_from([0.0, 0.5, 0.75, 1.0]))
def test_marks_are_those_of_a_counter_of_lines_and_clusters(
    tmp_path_factory: pytest.TempPathFactory,
    files: list[list[dict[str, Any]]],
    shard_group_size: int,
    least: int,
    share: float,
) -> None:
    layout = lay_out(tmp_path_factory.mktemp("crawl"), files, shard_group_size)
    settings = {"enabled": True, "min_documents": least, "min_document_fraction": share}
    cuts = {"dedup": {"large_group_rows": 1}, "select": {"run_bytes": 500, "merge_files": 2}}
    config = RunConfig.model_validate({"boilerplate": settings} | cuts)
    find_boilerplate(BoilerplateSettings.of(config), layout, InlineExecutor())
    found = []
    for number, documents in enumerate(files):
        table = pq.read_table(layout.boilerplate(f"shard-{number}")).to_pylist()
        for one, row in zip(documents, table, strict=True):
            text = "\n".join(one["lines"])
            spans = zip(row["boilerplate_starts"], row["boilerplate_ends"], strict=True)
            found.append((row[METRIC], [text[start:end].removesuffix("\n") for start, end in spans]))
    assert found == list(naive(files, least, share))


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=12), max_size=4), st.integers(1, 3))
def test_streams_merge_to_pieces_that_split_no_key(streams: list[list[int]], size: int) -> None:
    def pieces(number: int, keys: list[int]) -> Iterator[KeyCounts]:
        for start in range(0, len(keys), size):
            part = np.array(sorted(keys)[start : start + size], np.uint64)
            yield KeyCounts(part, np.full(len(part), number, np.int32), np.ones(len(part), np.int64))

    found = list(whole_keys([pieces(number, keys) for number, keys in enumerate(streams)]))
    rows = [
        (int(key), int(shard_group))
        for piece in found
        for key, shard_group in zip(piece.key, piece.shard_group, strict=True)
    ]
    assert rows == sorted((key, number) for number, keys in enumerate(streams) for key in keys)
    assert all(before.key[-1] < after.key[0] for before, after in zip(found, found[1:], strict=False))


def test_a_duplicate_alone_in_its_shard_group_is_marked_and_does_not_count(tmp_path: Path) -> None:
    document = {"group": "a", "host": "x", "is_eligible": True, "already_read": False, "lines": ["Home", "end"]}
    files = [[document | {"cluster": number} for number in range(3)], [document | {"cluster": 0}] * 2]
    layout = lay_out(tmp_path, files, 1)
    config = RunConfig.model_validate({"boilerplate": {"enabled": True}})
    find_boilerplate(BoilerplateSettings.of(config), layout, InlineExecutor())
    assert pq.read_table(layout.boilerplate("shard-1"))["boilerplate_starts"].to_pylist() == [[0, 5], [0, 5]]
    config = RunConfig.model_validate({"boilerplate": ON | {"min_documents": 4}})
    find_boilerplate(BoilerplateSettings.of(config), layout, InlineExecutor())
    assert pq.read_table(layout.boilerplate("shard-1"))[METRIC].to_pylist() == [None, None]


def test_a_document_of_very_many_lines_and_a_host_of_very_many_documents(tmp_path: Path) -> None:
    many = [f"line {chr(0x4E00 + number % 20000)}{chr(0x4E00 + number // 20000)}" for number in range(50_000)]
    document = {"group": "a", "host": "x", "is_eligible": True, "already_read": False}
    files = [
        [document | {"cluster": 0, "lines": [*many, "Home"]}],
        [document | {"cluster": number, "lines": ["Home", f"only {chr(0x3400 + number)}"]} for number in range(1, 500)],
    ]
    layout = lay_out(tmp_path, files, 1)
    config = RunConfig.model_validate({"boilerplate": {"enabled": True}, "select": {"run_bytes": 2_000_000}})
    find_boilerplate(BoilerplateSettings.of(config), layout, InlineExecutor())
    (huge,) = pq.read_table(layout.boilerplate("shard-0")).to_pylist()
    length = sum(map(len, many)) + len(many)
    assert (huge["boilerplate_starts"], huge["boilerplate_ends"]) == ([length], [length + 4])
    assert {len(row["boilerplate_starts"]) for row in pq.read_table(layout.boilerplate("shard-1")).to_pylist()} == {1}


# ---- Spans -----------------------------------------------------------------------------------------------


@given(st.text("ab\n", min_size=1, max_size=40), st.data())
def test_lines_taken_out_leave_every_other_character_and_replacement(text: str, data: st.DataObject) -> None:
    lines = line_ranges(text)
    taken = data.draw(st.lists(st.booleans(), min_size=len(lines), max_size=len(lines)))
    masks = []
    for (start, end), _ in zip(lines, taken, strict=True):  # inside a line, as addresses are, or over its end
        first = data.draw(st.integers(start, end))
        last = data.draw(st.integers(first, end))
        if last > first:
            masks.append((first, last, data.draw(st.sampled_from(["", "X"]))))
    expected = "".join(
        apply_edits(text[start:end], [(a - start, b - start, new) for a, b, new in masks if start <= a < end])
        for (start, end), gone in zip(lines, taken, strict=True)
        if not gone
    )
    removed = [span for span, gone in zip(lines, taken, strict=True) if gone]
    assert apply_edits(text, with_removed(masks, removed)) == expected


def test_a_footer_that_begins_in_a_line_that_goes_goes_with_it() -> None:
    text = "one\ntwo\n| |\n|\nmenu\nthree"
    assert apply_edits(text, with_removed([(8, 13, "")], [(14, 19)])) == "one\ntwo\n\nthree"
    assert apply_edits(text, with_removed([(7, len(text), "")], [(4, 8), (14, 19)])) == "one\n"
