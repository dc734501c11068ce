"""Verdicts kept for texts that come again: the cheapest verdict is one that is there already.

Spam comes in campaigns, often the same text many times over. A verdict is kept by the text exactly
as it was sent, which is what the models see, by how it was asked for, and by the bundle's id, so
that it is the one that the models would give again. The text itself is not kept, only its SHA-256.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict

from rampart.inference.options import ScoreOptions
from rampart.inference.verdict import Verdict

Key = tuple[str, bytes, ScoreOptions]
# Of a verdict without its spans and models: measured on those of the demo, with the key.
_ENTRY_BYTES = 1_200
_MODEL_BYTES = 100


class VerdictCache:
    """The verdicts that were asked for last, in at most so many bytes; any thread may use it."""

    def __init__(self, limit: int) -> None:
        """Keep nothing where `limit` is 0."""
        self.limit = limit
        self.hits = 0
        self.misses = 0
        self.bytes = 0
        self._verdicts: OrderedDict[Key, tuple[Verdict, int]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._verdicts)

    @staticmethod
    def key(bundle: str, text: str, options: ScoreOptions) -> Key:
        """What a verdict is kept by; lone surrogates count as what they are."""
        return bundle, hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest(), options

    def get(self, key: Key) -> Verdict | None:
        """The verdict that is kept, if any; it is the last now to be dropped."""
        with self._lock:
            found = self._verdicts.get(key)
            if found is None:
                self.misses += 1
                return None
            self._verdicts.move_to_end(key)
            self.hits += 1
            return found[0]

    def put(self, key: Key, verdict: Verdict) -> None:
        """Keep a verdict, and drop those that were asked for longest ago to make room."""
        parts = verdict.explanation
        size = _ENTRY_BYTES + _MODEL_BYTES * len(verdict.models)
        size += parts.start.nbytes + parts.end.nbytes + parts.value.nbytes
        if size > self.limit:
            return
        with self._lock:
            _, before = self._verdicts.pop(key, (None, 0))
            self._verdicts[key] = verdict, size
            self.bytes += size - before
            while self.bytes > self.limit:
                _, (_, dropped) = self._verdicts.popitem(last=False)
                self.bytes -= dropped
