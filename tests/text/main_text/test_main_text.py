"""Our own extractor: the tokeniser shows what lexbor shows, and pages of every kind come out as a reader keeps them."""

import html as entities
import random
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from resiliparse.parse.html import HTMLTree, NodeType, traverse_dom

from pipeline.registry import names_of
from pipeline.text.main_text import MODEL, Forest, main_text, read_declared, tokenise
from pipeline.text.main_text import vocabulary as v
from pipeline.text.main_text.extractors import PACKAGE, extract, libraries_of
from pipeline.text.main_text.feature_columns import NAMES
from pipeline.text.main_text.features import measure
from pipeline.text.main_text.trees import SETTLED, SETTLED_AFTER, TILE
from pipeline.training.gold_pages import GOLD, OTHERS, WARC, load_kinds, load_pages
from tests.text.main_text.obvious_features import obvious_features

UNREAD = frozenset(
    "script style title textarea iframe noembed noframes select svg template noscript rt rp datalist head".split()
)
IGNORED = str.maketrans("", "", "\u00ad\ufeff\u200b\u200c\u200d\u200e\u200f\u2060" + "".join(map(chr, range(0x20))))
PROSE = "The river rose in the night, and the people of the lower town left their houses before it was light. "
NAVIGATION = "<nav><ul>" + "".join(f'<li><a href="/{n}">Section {n}</a></li>' for n in range(12)) + "</ul></nav>"
FOOTER = '<footer><p>Copyright 2024 <a href="/imprint">Imprint</a> <a href="/privacy">Privacy</a></p></footer>'


def site(content: str, title: str = "The river rose") -> str:
    """A page with navigation and footer around the content."""
    return (
        f"<!doctype html><html><head><title>{title} | Daily</title></head><body><header><a href='/'>Daily</a></header>"
        f"{NAVIGATION}<main><article><h1>{title}</h1>{content}</article></main>{FOOTER}</body></html>"
    )


def prose(paragraphs: int = 4) -> str:
    """Paragraphs of running text, each its own."""
    return "".join(f"<p>{n}. {PROSE * 3}</p>" for n in range(paragraphs))


def visible(source: str) -> str:
    """What lexbor's tree shows, white space left out."""
    found: list[str] = []
    below = [1 << 30]

    def enter(context: object) -> None:
        node, depth = context.node, context.depth  # type: ignore[attr-defined]
        if depth <= below[0]:
            below[0] = 1 << 30
        if node.type == NodeType.ELEMENT and node.tag in UNREAD:
            below[0] = min(below[0], depth)
        elif node.type == NodeType.TEXT and depth <= below[0]:
            found.append(node.value)

    traverse_dom(HTMLTree.parse(source).document, enter)
    return "".join("".join(found).translate(IGNORED).split())


def tokenised(source: str) -> str:
    """What our tokeniser shows, white space left out."""
    return "".join(tokenise(source).stream.tobytes().decode("utf-32-le").translate(IGNORED).split())


@pytest.mark.skipif(not WARC.is_dir(), reason="shared data are absent")
def test_the_tokeniser_shows_the_same_characters_as_lexbor_on_real_pages() -> None:
    pages = load_pages((*GOLD, OTHERS[0]))[::8]
    unlike = []
    for page in pages:
        theirs, ours = Counter(visible(page.html)), Counter(tokenised(page.html))
        if ((theirs - ours) + (ours - theirs)).total() > 0.01 * theirs.total():
            unlike.append(page.id)
    assert len(pages) > 90
    assert unlike == []


