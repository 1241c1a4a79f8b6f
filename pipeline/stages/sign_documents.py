"""words, id and URL -> MinHash signature and hashes, from which duplicates are found without reading a text again."""

from collections.abc import Iterator

import pyarrow as pa

from pipeline.config.run_settings import RunConfig
from pipeline.dedup.minhash import SignatureScheme, sign_documents
from pipeline.kernels.hashing import hash64
from pipeline.schema.columns import EDITS, LANGUAGE, MEASURED, RECORD, SIGNATURE, TEXT, schema
from pipeline.stages.contract import StageContext, add_columns
from pipeline.stages.shared_words import split_words
from pipeline.text.edits import apply_edits
from pipeline.text.urls import host_of, normalize_url, registered_domain
from pipeline.text.words.segmenters import segment_all
from pipeline.text.words.words import Words


class SignDocuments:
    """Signs the words of each document: of the text as it was measured, or as it will be written."""

    name = "sign_documents"
    reads = schema(
        {"id": RECORD["id"], "url": RECORD["url"], "text": TEXT["text"], "label": LANGUAGE["label"]}, EDITS, MEASURED
    )
    adds = schema(SIGNATURE)

    def __init__(self, scheme: SignatureScheme, segmenter: str, edits_come_first: bool) -> None:
        self.scheme = scheme
        self.segmenter = segmenter
        self.edits_come_first = edits_come_first

    @classmethod
    def build(cls, context: StageContext) -> "SignDocuments":
        """See StageClass.build."""
        config: RunConfig = context.config
        dedup = config.dedup
        scheme = SignatureScheme(dedup.bands, dedup.rows, dedup.shingle_size, dedup.seed, dedup.shingle_unit)
        return cls(scheme, config.segmenter, config.refine == "before_signing")

    def __call__(self, table: pa.Table) -> pa.Table:
        """Never drops a row."""
        columns: dict[str, list[object]] = {name: [] for name in SIGNATURE}
        signatures = sign_documents(self._words(table), self.scheme)
        for row in range(table.num_rows):
            is_signed = bool(signatures.has_shingles[row])
            columns["bands"].append(signatures.bands[row].astype("<u8").tobytes() if is_signed else b"")
            columns["minima"].append(signatures.minima[row].tobytes() if is_signed else b"")
            columns["exact_hash"].append(int(signatures.exact[row]) or None)
        for record_id, url in zip(table["id"].to_pylist(), table["url"].to_pylist(), strict=True):
            normal = normalize_url(url or "")
            columns["id_hash"].append(hash64(record_id))
            columns["url_hash"].append(hash64(normal) if normal else None)
            columns["domain_hash"].append(hash64(registered_domain(host_of(url or ""))))
        return add_columns(table, self.adds, columns)

    def _words(self, table: pa.Table) -> Iterator[Words]:
        """The words that are signed, of some documents at a time. A text that edits change is split again alone."""
        labels = table["label"].to_pylist()
        chunks = split_words(table["measured_text"].to_pylist(), labels, self.segmenter)
        if not self.edits_come_first:
            for chunk in chunks:
                yield chunk.words
            return
        texts = table["text"].to_pylist()
        edits = list(zip(*(table[name].to_pylist() for name in EDITS), strict=True))
        for chunk in chunks:
            signed = 0  # texts of the chunk whose words have been given
            for number, row in enumerate(range(chunk.first, chunk.end)):
                starts, ends, replacements = edits[row]
                if starts:
                    yield chunk.words.texts(signed, number)
                    edited = apply_edits(texts[row], list(zip(starts, ends, replacements, strict=True)))
                    yield segment_all([edited], [labels[row]], self.segmenter)
                    signed = number + 1
            yield chunk.words.texts(signed, chunk.end - chunk.first)
