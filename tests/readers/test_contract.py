"""One suite for all readers: bytes, order, determinism, columns, empty, cut and missing files.

A reader takes part as soon as it exists, with the files of `samples/` and `tests/readers/samples/` that it recognises.
"""

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.readers import FALLBACK, read_input, reader_of, readers
from pipeline.readers.contract import InputFile, Item, OtherRecord, ReadSettings, SourceRow, UnreadableRange
from pipeline.readers.first_bytes import first_bytes
from pipeline.schema.columns import PAYLOAD, RECORD
from pipeline.schema.drop_reasons import DropReason

ROOT = Path(__file__).resolve().parents[2]
EDGE = ROOT.parent / "shared" / "data" / "warc_edge"
SAMPLES = [
    *sorted((ROOT / "samples").rglob("*.warc.*")),
    *sorted((ROOT / "tests" / "readers" / "samples").iterdir()),
]
SETTINGS = ReadSettings(max_record_bytes=2**20, dump="a crawl")


def source_of(path: Path) -> InputFile:
    return InputFile(path, path.name)


def extent(item: Item) -> tuple[int | None, int]:
    """Where an item starts, None for a record that does not say, and its bytes."""
    if isinstance(item, UnreadableRange):
        return item.start, item.end - item.start
    return (None, item.length) if isinstance(item, OtherRecord) else (item.warc_offset, item.warc_length)


def assert_bytes_are_covered(items: Iterable[Item], path: Path) -> None:
    """Items follow each other without holes or overlaps, from the first byte of the file to the last."""
    position = 0
    for item in items:
        start, length = extent(item)
        assert start in (None, position)
        assert length >= 0
        position += length
    assert position == path.stat().st_size


def samples_of(reader: str) -> list[Path]:
    return [path for path in SAMPLES if readers()[reader].recognises(first_bytes(path), path.name)]


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_one_reader_recognises_a_sample(path: Path) -> None:
    head = first_bytes(path)
    assert [name for name in readers() if readers()[name].recognises(head, path.name)] == [reader_of(head, path.name)]


@pytest.mark.parametrize("reader", readers())
def test_a_reader_accounts_for_every_byte_in_order(reader: str) -> None:
    paths = samples_of(reader)
    assert paths != [], f"put a file of the format {reader} into tests/readers/samples"
    for path in paths:
        assert_bytes_are_covered(readers()[reader].read(source_of(path), SETTINGS), path)


@pytest.mark.parametrize("reader", readers())
def test_a_file_gives_the_same_items_each_time_it_is_read(reader: str) -> None:
    for path in samples_of(reader):
        first, second = (list(readers()[reader].read(source_of(path), SETTINGS)) for _ in range(2))
        assert first == second


@pytest.mark.parametrize("reader", readers())
def test_a_row_has_a_payload_or_a_drop_reason(reader: str) -> None:
    rows = [
        item
        for path in samples_of(reader)
        for item in readers()[reader].read(source_of(path), SETTINGS)
        if isinstance(item, SourceRow)
    ]
    assert {(row.payload is None, type(row.drop_reason)) for row in rows} <= {(False, type(None)), (True, DropReason)}
    assert any(row.payload for row in rows)
    assert {row.file_path for row in rows} <= {path.name for path in SAMPLES}


@pytest.mark.parametrize("reader", readers())
def test_an_empty_file_gives_nothing(reader: str, tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    assert list(readers()[reader].read(source_of(path), SETTINGS)) == []


@pytest.mark.parametrize("reader", readers())
@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9])
def test_the_bytes_of_a_file_that_is_cut_off_are_accounted_for(reader: str, fraction: float, tmp_path: Path) -> None:
    sample = samples_of(reader)[0]
    data = sample.read_bytes()
    path = tmp_path / sample.name
    path.write_bytes(data[: int(len(data) * fraction)])
    assert_bytes_are_covered(readers()[reader].read(source_of(path), SETTINGS), path)


def test_a_row_has_the_columns_of_the_schema() -> None:
    assert [field.name for field in fields(SourceRow)] == [*RECORD, *PAYLOAD, "drop_reason"]


def test_a_file_of_no_known_format_is_an_unreadable_range(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_bytes(b"<html>not an archive</html>")
    assert list(read_input(source_of(path), SETTINGS)) == [UnreadableRange(0, 27, "unreadable")]


def test_records_behind_damage_at_the_start_of_a_file_are_read(tmp_path: Path) -> None:
    sample = samples_of(FALLBACK)[0]
    path = tmp_path / "damaged"
    path.write_bytes(b"no member at all " + sample.read_bytes())
    first, *rest = read_input(source_of(path), SETTINGS)
    assert first == UnreadableRange(0, 17, "unreadable")
    whole = list(read_input(source_of(sample), SETTINGS))
    assert [type(item) for item in rest] == [type(item) for item in whole]


def test_a_missing_file_is_an_input_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.warc\.gz: cannot be read: No such file"):
        list(read_input(source_of(tmp_path / "none.warc.gz"), SETTINGS))


@pytest.mark.skipif(not EDGE.is_dir(), reason="shared data are absent")
def test_the_bytes_of_every_odd_file_are_accounted_for() -> None:
    paths = [path for path in sorted(EDGE.iterdir()) if ".warc" in path.name or ".arc" in path.name]
    assert len(paths) >= 60
    for path in paths:
        assert_bytes_are_covered(read_input(source_of(path), SETTINGS), path)
