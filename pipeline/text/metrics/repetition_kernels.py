"""The compiled loops that count what repeats: hashes of n-grams of words and characters, and how often each occurs."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.compile import intrinsic, kernel
from pipeline.text.characters import ALPHABETIC, SYMBOL

MODULUS: Final = 2**61 - 1
# The first 64 binary digits of pi's fraction. No two pairs of characters collide (a test goes through all); the base
# before, (2**63 - 1) / 7, had 7 * BASE = 3 modulo 2**61 - 1, so that "(/" and "/," were one.
BASE: Final = 0x243F6A8885A308D3 % MODULUS
UINT1: Final = np.uint64(1)
_U5: Final = np.uint64(5)
_U31: Final = np.uint64(31)
_MODULUS: Final = np.uint64(MODULUS)
_BASE: Final = np.uint64(BASE)
# All 64 of them; a test goes through all n-grams of ten characters that differ in one or two places.
CHARACTER_BASE: Final = np.uint64(0x243F6A8885A308D3)
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)  # golden ratio; its product wraps modulo 2**64


@intrinsic
def multiply(context: Any, a: Any, b: Any) -> tuple[Any, Any]:
    """a * b modulo 2**61 - 1 for a, b below it, uint64.

    In LLVM's words, as the processor multiplies to 128 bits at once and NumPy has no such number; 2**61 = 1 lets the
    bits above be added to those below.
    """
    from llvmlite import ir
    from numba import types

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        narrow, wide = ir.IntType(64), ir.IntType(128)
        modulus = ir.Constant(narrow, MODULUS)
        product = builder.mul(*(builder.zext(argument, wide) for argument in arguments))
        low = builder.and_(builder.trunc(product, narrow), modulus)
        total = builder.add(low, builder.trunc(builder.lshr(product, ir.Constant(wide, 61)), narrow))
        reduced = builder.sub(total, modulus)
        return builder.select(builder.icmp_unsigned(">=", total, modulus), reduced, total)

    return types.uint64(types.uint64, types.uint64), generate


@kernel
def compute_powers(size: int) -> NDArray[np.uint64]:
    """The powers 0 to size - 1 of BASE modulo MODULUS, (size,) uint64."""
    powers = np.empty(size, np.uint64)
    powers[0] = UINT1
    for i in range(1, size):
        powers[i] = multiply(powers[i - 1], _BASE)
    return powers


@kernel
def append(value: np.uint64, code: np.uint64) -> np.uint64:
    """The hash of a string with one more code point; one is added so that a leading NUL changes the hash."""
    value = multiply(value, _BASE) + code + UINT1
    return value - _MODULUS if value >= _MODULUS else value


@kernel
def compute_token_features(
    codes: NDArray[np.uint32],
    lowered: NDArray[np.uint32],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    bounds: NDArray[np.int64],
    table: NDArray[np.uint8],
) -> tuple[
    NDArray[np.uint64],
    NDArray[np.int64],
    tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]],
    int,
    NDArray[np.bool_],
    NDArray[np.int64],
    NDArray[np.int64],
]:
    """What TokenFeatures holds: hashes and lengths of words; of plain ones, with their bounds; longest; which are
    symbols; alphabetic counts and plain lengths."""
    hashes, lengths = np.empty(len(starts), np.uint64), np.empty(len(starts), np.int64)
    plain_hashes, plain_lengths = np.empty(len(starts), np.uint64), np.empty(len(starts), np.int64)
    is_symbol = np.empty(len(starts), np.bool_)
    n_texts = len(bounds) - 1
    plain_bounds = np.zeros(n_texts + 1, np.int64)
    alphabetic_counts, length_of_plain = np.zeros(n_texts, np.int64), np.zeros(n_texts, np.int64)
    n_plain = longest = 0
    for text in range(n_texts):
        total = bounds[text + 1] - bounds[text]
        for word in range(bounds[text], bounds[text + 1]):
            value = np.uint64(0)
            all_of, any_of = np.uint8(SYMBOL), np.uint8(0)
            changes = False
            for position in range(starts[word], ends[word]):
                code = codes[position]
                value = append(value, np.uint64(code))
                character_class = table[min(code, len(table) - 1)]
                all_of &= character_class
                any_of |= character_class
                changes |= lowered[position] != code
            length = ends[word] - starts[word]
            hashes[word], lengths[word], is_symbol[word] = value, length, all_of != 0
            total += length
            alphabetic_counts[text] += any_of & ALPHABETIC != 0
            if all_of:
                continue
            if changes:
                value = np.uint64(0)
                for position in range(starts[word], ends[word]):
                    value = append(value, np.uint64(lowered[position]))
            plain_hashes[n_plain], plain_lengths[n_plain] = value, length
            n_plain += 1
            length_of_plain[text] += length
        plain_bounds[text + 1] = n_plain
        longest = max(longest, total)
    plain = (plain_hashes[:n_plain], plain_lengths[:n_plain], plain_bounds)
    return hashes, lengths, plain, longest, is_symbol, alphabetic_counts, length_of_plain


@kernel
def chain(
    hashes: NDArray[np.uint64], lengths: NDArray[np.int64], powers: NDArray[np.uint64], separator: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hash of, and code points in, the words before each; `separator` is a code point, below 0 for none."""
    prefixes = np.empty(len(hashes) + 1, np.uint64)
    bounds = np.empty(len(hashes) + 1, np.int64)
    prefixes[0], bounds[0] = np.uint64(0), 0
    for word in range(len(hashes)):
        value = multiply(prefixes[word], powers[lengths[word]]) + hashes[word]
        value = value - _MODULUS if value >= _MODULUS else value
        bounds[word + 1] = bounds[word] + lengths[word]
        if separator >= 0:
            value = append(value, np.uint64(separator))
            bounds[word + 1] += 1
        prefixes[word + 1] = value
    return prefixes, bounds


