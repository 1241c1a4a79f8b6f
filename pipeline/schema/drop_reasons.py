"""Why a record that could hold a document gave none: the values of `drop_reason` in `dropped/`.

A stage of the user's own may give reasons of its own; these are the ones that Glotmill gives.
"""

from pipeline.schema.described import Described


class DropReason(Described):
    """Why a record gave no document."""

    # reading
    RECORD_TOO_LARGE = "record_too_large", "The record, or its body once decoded, exceeds read.max_record_bytes."
    TRUNCATED_RECORD = "truncated_record", "The file ends inside the record."
    WRONG_CONTENT_LENGTH = "wrong_content_length", "The record's Content-Length is not the length of its block."
    CORRUPT_RECORD = "corrupt_record", "The record's compressed bytes are damaged."
    BAD_HTTP_HEADER = "bad_http_header", "The block of a response record does not begin with an HTTP status line."
    UNSUPPORTED_CONTENT_ENCODING = (
        "unsupported_content_encoding",
        "The HTTP body is in a content encoding that is not undone here.",
    )
    BAD_CONTENT_ENCODING = "bad_content_encoding", "The HTTP body is not in the content encoding that its header names."
    HTTP_STATUS = "http_status", "The HTTP status is not 200."
    NOT_HTML = "not_html", "The content type is not that of an HTML page."
    # block lists
    BLOCKED_DOMAIN = "blocked_domain", "The host, or a domain above it, is on a block list."
    BLOCKED_URL = "blocked_url", "The URL is on a block list."
    BLOCKED_WORD = "blocked_word", "The URL has a word that is on the list of banned words."
    BLOCKED_SOFT_WORDS = "blocked_soft_words", "The URL has two or more words that are on the list of suspicious words."
    BLOCKED_SUBWORD = "blocked_subword", "The URL has a banned string inside its words."
    # extracting text
    EMPTY_BODY = "empty_body", "The body is empty or white space."
    BODY_NOT_HTML = "body_not_html", "The first 64 KiB of the body have no tag."
    TOO_MANY_TAGS = "too_many_tags", "The page has more tags than read.max_tags."
    TAG_TOO_LONG = "tag_too_long", "A tag of the page is longer than read.max_tag_bytes."
    UNDECODABLE = "undecodable", "The body cannot be decoded in any encoding that it declares or that fits it."
    NO_MAIN_TEXT = "no_main_text", "The extractor found no main text on the page."
    NO_TEXT = "no_text", "The main text is empty once it is cleaned."
    PARSER_ERROR = "parser_error", "The extractor failed on the page with an error, which the log names."
    CPU_LIMIT = (
        "cpu_limit",
        "Extracting the page exceeded extract.cpu_seconds twice, each time alone in a fresh process.",
    )
    MEMORY_LIMIT = "memory_limit", "Extracting the page exceeded extract.memory_bytes twice, each time alone."
    KILLED = "killed", "Two fresh extraction processes died of the page."
    # identifying the language
    LANGUAGE_GATE = "language_gate", "The language gate gave the page its label with a score above lid.gate.min_score."
    LANGUAGE_UNKNOWN = "language_unknown", "No language has a score of at least lid.min_score."
    LANGUAGE_NOT_WANTED = "language_not_wanted", "The label is not among languages.include, or is in languages.exclude."
