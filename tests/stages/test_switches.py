"""The switches that recipes turn: what each changes in the rows of annotate, and what it leaves alone."""

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.config.dependencies import annotate_state
from pipeline.config.reading import load_run_config
from pipeline.config.run_settings import RunConfig
from pipeline.errors import ConfigError
from pipeline.schema.columns import METRIC, PAYLOAD, RECORD, schema
from pipeline.stages.contract import StageContext, apply
from pipeline.stages.extract_text import ExtractText
from pipeline.stages.find_edits import FindEdits
from pipeline.stages.identify_language import IdentifyLanguage
from pipeline.stages.measure_quality import MeasureQuality
from pipeline.stages.score_perplexity import ScorePerplexity
from pipeline.stages.sign_documents import SignDocuments
from pipeline.text.edits import apply_edits
from pipeline.text.main_text.extractors import extract_utf8
from pipeline.text.perplexity import MODELS

ENGLISH = "The committee will meet again next week to discuss the plans, and everybody may come and listen to it."
GERMAN = "Der Ausschuss trifft sich nächste Woche wieder, um die Pläne zu besprechen, und jeder darf zuhören."
RUSSIAN = "Комитет снова соберётся на следующей неделе, чтобы обсудить планы, и каждый может прийти послушать."
HINDI = "समिति अगले सप्ताह योजनाओं पर चर्चा करने के लिए फिर से मिलेगी और कोई भी आकर सुन सकता है।"
THAI = "คณะกรรมการจะประชุมอีกครั้งในสัปดาห์หน้าเพื่อหารือเกี่ยวกับแผนงาน และใครก็ตามสามารถมาฟังได้"
TEXTS = [ENGLISH, GERMAN, RUSSIAN, HINDI, THAI]


def identified(config: RunConfig, texts: list[str]) -> pa.Table:
    """The rows of pages with these texts, after extraction and language identification."""
    rows = [
        {
            "id": f"<urn:uuid:{number}>",
            "warc_type": "response",
            "content_type": "text/html; charset=utf-8",
            "payload": f"<html><body><article><p>{text}</p></article></body></html>".encode(),
        }
        for number, text in enumerate(texts)
    ]
    table = pa.Table.from_pylist(rows, schema=schema(RECORD, PAYLOAD).append(pa.field("drop_reason", pa.string())))
    context = StageContext(config, lambda pages: map(extract_utf8, pages))
    return apply(IdentifyLanguage.build(context), apply(ExtractText.build(context), table))


def annotated(config: RunConfig, texts: list[str]) -> pa.Table:
    """The same, measured."""
    context = StageContext(config, lambda pages: map(extract_utf8, pages))
    table = identified(config, texts)
    for stage in (MeasureQuality, FindEdits, SignDocuments):
        table = apply(stage.build(context), table)
    return table


def config_with(**switches: Any) -> RunConfig:
    return load_run_config(None, switches)


def test_the_gate_takes_its_language_and_gives_the_rows_its_label_and_score() -> None:
    plain = identified(config_with(), TEXTS)
    gated = identified(config_with(lid={"gate": {"label": "eng_Latn", "min_score": 0.65}}), TEXTS)
    assert gated["drop_reason"].to_pylist() == ["language_gate", None, None, None, None]
    for name in ("label", "language_score"):
        assert gated[name].to_pylist() == plain[name].to_pylist()
    assert gated["language_score"].to_pylist()[0] > 0.65


def test_the_gate_asks_for_more_than_its_score() -> None:
    score = identified(config_with(), [ENGLISH])["language_score"].to_pylist()[0]
    for least, reason in ((score, None), (score - 0.0001, "language_gate")):
        table = identified(config_with(lid={"gate": {"label": "eng_Latn", "min_score": least}}), [ENGLISH])
        assert table["drop_reason"].to_pylist() == [reason]


