"""What a run may choose about deduplication: bands and rows from a threshold, the unit of shingles, exact only."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasketch import MinHashLSH

from pipeline.config.reading import load_run_config
from pipeline.config.run_settings import RunConfig
from pipeline.dedup.minhash import SignatureScheme, bands_and_rows, sign_documents
from pipeline.errors import ConfigError
from pipeline.operations.run import run
from pipeline.output.decisions import read_decisions
from tests.make_warc import conversion_record, write_records

STORY = "the boats came back with the tide and all the people walked down to the water before noon"
WORDS = STORY.split()


@pytest.mark.parametrize("threshold", [0.5, 0.72, 0.8, 0.95])
def test_a_threshold_chooses_as_datasketch_does(threshold: float) -> None:
    index = MinHashLSH(threshold=threshold, num_perm=112)
    assert bands_and_rows(threshold) == (index.b, index.r)
    dedup = load_run_config(None, {"dedup": {"threshold": threshold}}).dedup
    assert (dedup.bands, dedup.rows) == (index.b, index.r)
    assert dedup.bands * dedup.rows <= 112


def test_a_resolved_config_with_a_threshold_is_read_again_as_it_is() -> None:
    config = load_run_config(None, {"dedup": {"threshold": 0.8}})
    assert RunConfig.model_validate(config.model_dump(mode="json")) == config


def test_a_threshold_beside_other_bands_is_refused_with_both_named() -> None:
    with pytest.raises(ConfigError, match=r"threshold = 0.8 chooses bands = 9 and rows = 12, but bands = 20 stands"):
        load_run_config(None, {"dedup": {"threshold": 0.8, "bands": 20}})
    with pytest.raises(ConfigError, match="greater than or equal to 0.1"):
        load_run_config(None, {"dedup": {"threshold": 0}})


def test_shingles_of_characters_are_those_of_the_text_without_punctuation() -> None:
    scheme = SignatureScheme(shingle_unit="character", shingle_size=9)
    signatures = sign_documents([WORDS, [*WORDS, "!"], ["".join(WORDS)], ["eight", "cs"], ["nine", "char"]], scheme)
    assert np.array_equal(signatures.minima[0], signatures.minima[1])
    assert np.mean(signatures.minima[0] == signatures.minima[2]) < 0.1  # spaces count
    assert signatures.has_shingles.tolist() == [True, True, True, False, True]
    assert scheme.name == "affine64-14x8-c9-seed1-v1"
    with pytest.raises(ConfigError, match="shingle_unit = 'line'"):
        SignatureScheme(shingle_unit="line")


def test_a_changed_letter_costs_fewer_shingles_of_characters_than_of_words() -> None:
    changed = ["boots" if word == "boats" else word for word in WORDS]
    alike = []
    for unit in ("word", "character"):
        signed = sign_documents([WORDS, changed], SignatureScheme(shingle_unit=unit))
        alike.append(float(np.mean(signed.minima[0] == signed.minima[1])))
    assert alike[0] < alike[1]


def test_words_as_unit_change_neither_the_fingerprint_nor_the_name_of_earlier_runs() -> None:
    plain, characters = (load_run_config(None, {"dedup": {"shingle_unit": unit}}) for unit in ("word", "character"))
    assert "shingle_unit" not in plain.annotate_settings()["scheme"]
    assert characters.annotate_settings()["scheme"]["shingle_unit"] == "character"


@pytest.mark.parametrize(("method", "sizes"), [("minhash", {3: 3, 1: 1}), ("exact", {2: 2, 1: 2})])
@pytest.mark.parametrize("large_group_rows", [1, 1_000_000])
def test_the_exact_method_joins_only_the_same_words(
    method: str, sizes: dict[int, int], large_group_rows: int, tmp_path: Path
) -> None:
    story = " ".join(f"{word} and the {other}" for word in WORDS for other in WORDS[:6])
    pages = {"one": story, "same": story + "!", "near": story + " It was a good day.", "other": " ".join(WORDS * 3)}
    records = [
        conversion_record(f"https://a.example/{name}", text, f"<urn:test:{name}>") for name, text in pages.items()
    ]
    write_records(tmp_path / "pages.warc.wet.gz", records)
    settings: dict[str, Any] = {
        "inputs": [str(tmp_path / "pages.warc.wet.gz")],
        "output": str(tmp_path / "output"),
        "dedup": {"method": method, "eligible": "all", "large_group_rows": large_group_rows},
        "select": {"rules": False},
    }
    rows = read_decisions(run(RunConfig.model_validate(settings)), "main").to_pylist()
    assert Counter(row["minhash_cluster_size"] for row in rows) == sizes