TAGS = (
    "p div span b i a em ul ol li table tr td th tbody h1 h2 pre blockquote section dl dt dd font center form label "
    "button ruby rt option select caption code q sub article"
).split()
PIECES = (
    "word ", "x", "&amp;", "&lt;", "&copy 1", "&#65;", "&#x42;", "&#150;", "&notin;", "&notit;", "&bogus;", "&", "<",
    "a<b", "<!-- c -->", "<!-->", "<!--->x-->", "<!-- a --!>",
    "<!doctype html>", "<?php x ?>", "</>", "</ x>", "<br>", "<hr>",
    "<img src=x>", "</p>", "</br>", "<script>a<b</script>", "<script><!-- <script> x </script> y --></script>",
    "<style>p{}</style>", "<textarea><p>t</textarea>", "<title>t</title>", "<![CDATA[x]]>", "é", "漢字", " ", "\n",
    *(f"<{tag}>" for tag in TAGS), *(f"</{tag}>" for tag in TAGS), "<p title='>'>", '<a href="<p>">',
    "<div a=b/c>", "<b/>",
)  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=14))
@settings(max_examples=400, deadline=None, derandomize=True)
def test_the_tokeniser_shows_the_same_characters_as_lexbor_on_any_mixture_of_markup(pieces: list[str]) -> None:
    source = "<body>x" + "".join(pieces)
    assert Counter(tokenised(source)) == Counter(visible(source))


@given(st.lists(st.sampled_from(PIECES), max_size=14), st.integers(1, 400))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_no_page_has_more_blocks_or_nodes_than_the_tokeniser_has_room_for(pieces: list[str], times: int) -> None:
    source = "".join(pieces) * times
    page = tokenise(source)
    room = source.count("<") + 2  # what is written beyond is cut off, so that a table that is full may have overflowed
    assert len(page.blocks) < room
    assert len(page.nodes) < room


@given(st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=60))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_no_text_breaks_the_tokeniser_and_escaped_text_comes_out_as_it_was(text: str) -> None:
    tokenise(text)
    shown = "".join(
        character for character in text if v.character_classes()[min(ord(character), 0x1FFFF)] != v.INVISIBLE
    )
    page = tokenise(f"<p>a{entities.escape(shown)}</p>")
    expected = "a" + "".join(shown.split())
    got = "".join(page.stream.tobytes().decode("utf-32-le").split())
    assert "".join(c for c in got if c >= " ") == "".join(c for c in expected if c >= " " and c != "\x7f")


def test_every_html_character_reference_is_known() -> None:
    names = {name: value for name, value in entities.entities.html5.items() if name.endswith(";")}
    shown = {name: tokenised(f"<p>|&{name}|</p>") for name in names if not names[name].isspace()}
    unseen = {"\u00ad", "\u200b", "\u200c", "\u200d", "\u200e", "\u200f", "\u2060"}
    wrong = {name for name, text in shown.items() if names[name] not in unseen and text != f"|{names[name]}|"}
    assert {name for name in wrong if not any(c.isspace() or c in unseen for c in names[name])} == set()


def test_the_committed_trees_were_trained_with_the_features_that_are_measured() -> None:
    source = site(prose())
    page = tokenise(source)
    matrix = measure(page, read_declared(source, page))
    assert Forest.load(MODEL).names == NAMES
    assert np.isfinite(matrix).all()


DECLARED = (
    '<meta name="description" content="The river rose in the night."><script type="application/ld+json">'
    '{"articleBody": "The people of the lower town left their houses before it was light."}</script>'
)
MEASURED = {
    "an article": site(DECLARED + prose()),
    "one block": "<p>one",
    "headings that repeat": site("".join(f"<h{n % 3 + 1}>River</h{n % 3 + 1}>{prose(n % 4)}" for n in range(12))),
    "a list of links and a table": site(
        "<ul class='related'>" + "<li><a href='/a'>The river, again</a> 12<br>x" * 30 + "</ul>"
        "<table><tr><td>a<td>b<td><img src=a></table><pre hidden>\n one</pre><b>bold</b>"
    ),
    "Han, Hangul and Cyrillic": site(
        "<p>\u6cb3\u6c34\u4e0a\u6da8\u3002" * 60
        + "<p>\uac15 \ubb3c <p>\u0420\u0435\u043a\u0430, \u0440\u0435\u043a\u0430."
    ),
    "many blocks": site((prose(1) + "<p>short <a href='/b'>link</a></p>") * 120),
}


