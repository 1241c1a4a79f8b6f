"""url -> a drop reason for URLs that datatrove's block lists name (UT1-derived domains and URLs, banned words).

The 4.6 million domains and URLs become one sorted array of 64-bit hashes, made once a machine and memory-mapped, so
that workers share it. Words are matched without regard to case, and a listed domain covers its subdomains; datatrove
does neither (reference: datatrove `pipeline/filters/url_filter.py`).
"""

import hashlib
import os
import re
import tarfile
from functools import lru_cache
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa
import xxhash

from pipeline.errors import ModelError
from pipeline.schema.columns import RECORD, schema
from pipeline.schema.drop_reasons import DropReason
from pipeline.stages.contract import StageContext, add_columns
from pipeline.text.urls import host_of

LISTS = "url_filterblacklistsv0_3_0.tar.gz"
SOFT_WORDS_NEEDED = 2
NON_WORD = re.compile(r"[^a-z0-9]+")


class BlockUrls:
    """Drops rows whose URL is on a block list, unless the config has them off; lists are loaded with the first URL."""

    name = "block_urls"
    reads = schema({"url": RECORD["url"]})
    adds = schema()

    def __init__(self, is_on: bool = True) -> None:
        self.is_on = is_on

    @classmethod
    def build(cls, context: StageContext) -> "BlockUrls":
        """See StageClass.build."""
        return cls(context.config.read.block_urls)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Drop reasons: see `block_reason`. A row without a URL is kept."""
        if not self.is_on:
            return table
        drops = [block_reason(url) if url else None for url in table["url"].to_pylist()]
        return add_columns(table, self.adds, {}, drops)


def _assets() -> Path:
    spec = find_spec("datatrove")
    folder = Path(spec.origin).parent / "assets" if spec and spec.origin else Path()
    if not (folder / LISTS).exists():
        raise ModelError("URL block lists: datatrove's package has no assets; pip install 'datatrove>=0.10,<0.11'")
    return folder


def _words(name: str) -> frozenset[str]:
    lines = (_assets() / name).read_text(encoding="utf-8").splitlines()
    return frozenset(NON_WORD.sub("", line.lower()) for line in lines if line.strip() and not line.startswith("#"))


def _cache_folder() -> Path:
    return Path(os.environ.get("GLOTMILL_CACHE") or Path.home() / ".cache" / "glotmill")


@lru_cache(maxsize=1)
def _hashes() -> np.ndarray:  # (n,) uint64, sorted
    archive = _assets() / LISTS
    key = hashlib.sha256(f"{archive.stat().st_size} {LISTS} v1".encode()).hexdigest()[:16]
    path = _cache_folder() / f"blocked-urls-{key}.npy"
    if not path.exists():
        found: set[int] = set()
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                if Path(member.name).name in ("domains", "urls") and (file := tar.extractfile(member)):
                    found.update(xxhash.xxh64_intdigest(line.strip().lower()) for line in file if line.strip())
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.npy")
        np.save(temporary, np.sort(np.fromiter(found, dtype=np.uint64, count=len(found))))
        os.replace(temporary, path)
    return np.asarray(np.load(path, mmap_mode="r"))  # still mapped; a plain array is searched in half the time


def _listed(text: str) -> bool:
    key = np.uint64(xxhash.xxh64_intdigest(text.encode("utf-8", "surrogatepass")))
    hashes = _hashes()
    position = int(hashes.searchsorted(key))
    return position < len(hashes) and bool(hashes[position] == key)


@lru_cache(maxsize=65_536)
def _domain_is_listed(host: str) -> bool:
    labels = host.split(".")
    return any(_listed(".".join(labels[start:])) for start in range(len(labels) - 1))


@lru_cache(maxsize=1)
def _word_lists() -> tuple[frozenset[str], frozenset[str], re.Pattern[str]]:
    subwords = groupby(sorted(_words("banned_subwords.txt")), key=lambda word: word[:1])
    # By first letter: of a hundred alternatives each would be tried at each place.
    groups = (f"{first}(?:{'|'.join(word[1:] for word in words)})" for first, words in subwords)
    return (
        _words("banned_words.txt"),
        _words("soft_banned_words.txt"),
        re.compile("|".join(groups)),  # letters and digits, see NON_WORD
    )


def block_reason(url: str) -> DropReason | None:
    """Why a URL is blocked: blocked_domain, blocked_url, blocked_word, blocked_soft_words, blocked_subword; or None."""
    if _domain_is_listed(host_of(url)):
        return DropReason.BLOCKED_DOMAIN
    lowered = url.lower()
    if _listed(lowered):
        return DropReason.BLOCKED_URL
    banned, soft, subwords = _word_lists()
    parts = NON_WORD.split(lowered)
    words = set(parts)
    if words & banned:
        return DropReason.BLOCKED_WORD
    if len(words & soft) >= SOFT_WORDS_NEEDED:
        return DropReason.BLOCKED_SOFT_WORDS
    if subwords.search("".join(parts)):
        return DropReason.BLOCKED_SUBWORD
    return None
