"""Many callers, one engine: what waits is scored together, and nobody waits for a batch to fill.

While one batch runs the next one gathers, so that batches are as large as the load makes them and
a single caller never waits for others to come. A batch is bounded by tokens, not by texts, since
that is what it costs; a call that is larger than one batch is answered in slices, between which
other calls have their turn. Who calls gets the verdicts on his own texts, in his own order,
whatever becomes of the others: cancelled ones are dropped, and where a batch fails each call in it
is scored again alone, so that an error stays with the one who caused it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from time import perf_counter

from rampart.errors import OverloadedError
from rampart.inference.cache import VerdictCache
from rampart.inference.options import ScoreOptions
from rampart.inference.verdict import Verdict

Score = Callable[[Sequence[str], ScoreOptions], list[Verdict]]
OnBatch = Callable[[int, float], None]
OnCall = Callable[[float], None]
# What comes with a text whatever its length: special tokens, and the cost of a call.
_OVERHEAD_TOKENS = 16
_CHARACTERS_A_TOKEN = 4
# Of a batch that one call may fill while others wait.
_SHARE = 4


def tokens_of(text: str) -> int:
    """About as many tokens as a text will have: it has not been cut into them yet."""
    return _OVERHEAD_TOKENS + len(text) // _CHARACTERS_A_TOKEN


@dataclass(slots=True)
class _Call:
    texts: Sequence[str]
    options: ScoreOptions
    future: Future[list[Verdict]]
    found: list[Verdict | None]
    left: deque[int]
    begun: float | None = None

    @property
    def gone(self) -> bool:
        """Whether nobody waits for its answer any more."""
        return self.future.done()


@dataclass(slots=True)
class _Batch:
    """Texts that are scored in one go: which text of which call each is."""

    options: ScoreOptions
    rows: list[tuple[_Call, int]] = field(default_factory=list)
    tokens: int = 0


class Batcher:
    """One thread that scores, and the calls that wait for it; any thread may call."""

    def __init__(
        self,
        score: Score,
        *,
        bundle: str = "",
        waiting: int = 64,
        tokens: int = 4_096,
        cache: VerdictCache | None = None,
        on_batch: OnBatch | None = None,
        on_call: OnCall | None = None,
    ) -> None:
        """Begin to answer.

        Args:
            score: verdicts on texts; called from one thread.
            bundle: id of the bundle that it answers from, for the cache.
            waiting: calls that may be unanswered beside the first.
            tokens: of one batch, about; a single text may have more.
            cache: of verdicts; none by default.
            on_batch: told the texts of each batch and the seconds that it took.
            on_call: told the seconds from a call's first batch to its answer.
        """
        self.cache = VerdictCache(0) if cache is None else cache
        self._score = score
        self._bundle = bundle
        self._waiting = waiting
        self._tokens = tokens
        self._on_batch = on_batch
        self._on_call = on_call
        self._calls: deque[_Call] = deque()
        self._changed = threading.Condition()
        self._unanswered = 0
        self._closed = False
        # A daemon, so that a process told twice to stop need not wait for a batch.
        self._thread = threading.Thread(target=self._run, name="rampart-batcher", daemon=True)
        self._thread.start()

    @property
    def depth(self) -> int:
        """Calls that have not been begun."""
        with self._changed:
            return self._depth()

    @property
    def unfinished(self) -> int:
        """Calls that have not been answered."""
        with self._changed:
            return self._unanswered

    @property
    def alive(self) -> bool:
        """Whether calls are still being answered."""
        return self._thread.is_alive()

    def submit(
        self, texts: Sequence[str], options: ScoreOptions | None = None
    ) -> Future[list[Verdict]]:
        """The verdicts on the texts, in their order, once they are there; it may be cancelled.

        Raises:
            OverloadedError: as many calls as may wait are waiting already.
        """
        options = options or ScoreOptions()
        found = [self._kept(text, options) for text in texts]
        left = deque(row for row, verdict in enumerate(found) if verdict is None)
        call = _Call(texts, options, Future(), found, left)
        if not left:
            self._answer(call)
            return call.future
        with self._changed:
            if self._closed:
                raise OverloadedError("Nothing more is taken here.", "Ask again in a second.")
            if self._unanswered > self._waiting:
                raise OverloadedError(
                    f"{self._waiting} requests are waiting already.", "Try again in a second."
                )
            self._calls.append(call)
            self._unanswered += 1
            self._changed.notify_all()
        call.future.add_done_callback(self._counted)
        return call.future

    def close(self) -> None:
        """Answer what was taken, take no more, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _counted(self, _: Future[list[Verdict]]) -> None:
        with self._changed:
            self._unanswered -= 1

    def _depth(self) -> int:
        return sum(call.begun is None and not call.gone for call in self._calls)

    def _kept(self, text: str, options: ScoreOptions) -> Verdict | None:
        if not self.cache.limit:
            return None
        return self.cache.get(self.cache.key(self._bundle, text, options))

    # --- the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._calls or self._closed)
                batch = self._gathered()
                if batch is None and self._closed:
                    return
            if batch is not None:
                self._scored(batch)

    def _gathered(self) -> _Batch | None:
        """The next texts to score: of each call in turn its share, till the batch is full."""
        calls = [call for call in self._calls if not call.gone]
        batch = _Batch(calls[0].options) if calls else None
        share = self._tokens / (_SHARE if len(calls) > 1 else 1)
        waiting: list[_Call] = []
        later: list[_Call] = []
        for call in calls:
            if (
                batch is None
                or call.options != batch.options
                or not self._takes(batch, call, share)
            ):
                waiting.append(call)
            elif call.left:
                # Others have their turn before its next slice.
                later.append(call)
        self._calls = deque([*waiting, *later])
        return batch

    def _takes(self, batch: _Batch, call: _Call, share: float) -> bool:
        """Put the call's share into the batch; whether anything of it fitted."""
        taken = 0
        while call.left:
            cost = tokens_of(call.texts[call.left[0]])
            full = batch.rows and batch.tokens + cost > self._tokens
            if full or (taken and taken + cost > share):
                break
            batch.rows.append((call, call.left.popleft()))
            batch.tokens += cost
            taken += cost
        if taken and call.begun is None:
            call.begun = perf_counter()
        return bool(taken)

    def _scored(self, batch: _Batch) -> None:
        begin = perf_counter()
        # The same text twice in a batch is scored once.
        texts = list(dict.fromkeys(call.texts[row] for call, row in batch.rows))
        try:
            verdicts = dict(zip(texts, self._score(texts, batch.options), strict=True))
        except BaseException as error:  # noqa: BLE001 - it belongs to the callers
            self._failed(batch, error)
            return
        if self._on_batch is not None:
            self._on_batch(len(texts), perf_counter() - begin)
        if self.cache.limit:
            for text, verdict in verdicts.items():
                self.cache.put(self.cache.key(self._bundle, text, batch.options), verdict)
        for call, row in batch.rows:
            call.found[row] = verdicts[call.texts[row]]
        for call in {id(call): call for call, _ in batch.rows}.values():
            if None not in call.found:
                self._answer(call)

    def _failed(self, batch: _Batch, error: BaseException) -> None:
        """Give the error to the one call that caused it; where there were several, find out."""
        calls = list({id(call): call for call, _ in batch.rows}.values())
        if len(calls) == 1:
            self._answer(calls[0], error)
            return
        for call in calls:
            rows = [(one, row) for one, row in batch.rows if one is call]
            self._scored(_Batch(batch.options, rows, 0))

    def _answer(self, call: _Call, error: BaseException | None = None) -> None:
        # It stays pending till here, so that it can be cancelled between two of its slices.
        if call.gone or not call.future.set_running_or_notify_cancel():
            return
        if self._on_call is not None:
            self._on_call(0.0 if call.begun is None else perf_counter() - call.begun)
        if error is not None:
            call.future.set_exception(error)
        else:
            call.future.set_result([verdict for verdict in call.found if verdict is not None])