@pytest.mark.parametrize("kind", MEASURED)
def test_features_agree_with_an_obvious_version(kind: str) -> None:
    page = tokenise(MEASURED[kind])
    declared = read_declared(MEASURED[kind], page)
    expected = obvious_features(page, declared)
    assert set(expected) == set(NAMES)
    for name, column in zip(NAMES, measure(page, declared).T, strict=True):
        np.testing.assert_allclose(column, expected[name], rtol=1e-6, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("rows", [1, TILE, 2 * TILE + 3])
def test_trees_agree_with_an_obvious_evaluation(rows: int) -> None:
    forest = Forest.load(MODEL)
    matrix = np.random.default_rng(1).normal(0, 3, (rows, len(forest.names))).astype(np.float32)
    for row, probability in zip(matrix, forest.probabilities(matrix), strict=True):
        score = 0.0
        for tree, root in enumerate(forest.roots):
            if tree == SETTLED_AFTER and abs(score) >= SETTLED:
                break
            k = int(root)
            while k >= 0:
                k = int((forest.lower if row[forest.features[k]] <= forest.thresholds[k] else forest.upper)[k])
            score += float(forest.values[~k])
        assert probability == pytest.approx(1 / (1 + np.exp(-score)), rel=1e-12)


def test_an_article_is_kept_and_the_site_around_it_is_not() -> None:
    text = main_text(site(prose()))
    assert text is not None
    assert [line[:2] for line in text.split("\n")[-4:]] == ["0.", "1.", "2.", "3."]
    assert "Section" not in text
    assert "Imprint" not in text


@pytest.mark.parametrize("extractor", names_of(PACKAGE))
def test_a_page_gives_the_same_text_whatever_came_before_it(extractor: str) -> None:
    pages = [site(prose(n), f"Day {n}") for n in (3, 4, 3, 5)]
    for library in libraries_of(extractor):
        pytest.importorskip(library)
    first = {page: extract(page, extractor) for page in pages}
    random.Random(1).shuffle(pages)
    assert {page: extract(page, extractor) for page in [*pages, *pages]} == first


SCRIPTS = {
    "arabic": "يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق، وقد وهبوا عقلًا وضميرًا. ",
    "hebrew": "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם, כולם חוננו בתבונה ובמצפון. ",
    "chinese": "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。",
    "japanese": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "korean": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. ",
    "thai": "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ ต่างมีเหตุผลและมโนธรรม ",
    "hindi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है। ",
    "amharic": "የሰው ልጅ ሁሉ ሲወለድ ነጻና በክብርና በመብትም እኩልነት ያለው ነው። ",
    "khmer": "មនុស្សទាំងអស់ កើតមកមានសេរីភាព និងសមភាព ក្នុងផ្នែកសេចក្ដីថ្លៃថ្នូរនិងសិទ្ធិ។ ",
}


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_paragraphs_in_every_script_are_kept_in_order_character_by_character(script: str) -> None:
    paragraphs = [f"{n} {SCRIPTS[script] * 3}".strip() for n in range(4)]
    text = main_text(site("".join(f"<p>{paragraph}</p>" for paragraph in paragraphs), SCRIPTS[script][:30]))
    assert text is not None
    assert text.split("\n")[-4:] == paragraphs


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_a_page_of_one_sentence_and_nothing_else_is_kept(script: str) -> None:
    assert (
        main_text(f"<html><body><article><p>{SCRIPTS[script]}</p></article></body></html>") == SCRIPTS[script].strip()
    )


def test_ruby_annotations_scripts_and_form_controls_are_left_out() -> None:
    source = (
        "<p><ruby>漢<rp>(</rp><rt>かん</rt><rp>)</rp>字<rt>じ</ruby>。<select><option>a</select><script>b</script></p>"
    )
    assert tokenised(source) == "漢字。"


def test_the_cells_of_a_data_row_are_one_line_and_layout_tables_are_not_rows() -> None:
    figures = "<table><tr><th>Town<th>Level</tr><tr><td>Ulm<td>4.2</tr><tr><td>Linz<td>5.1</tr></table>"
    assert main_text(figures) == "Town | Level\nUlm | 4.2\nLinz | 5.1"
    layout = f"<table><tr><td><p>one</p><p>two</p><td>{PROSE * 4}</tr></table>"
    text = main_text(layout)
    assert text is not None
    assert "|" not in text


def test_line_breaks_lists_and_preformatted_text_keep_their_lines() -> None:
    assert main_text("<p>one<br>two<br/>three</p>") == "one\ntwo\nthree"
    assert main_text("<ul><li>a<li><p>b</p><p>c</p></ul>") == "- a\n- b\nc"
    assert (
        main_text("<pre>\n  if x:\n      y\n</pre>") == "if x:\n      y"
        or main_text("<pre>\n  if x:\n      y\n</pre>") == "  if x:\n      y"
    )


@pytest.mark.parametrize(
    "text",
    ["Комитет снова соберётся на следующей неделе.", "सभी मनुष्यों को गौरव", "Ça déjà vu à Rome", "Россия", "così fan"],
)
def test_damaged_encodings_reach_the_repair_whole(text: str) -> None:
    damaged = text.encode().decode("latin-1")
    assert main_text(f"<p>{damaged}</p>") == damaged


def test_lines_of_preformatted_text_stay_lines_whatever_ends_them() -> None:
    text = main_text("<pre>one\r\n  two\n\tthree</pre>")
    assert text is not None
    assert [line.strip() for line in text.split("\n")] == ["one", "two", "three"]


def test_soft_hyphens_and_no_break_spaces_of_sound_text_are_hyphenation_and_space() -> None:
    assert main_text("<p>Donau\xaddampf\xa0schiff und\xa0mehr</p>") == "Donaudampf schiff und mehr"


def test_noscript_is_read_only_where_the_page_shows_nothing_else() -> None:
    hint = "<noscript><p>Please enable scripts to see this page as it was meant to be.</p></noscript>"
    text = main_text(site(prose() + hint))
    assert text is not None
    assert "enable" not in text
    assert main_text(f"<body>{hint}</body>") == "Please enable scripts to see this page as it was meant to be."


def test_a_consent_banner_is_not_main_text() -> None:
    banner = (
        '<div id="cookie-consent" class="cookie-banner modal"><p>We use cookies to give you the best experience. '
        'Read our <a href="/privacy">privacy policy</a>.</p><button>Accept all</button></div>'
    )
    text = main_text(site(prose()).replace("<header>", banner + "<header>"))
    assert text is not None
    assert "cookies" not in text


def test_a_page_of_links_has_no_main_text_and_an_empty_page_no_text() -> None:
    links = "".join(f'<li><a href="/{n}">Offer number {n}</a> 4.99</li>' for n in range(60))
    assert extract(site(f"<ul>{links}</ul>", "Offers"), "glotmill")[:2] == (None, "no_main_text")
    assert extract("<html><body><script>x</script></body></html>", "glotmill")[:2] == ("", None)


def test_what_a_page_declares_is_read() -> None:
    head = (
        '<html lang="fr-CA"><head><meta charset="utf-8"><title>T | Site</title>'
        '<meta property="og:title" content="T &amp; U">'
        '<meta property="og:locale" content="fr_CA"><link rel="canonical" href="https://a.example/fr">'
        '<link rel="alternate" hreflang="en" href="https://a.example/en">'
        '<link rel="alternate" hreflang="fr" href="https://a.example/fr">'
        '<script type="application/ld+json">{"@graph": [{"datePublished": "2021-03-04T10:00:00Z",'
        '"author": [{"name": "Ana Gómez"}]}]}</script></head><body><p>x</p></body></html>'
    )
    assert extract(head, "glotmill").metadata == ("T & U", "2021-03-04", "Ana Gómez", "fr-CA", "fr_CA", "fr")


def test_broken_declarations_say_nothing() -> None:
    head = (
        '<html lang="??"><meta name="date" content="2021-13-40"><meta name="author" content="https://x.example/a">'
        '<script type="application/ld+json">{"author": </script><p>x</p>'
    )
    assert set(extract(head, "glotmill").metadata) == {None}


HOSTILE = {
    "a paragraph of 5 MB": "<p>" + PROSE * 50_000,
    "100,000 elements": "<div><span>x y z</span></div>" * 50_000,
    "100,000 list items": "<ul>" + '<li><a href="x">link text</a>' * 100_000,
    "100,000 nested elements": "<div>" * 100_000 + "text",
    "elements nested and never ended": "<div><b>x" * 60_000,
    "300,000 opening brackets": "<" * 300_000,
    "900,000 character references": "&amp;&#1;&notit;" * 300_000,
    "a tag with 300,000 attributes": "<a " + "b=c " * 300_000 + ">x",
    "a table of 33,000 rows": "<table>" + "<tr><td>1<td>2<td>3" * 33_000,
    "end tags of what is not open": "<div>" * 400 + "</span></b></li>" * 60_000,
    "a script that does not end": "<script>" + "x<!--" * 1_000_000,
    "a comment of dashes": "<!--" + "-" * 5_000_000,
}


SHOWS_NOTHING = {"end tags of what is not open", "a script that does not end", "a comment of dashes"}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_page_is_read_to_its_end(kind: str) -> None:
    # its time is in the benchmark
    assert (main_text(HOSTILE[kind]) == "") == (kind in SHOWS_NOTHING)


@pytest.mark.skipif(not WARC.is_dir(), reason="shared data are absent")
def test_pages_with_a_main_text_have_one_and_most_pages_of_links_forms_and_errors_have_none() -> None:
    pages = load_kinds()
    assert sum(not main_text(page.html) for page in pages if page.text is None) <= 4
    assert sum(not main_text(page.html) for page in pages if page.text == "") >= 60


@pytest.mark.skipif(not WARC.is_dir(), reason="shared data are absent")
def test_training_again_on_the_same_pages_gives_the_same_bytes(tmp_path: object) -> None:
    pytest.importorskip("lightgbm")
    from pipeline.training.extractor_trees import examples, train

    chosen = examples(load_pages(("gold-trafilatura-dev",))[:12] + load_pages(("gold-misc-dev",))[:12])
    for name in ("a", "b"):
        train(chosen, trees=10).save(tmp_path / name)  # type: ignore[operator]
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()  # type: ignore[operator]
    assert Forest.load(tmp_path / "a").names == NAMES  # type: ignore[operator]


COMPILED = """
from pipeline.execution.sandbox.child import FIRST_PAGE
from pipeline.kernels.compile import Kernel
from pipeline.text.main_text.extractors import extract


def signatures():
    return {one.symbol: list(one.dispatcher.signatures) for one in Kernel.registered if one.has_run_by_numba}


Kernel.ahead_is_used = AHEAD
extract(FIRST_PAGE)
before = signatures()
assert any(name.endswith("_tokenise") for name in before) != AHEAD
for page in PAGES:
    extract(page)
    assert signatures() == before, page[:100]
"""


@pytest.mark.parametrize("ahead", [True, False])
def test_no_page_compiles_a_kernel_after_the_first(ahead: bool) -> None:
    """It would be charged to the page, whose CPU is limited."""
    pages = [
        "",
        "<p>one block",
        "no tag",
        "<br>",
        "<table>",
        "<p>one<p>two",
        site(prose()),
        "<p>\u0e44\u0e17\u0e22",
        site(""),
    ]
    code = f"PAGES, AHEAD = {pages!r}, {ahead}\n{COMPILED}"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
