"""An output folder as an object: what was planned, what is done, and the manifests that say so."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from pipeline.config.run_settings import RunConfig
from pipeline.errors import FormatError, InputError
from pipeline.execution.commit import read_json, read_manifest
from pipeline.execution.storage import check_reachable, locate_output
from pipeline.output.layout import Layout, shard_name
from pipeline.schema.manifests import OUTPUT_FORMAT, RunPlan, SelectionManifest, ShardManifest


@dataclass(frozen=True)
class Output(Layout):
    """The paths of an output folder, and what its files say. Nothing is cached: a run changes its plan as it goes."""

    @classmethod
    def open(cls, folder: str) -> "Output":
        """The output of a run at a path or URL.

        Raises InputError where no run has begun there, FormatError where another version wrote it.
        """
        location = locate_output(folder)
        check_reachable(location)
        output = cls(location)
        if not output.run.exists():
            raise InputError(f"{folder}: no run.json there; give the output folder of a `glotmill run`")
        output.check_format()
        return output

    def written_format(self) -> Any:
        """The format that run.json says it was written in: OUTPUT_FORMAT if this version can read the output."""
        plan = read_json(self.run)
        return plan.get("format", 1) if isinstance(plan, dict) else None

    def check_format(self) -> None:
        """Raises FormatError where run.json was written in another format than this version writes."""
        written = self.written_format()
        if written != OUTPUT_FORMAT:
            raise FormatError(
                f"{self.root}: was written in output format {written}, and this version reads and writes format "
                f"{OUTPUT_FORMAT}; run again into another folder, or delete this one, or use the version that wrote it"
            )

    @property
    def plan(self) -> RunPlan:
        """What run.json says now."""
        return read_manifest(self.run, RunPlan)

    def config(self, **changes: Any) -> RunConfig:
        """The config of the run with its output here, and with changes of top-level settings."""
        return RunConfig.model_validate(self.plan.config | {"output": str(self.root)} | changes)

    def missing(self) -> list[str]:
        """Shards of the plan that are quarantined, as the end of annotate found them."""
        return self.plan.missing

    def shards(self) -> list[str]:
        """Shards of the plan, in plan order, that are annotated and not quarantined."""
        plan = self.plan
        missing = set(plan.missing)
        names = [name for path in plan.inputs if (name := shard_name(path)) not in missing]
        ended = plan.shard_group_count is not None
        return names if ended else [name for name in names if self.annotated_manifest(name).exists()]

    def unfinished(self) -> list[str]:
        """Shards of the plan that are neither annotated nor quarantined: annotate has not ended."""
        known = {*self.shards(), *self.missing()}
        return [name for path in self.plan.inputs if (name := shard_name(path)) not in known]

    def manifests(self) -> list[ShardManifest]:
        """The manifests of the annotated shards in plan order: gathered ones once annotate has ended."""
        count = self.plan.shard_group_count
        if count is None:
            return [read_manifest(self.annotated_manifest(shard), ShardManifest) for shard in self.shards()]
        return [manifest for number in range(count) for manifest in self.group_manifests(number)]

    def group_manifests(self, shard_group: int) -> list[ShardManifest]:
        """The manifests of a shard group, which annotate gathers in one file."""
        return msgspec.json.decode(self.shard_group_manifest(shard_group).read_bytes(), type=list[ShardManifest])

    def selections(self) -> Iterator[str]:
        """The names of the finished selections."""
        from pipeline.execution.storage import names

        for name in names(self.root / "selections"):
            if (self.selection(name) / "manifest.json").exists():
                yield name

    def selection_manifest(self, name: str) -> SelectionManifest:
        """The manifest of a selection. Raises InputError, which names those that are there, where it is not."""
        path = self.selection(name) / "manifest.json"
        if not path.exists():
            there = ", ".join(sorted(self.selections())) or "none"
            raise InputError(f"{self.root}: no selection {name} (there: {there}); `glotmill select` makes one")
        return read_manifest(path, SelectionManifest)
