# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Tune the thresholds of one language
#
# Reads the metrics that a run has stored, never a WARC and never the text. `GLOTMILL_OUTPUT` names the
# output folder of a run (default `demo-output`), `GLOTMILL_LANGUAGE` the language (default `rus_Cyrl`).
# All counts are of measured documents, before deduplication.

# %%
import os

from pipeline.config.language_files import Rule, load_language_config
from pipeline.operations.tune import (
    QUANTILES,
    measured,
    metric_quantiles,
    removal_by_threshold,
    removal_from_histogram,
    what_if,
)
from pipeline.output.output import Output
from pipeline.rules.fired import rules_fired

output = Output.open(os.environ.get("GLOTMILL_OUTPUT", "demo-output"))
label = os.environ.get("GLOTMILL_LANGUAGE", "rus_Cyrl")
documents = measured(output, label)
language = load_language_config(label)
print(f"{label}: {documents.num_rows} documents, {len(language.active_rules())} rules")

# %% [markdown]
# ## How each metric is distributed
#
# A bound that lies outside the quantiles 0 and 1 removes nothing here.

# %%
print(f"{'metric':42}" + "".join(f"{quantile:>10g}" for quantile in QUANTILES))
quantiles = {of_metric.metric: of_metric for of_metric in metric_quantiles(output, label)}
for metric, of_metric in quantiles.items():
    print(f"{metric:42}" + "".join(f"{value:10g}" for value in of_metric.values))

# %% [markdown]
# ## What the rules remove now
#
# A document can fire several rules: the counts sum to more than the documents that fail.

# %%
fired, failed = rules_fired(documents, language)
print(f"{int(failed.sum())} of {documents.num_rows} documents fail")
for metric in language.active_rules():
    count = sum(metric in names for names in fired)
    alone = sum(names == [metric] for names in fired)
    if count:
        print(f"{metric:42} fires {count:4}, alone {alone:4}  [{language.origins[metric]}]")

# %% [markdown]
# ## What each rule would remove at other thresholds
#
# The present bound, and the quantiles of the metric.

# %%
for metric, rule in language.active_rules().items():
    if metric not in quantiles:
        continue
    for side, bound in (("min", rule.min), ("max", rule.max)):
        if bound is None:
            continue
        thresholds = sorted({bound, *quantiles[metric].values})
        cells = [
            f"{removal.threshold:g}{'*' if removal.threshold == bound else ''}: {removal.removed}"
            for removal in removal_by_threshold(output, label, metric, side, thresholds)
        ]
        print(f"{metric} {side} (* now)  " + "  ".join(cells))

# %% [markdown]
# ## The same, at once
#
# From the histograms that the run wrote, without reading a column: a range where the threshold lies inside a bin.

# %%
for removal in removal_from_histogram(output, label, "word_count", "min", [50, 100, 200, 300]):
    print(f"word_count min {removal.threshold:g}: {removal.at_least} to {removal.at_most} of {removal.documents}")

# %% [markdown]
# ## What if
#
# The same change on the command line:
# `glotmill select OUTPUT --selection strict --set 'rules.word_count={min=100}'`.

# %%
overrides = {"rules": {"word_count": Rule(min=100).model_dump(exclude_none=True)}}
change = what_if(output, label, overrides)
print(f"{change.failed_before} fail now, {change.failed_after} would fail")
print(f"newly failing {change.newly_failed}, newly passing {change.newly_passed}")
print(change.fired_after)
