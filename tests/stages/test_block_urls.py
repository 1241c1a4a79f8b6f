"""URLs on block lists: which reason they get, and that the others are kept."""

import pyarrow as pa
import pytest

from pipeline.schema.drop_reasons import DropReason
from pipeline.stages.block_urls import BlockUrls, block_reason
from pipeline.stages.contract import apply


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://example.org/essex-county", None),  # a banned string would stand in the word, but it is no word
        ("https://www.888casino.com/", DropReason.BLOCKED_DOMAIN),  # a listed domain covers its subdomains
        ("https://example.org/bondage/1", DropReason.BLOCKED_WORD),
        ("HTTPS://EXAMPLE.ORG/BONDAGE", DropReason.BLOCKED_WORD),
        ("https://example.org/naked-truth", None),  # one suspicious word
        ("https://example.org/naked-nude", DropReason.BLOCKED_SOFT_WORDS),
        ("https://example.org/the-blue-waffle", DropReason.BLOCKED_SUBWORD),
    ],
)
def test_a_url_is_blocked_for_the_list_that_names_it(url: str, reason: DropReason | None) -> None:
    assert block_reason(url) is reason


def test_rows_of_blocked_urls_get_a_drop_reason_and_rows_without_url_are_kept() -> None:
    urls = ["https://example.org/", None, "https://example.org/bondage/1"]
    table = pa.table({"url": urls, "drop_reason": pa.nulls(3, pa.string())})
    result = apply(BlockUrls(), table)
    assert result["url"].to_pylist() == urls
    assert result["drop_reason"].to_pylist() == [None, None, "blocked_word"]
