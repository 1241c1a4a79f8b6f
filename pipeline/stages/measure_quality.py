"""text -> every metric, MinHash signature and edits: words are split once and shared by all three."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import pyarrow as pa

from pipeline.config.language_files import load_language_config
from pipeline.config.run_settings import RunConfig
from pipeline.dedup.minhash import SignatureScheme, sign_documents
from pipeline.kernels.hashing import hash64
from pipeline.schema.columns import EDITS, LANGUAGE, MEASURED, METRIC, RECORD, SIGNATURE, TEXT, schema
from pipeline.stages.contract import add_columns
from pipeline.text.edits import apply_edits, find_edits
from pipeline.text.metrics.contract import WordLists, measure
from pipeline.text.metrics.view import TextView
from pipeline.text.urls import host_of, normalize_url, registered_domain
from pipeline.text.words.segmenters import segment_all
from pipeline.text.words.words import Words

CHUNK_CHARACTERS = 32_768


@lru_cache(maxsize=256)
def _lists(label: str, folder: str) -> WordLists:
    language = load_language_config(label, Path(folder) if folder else None)
    return WordLists(frozenset(language.stop_words), frozenset(language.flagged_words))


class MeasureQuality:
    """All metrics of METRICS; decisions come later, from the stored values."""

    name = "measure_quality"
    reads = schema(
        {"text": TEXT["text"], "label": LANGUAGE["label"], "id": RECORD["id"], "url": RECORD["url"]}, MEASURED
    )
    adds = schema(METRIC, SIGNATURE, EDITS)

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        dedup = config.dedup
        self.scheme = SignatureScheme(dedup.bands, dedup.rows, dedup.shingle_size, dedup.seed, dedup.shingle_unit)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Never drops a row. Spans lie in `text`; the signature is of it as refined or of what was measured."""
        columns: dict[str, list[object]] = {field.name: [] for field in self.adds}
        signatures = sign_documents(self._words(table, columns), self.scheme)
        for row in range(table.num_rows):
            signed = bool(signatures.has_shingles[row])
            columns["bands"].append(signatures.bands[row].astype("<u8").tobytes() if signed else b"")
            columns["minima"].append(signatures.minima[row].tobytes() if signed else b"")
            columns["exact_hash"].append(int(signatures.exact[row]) or None)
        for record_id, url in zip(table["id"].to_pylist(), table["url"].to_pylist(), strict=True):
            normal = normalize_url(url or "")
            columns["id_hash"].append(hash64(record_id))
            columns["url_hash"].append(hash64(normal) if normal else None)
            columns["domain_hash"].append(hash64(registered_domain(host_of(url or ""))))
        return add_columns(table, self.adds, columns, [None] * table.num_rows)

    def _words(self, table: pa.Table, columns: dict[str, list[object]]) -> Iterator[Words]:
        """The words to be signed, of some documents at a time; appends metrics and edits to the columns meanwhile."""
        config = self.config
        texts, measured, labels = (table[name].to_pylist() for name in ("text", "measured_text", "label"))
        for first, last in _chunks(measured):
            words = segment_all(measured[first:last], labels[first:last], config.segmenter)
            signed = 0  # texts of the chunk whose words have been given
            for place, view in enumerate(TextView.of_all(measured[first:last], words)):
                text, label = texts[first + place], labels[first + place]
                for name, value in measure(view, _lists(label, config.language_configs)).items():
                    columns[name].append(value)
                edits = find_edits(text, config.refinements)
                columns["edit_starts"].append([edit[0] for edit in edits])
                columns["edit_ends"].append([edit[1] for edit in edits])
                columns["edit_texts"].append([edit[2] for edit in edits])
                if edits and config.refine == "before_signing":
                    yield words.texts(signed, place)
                    yield segment_all([apply_edits(text, edits)], [label], config.segmenter)
                    signed = place + 1
            yield words.texts(signed, last - first)


def _chunks(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """First and behind the last of texts that are looked at together: few enough characters to stay in the cache."""
    first = size = 0
    for place, text in enumerate(texts):
        if place > first and size + len(text) > CHUNK_CHARACTERS:
            yield first, place
            first, size = place, 0
        size += len(text)
    if texts:
        yield first, len(texts)
