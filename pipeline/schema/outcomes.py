"""What became of a document: the values of `outcome` in decisions/. Each document of a selection has exactly one."""

from pipeline.schema.described import Described


class Outcome(Described):
    """What became of a document."""

    KEPT = "kept", "The document is in clean/."
    FAILED_RULES = "failed_rules", "At least one rule of its language fired; rules_fired names them."
    DUPLICATE = "duplicate", "Another document of its cluster is kept, as kept_document says."
    URL_DUPLICATE = "url_duplicate", "Another document of the same URL is kept."
    ALREADY_READ = "already_read", "A record with the same id was read before."
    EMPTY_AFTER_EDITS = "empty_after_edits", "Nothing is left of its text once the edits are applied."
    REMOVED = "removed", "The document was taken out by `glotmill remove`."


# The order in which documents are lost, as the report shows it, and what is true of those that are left.
STEPS = {
    Outcome.FAILED_RULES: "pass the rules",
    Outcome.DUPLICATE: "are the kept documents of their clusters",
    Outcome.URL_DUPLICATE: "are the only one of their URL",
    Outcome.ALREADY_READ: "were not read before",
    Outcome.EMPTY_AFTER_EDITS: "have text after the edits",
    Outcome.REMOVED: "were not taken out",
}
