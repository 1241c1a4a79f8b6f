"""Words of a text: takes a string, gives its segments in order, by a method that a run's config names.

"icu" is Unicode UAX #29 with ICU's dictionaries, so Thai, Khmer, Lao, Burmese, Chinese and Japanese, which
put no spaces between words, are handled without a model of their own. Its weakness: dictionary words are not
those of a treebank, Korean particles stay attached, and Tibetan is split by syllable. "datatrove" is the word
tokenizer that datatrove assigns to the language, which FineWeb-2's thresholds were tuned with: slower by up to
a hundred times, and each needs a package of its own.
"""

import re
from collections.abc import Callable, Iterable
from functools import cache
from itertools import compress

from icu4py.breakers import WordBreaker
from icu4py.locale import Locale

from pipeline.errors import ConfigError

Segment = Callable[[str], list[str]]

# The root locale: ICU picks its dictionary by script, so no language name is needed. Parsed once a process;
# the breaker itself cannot be reused, because icu4py binds it to one text.
_ROOT = Locale("und")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
# Marks that stand inside compounds, paths and addresses: well-known, /etc/init.d, name@example.org, key=value.
_JOINERS = frozenset("-/.:@'=&~+#%*|\\\N{RIGHT SINGLE QUOTATION MARK}\N{HYPHEN}\N{NON-BREAKING HYPHEN}")
# Not white space to Python, yet nothing a reader sees. Khmer and Burmese pages put ZWSP between words.
_INVISIBLE = frozenset({"\N{ZERO WIDTH SPACE}", "\N{WORD JOINER}", "\N{ZERO WIDTH NO-BREAK SPACE}"})


class _Kinds(dict[str, int]):
    """What a segment of ICU's is, worked out when it is first seen: 0 is not a word."""

    def __missing__(self, segment: str) -> int:
        if segment[0].isalnum():
            kind = _LETTERS
        elif segment in _JOINERS:
            kind = _JOINER
        else:
            kind = 0 if segment.isspace() or segment in _INVISIBLE else _MARK
        if len(segment) < _REMEMBERED_LENGTH:
            self[segment] = kind
        return kind


_LETTERS, _JOINER, _MARK = 1, 2, 3
_JOINED = re.compile(rb"\x01(?:\x02\x01)+")  # letters, and a single joiner and letters
_REMEMBERED_LENGTH = 64
_KINDS = _Kinds()
_KINDS_MAX = 1 << 16  # about 10 MB


def segment_with_icu(text: str) -> list[str]:
    """Split at ICU's word boundaries and leave out white space; each mark is a word unless it joins two.

    A single mark that joins two words without white space is part of one word with them, as in the tokenizers for
    which FineWeb-2's thresholds were tuned; ICU alone would give two words and a mark. Text that is not valid
    Unicode is read with U+FFFD for each lone surrogate, since ICU refuses surrogates.

    >>> segment_with_icu("Hello, well-known world 3.5")
    ['Hello', ',', 'well-known', 'world', '3.5']
    """
    # Iterating gives strings; WordBreaker.segments() would give UTF-16 offsets, wrong after an emoji.
    try:
        segments = list(WordBreaker(text, _ROOT))
    except UnicodeEncodeError:
        text = _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
        segments = list(WordBreaker(text, _ROOT))
    kinds = bytes(map(_KINDS.__getitem__, segments))
    if len(_KINDS) > _KINDS_MAX:
        _KINDS.clear()
    words: list[str] = []
    end = 0
    for joined in _JOINED.finditer(kinds):
        words += compress(segments[end : joined.start()], kinds[end : joined.start()])
        end = joined.end()
        words.append("".join(segments[joined.start() : end]))
    words += compress(segments[end:], kinds[end:])
    return words


def segment_at_white_space(text: str) -> list[str]:
    """Split at runs of white space; punctuation stays attached.

    >>> segment_at_white_space("Hello, world")
    ['Hello,', 'world']
    """
    return text.split()


@cache
def segment_with_datatrove(label: str) -> Segment:
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
    split: Segment = tokenizer.word_tokenize
    return split


# From the name in the config to the function that gives a language's segmenter.
SEGMENTERS: dict[str, Callable[[str], Segment]] = {
    "icu": lambda label: segment_with_icu,
    "whitespace": lambda label: segment_at_white_space,
    "datatrove": segment_with_datatrove,
}


def segmenter_for(label: str, name: str = "icu") -> Segment:
    """The function that splits text of a language; raises ConfigError for an unknown name.

    >>> segmenter_for("eng_Latn", "whitespace")("Hello, world")
    ['Hello,', 'world']
    """
    if name not in SEGMENTERS:
        raise ConfigError(f"segmenter = {name!r}: allowed are {', '.join(SEGMENTERS)}")
    return SEGMENTERS[name](label)


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
    return segmenter_for(label, segmenter)(text)
