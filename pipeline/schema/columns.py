"""The data dictionary: every column, in the order in which it comes to be, with type and meaning.

`docs/reference/columns.md` is made from it.
"""

import pyarrow as pa

from pipeline.schema.outcomes import Outcome
from pipeline.text.metrics.contract import METRICS

ARROW_TYPES = {"int64": pa.int64(), "float64": pa.float64()}

RECORD: dict[str, tuple[pa.DataType, str]] = {
    "id": (pa.string(), "WARC-Record-ID, else urn:glotmill: and a sha256 of file name, offset and number"),
    "url": (pa.string(), "WARC-Target-URI"),
    "date": (pa.string(), "WARC-Date, ISO 8601"),
    "dump": (pa.string(), "crawl: isPartOf of warcinfo, else the crawl id in the path, else read.dump"),
    "file_path": (pa.string(), "input file as the plan names it"),
    "warc_offset": (pa.int64(), "byte offset of the record in the file"),
    "warc_length": (pa.int64(), "bytes of the record in the file, as compressed"),
    "warc_type": (pa.string(), "response, resource or conversion"),
    "http_status": (pa.int16(), "status of the HTTP response; null where there is none"),
    "truncated": (pa.string(), "WARC-Truncated: why the crawler cut the record; null if it did not"),
}
PAYLOAD = {
    "content_type": (pa.string(), "content type of the HTTP response or the record"),
    "payload": (pa.large_binary(), "body after transfer and content encodings are undone"),
}
METADATA = {
    "title": (pa.string(), "title as the page declares it: og:title, else the title element"),
    "published": (pa.string(), "date of publication as the page declares it, ISO 8601"),
    "author": (pa.string(), "author as the page declares it"),
    "html_lang": (pa.string(), "lang of the html element, as written"),
    "og_locale": (pa.string(), "og:locale, as written"),
    "hreflang": (pa.string(), "hreflang of the page's own address among its alternates, as written"),
}
TEXT = {
    "encoding": (pa.string(), "Python codec that the body was decoded with"),
    "encoding_source": (pa.string(), "what named the codec: bom, header, meta, utf8 or detected"),
    "encoding_repaired": (pa.bool_(), "whether encoding repair changed the text"),
    "text": (pa.large_string(), "main text as extracted and repaired, before edits are applied"),
}
# Read by the stages of annotate and not stored: it is `text`, unless repair or edits come at another moment.
MEASURED = {"measured_text": (pa.large_string(), "the text that language, metrics, signature and perplexity are of")}
LANGUAGE = {
    "label": (pa.string(), "language and script, such as tur_Latn"),
    "language": (pa.string(), "ISO 639-3"),
    "language_script": (pa.string(), "ISO 15924"),
    "language_score": (pa.float64(), "confidence of the identifier, 0 to 1"),
    "top_langs": (pa.string(), "JSON object of labels above .01 and their scores, at most 10"),
    "script": (pa.string(), "script of most letters, measured"),
    "script_fraction": (pa.float64(), "share of letters in the label's script, 0 to 1"),
    "group": (
        pa.string(),
        "what it is deduplicated with: its label, or a name that dedup.groups gives to several labels",
    ),
}
METRIC = {name: (ARROW_TYPES[metric.dtype], metric.description) for name, metric in METRICS.items()}
PERPLEXITY = {
    "perplexity": (pa.float64(), "perplexity per token, sentence ends counted, over the lines of the document"),
    "perplexity_median": (pa.float64(), "median of the lines' perplexities"),
    "perplexity_p90": (pa.float64(), "90th percentile of the lines' perplexities"),
}
SIGNATURE = {
    "id_hash": (pa.uint64(), "xxh64 of id"),
    "url_hash": (pa.uint64(), "xxh64 of the normal form of the URL; null for a bare domain"),
    "domain_hash": (pa.uint64(), "xxh64 of the registered domain"),
    "exact_hash": (pa.uint64(), "xxh64 of the normalised words; null without words; equal hashes are exact duplicates"),
    "bands": (
        pa.large_binary(),
        "digests of the bands of the MinHash signature, little-endian uint64; empty without a shingle",
    ),
    "minima": (pa.large_binary(), "minima of the MinHash signature, each modulo 256; empty without a shingle"),
}
EDITS = {
    "edit_starts": (pa.list_(pa.int32()), "starts of the edits to apply, code points of text"),
    "edit_ends": (pa.list_(pa.int32()), "their ends"),
    "edit_texts": (pa.list_(pa.string()), "their replacements"),
}


def schema(*parts: dict[str, tuple[pa.DataType, str]]) -> pa.Schema:
    """An Arrow schema of the named columns, in order."""
    return pa.schema([(name, kind) for part in parts for name, (kind, _) in part.items()])


