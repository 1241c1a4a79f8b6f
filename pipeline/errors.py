"""What can go wrong, as one tree.

PipelineError
├── ConfigError    a setting is unknown, empty or contradictory: names file, key, value and what is allowed
│   └── FormatError    an output folder was written in another format: names both and the remedy
├── InputError     an input is missing or unreadable: names the path and what to do
├── ModelError     a model file is absent, truncated or of another kind
├── SchemaError    a table does not have the columns that a stage reads or adds
├── StorageError   an output cannot be written: no space, a limit, a read-only file system; not the shard's fault
├── BusyError      another run works on the output folder
├── MissingError   shards are quarantined and --accept-missing was not given: exit code 3
└── AuditError     the accounts do not agree: something was lost or counted twice
"""


class PipelineError(Exception):
    """Base of every error that Glotmill raises on purpose; its text is meant for the user."""


class ConfigError(PipelineError):
    """A setting is unknown, empty or contradictory."""


class FormatError(ConfigError):
    """An output folder was written in another format than this version reads."""


class InputError(PipelineError):
    """An input is missing or unreadable."""


class ModelError(PipelineError):
    """A model file is absent, truncated or of another kind."""


class SchemaError(PipelineError):
    """A table lacks a column that a stage reads, or a stage broke its contract."""


class StorageError(PipelineError):
    """An output cannot be written; a shard is not to blame, so it is neither retried nor quarantined."""


class BusyError(PipelineError):
    """Another run works on the output folder."""


class MissingError(PipelineError):
    """Shards are quarantined, and nobody has said that they may be missing."""


class AuditError(PipelineError):
    """The accounts do not agree."""
