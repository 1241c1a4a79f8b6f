"""explain lists a document's rules in the order in which default.toml explains them."""

import pyarrow.parquet as pq

from pipeline.config.language_files import load_language_config
from pipeline.operations.explain import explain
from pipeline.output.output import Output


def test_rules_come_in_the_order_of_the_default_file(demo: Output) -> None:
    table = pq.read_table(demo.annotated(demo.shards()[0]), columns=["id", "label"])
    row = next(row for row in table.to_pylist() if row["label"] == "pol_Latn")
    shown = [rule.metric for rule in explain(demo, "main", row["id"])[0].rules]
    assert shown[:3] == ["language_score", "script_fraction", "word_count"]
    assert shown == list(load_language_config("pol_Latn").active_rules())
