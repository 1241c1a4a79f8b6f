"""Which columns the tasks of select read from each other."""

from pipeline.rules.histogram import HOST_BOILERPLATE

ORDER = ("minhash_cluster_size", "id_hash", "id")  # of the rows of a label
DECIDED_FROM = ["group", "label", "id", "url_hash", "character_count", "perplexity", "date", "language_score"]
FROM_ELECTION = ["fate", "representative", "minhash_cluster_id", "minhash_cluster_size"]
FROM_DECISION = ["perplexity_percentile", "perplexity_bucket", HOST_BOILERPLATE, "rules_fired", "evaluation_overlap"]
PLACE = ["shard", "row", "id_hash"]  # not in decisions/
FACTS_OF_CLUSTER = ["already_read", "held_by", "url_held"]
KEPT_WITH_DECISION = [
    "minhash_cluster_id",
    "minhash_cluster_size",
    "representative",
    "elected",
    "in_population",
    *FACTS_OF_CLUSTER,
]
TO_ELECT = ["id", "url_hash", "character_count", "perplexity", "date", "language_score", "failed", "removed"]
CLUSTERED = ["leader_id", "size", "already_read", "in_population"]
SAMPLED = ["id", "id_hash", "url", "file_path", "warc_offset"]
