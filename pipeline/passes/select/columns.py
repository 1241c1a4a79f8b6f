"""Which columns the tasks of select read from each other's files."""

from pipeline.schema.metrics import HOST_BOILERPLATE

ORDER = ("minhash_cluster_size", "id_hash", "id")  # what the rows of a label are sorted by in clean/

# annotated/ -> filter
FILTER_READS = ["group", "label", "id", "url_hash", "character_count", "perplexity", "date", "language_score"]
# filter -> keep
KEEP_READS = ["id", "url_hash", "character_count", "perplexity", "date", "language_score", "failed", "removed"]
# clusters/ -> keep
CLUSTERED = ["centre_id", "size", "already_read", "is_eligible"]

# filter -> write: where a document was read, which decisions/ does not say
LOCATION = ["shard", "row", "id_hash"]
# filter -> clean/
FROM_FILTER = ["perplexity_percentile", "perplexity_bucket", HOST_BOILERPLATE, "rules_fired", "evaluation_overlap"]
# keep -> clean/
FROM_KEEP = ["outcome", "kept_document", "minhash_cluster_id", "minhash_cluster_size"]
# keep -> decisions/, from which `glotmill remove` chooses kept documents again
CLUSTER_FACTS = ["already_read", "kept_by_baseline", "url_kept_by_baseline"]
KEPT_WITH_DECISION = [
    "minhash_cluster_id",
    "minhash_cluster_size",
    "kept_document",
    "is_kept_document",
    "is_eligible",
    *CLUSTER_FACTS,
]
# annotated/ -> sample
SAMPLED = ["id", "id_hash", "url", "file_path", "warc_offset"]
