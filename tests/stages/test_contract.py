"""One suite for all row-local stages: schema, rows and order, split invariance, empty table, determinism, pickling."""

import pickle
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pytest

from pipeline import plan
from pipeline.config.run_settings import RunConfig
from pipeline.errors import SchemaError
from pipeline.schema.columns import PAYLOAD, RECORD, schema
from pipeline.stages.contract import StageContext, apply
from pipeline.text.main_text import Utf8
from pipeline.text.main_text.extractors import Extraction, extract_utf8

CONFIG = RunConfig()
SENTENCES = {
    "rus": "Все люди рождаются свободными и равными в своём достоинстве и правах. Они наделены разумом и совестью.",
    "ara": "يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق. وقد وهبوا عقلًا وضميرًا.",
    "hin": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।",
    "tha": "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ ต่างมีเหตุผลและมโนธรรม",
    "khm": "មនុស្សទាំងអស់ កើតមកមានសេរីភាព និងសមភាព ក្នុងផ្នែកសេចក្ដីថ្លៃថ្នូរនិងសិទ្ធិ។",
    "zho": "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。",
    "jpn": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "kor": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
    "amh": "የሰው ልጅ ሁሉ ሲወለድ ነጻና በክብርና በመብትም እኩልነት ያለው ነው።",
    "deu": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft begabt.",
}


def pages() -> pa.Table:
    """A page in each of ten scripts, and an empty, a markup-only and an undecodable one."""
    bodies = [f"<html><body><article><p>{text}</p></article></body></html>".encode() for text in SENTENCES.values()]
    bodies += [b"", b"<html><body></body></html>", b"plain words without markup"]
    rows = [
        {
            "id": f"<urn:uuid:{number}>",
            "url": f"https://site.example/{number}",
            "warc_type": "response",
            "file_path": "made.warc.gz",
            "warc_offset": number,
            "warc_length": len(body),
            "content_type": "text/html; charset=utf-8",
            "payload": body,
        }
        for number, body in enumerate(bodies)
    ]
    return pa.Table.from_pylist(rows, schema=schema(RECORD, PAYLOAD).append(pa.field("drop_reason", pa.string())))


def in_process(texts: Iterable[Utf8]) -> Iterator[Extraction]:
    """Extraction without the sandbox."""
    return map(extract_utf8, texts)


def kept(table: pa.Table) -> pa.Table:
    """The rows without drop reason."""
    return table.filter(table["drop_reason"].is_null())


CONTEXT = StageContext(CONFIG, in_process)
STAGES = {stage.name: stage for stage in plan.STAGES}


@pytest.fixture(scope="module")
def inputs() -> dict[str, pa.Table]:
    """What each stage gets when the stages run in order."""
    table = pages()
    tables = {}
    for name, stage in STAGES.items():
        tables[name] = kept(table)
        table = apply(stage.build(CONTEXT), tables[name])
    return tables


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_keeps_rows_and_order_and_adds_its_columns(name: str, inputs: dict[str, pa.Table]) -> None:
    stage = STAGES[name].build(CONTEXT)
    result = apply(stage, inputs[name])
    assert stage.name == name
    assert result["id"].to_pylist() == inputs[name]["id"].to_pylist()
    added = [one for one in result.column_names if one not in inputs[name].column_names]
    assert added == stage.adds.names


@pytest.mark.parametrize("name", STAGES)
def test_splitting_a_table_does_not_change_the_result(name: str, inputs: dict[str, pa.Table]) -> None:
    stage = STAGES[name].build(CONTEXT)
    whole = stage(inputs[name])
    halves = pa.concat_tables([stage(inputs[name].slice(0, 4)), stage(inputs[name].slice(4))])
    assert whole.to_pylist() == halves.to_pylist()


@pytest.mark.parametrize("name", STAGES)
def test_an_empty_table_gives_an_empty_table_with_the_same_schema(name: str, inputs: dict[str, pa.Table]) -> None:
    stage = STAGES[name].build(CONTEXT)
    result = apply(stage, inputs[name].slice(0, 0))
    assert result.num_rows == 0
    assert result.schema == stage(inputs[name]).schema


@pytest.mark.parametrize("name", [name for name in STAGES if name != "extract_text"])  # it has a child process
def test_a_pickled_stage_gives_the_same_rows(name: str, inputs: dict[str, pa.Table]) -> None:
    stage = STAGES[name].build(CONTEXT)
    expected = stage(inputs[name]).to_pylist()
    assert pickle.loads(pickle.dumps(stage))(inputs[name]).to_pylist() == expected


def test_ten_scripts_get_their_labels(inputs: dict[str, pa.Table]) -> None:
    labels = inputs["measure_quality"]["label"].to_pylist()
    assert [label[:3] for label in labels] == list(SENTENCES)


def test_pages_without_text_are_dropped_with_their_reason() -> None:
    result = apply(STAGES["extract_text"].build(CONTEXT), pages())
    assert result["drop_reason"].to_pylist()[-3:] == ["empty_body", "no_text", "body_not_html"]


def test_a_missing_column_is_named() -> None:
    with pytest.raises(SchemaError, match="extract_text reads the column payload .*, which is not there"):
        apply(STAGES["extract_text"].build(CONTEXT), pages().drop_columns(["payload"]))


def pages_with_fault(fault: str, error_type: str | None = None) -> pa.Table:
    """The rows of pages, each of which the extractor refuses with a fault."""
    context = StageContext(CONFIG, lambda pages: (Extraction(fault=fault, error_type=error_type) for _ in pages))
    return apply(STAGES["extract_text"].build(context), pages().slice(0, 2))


@pytest.mark.parametrize("fault", ["no_main_text", "parser_error", "cpu_limit", "memory_limit", "killed"])
def test_a_fault_of_the_extractor_is_the_drop_reason(fault: str) -> None:
    assert pages_with_fault(fault)["drop_reason"].to_pylist() == [fault, fault]


def test_a_fault_that_is_no_drop_reason_is_an_error_that_names_it() -> None:
    with pytest.raises(ValueError, match="'parser_error_ValueError' is not a valid DropReason"):
        pages_with_fault("parser_error_ValueError")


def test_the_type_of_the_error_behind_a_parser_error_is_logged_with_the_id(caplog: pytest.LogCaptureFixture) -> None:
    pages_with_fault("parser_error", "RecursionError")
    assert [record.getMessage() for record in caplog.records] == [
        f"record <urn:uuid:{number}>: the extractor failed with RecursionError" for number in range(2)
    ]
