"""How close a text is to the reference of a page: tokens that both have, and snippets found and leaked."""

from collections import Counter

from pipeline.training.gold_pages import GoldPage, tokens


def token_scores(text: str, reference: str) -> tuple[float, float, float]:
    """Precision, recall and F1 of a text's tokens, counted with repetition; 0 where nothing is shared."""
    found, wanted = Counter(tokens(text)), Counter(tokens(reference))
    shared = (found & wanted).total()
    if shared == 0:
        return 0.0, 0.0, 0.0
    precision, recall = shared / found.total(), shared / wanted.total()
    return precision, recall, 2 * precision * recall / (precision + recall)


def snippet_counts(text: str, page: GoldPage) -> tuple[int, int]:
    """Wanted snippets that the text has, and unwanted ones; white space counts as one space."""
    flat = " ".join(text.replace("\N{SOFT HYPHEN}", "").split())
    return (
        sum(" ".join(snippet.replace("\N{SOFT HYPHEN}", "").split()) in flat for snippet in page.wanted),
        sum(" ".join(snippet.replace("\N{SOFT HYPHEN}", "").split()) in flat for snippet in page.unwanted),
    )