@pytest.mark.parametrize("gate", [{"label": "English", "min_score": 0.65}, {"label": "eng_Latn"}])
def test_a_gate_without_label_or_score_is_a_config_error(gate: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"lid\.gate"):
        config_with(lid={"gate": gate})


DAMAGED = [text.replace("</", "").encode().decode("latin-1") for text in TEXTS[1:4]]


def test_repair_before_the_metrics_gives_good_text_to_everything() -> None:
    table = annotated(config_with(extract={"repair": "before"}), DAMAGED)
    assert table["text"].to_pylist() == table["measured_text"].to_pylist() == TEXTS[1:4]
    assert table["encoding_repaired"].to_pylist() == [True] * 3


def test_repair_after_the_metrics_measures_the_damage_and_writes_good_text() -> None:
    after = annotated(config_with(extract={"repair": "after"}), DAMAGED)
    off = annotated(config_with(extract={"repair": "off"}), DAMAGED)
    assert after["text"].to_pylist() == TEXTS[1:4]
    assert after["encoding_repaired"].to_pylist() == [True] * 3
    measured = ["label", "language_score", "bands", "exact_hash", *METRIC]
    assert after.select(measured) == off.select(measured)
    assert off["text"].to_pylist() == off["measured_text"].to_pylist() == after["measured_text"].to_pylist()
    assert off["encoding_repaired"].to_pylist() == [False] * 3


def test_spans_lie_in_the_text_that_is_written() -> None:
    # with the damage, the address stands further right than without it
    page = (GERMAN + " a@b.de").encode().decode("latin-1")
    table = annotated(config_with(extract={"repair": "after"}), [page])
    names = ("edit_starts", "edit_ends", "edit_texts")
    edits = zip(*(table[name].to_pylist()[0] for name in names), strict=True)
    assert apply_edits(table["text"].to_pylist()[0], list(edits)) == GERMAN + " email@example.com"


@pytest.mark.parametrize("text", TEXTS)
def test_refining_before_signing_makes_texts_equal_that_differ_in_an_address_only(text: str) -> None:
    texts = [f"{text} a@b.de", f"{text} c@d.org"]
    for when, hashes in (("at_write", 2), ("before_signing", 1)):
        table = annotated(config_with(refine=when), texts)
        assert len(set(table["exact_hash"].to_pylist())) == hashes
        assert table["measured_text"].to_pylist() == texts


@pytest.mark.parametrize(
    "switch",
    [
        {"lid": {"gate": {"label": "eng_Latn", "min_score": 0.65}}},
        {"extract": {"repair": "after"}},
        {"refine": "before_signing"},
        {"refinements": ["footer"]},
        {"segmenter": "whitespace"},
    ],
)
def test_every_switch_is_in_the_fingerprint_of_annotate(switch: dict[str, Any]) -> None:
    assert annotate_state(config_with(**switch)) != annotate_state(config_with())


def test_the_segmenter_of_the_config_counts_the_words() -> None:
    by_icu, by_space = (annotated(config_with(segmenter=name), [THAI]) for name in ("icu", "whitespace"))
    assert by_space["segment_count"].to_pylist() == [2]
    assert by_icu["segment_count"].to_pylist()[0] > 10


def test_models_are_kept_from_shard_to_shard_and_a_model_that_was_trained_again_is_another(tmp_path: Path) -> None:
    context = StageContext(load_run_config(None), lambda pages: map(extract_utf8, pages))
    assert IdentifyLanguage.build(context).identifier is IdentifyLanguage.build(context).identifier
    folder = tmp_path / "spa_Latn"
    shutil.copytree(MODELS / "spa_Latn", folder)
    context = replace(context, config=load_run_config(None, {"models": str(tmp_path)}))
    first = ScorePerplexity.build(context).models["spa_Latn"]
    assert ScorePerplexity.build(context).models["spa_Latn"] is first
    os.utime(folder / "calibration.json", ns=(1, 1))
    assert ScorePerplexity.build(context).models["spa_Latn"] is not first
