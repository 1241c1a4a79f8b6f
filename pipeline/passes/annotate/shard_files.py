"""The two files of a shard, documents and dropped records, as they are written: in sorted runs of bounded size."""

from contextlib import ExitStack
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.execution.commit import committed, names_full_storage
from pipeline.output.layout import Layout
from pipeline.passes.annotate.accounts import RecordAccounts
from pipeline.schema.columns import DROPPED

ROW_GROUP_ROWS = 10_000
ORDER = [("group", "ascending"), ("label", "ascending"), ("warc_offset", "ascending"), ("id", "ascending")]


class ShardFiles:
    """Writes annotated/<shard>.parquet and dropped/<shard>.parquet, which become visible together when the block ends.

    Documents are sorted within runs, so that a group of labels stands together; `accounts` counts what is written.
    """

    def __init__(self, layout: Layout, shard: str, schema: pa.Schema, accounts: RecordAccounts) -> None:
        self.accounts = accounts
        self._schema = schema
        self._open_files = ExitStack()
        self._writers = ExitStack()
        self._kept: list[pa.Table] = []
        self._dropped: list[pa.Table] = []
        self._rows = self._bytes = 0
        self.documents_path = self._open_files.enter_context(committed(layout.annotated(shard)))
        self.dropped_path = self._open_files.enter_context(committed(layout.dropped(shard)))
        self._documents = self._writers.enter_context(
            pq.ParquetWriter(self.documents_path, schema, compression="zstd", write_page_index=True)
        )
        self._losses = self._writers.enter_context(pq.ParquetWriter(self.dropped_path, DROPPED, compression="zstd"))

    def __enter__(self) -> "ShardFiles":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._open_files:
            self._writers.__exit__(kind, error, trace)
            if error is not None:
                self._open_files.__exit__(kind, error, trace)

    def close(self) -> None:
        """End both Parquet files; they are complete, and not visible yet."""
        self._writers.close()

    def keep(self, table: pa.Table) -> None:
        """Documents, which wait until a run is written."""
        self._kept.append(table)
        self._rows += table.num_rows
        self._bytes += table.nbytes

    def drop(self, table: pa.Table) -> None:
        """Rows with a drop reason, of which the columns of dropped/ are kept, null where they are not known yet."""
        if not table.num_rows:
            return
        self.accounts.reasons.update(table["drop_reason"].to_pylist())
        columns = [
            table[field.name] if field.name in table.column_names else pa.nulls(table.num_rows, field.type)
            for field in DROPPED
        ]
        self._dropped.append(pa.table(columns, schema=DROPPED))

    def is_full(self, rows: int, size: int) -> bool:
        """Whether as many documents, or bytes of them, wait as a run is to have."""
        return self._rows >= rows or self._bytes >= size

    def write_sorted_run(self) -> None:
        """Write what waits: dropped rows by their place in the input, documents as ORDER says."""
        if self._dropped:
            with names_full_storage(self._losses.where):
                self._losses.write_table(pa.concat_tables(self._dropped).sort_by("warc_offset"))
        rows = pa.concat_tables(self._kept).select(self._schema.names) if self._kept else None
        self._kept, self._dropped, self._rows, self._bytes = [], [], 0, 0
        if rows is None or not rows.num_rows:
            return
        rows = rows.sort_by(ORDER).cast(self._schema)
        self.accounts.documents += rows.num_rows
        self.accounts.labels.update(rows["label"].to_pylist())
        self.accounts.characters += sum(rows["character_count"].to_pylist())
        self.accounts.runs.append(rows.num_rows)
        with names_full_storage(self._documents.where):
            self._documents.write_table(rows, row_group_size=ROW_GROUP_ROWS)
