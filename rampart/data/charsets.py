"""Bytes of a mail to text, whatever its headers claim: every sequence of bytes decodes."""

from __future__ import annotations

import codecs
import re
from encodings import normalize_encoding
from encodings.aliases import aliases

_SURROGATE = re.compile("[\ud800-\udfff]")

# Python's codecs by their names and aliases. Others are not looked up: a codec that is not there is
# remembered by the interpreter for good, and anybody may write anything into a header.
_NO_CHARSETS = {
    "base64_codec", "bz2_codec", "hex_codec", "mbcs", "oem", "quopri_codec", "rot_13", "uu_codec",
    "zlib_codec",
}  # fmt: skip
_UNALIASED = (
    "cp720", "cp737", "cp856", "cp874", "cp875", "cp1006", "koi8_r", "koi8_t", "koi8_u",
    "mac_arabic", "mac_croatian", "mac_farsi", "mac_romanian", "utf_8_sig",
)  # fmt: skip
_CHARSETS = {
    **{alias: codec for alias, codec in aliases.items() if codec not in _NO_CHARSETS},
    **{codec: codec for codec in aliases.values() if codec not in _NO_CHARSETS},
    **{codec: codec for codec in _UNALIASED},
}
# Read as browsers read them: each label's superset, which is what senders have in mind.
_SUPERSETS = {
    "euc_kr": "cp949", "gb2312": "gb18030", "gbk": "gb18030", "iso8859_9": "cp1254",
    "iso8859_11": "cp874", "shift_jis": "cp932", "tis_620": "cp874", "utf_8_sig": "utf_8",
}  # fmt: skip
# A claim of these says nothing: every program writes them, and Latin 1 fits any bytes.
_MEANINGLESS = {"ascii", "latin_1", "iso8859_1", "cp1252", "utf_8"}
# Without a single NUL it is none of these, though the bytes may fit.
_WIDE = {"utf_16", "utf_16_be", "utf_16_le", "utf_32", "utf_32_be", "utf_32_le"}
# A wrong charset shows in more lost characters than a few damaged bytes would leave.
_LOST_SHARE = 0.02


def _well_formed(text: str) -> str:
    """The text with U+FFFD for NUL and for each half of a surrogate pair."""
    if _SURROGATE.search(text):
        # Faster by far than a substitution where there are many.
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.replace("\0", "\ufffd")


def decode(content: bytes, charset: str | None = None) -> str:
    """Text of some bytes; what fits no charset becomes U+FFFD.

    A claimed charset is believed if the bytes fit it, or all but do; else they are UTF-8 if they
    fit that, and Windows-1252 if not.

    Args:
        content: any bytes.
        charset: the charset that a header claims.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _well_formed(content.decode("utf-16", "replace"))
    codec = _codec(charset)
    if codec is None or codec in _MEANINGLESS or (codec in _WIDE and b"\0" not in content):
        codec = None
    else:
        try:
            return _well_formed(content.decode(codec))
        except UnicodeError:
            pass
    try:
        return _well_formed(content.decode("utf-8").removeprefix("\ufeff"))
    except UnicodeDecodeError:
        pass
    if codec is not None:
        text = _well_formed(content.decode(codec, "replace"))
        if text.count("\ufffd") <= max(1, _LOST_SHARE * len(text)):
            return text
    return _well_formed(content.decode("cp1252", "replace"))


def _codec(charset: str | None) -> str | None:
    """Python's name of a charset's superset; None for a charset that it does not know."""
    if not charset or not charset.isascii() or len(charset) > 60:
        return None
    name = normalize_encoding(charset.strip().strip("\"'")).lower()
    codec = _CHARSETS.get(name) or _CHARSETS.get(name.replace("windows_", "cp", 1))
    return _SUPERSETS.get(codec, codec) if codec else None
