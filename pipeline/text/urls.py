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
def _suffixes():  # type: ignore[no-untyped-def]
    from publicsuffixlist import PSLFILE, PublicSuffixList, encode_idn

    # Left alone it encodes all 10,000 rules, a fifth of a second; those in ASCII are their own encoding.
    with open(PSLFILE, encoding="utf-8") as file:
        rules = [line.lower().split(" ")[0].rstrip() for line in file if not line.startswith("//")]
    encoded = [
        "!" * rule.startswith("!") + encode_idn(rule.lstrip("!")) for rule in rules if rule and not rule.isascii()
    ]
    return PublicSuffixList("\n".join([*rules, *encoded]), accept_encoded_idn=False)


@lru_cache(maxsize=65_536)
def registered_domain(host: str) -> str:
    """The domain one can register, by the public suffix list; the host itself where there is none.

    >>> registered_domain("www.news.example.co.uk")
    'example.co.uk'
    """
    return str(_suffixes().privatesuffix(host) or host)
