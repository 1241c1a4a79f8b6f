"""remove: documents taken out of finished selections by id, URL or domain, and kept out of every later one.

The record of what was asked (`take_downs/`) is written first. It has hashes only, so that it names nobody. Then each
selection is brought to the state that the records ask for. The same command again finishes one that was interrupted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.config.fingerprint import fingerprint
from pipeline.errors import ConfigError, InputError
from pipeline.execution.commit import read_manifest
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
    """What a command did, or would do."""

    documents: int
    dropped: int  # records that had been dropped anyway
    unknown: list[str]  # words that no record has
    selections: dict[str, SelectionTakeDown]
    purged: list[str] = field(default_factory=list)  # shards


def remove(
    output: Output,
    words: Mapping[Kind, Sequence[str]],
    selections: Sequence[str] | None = None,
    keep_another: bool = False,
    purge: bool = False,
    dry_run: bool = False,
) -> TakeDownReport:
    """Take out every document with one of these ids, URLs (in their normal form) or domains.

    `selections` are the ones to rewrite now, all by default; the record concerns later ones, too. With `keep_another`
    a cluster whose kept document is taken out keeps another one. `purge` also empties the text in annotated/. Raises
    InputError for a word that is none of its kind, ConfigError for a selection that is not there or that was made over
    other shards.
    """
    if not output.document_index_manifest.exists():
        raise ConfigError(
            f"{output.root}: no document_index/ yet; `glotmill run` makes it once all shards are annotated"
        )
    requests = {request_of(kind, word): word for kind, of_kind in words.items() for word in of_kind}
    shard_groups = read_manifest(output.document_index_manifest, DocumentIndexManifest).shard_groups
    with sole_run(output.root):
        chosen = _selections_to_rewrite(output, selections, fingerprint(shard_groups))
        all_matches = [
            match for number, shards in enumerate(shard_groups) for match in matches(output, number, shards, requests)
        ]
        digests = {match.digest for match in all_matches}
        rows = {match.place for match in all_matches}
        report = TakeDownReport(
            documents=sum(not row.dropped for row in rows),
            dropped=sum(row.dropped for row in rows),
            unknown=[word for request, word in requests.items() if not digests.intersection(request.digests)],
            selections={name: describe(output, name, shard_groups, all_matches) for name in chosen},
        )
        if dry_run:
            return report
        taking = _requests_of_documents(requests, all_matches)
        if taking:
            save(output, taking, keep_another)
        for name, take_down in report.selections.items():
            carry_out(output, name, shard_groups, take_down)
        for name in names(output.root / "selections") if taking else ():
            if name.endswith((REPLACED, UNFINISHED)):  # they hold the text, too
                remove_tree(output.root / "selections" / name)
        if purge:
            report.purged = purge_texts(output, shard_groups)
        return report


def _requests_of_documents(
    requests: Mapping[TakeDownRequest, str], all_matches: Sequence[Match]
) -> list[TakeDownRequest]:
    """The requests that some document matches, not only dropped records."""
    digests = {match.digest for match in all_matches if not match.place.dropped}
    return [request for request in requests if digests.intersection(request.digests)]


def _selections_to_rewrite(output: Output, wanted: Sequence[str] | None, shards: str) -> list[str]:
    """The selections that are wanted, all by default. Raises ConfigError where one is absent or of other shards."""
    finished = [name for name in output.selections() if not name.endswith((REPLACED, UNFINISHED))]
    if unknown := [name for name in wanted or [] if name not in finished]:
        raise ConfigError(
            f"{output.root}: no selection {', '.join(unknown)}; there are {', '.join(finished) or 'none'}"
        )
    for name in wanted or finished:
        try:
            is_current = output.selection_manifest(name).shards == shards
        except InputError:  # of another version
            is_current = False
        if not is_current:
            raise ConfigError(
                f"{output.selection(name)}: made over other shards than document_index/ has, or by another version; "
                f"make it again with `glotmill select --selection {name}`, or delete it"
            )
    return list(wanted or finished)