@kernel
def _ngrams(
    prefixes: NDArray[np.uint64], powers: NDArray[np.uint64], bounds: NDArray[np.int64], n: int
) -> NDArray[np.uint64]:
    """Hash of each n-gram of words, plus 1; (n_words - n + 1,)."""
    values = np.empty(len(bounds) - n, np.uint64)
    for i in range(len(values)):
        value = prefixes[i + n] + _MODULUS - multiply(prefixes[i], powers[bounds[i + n] - bounds[i]])
        values[i] = (value - _MODULUS if value >= _MODULUS else value) + UINT1
    return values


@kernel
def _character_ngrams(codes: NDArray[np.uint32], n: int) -> NDArray[np.uint64]:
    """Hash of each n-gram of code points, polynomial modulo 2**64, at least 1; (n_characters - n + 1,).

    This modulus costs nothing, and for the few characters of an n-gram it is as good as a prime.
    """
    values = np.empty(len(codes) - n + 1, np.uint64)
    first = UINT1  # what the oldest code point has been multiplied by
    for _ in range(n):
        first *= CHARACTER_BASE
    value = np.uint64(0)
    for i in range(n - 1):
        value = value * CHARACTER_BASE + np.uint64(codes[i])
    oldest = np.uint64(0)
    for i in range(len(values)):
        value = value * CHARACTER_BASE + (np.uint64(codes[i + n - 1]) - oldest * first)
        oldest = np.uint64(codes[i])
        values[i] = max(value, UINT1)
    return values


@kernel
def _table_bits(size: int) -> int:
    """Bits of a table at least twice as large as the number of keys."""
    bits = 3
    while (1 << bits) < 2 * size:
        bits += 1
    return bits


@kernel
def _find(keys: NDArray[np.uint64], key: np.uint64, shift: np.uint64) -> np.int64:
    """Slot of a key, or the free slot where it belongs; linear probing, 0 is free, so keys are hash + 1."""
    mask = len(keys) - 1
    slot = np.int64((key * _SPREAD) >> shift)
    while keys[slot] != np.uint64(0) and keys[slot] != key:
        slot = (slot + 1) & mask
    return slot


