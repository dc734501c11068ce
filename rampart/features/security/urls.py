"""Links: where they lead, and whether they say so."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

from rampart.features.base import Feature, Span
from rampart.features.security.characters import mixes_scripts
from rampart.features.security.finding import Found, Part
from rampart.features.security.message import Message, Tag

_IN_TEXT = re.compile(r"\b(?:https?://|ftp://|www\.)[^\s<>\"']{1,2000}", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]{0,20}:)?//([^/?#\\]*)([^?#]*)", re.IGNORECASE)
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]{0,20}):", re.IGNORECASE)
_IP = re.compile(r"(?:\d{1,3}(?:\.\d{1,3}){3}|\d{8,10}|0x[0-9a-f]{1,8}|\[[0-9a-f:.]+\])\Z", re.I)
_SHOWN_HOST = re.compile(r"(?:https?://)?((?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24})\b")
_FILE = re.compile(
    r"\.(?:exe|scr|pif|bat|com|vbs|js|jar|zip|rar|7z|iso|img|cab|msi|hta|lnk|docm|xlsm)\Z", re.I
)
_LINKING = {"href", "src", "action", "background"}
_SHORTENERS = frozenset({
    "bit.ly", "tinyurl.com", "t.co", "goo.gl", "ow.ly", "is.gd", "buff.ly", "rebrand.ly", "cutt.ly",
    "t.ly", "rb.gy", "shorturl.at", "tiny.cc", "snipurl.com", "makeashorterlink.com", "x.co",
    "bl.ink", "lnkd.in", "s.id", "v.gd", "short.io", "qr.ae", "adf.ly",
})  # fmt: skip
_MOST = 500  # links that are read one by one; the count goes on


class Link(NamedTuple):
    """An address in a text: what it says, where it stands, the attribute that holds it if any."""

    url: str
    span: Span
    attribute: str
    shown: str


def links(message: Message) -> Iterator[Link]:
    """The links of a message: those its clean text shows, then those its tags hold."""
    matches = list(_IN_TEXT.finditer(message.aligned.text))
    spans = message.in_source([match.span() for match in matches])
    for match, span in zip(matches, spans, strict=True):
        yield Link(match.group(), span, "", "")
    tags = message.tags
    for number, tag in enumerate(tags):
        if tag.closing or "=" not in tag.inside:
            continue
        for name in _LINKING & tag.attributes.keys():
            url, span = tag.attributes[name]
            if span[0] < span[1]:
                shown = _shown(message, tags, number) if name == "href" else ""
                yield Link(url.strip(), span, f"{tag.name} {name}", shown)


def _shown(message: Message, tags: Sequence[Tag], number: int) -> str:
    """What a reader sees of a link, up to the next tag."""
    begin = tags[number].span[1]
    end = tags[number + 1].span[0] if number + 1 < len(tags) else begin + 200
    return message.aligned.source[begin : min(end, begin + 200)]


@cache
def _extract() -> Any:
    from tldextract import TLDExtract

    # The list that comes with the package, and no other: nothing is fetched.
    return TLDExtract(suffix_list_urls=(), cache_dir=None)


@lru_cache(maxsize=20_000)
def registrable_domain(host: str) -> str:
    """The part of a host that somebody registered; its last two names if the list knows no more."""
    lowered = host.lower().rstrip(".")
    found: str = _extract()(lowered).top_domain_under_public_suffix
    return found or ".".join(lowered.split(".")[-2:])


_FEATURES = (
    Feature("url_count", "count", "links in text and tags"),
    Feature("url_rate", "per 100 words", "links for each hundred words"),
    Feature("url_domains", "count", "different registrable domains"),
    Feature("url_ip_host", "count", "links to a bare IP address, written in any way"),
    Feature("url_userinfo", "count", "links with something before an @, which hides the host"),
    Feature("url_port", "count", "links that name a port"),
    Feature("url_punycode", "count", "hosts in punycode"),
    Feature("url_mixed_script", "count", "hosts that mix alphabets"),
    Feature("url_shortener", "count", "links through an address shortener"),
    Feature("url_subdomains", "count", "most names before a registrable domain"),
    Feature("url_longest_host", "characters", "length of the longest host"),
    Feature("url_host_digits", "share", "digits in hosts"),
    Feature("url_file", "count", "links to programs, scripts and archives"),
    Feature("url_escapes", "per 100 characters", "percent escapes in links"),
    Feature("url_mismatch", "count", "links whose text shows another domain than they lead to"),
    Feature("url_mailto", "count", "links that write a mail"),
    Feature("url_script", "count", "javascript: and data: links"),
    Feature("url_insecure", "share", "http links among the http and https ones"),
    Feature("url_image", "count", "images fetched from elsewhere"),
    Feature("url_with_query", "count", "links with a query"),
)


def _find(message: Message) -> Iterable[Found]:
    found = list(links(message))
    read = found[:_MOST]
    spans: dict[str, list[Span]] = {feature.name: [] for feature in _FEATURES}
    hosts: list[str] = []
    domains: set[str] = set()
    schemes: list[str] = []
    deepest = 0
    for link in read:
        scheme = _SCHEME.match(link.url)
        name = scheme.group(1).lower() if scheme else ""
        schemes.append(name)
        if name == "mailto":
            spans["url_mailto"].append(link.span)
        if name in {"javascript", "data", "vbscript"}:
            spans["url_script"].append(link.span)
        address = _ADDRESS.match(link.url)
        if address is None and not link.url.lower().startswith("www."):
            continue
        authority, path = (
            (address.group(1), address.group(2)) if address else (link.url.partition("/")[0], "")
        )
        for feature in _of_address(link, authority, path):
            spans[feature].append(link.span)
        host = authority.rpartition("@")[2]
        host = host if host.startswith("[") else host.partition(":")[0]
        if not host:
            continue
        hosts.append(host)
        domain = host if _IP.match(host) else registrable_domain(host)
        domains.add(domain)
        if domain in _SHORTENERS:
            spans["url_shortener"].append(link.span)
        deepest = max(deepest, host.count(".") - domain.count("."))
        shown = _SHOWN_HOST.search(link.shown)
        if shown and registrable_domain(shown.group(1)) != domain:
            spans["url_mismatch"].append(link.span)
    letters = sum(map(len, hosts))
    web = [name for name in schemes if name in {"http", "https"}]
    characters = sum(len(link.url) for link in read)
    values: dict[str, float] = {name: len(places) for name, places in spans.items()}
    values |= {
        "url_count": len(found),
        "url_rate": message.rate(len(found)),
        "url_domains": len(domains),
        "url_subdomains": deepest,
        "url_longest_host": max(map(len, hosts), default=0),
        "url_host_digits": sum(c.isdigit() for host in hosts for c in host) / max(letters, 1),
        "url_escapes": 100 * sum(link.url.count("%") for link in read) / max(characters, 1),
        "url_insecure": web.count("http") / max(len(web), 1),
    }
    spans["url_count"] = [link.span for link in read]
    return [Found(name, value, spans[name]) for name, value in values.items()]


def _of_address(link: Link, authority: str, path: str) -> Iterator[str]:
    """The features that one link shows by itself."""
    host = authority.rpartition("@")[2]
    if "@" in authority:
        yield "url_userinfo"
    if re.search(r":\d", host) and not host.startswith("["):
        yield "url_port"
    if _IP.match(host if host.startswith("[") else host.partition(":")[0]):
        yield "url_ip_host"
    if "xn--" in host.lower():
        yield "url_punycode"
    if mixes_scripts(host):
        yield "url_mixed_script"
    if _FILE.search(path):
        yield "url_file"
    if "?" in link.url:
        yield "url_with_query"
    if link.attribute == "img src":
        yield "url_image"


PART = Part(_FEATURES, _find)
