"""HTML as it was sent: what it asks of a reader, and what it keeps from him."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from rampart.features.base import Feature, Span
from rampart.features.security.finding import Found, Part
from rampart.features.security.message import Message, Tag

_HANDLER = re.compile(r"\son[a-z]{3,20}\s{0,9}=", re.IGNORECASE)
_COMMENT = "<!--"
_HIDDEN = re.compile(
    r"display\s{0,9}:\s{0,9}none|visibility\s{0,9}:\s{0,9}hidden|opacity\s{0,9}:\s{0,9}0(?![.\d])"
    r"|font-size\s{0,9}:\s{0,9}[01](?![.\d])|(?:max-)?(?:height|width)\s{0,9}:\s{0,9}[01](?![.\d])",
    re.IGNORECASE,
)
_COLOUR = re.compile(r"(?<![-\w])color\s{0,9}:\s{0,9}(#?\w{1,20})", re.IGNORECASE)
_GROUND = re.compile(r"background(?:-color)?\s{0,9}:\s{0,9}(#?\w{1,20})", re.IGNORECASE)
_NAMES = {"white": "ffffff", "black": "000000", "#fff": "ffffff", "#000": "000000"}
# Those that have to be closed; a mail program forgets none.
_PAIRED = frozenset({"table", "div", "a", "b", "font", "center", "form", "script", "style", "html"})

_FEATURES = (
    Feature("html", "0 or 1", "whether there are tags"),
    Feature("html_share", "share", "of the source that a reader does not see"),
    Feature("html_tags", "count", "tags"),
    Feature("html_forms", "count", "forms"),
    Feature("html_inputs", "count", "fields to fill in"),
    Feature("html_passwords", "count", "fields for passwords"),
    Feature("html_scripts", "count", "scripts"),
    Feature("html_handlers", "count", "tags that run something on an event"),
    Feature("html_frames", "count", "frames and embedded objects"),
    Feature("html_hidden", "count", "elements that are hidden or of no size"),
    Feature("html_same_colour", "count", "text in the colour of its background"),
    Feature("html_images", "count", "images"),
    Feature("html_tables", "count", "tables"),
    Feature("html_fonts", "count", "changes of font"),
    Feature("html_colours", "count", "different colours"),
    Feature("html_comments", "count", "comments"),
    Feature("html_split_words", "count", "words with a tag or a comment inside"),
    Feature("html_refresh", "count", "orders to go to another page"),
    Feature("html_unclosed", "count", "elements that are opened and never closed"),
)
_SPLIT = re.compile(r"(?<=[A-Za-z])(?:<(?:!--[^<>]{0,200}--|/?[A-Za-z][^<>]{0,60})>){1,4}(?=[a-z])")
_BLOCK = re.compile(r"<!?/?(?:p|br|td|tr|div|li|h[1-6]|table|title|hr|ul|center)\b", re.IGNORECASE)
_SCANNED = 200_000


def _find(message: Message) -> Iterable[Found]:
    tags = message.tags
    if not tags:
        return [Found(feature.name, 0.0) for feature in _FEATURES]
    return list(_of_tags(message, tags))


def _of_tags(message: Message, tags: Sequence[Tag]) -> Iterable[Found]:
    source = message.aligned.source[:_SCANNED]
    opened = [tag for tag in tags if not tag.closing]
    count = Counter(tag.name for tag in opened)
    seen = len(message.aligned.text)
    yield Found("html", 1.0)
    yield Found("html_share", max(0.0, 1 - seen / max(len(message.aligned.source), 1)))
    yield Found("html_tags", len(tags))
    for name, kinds in (
        ("html_forms", ("form",)), ("html_scripts", ("script",)), ("html_images", ("img",)),
        ("html_frames", ("iframe", "object", "embed")), ("html_tables", ("table",)),
        ("html_fonts", ("font",)), ("html_inputs", ("input",)),
    ):  # fmt: skip
        spans = [tag.span for tag in opened if tag.name in kinds] if count else []
        yield Found(name, len(spans), spans)
    fields = [tag for tag in opened if tag.name == "input" and _is(tag, "type", "password")]
    yield Found("html_passwords", len(fields), [tag.span for tag in fields])
    handlers = [
        tag.span for tag in opened if " on" in tag.inside.lower() and _HANDLER.search(tag.inside)
    ]
    yield Found("html_handlers", len(handlers), handlers)
    yield from _hidden(opened)
    comments = source.count(_COMMENT)
    yield Found("html_comments", comments)
    split = [m.span() for m in _SPLIT.finditer(source) if not _BLOCK.search(m.group())]
    yield Found("html_split_words", len(split), split)
    refresh = [t.span for t in opened if t.name == "meta" and _is(t, "http-equiv", "refresh")]
    yield Found("html_refresh", len(refresh), refresh)
    closed = Counter(tag.name for tag in tags if tag.closing)
    yield Found("html_unclosed", sum(max(0, count[name] - closed[name]) for name in _PAIRED))


def _hidden(opened: Sequence[Tag]) -> Iterable[Found]:
    """Elements that nobody sees, and the colours there are."""
    hidden: list[Span] = []
    same: list[Span] = []
    colours: set[str] = set()
    ground = "ffffff"
    for tag in opened:
        if "=" not in tag.inside:
            continue
        attributes = tag.attributes
        style = attributes.get("style", ("", (0, 0)))[0]
        sized = any(attributes.get(name, ("", ()))[0] in {"0", "1"} for name in ("width", "height"))
        if (style and _HIDDEN.search(style)) or (sized and tag.name != "table"):
            hidden.append(tag.span)
        if tag.name == "font" and attributes.get("size", ("",))[0] in {"0", "-7"}:
            hidden.append(tag.span)
        behind = _GROUND.search(style)
        if behind or "bgcolor" in attributes:
            ground = _colour(behind.group(1) if behind else attributes["bgcolor"][0])
        written = _COLOUR.search(style)
        if written or "color" in attributes:
            colour = _colour(written.group(1) if written else attributes["color"][0])
            colours.add(colour)
            if colour == ground:
                same.append(tag.span)
    yield Found("html_hidden", len(hidden), hidden)
    yield Found("html_same_colour", len(same), same)
    yield Found("html_colours", len(colours))


def _colour(name: str) -> str:
    name = name.strip().lower()
    return _NAMES.get(name, name.removeprefix("#"))


def _is(tag: Tag, attribute: str, value: str) -> bool:
    found = tag.attributes.get(attribute)
    return found is not None and found[0].strip().lower() == value


PART = Part(_FEATURES, _find)
