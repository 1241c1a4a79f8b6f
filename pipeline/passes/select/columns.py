"""Which columns the tasks of select read from each other."""

from pipeline.rules.histogram import HOST_BOILERPLATE

ORDER = ("minhash_cluster_size", "id_hash", "id")  # of the rows of a label
FILTER_READS = ["group", "label", "id", "url_hash", "character_count", "perplexity", "date", "language_score"]
FROM_KEEP = ["outcome", "kept_document", "minhash_cluster_id", "minhash_cluster_size"]
FROM_DECISION = ["perplexity_percentile", "perplexity_bucket", HOST_BOILERPLATE, "rules_fired", "evaluation_overlap"]
PLACE = ["shard", "row", "id_hash"]  # not in decisions/
FACTS_OF_CLUSTER = ["already_read", "kept_by_baseline", "url_kept_by_baseline"]
KEPT_WITH_DECISION = [
    "minhash_cluster_id",
    "minhash_cluster_size",
    "kept_document",
    "is_kept_document",
    "is_eligible",
    *FACTS_OF_CLUSTER,
]
KEEP_READS = ["id", "url_hash", "character_count", "perplexity", "date", "language_score", "failed", "removed"]
CLUSTERED = ["centre_id", "size", "already_read", "is_eligible"]
SAMPLED = ["id", "id_hash", "url", "file_path", "warc_offset"]