@kernel
def make_table(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A hash table of hashes plus one; 0 is a free slot. Its size is a power of two."""
    bits = _table_bits(len(hashes))
    keys = np.zeros(1 << bits, np.uint64)
    for value in hashes:
        keys[_find(keys, value + UINT1, np.uint64(64 - bits))] = value + UINT1
    return keys


@kernel
def count_listed(hashes: NDArray[np.uint64], start: int, end: int, keys: NDArray[np.uint64]) -> tuple[int, int]:
    """How many of the hashes from `start` to `end` are in a table, and how many of the table's keys they are."""
    shift = np.uint64(64)
    size = len(keys)
    while size > 1:
        size >>= 1
        shift -= UINT1
    seen = np.zeros(len(keys), np.bool_)
    occurrences = 0
    for value in hashes[start:end]:
        slot = _find(keys, value + UINT1, shift)
        if keys[slot] != np.uint64(0):
            occurrences += 1
            seen[slot] = True
    return occurrences, seen.sum()


@kernel
def repeat_candidates(values: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Positions of all values that occur twice or more, in order, and of a few others.

    Most n-grams of a text occur once. Two bits for each value say so, and lie in the cache where a table would not.
    """
    bits = _table_bits(len(values)) + 3  # 16 cells or more for each value
    shift = np.uint64(64 - bits)
    cells = np.zeros(1 << (bits - 5), np.uint64)  # 32 cells each: one bit for what has been met, one for met again
    for value in values:
        cell = (value * _SPREAD) >> shift
        place = (cell & _U31) << UINT1
        word = cells[cell >> _U5]
        cells[cell >> _U5] = word | (UINT1 << ((word >> place) & UINT1)) << place
    positions = np.empty(len(values), np.int64)
    size = np.int64(0)
    for i in range(len(values)):
        cell = (values[i] * _SPREAD) >> shift
        positions[size] = i
        size += np.int64(cells[cell >> _U5] >> (((cell & _U31) << UINT1) | UINT1) & UINT1)
    return positions[:size]


@kernel
def count_values(values: NDArray[np.uint64]) -> tuple[NDArray[np.int32], NDArray[np.int64], int]:
    """Count and first position of each distinct suspect, by first occurrence; how many distinct values there are."""
    positions = repeat_candidates(values)
    bits = _table_bits(len(positions))
    shift = np.uint64(64 - bits)
    keys = np.zeros(1 << bits, np.uint64)
    indices = np.empty(1 << bits, np.int32)
    counts = np.empty(len(positions), np.int32)
    firsts = np.empty(len(positions), np.int64)
    distinct = 0
    for position in positions:
        key = values[position]
        slot = _find(keys, key, shift)
        if keys[slot] == key:
            counts[indices[slot]] += 1
        else:
            keys[slot] = key
            indices[slot] = distinct
            counts[distinct] = 1
            firsts[distinct] = position
            distinct += 1
    return counts[:distinct], firsts[:distinct], len(values) - len(positions) + distinct


@kernel
def _top(values: NDArray[np.uint64], bounds: NDArray[np.int64], n: int) -> int:
    """Characters of the most frequent n-gram of words joined by a space, times its occurrences."""
    counts, firsts, _ = count_values(values)
    most, first = 1, 0
    for i in range(len(counts)):
        if counts[i] > most:
            most, first = counts[i], firsts[i]
    return (bounds[first + n] - bounds[first] - 1) * most  # type: ignore[no-any-return]


@kernel
def _scan(values: NDArray[np.uint64], bounds: NDArray[np.int64], n: int) -> int:
    """Characters of n-grams that occurred before, none twice; see Repetition.duplicate."""
    positions = repeat_candidates(values)
    bits = _table_bits(len(positions))
    shift = np.uint64(64 - bits)
    keys = np.zeros(1 << bits, np.uint64)
    characters = np.int64(0)
    end = np.int64(0)  # of the last that was counted
    for position in positions:
        if position < end:
            continue
        key = values[position]
        slot = _find(keys, key, shift)
        if keys[slot] == key:
            end = position + n
            characters += bounds[end] - bounds[position]
        else:
            keys[slot] = key
    return characters  # type: ignore[return-value]


@kernel
def _most_repeated(values: NDArray[np.uint64]) -> int:
    """Occurrences of the most frequent n-grams of code points; see Repetition.repeated_characters."""
    counts, _, distinct = count_values(values)
    histogram = np.zeros(counts.max() + 1 if len(counts) else 1, np.int64)
    for count in counts:
        histogram[count] += 1
    left, occurrences = int(np.sqrt(distinct)), 0
    for count in range(len(histogram) - 1, 1, -1):
        taken = min(left, histogram[count])
        occurrences += taken * count
        left -= taken
    return occurrences


@kernel
def measure_repetition(
    hashes: NDArray[np.uint64],
    lengths: NDArray[np.int64],
    bounds: NDArray[np.int64],
    plain_hashes: NDArray[np.uint64],
    plain_lengths: NDArray[np.int64],
    plain_bounds: NDArray[np.int64],
    codes: NDArray[np.uint32],
    text_bounds: NDArray[np.int64],
    powers: NDArray[np.uint64],
    ns: NDArray[np.int64],
    n_tops: int,
) -> NDArray[np.int64]:
    """What Repetition holds, as counts, -1 for None: (n_texts, n_ns), by n of top, duplicate, words, characters."""
    values = np.full((len(text_bounds), len(ns)), -1, np.int64)
    last = len(ns) - 1
    for text in range(len(text_bounds)):
        words_of_text = slice(bounds[text], bounds[text + 1])
        prefixes, ends = chain(hashes[words_of_text], lengths[words_of_text], powers, ord(" "))
        for i in range(n_tops):
            if ns[i] < len(ends):
                values[text, i] = _top(_ngrams(prefixes, powers, ends, ns[i]), ends, ns[i])
        prefixes, ends = chain(hashes[words_of_text], lengths[words_of_text], powers, -1)
        for i in range(n_tops, last - 1):
            if ns[i] < len(ends):
                values[text, i] = _scan(_ngrams(prefixes, powers, ends, ns[i]), ends, ns[i])
        words_of_text = slice(plain_bounds[text], plain_bounds[text + 1])
        prefixes, ends = chain(plain_hashes[words_of_text], plain_lengths[words_of_text], powers, ord(" "))
        if ns[last - 1] < len(ends):
            counts, _, _ = count_values(_ngrams(prefixes, powers, ends, ns[last - 1]))
            values[text, last - 1] = 0
            for count in counts:
                values[text, last - 1] += count if count > 1 else 0
        if ns[last] <= text_bounds[text, 1] - text_bounds[text, 0]:
            characters = codes[text_bounds[text, 0] : text_bounds[text, 1]]
            values[text, last] = _most_repeated(_character_ngrams(characters, ns[last]))
    return values
