from dataclasses import dataclass, field

from pipeline.config.fingerprint import fingerprint
from pipeline.errors import ConfigError
from pipeline.execution.commit import read_json, read_manifest
from pipeline.execution.lock import sole_run
from pipeline.execution.storage import names, remove_tree
from pipeline.operations.clean_up import REPLACED, UNFINISHED
from pipeline.operations.remove.carry_out import carry_out
from pipeline.operations.remove.describe import SelectionTakeDown, describe
from pipeline.operations.remove.purge import purge_texts
from pipeline.output.document_index import Kind
from pipeline.output.output import Output
from pipeline.output.take_downs import Match, matches, request_of, save
from pipeline.schema.manifests import DocumentIndexManifest, TakeDownRequest


@dataclass
class TakeDownReport:
    """What a command did."""

    documents: int
    dropped: int  # records that had been dropped anyway
    unknown: list[str]  # words that no record has
    selections: dict[str, SelectionTakeDown]
    purged: list[str] = field(default_factory=list)  # shards


def remove(
    layout: Output,
    words: dict[Kind, list[str]],
    selections: list[str] | None = None,
    keep_another: bool = False,
    purge: bool = False,
    dry_run: bool = False,
) -> TakeDownReport:
    """Take out every document with one of these ids, URLs (in their normal form) or domains.

    `selections` are the ones to rewrite now, all by default; the record concerns later ones, too. With `keep_another`
    the clusters of what is taken out keep another kept document. `purge` also empties the text in annotated/. Raises
    InputError for a word that is none of its kind, ConfigError for a selection that is not there or that was made over
    other shards.
    """
    if not layout.document_index_manifest.exists():
        raise ConfigError(
            f"{layout.root}: no document_index/ yet; `glotmill run` makes it once all shards are annotated"
        )
    requests = {request_of(kind, word): word for kind, found in words.items() for word in found}
    grouped = read_manifest(layout.document_index_manifest, DocumentIndexManifest).shard_groups
    with sole_run(layout.root):
        chosen = _chosen(layout, selections, fingerprint(grouped))
        found = [match for number, shards in enumerate(grouped) for match in matches(layout, number, shards, requests)]
        hits = {match.digest for match in found}
        places = {match.place for match in found}
        outcome = TakeDownReport(
            documents=sum(not place.dropped for place in places),
            dropped=sum(place.dropped for place in places),
            unknown=[word for request, word in requests.items() if not hits.intersection(request.digests)],
            selections={name: describe(layout, name, grouped, found) for name in chosen},
        )
        if dry_run:
            return outcome
        taking = _of_documents(requests, found)
        if taking:
            save(layout, taking, keep_another)
        for name, told in outcome.selections.items():
            carry_out(layout, name, grouped, told)
        for name in names(layout.root / "selections") if taking else ():
            if name.endswith((REPLACED, UNFINISHED)):  # they hold the text, too
                remove_tree(layout.root / "selections" / name)
        if purge:
            outcome.purged = purge_texts(layout, grouped)
        return outcome


def _of_documents(requests: dict[TakeDownRequest, str], found: list[Match]) -> list[TakeDownRequest]:
    digests = {match.digest for match in found if not match.place.dropped}
    return [request for request in requests if digests.intersection(request.digests)]


def _chosen(layout: Output, wanted: list[str] | None, shards: str) -> list[str]:
    folder = layout.root / "selections"
    there = [name for name in names(folder) if (folder / name / "manifest.json").exists()]
    there = [name for name in there if not name.endswith((REPLACED, UNFINISHED))]
    if unknown := [name for name in wanted or [] if name not in there]:
        raise ConfigError(f"{layout.root}: no selection {', '.join(unknown)}; there are {', '.join(there) or 'none'}")
    for name in wanted or there:
        manifest = read_json(folder / name / "manifest.json")
        if manifest.get("shards") != shards or "boilerplate" not in manifest:
            raise ConfigError(
                f"{folder / name}: made over other shards than document_index/ has, or by an older version; make it "
                f"again with `glotmill select --selection {name}`, or delete it"
            )
    return wanted or there
