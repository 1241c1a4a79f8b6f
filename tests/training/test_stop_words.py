"""Stop words are derived again from the same text as the lists that are shipped."""

from pathlib import Path

import pytest

from pipeline.config.reading import LANGUAGE_CONFIGS
from pipeline.training.stop_words import main

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.mark.skipif(not (DATA / "text_ref").is_dir(), reason="shared data are absent")
@pytest.mark.parametrize("label", ["tur_Latn", "khm_Khmr"])
def test_the_shipped_list_is_derived_again_byte_for_byte(label: str, tmp_path: Path) -> None:
    main([str(DATA / "text_ref"), str(DATA / "udhr" / "udhr.jsonl.gz"), "--labels", label, "--output", str(tmp_path)])
    name = f"{label}.txt"
    assert (tmp_path / name).read_bytes() == (LANGUAGE_CONFIGS / "stop_words" / name).read_bytes()