def missing_column(wanted: pa.Schema, there: pa.Schema) -> str | None:
    """The first column of `wanted` that is not there with the same name and type, in words; None where all are.

    >>> missing_column(pa.schema([("text", pa.string())]), schema(TEXT))
    'the column text (string), which is there as large_string'
    """
    types = dict(zip(there.names, there.types, strict=True))
    for field in wanted:
        if field.name not in types:
            return f"the column {field.name} ({field.type}), which is not there"
        if types[field.name] != field.type:
            return f"the column {field.name} ({field.type}), which is there as {types[field.name]}"
    return None


def _annotated() -> pa.Schema:
    """Columns that later passes read stand together, before `text`."""
    text = dict(TEXT)
    last = {"text": text.pop("text")}
    return schema(RECORD, METADATA, text, LANGUAGE, METRIC, PERPLEXITY, SIGNATURE, EDITS, last)


ANNOTATED = _annotated()

DROP: dict[str, tuple[pa.DataType, str]] = {"drop_reason": (pa.string(), "why the record gave no document")}
_DROPPED_NAMES = (
    "id",
    "url",
    "http_status",
    "warc_type",
    "drop_reason",
    "file_path",
    "warc_offset",
    "warc_length",
    "label",
    "language_score",
)
DROPPED = schema({name: (RECORD | DROP | LANGUAGE)[name] for name in _DROPPED_NAMES})

DECISION = {
    "perplexity_percentile": (pa.float64(), "percentile of perplexity in the language's reference, 0 to 100"),
    "perplexity_bucket": (pa.string(), "head, middle or tail; null without a model"),
    "host_boilerplate_character_fraction": (
        pa.float64(),
        "share of characters in lines that repeat across the host, 0 to 1; null where boilerplate is off or cannot say",
    ),
    "removed_character_count": (pa.int64(), "clean only: code points that text lost with such lines"),
    "rules_fired": (
        pa.list_(pa.string()),
        "metrics that lie outside their interval, in the order of the rules",
    ),
    "failed": (pa.bool_(), "decisions only: at least one rule fired"),
    "outcome": (
        pa.string(),
        ", ".join(Outcome),
    ),
    "minhash_cluster_id": (pa.string(), "id of the cluster's centre"),
    "minhash_cluster_size": (pa.int64(), "members of the cluster, passing or not"),
    "is_eligible": (pa.bool_(), "whether it took part in clusters: it passed the rules that dedup.eligible names"),
    "kept_document": (pa.string(), "id of the document that stands for the cluster; null where none passes"),
    "is_kept_document": (pa.bool_(), "decisions only: stands for its cluster and its URL, even where it was taken out"),
    "split": (pa.string(), "train or test"),
    "evaluation_overlap": (
        pa.string(),
        "JSON object: evaluation set -> share of the document's words in it; null where decontamination is off",
    ),
    "removed": (pa.int8(), "decisions only: 0; 1 taken out; 2 taken out, and its cluster keeps another"),
    "already_read": (pa.bool_(), "decisions only: a record with this id was read before"),
    "kept_by_baseline": (
        pa.string(),
        "decisions only: id of the document of an earlier output that stands for the cluster",
    ),
    "url_kept_by_baseline": (pa.bool_(), "decisions only: an earlier output keeps a document of this URL"),
}

CLEAN_FIRST = [
    "text",
    "id",
    "dump",
    "url",
    "date",
    "file_path",
    "language",
    "language_script",
    "language_score",
    "top_langs",
    "minhash_cluster_size",
]
BOILERPLATE_LINES = {
    "boilerplate_starts": (pa.list_(pa.int32()), "starts of lines that repeat across the host, code points of text"),
    "boilerplate_ends": (pa.list_(pa.int32()), "their ends, newline included"),
}
CLEAN_NOT = (
    "text_bytes",
    "exact_hash",
    "bands",
    "minima",
    "id_hash",
    "url_hash",
    "domain_hash",
    "group",
    "label",
    *EDITS,
    *BOILERPLATE_LINES,
)

# In the order of the files; a test compares them with those of the demonstration.
DECISIONS = (
    "group",
    "label",
    "id",
    "url_hash",
    "character_count",
    "perplexity",
    "date",
    "language_score",
    "perplexity_percentile",
    "host_boilerplate_character_fraction",
    "perplexity_bucket",
    "rules_fired",
    "failed",
    "evaluation_overlap",
    "removed",
    "outcome",
    "minhash_cluster_id",
    "minhash_cluster_size",
    "kept_document",
    "is_kept_document",
    "is_eligible",
    "already_read",
    "kept_by_baseline",
    "url_kept_by_baseline",
)
CLEAN_LAST = (
    "outcome",
    "kept_document",
    "minhash_cluster_id",
    "perplexity_percentile",
    "perplexity_bucket",
    "host_boilerplate_character_fraction",
    "rules_fired",
    "evaluation_overlap",
    "removed_character_count",
    "split",
)
CLEAN = (
    *CLEAN_FIRST,
    *(name for name in ANNOTATED.names if name not in CLEAN_FIRST and name not in CLEAN_NOT),
    *CLEAN_LAST,
)
