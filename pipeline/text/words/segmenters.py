"""Words of a text: takes a string, gives its tokens in order, by a method that a run's config names.

"icu" is Unicode UAX #29 with ICU's dictionaries, so Thai, Khmer, Lao, Burmese, Chinese and Japanese, which
put no spaces between words, are handled without a model of their own. Its weakness: dictionary words are not
those of a treebank, Korean particles stay attached, and Tibetan is split by syllable. "datatrove" is the word
tokenizer that datatrove assigns to the language, which FineWeb-2's thresholds were tuned with: slower by up to
a hundred times, and each needs a package of its own.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ConfigError
from pipeline.kernels.compile import kernel
from pipeline.text.characters import ALPHANUMERIC, SPACE, character_classes, text_places
from pipeline.text.words.word_break import find_breaks
from pipeline.text.words.words import Words

Token = Callable[[str], Words]

# Marks that stand inside compounds, paths and addresses: well-known, /etc/init.d, name@example.org, key=value.
_JOINERS = frozenset("-/.:@'=&~+#%*|\\\N{RIGHT SINGLE QUOTATION MARK}\N{HYPHEN}\N{NON-BREAKING HYPHEN}")
# Not white space to Python, yet nothing a reader sees. Khmer and Burmese pages put ZWSP between words.
_INVISIBLE = frozenset({"\N{ZERO WIDTH SPACE}", "\N{WORD JOINER}", "\N{ZERO WIDTH NO-BREAK SPACE}"})
_JOINER: Final = 1
_UNSEEN: Final = 2


@cache
def _kinds() -> NDArray[np.uint8]:
    """ALPHANUMERIC, SPACE, _JOINER and _UNSEEN of each code point of planes 0 to 3."""
    table = character_classes() & np.uint8(ALPHANUMERIC | SPACE)
    table[list(map(ord, _JOINERS))] |= _JOINER
    table[list(map(ord, _INVISIBLE))] |= _UNSEEN
    return table


def segment_with_icu(text: str) -> Words:
    """Split at ICU's word boundaries and leave out white space; each mark is a word unless it joins two.

    A single mark that joins two words without white space is part of one word with them, as in the tokenizers for
    which FineWeb-2's thresholds were tuned; ICU alone would give two words and a mark. Text that is not valid
    Unicode is read with U+FFFD for each lone surrogate, since ICU refuses surrogates.

    >>> list(segment_with_icu("Hello, well-known world 3.5"))
    ['Hello', ',', 'well-known', 'world', '3.5']
    """
    return segment_all_with_icu([text])


def segment_all_with_icu(texts: Sequence[str]) -> Words:
    """Words of each text as `segment_with_icu` gives them; found in one go, as no word reaches across a line's end."""
    codes, breaks = find_breaks("\n".join(texts))
    starts, ends = _find_words(codes, np.flatnonzero(breaks), _kinds())
    bounds = np.searchsorted(starts, np.append(text_places(texts)[:, 0], len(codes)))
    return Words(codes, starts, ends, bounds)


@kernel
def _find_words(
    codes: NDArray[np.uint32], breaks: NDArray[np.int64], kinds: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts and ends of words, from the places where tokens begin and the last ends."""
    n_tokens = len(breaks) - 1
    starts, ends = np.empty(n_tokens, np.int64), np.empty(n_tokens, np.int64)
    n_words = 0
    last = len(kinds) - 1
    segment = 0
    while segment < n_tokens:
        start, end = breaks[segment], breaks[segment + 1]
        segment += 1
        first = kinds[min(codes[start], last)]
        if first & ALPHANUMERIC:
            while (  # a single mark and letters
                segment + 1 < n_tokens
                and breaks[segment + 1] - end == 1
                and kinds[min(codes[end], last)] & _JOINER
                and kinds[min(codes[end + 1], last)] & ALPHANUMERIC
            ):
                end = breaks[segment + 2]
                segment += 2
        elif first & SPACE:
            position = start + 1
            while position < end and kinds[min(codes[position], last)] & SPACE:
                position += 1
            if position == end:
                continue
        elif first & _UNSEEN and end - start == 1:
            continue
        starts[n_words], ends[n_words] = start, end
        n_words += 1
    return starts[:n_words], ends[:n_words]


def segment_at_white_space(text: str) -> Words:
    """Split at runs of white space; punctuation stays attached.

    >>> list(segment_at_white_space("Hello, world"))
    ['Hello,', 'world']
    """
    return Words.of(text.split())


@cache
def segment_with_datatrove(label: str) -> Token:
    """datatrove's word tokenizer of a language: spaCy, Stanza, PyThaiNLP, IndicNLP, Kiwi and others.

    A label that datatrove has no tokenizer for gets spaCy's multilingual one, as most languages there do. Raises
    ConfigError with the package to install where the tokenizer cannot be loaded.
    """
    from datatrove.utils.word_tokenizers import SpaCyTokenizer, load_tokenizer_assignments, load_word_tokenizer

    try:
        known = label in load_tokenizer_assignments()
        tokenizer = load_word_tokenizer(label) if known else SpaCyTokenizer("xx")
        tokenizer.word_tokenize("a")  # models and dictionaries load with the first word
    except Exception as error:  # nine libraries, each with errors of its own, which all mean: not there
        remedy = "" if "install" in str(error) else "; install the extra datatrove-words"
        raise ConfigError(f'segmenter = "datatrove": no tokenizer for {label}: {error}{remedy}') from error
    return lambda text: Words.of(tokenizer.word_tokenize(text))


# From the name in the config to the function that gives a language's segmenter.
SEGMENTERS: dict[str, Callable[[str], Token]] = {
    "icu": lambda label: segment_with_icu,
    "whitespace": lambda label: segment_at_white_space,
    "datatrove": segment_with_datatrove,
}


def segmenter_for(label: str, name: str = "icu") -> Token:
    """The function that splits text of a language; raises ConfigError for an unknown name.

    >>> list(segmenter_for("eng_Latn", "whitespace")("Hello, world"))
    ['Hello,', 'world']
    """
    if name not in SEGMENTERS:
        raise ConfigError(f"segmenter = {name!r}: allowed are {', '.join(SEGMENTERS)}")
    return SEGMENTERS[name](label)


def segment_all(texts: Sequence[str], labels: Sequence[str], name: str = "icu") -> Words:
    """Words of one or more texts, each in the language of its label; raises ConfigError for an unknown name."""
    if name == "icu":
        return segment_all_with_icu(texts)
    return Words.joined([segmenter_for(label, name)(text) for text, label in zip(texts, labels, strict=True)])


def check_segmenter(name: str, labels: Iterable[str]) -> None:
    """Load the segmenter of every language, so that what is missing shows before any work.

    "datatrove" needs the languages by name, because all of its tokenizers together need every package that it
    knows. Raises ConfigError with a line for each language that has none.
    """
    labels = tuple(labels)
    if name == "datatrove" and not labels:
        raise ConfigError(
            'segmenter = "datatrove" needs languages.include: name the languages whose tokenizers are wanted'
        )
    faults = []
    for label in labels:
        try:
            segmenter_for(label, name)
        except ConfigError as error:
            faults.append(str(error))
    if faults:
        raise ConfigError("\n".join(faults))


def segment(text: str, segmenter: str = "icu", label: str = "und_Zyyy") -> list[str]:
    """Words of a text in reading order, none empty or white space; raises ConfigError for an unknown name.

    >>> segment("Hello, world", "whitespace")
    ['Hello,', 'world']
    """
    return list(segmenter_for(label, segmenter)(text))
