"""URLs: the normal form in which duplicates are recognised, hosts and registered domains."""

from functools import lru_cache
from urllib.parse import parse_qsl, urlencode, urlsplit

SESSION_PARAMETERS = frozenset({"phpsessid", "jsessionid", "sid", "sessionid", "session_id", "aspsessionid", "cfid"})
TRACKING_PARAMETERS = frozenset(
    {"gclid", "fbclid", "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content"}
)
DEFAULT_PORTS = {"http": 80, "https": 443}


def host_of(url: str) -> str:
    """The lower-case host, empty when there is none.

    >>> host_of("https://News.Example:443/a")
    'news.example'
    """
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""


def normalize_url(url: str) -> str:
    """Lower-case scheme and host, no fragment, default port, session or tracking parameters; "" for a bare domain.

    Bare domains have no normal form, since front pages change.

    >>> normalize_url("HTTP://Example.org:80/a?PHPSESSID=1&b=2#top")
    'example.org/a?b=2'
    >>> normalize_url("https://example.org/")
    ''
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        return ""
    host = (parts.hostname or "").rstrip(".")
    path = parts.path.partition(";jsessionid=")[0]
    query = [
        (key, value)
        for key, value in parse_qsl(parts.query, keep_blank_values=True)
        if key.lower() not in SESSION_PARAMETERS and key.lower() not in TRACKING_PARAMETERS
    ]
    if not host or (path in ("", "/") and not query):
        return ""
    where = f"{host}:{port}" if port and port != DEFAULT_PORTS.get(parts.scheme.lower()) else host
    return f"{where}{path or '/'}" + (f"?{urlencode(query)}" if query else "")


@lru_cache(maxsize=1)
def _rules() -> dict[str, list[str]]:
    """The public suffix list's rules by their last label, which stands as a letter of its script would have it."""
    from publicsuffixlist import PSLFILE

    rules: dict[str, list[str]] = {}
    with open(PSLFILE, encoding="utf-8") as file:
        for line in file:
            if rule := line.partition("//")[0].partition(" ")[0].strip().lower():
                rules.setdefault(rule.rpartition(".")[2], []).append(rule)
    return rules


@lru_cache(maxsize=4_096)
def _suffixes(last_label: str):  # type: ignore[no-untyped-def]
    """The public suffix list as far as it concerns hosts that end so: to parse 10,000 rules takes 50 ms."""
    from publicsuffixlist import PublicSuffixList, encode_idn

    rules = _rules().get(last_label, [])
    if last_label.startswith("xn--"):
        try:
            rules = _rules().get(last_label.encode().decode("idna"), [])
        except UnicodeError:
            rules = []
    encoded = ["!" * rule.startswith("!") + encode_idn(rule.lstrip("!")) for rule in rules if not rule.isascii()]
    return PublicSuffixList([*rules, *encoded], accept_encoded_idn=False)


@lru_cache(maxsize=65_536)
def registered_domain(host: str) -> str:
    """The domain one can register, by the public suffix list; the host itself where there is none.

    >>> registered_domain("www.news.example.co.uk")
    'example.co.uk'
    """
    return str(_suffixes(host.lower().rstrip(".").rpartition(".")[2]).privatesuffix(host) or host)
