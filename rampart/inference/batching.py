"""Many callers, one engine: what waits is scored together, and nobody waits for a batch to fill.

While one batch runs the next one gathers, so that batches are as large as the load makes them and
a single caller never waits for others to come. A batch is bounded by tokens, not by texts, since
that is what it costs; a call that is larger than one batch is answered in slices, between which
other calls have their turn. Who calls gets the verdicts on his own texts, in his own order,
whatever becomes of the others: cancelled ones are dropped, and where a batch fails each call in it
is scored again alone, so that an error stays with the one who caused it.

There are two lanes. In the first the stage that is asked first settles what it is sure of; what it
leaves goes to the second, where dear models are asked while the first goes on, so that a text that
is settled at once does not wait for one that is not. What gathers there is asked together, too.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from time import perf_counter

from rampart.errors import OverloadedError
from rampart.inference.cache import VerdictCache
from rampart.inference.calls import Batch, Begin, Call, Unsettled, Waiting, alike
from rampart.inference.options import ScoreOptions
from rampart.inference.verdict import Verdict

OnBatch = Callable[[int, float], None]
OnCall = Callable[[float], None]
# Of calls, how many the cache has to answer for it to be worth reading them while the queue is
# full; about how many calls that is counted over; and of those that are not read, one in so many
# is, so that a change is noticed.
_WORTH_READING = 0.1
_COUNTED = 64
_READ_ANYWAY = 16


class Batcher:
    """Two threads that score, and the calls that wait for them; any thread may call."""

    def __init__(
        self,
        begin: Begin,
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
            begin: the first stage's verdicts on texts, and the way to those of the others.
            bundle: id of the bundle that it answers from, for the cache.
            waiting: calls that may be unanswered beside the first.
            tokens: of one batch, about; a single text may have more.
            cache: of verdicts; none by default.
            on_batch: told the texts of each batch and the seconds that it took, in either lane.
            on_call: told the seconds from a call's first batch to its answer.
        """
        self.cache = VerdictCache(0) if cache is None else cache
        self._begin = begin
        self._bundle = bundle
        self._most = waiting
        self._tokens = tokens
        self._on_batch = on_batch
        self._on_call = on_call
        self._calls = Waiting(tokens)
        self._changed = threading.Condition()
        self._unanswered = 0
        self._answered_by_cache = 0.0
        self._not_read = 0
        self._closed = False
        self._unsettled: queue.SimpleQueue[Unsettled | None] = queue.SimpleQueue()
        # Daemons, so that a process told twice to stop need not wait for a batch.
        self._lanes = [
            threading.Thread(target=lane, name=f"rampart-{lane.__name__.strip('_')}", daemon=True)
            for lane in (self._first_lane, self._second_lane)
        ]
        for thread in self._lanes:
            thread.start()

    @property
    def depth(self) -> int:
        """Calls that have not been begun."""
        with self._changed:
            return sum(call.begun is None and not call.gone for call in self._calls.calls)

    @property
    def unfinished(self) -> int:
        """Calls that have not been answered."""
        with self._changed:
            return self._unanswered

    @property
    def alive(self) -> bool:
        """Whether calls are still being answered."""
        return all(lane.is_alive() for lane in self._lanes)

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
        call = Call(texts, options, Future(), found, left, len(left))
        with self._changed:
            self._answered_by_cache += (bool(not left) - self._answered_by_cache) / _COUNTED
        if not left:
            self._answer(call)
            return call.future
        with self._changed:
            if self._closed:
                raise OverloadedError("Nothing more is taken here.", "Ask again in a second.")
            if self._full:
                raise OverloadedError(
                    f"{self._most} requests are waiting already.", "Try again in a second."
                )
            self._calls.calls.append(call)
            self._unanswered += 1
            self._changed.notify_all()
        call.future.add_done_callback(self._counted)
        return call.future

    def refuses(self) -> bool:
        """Whether a call that comes now is to be refused before anybody reads it.

        So it is while the queue is full: what reading costs is taken from those that are answered.
        Where the cache answers some of those that come it may be worth it all the same.
        """
        with self._changed:
            if not self._full or self._answered_by_cache > _WORTH_READING:
                return False
            self._not_read += 1
            return not self.cache.limit or self._not_read % _READ_ANYWAY > 0

    @property
    def _full(self) -> bool:
        return self._unanswered > self._most

    def close(self) -> None:
        """Answer what was taken, take no more, and end the threads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for lane in self._lanes:
            lane.join()

    def _counted(self, _: Future[list[Verdict]]) -> None:
        with self._changed:
            self._unanswered -= 1

    def _kept(self, text: str, options: ScoreOptions) -> Verdict | None:
        if not self.cache.limit:
            return None
        return self.cache.get(self.cache.key(self._bundle, text, options))

    # --- the lanes ----------------------------------------------------------------------------

    def _first_lane(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._calls.calls or self._closed)
                batch = self._calls.gathered()
                if batch is None and self._closed:
                    break
            if batch is not None:
                self._scored(batch)
        self._unsettled.put(None)

    def _second_lane(self) -> None:
        waiting: deque[Unsettled] = deque()
        ended = False
        while waiting or not ended:
            # All that is there, and where nothing is whatever comes next.
            while not ended and not (waiting and self._unsettled.empty()):
                if (one := self._unsettled.get()) is None:
                    ended = True
                else:
                    waiting.append(one)
            if taken := alike(waiting, self._tokens):
                self._settled(taken)

    def _settled(self, taken: Sequence[Unsettled]) -> None:
        """Ask the dear models about what several batches left; where that fails, one by one."""
        first, *others = taken
        begin = perf_counter()
        count = sum(one.begun.left for one in taken)
        try:
            found = first.begun.rest_with([one.begun for one in others])
        except BaseException as error:  # noqa: BLE001 - it belongs to the callers
            if others:
                for one in taken:
                    self._settled([one])
            else:
                self._failed(first.batch, error)
            return
        self._told(count, begin)
        for one, verdicts in zip(taken, found, strict=True):
            self._deliver(one, verdicts)

    def _scored(self, batch: Batch) -> None:
        begin = perf_counter()
        # The same text twice in a batch is scored once.
        texts = list(dict.fromkeys(call.texts[row] for call, row in batch.rows))
        try:
            begun = self._begin(texts, batch.options)
        except BaseException as error:  # noqa: BLE001 - it belongs to the callers
            self._failed(batch, error)
            return
        self._told(len(texts), begin)
        unsettled = Unsettled(begun, batch, {text: row for row, text in enumerate(texts)})
        self._deliver(unsettled, begun.settled)
        if begun.left:
            self._unsettled.put(unsettled)

    def _told(self, texts: int, begin: float) -> None:
        if self._on_batch is not None:
            self._on_batch(texts, perf_counter() - begin)

    def _deliver(self, unsettled: Unsettled, verdicts: Mapping[int, Verdict]) -> None:
        """Give verdicts to the calls whose texts they are on, and take those rows off the batch."""
        batch, kept = unsettled.batch, set[str]()
        whole: list[Call] = []
        # Both lanes may have a part of the same call.
        with self._changed:
            rows, batch.rows = batch.rows, []
            for call, row in rows:
                text = call.texts[row]
                verdict = verdicts.get(unsettled.row_of[text])
                if verdict is None:
                    batch.rows.append((call, row))
                    continue
                call.found[row] = verdict
                call.missing -= 1
                if not call.missing:
                    whole.append(call)
                if self.cache.limit and text not in kept:
                    kept.add(text)
                    self.cache.put(self.cache.key(self._bundle, text, batch.options), verdict)
        for call in whole:
            self._answer(call)

    def _failed(self, batch: Batch, error: BaseException) -> None:
        """Give the error to the one call that caused it; where there were several, find out."""
        calls = list({id(call): call for call, _ in batch.rows}.values())
        if len(calls) == 1:
            self._answer(calls[0], error)
            return
        for call in calls:
            rows = [(one, row) for one, row in batch.rows if one is call]
            self._scored(Batch(batch.options, rows, 0))

    def _answer(self, call: Call, error: BaseException | None = None) -> None:
        # It stays pending till here, so that it can be cancelled between two of its slices.
        if call.gone or not call.future.set_running_or_notify_cancel():
            return
        if self._on_call is not None:
            self._on_call(0.0 if call.begun is None else perf_counter() - call.begun)
        if error is not None:
            call.future.set_exception(error)
        else:
            call.future.set_result([verdict for verdict in call.found if verdict is not None])
