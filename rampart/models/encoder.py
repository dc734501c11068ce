"""The transformer encoder as it is served: an ONNX graph that returns the terms of its logit.

The head is linear over the mean of the tokens' last hidden states, so the logit is the mean of
w.h_t, and each token's part of it is a term. Attention has mixed the tokens before they are
summed: the terms are exact as a sum and only half as faithful as occlusion (docs/architecture.md).
Where training found a second head to be more faithful, the graph gives its values as well, and
they are the terms that are shown; what they leave of the logit is in the bias.
A text longer than the window is read as its first and last tokens, which is how the encoder was
trained; what lies between is read in windows of its own, up to a limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from rampart.data.cleaning import AlignedText
from rampart.errors import BundleError, InputError
from rampart.models.base import Device, Floats, Keep, Model, Scores, Terms
from rampart.models.cores import cores
from rampart.models.gpu import has_gpu, open_on_gpu
from rampart.models.prepared import open_graph

ONNX_FILE = "model.onnx"
HALF_FILE = "model.half.onnx"
"""The same in 16-bit floats, where the bundle has it: what a GPU runs."""

TOKENIZER_FILE = "tokenizer.json"
CONFIG_FILE = "config.json"
_INPUTS = ("input_ids", "attention_mask")
TERMS, ATTRIBUTIONS = "terms", "attributions"
# How the terms that are shown were come by: the sum's own, or the second head's.
PLAIN: Literal["terms"] = "terms"
LEARNED: Literal["learned"] = "learned"


class WindowSettings(BaseModel):
    """How a text of any length is read.

    Attributes:
        tokens: tokens in a window, the two special ones included.
        tail: how many of them come from the text's end when it is longer than the window.
        inner: windows at the most for what lies between head and tail; 0 reads none of it.
        inner_share: weight of those windows' mean beside the first window's, 0 to 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tokens: int = Field(default=128, ge=8, le=512)
    tail: int = Field(default=32, ge=0)
    inner: int = Field(default=0, ge=0, le=64)
    inner_share: float = Field(default=0.0, ge=0.0, le=1.0)


class EncoderConfig(BaseModel):
    """What config.json holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    window: WindowSettings
    cls_id: int = Field(ge=0)
    sep_id: int = Field(ge=0)
    pad_id: int = Field(ge=0)
    bias: float
    method: Literal["terms", "learned"] = PLAIN


@dataclass(frozen=True, slots=True)
class Window:
    """Tokens of one text that are read together.

    Attributes:
        position: indices of the tokens in the text's tokenisation, int64 [t].
        share: weight of this window's logit in the text's logit; a text's shares sum to 1.
    """

    position: NDArray[np.int64]
    share: float


def windows(count: int, settings: WindowSettings) -> list[Window]:
    """Cut `count` tokens into windows: head and tail first, then what lies between."""
    room = settings.tokens - 2
    if count <= room:
        return [Window(np.arange(count), 1.0)]
    tail = min(settings.tail, room // 2)
    head = room - tail
    outer = np.concatenate([np.arange(head), np.arange(count - tail, count)])
    between = np.arange(head, count - tail)
    wanted = -(-len(between) // room)
    number = min(wanted, settings.inner)
    if not number or not settings.inner_share:
        return [Window(outer, 1.0)]
    if number == wanted:
        pieces = np.array_split(between, number)
    else:
        # More text than windows: they are spread evenly over it.
        firsts = np.linspace(0, len(between) - room, number).astype(np.int64)
        pieces = [between[first : first + room] for first in firsts]
    share = settings.inner_share / number
    inner = [Window(piece, share) for piece in pieces]
    return [Window(outer, 1.0 - settings.inner_share), *inner]


@dataclass
class EncoderModel(Model):
    """An ONNX encoder with its tokenizer; see the module."""

    kind: ClassVar[str] = "encoder"

    config: EncoderConfig
    tokenizer: Any
    session: Any
    batch_tokens: int = 2_048

    @property
    def method(self) -> str:
        """`learned` where the second head says what the terms are."""
        return self.config.method

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        threads: int | None = None,
        keep: Keep | None = None,
        device: Device = "cpu",
    ) -> Self:
        """Read config.json, tokenizer.json and the graph; see the base class.

        Where something can be kept, the graph is read as `rampart.models.prepared` writes it; on a
        GPU it is the graph in 16-bit floats, where there is one.
        """
        from tokenizers import Tokenizer

        try:
            config = EncoderConfig.model_validate_json((folder / CONFIG_FILE).read_bytes())
            tokenizer = Tokenizer.from_str((folder / TOKENIZER_FILE).read_text(encoding="utf-8"))
            tokenizer.no_truncation()
            tokenizer.no_padding()
            session = _session(folder, threads or cores(), keep, device)
            _check_graph(session, _outputs(config))
        except (ImportError, InputError):
            raise
        except Exception as error:  # tokenizers and onnxruntime raise bare Exception
            raise BundleError(
                f"The encoder in {folder.name}/ cannot be read: {error}.",
                "Write the bundle again with the pipeline.",
            ) from error
        return cls(config=config, tokenizer=tokenizer, session=session)

    def score(self, texts: Sequence[AlignedText], *, explain: bool = True) -> Scores:
        """Logits of cleaned texts; windows of like length are run together."""
        plain = [text.text for text in texts]
        encodings = self.tokenizer.encode_batch(plain, add_special_tokens=False)
        owners: list[int] = []
        cut: list[Window] = []
        for owner, encoding in enumerate(encodings):
            for window in windows(len(encoding.ids), self.config.window):
                owners.append(owner)
                cut.append(window)
        ids = [np.array(encoding.ids, dtype=np.int64) for encoding in encodings]
        results = self._run(ids, owners, cut, explain=explain)

        logits = np.full(len(texts), self.config.bias)
        for owner, window, found in zip(owners, cut, results, strict=True):
            logits[owner] += window.share * found[0].sum()
        if not explain:
            return Scores(logits, None)
        values = [np.zeros(len(encoding.ids)) for encoding in encodings]
        for owner, window, found in zip(owners, cut, results, strict=True):
            np.add.at(values[owner], window.position, window.share * found[-1])
        return Scores(
            logits,
            tuple(
                self._terms(encoding, value, float(logit - value.sum()))
                for encoding, value, logit in zip(encodings, values, logits, strict=True)
            ),
        )

    def _terms(self, encoding: Any, value: Floats, bias: float) -> Terms:
        offsets = encoding.offsets
        read = np.flatnonzero(value)
        spans = np.array([offsets[token] for token in read.tolist()], dtype=np.int64).reshape(-1, 2)
        shown = spans[:, 1] > spans[:, 0]
        lost = float(value[read[~shown]].sum())
        start, end = spans[shown].T
        return Terms(start, end, value[read[shown]], bias + lost)

    def _run(
        self, ids: list[NDArray[np.int64]], owners: list[int], cut: list[Window], *, explain: bool
    ) -> list[list[Floats]]:
        """The graph's outputs for each window, in the windows' order: terms first."""
        import onnxruntime as ort

        lengths = np.array([len(window.position) for window in cut])
        results: list[list[Floats]] = [[np.zeros(0)]] * len(cut)
        outputs = _outputs(self.config)[: None if explain else 1]
        options = ort.RunOptions()
        # The second head is not run where nobody asks for it.
        options.only_execute_path_to_fetches = True
        for batch in length_batches(lengths, self.batch_tokens):
            longest = int(lengths[batch].max())
            if not longest:
                continue
            tokens = np.full((len(batch), longest + 2), self.config.pad_id, dtype=np.int64)
            mask = np.zeros_like(tokens)
            for row, index in enumerate(batch):
                size = lengths[index]
                tokens[row, 0] = self.config.cls_id
                tokens[row, 1 : size + 1] = ids[owners[index]][cut[index].position]
                tokens[row, size + 1] = self.config.sep_id
                mask[row, : size + 2] = 1
            fed = dict(zip(_INPUTS, (tokens, mask), strict=True))
            given = self.session.run(outputs, fed, options)
            for row, index in enumerate(batch):
                own = slice(1, lengths[index] + 1)
                results[index] = [output[row, own].astype(np.float64) for output in given]
        return results


def _session(folder: Path, threads: int, keep: Keep | None, device: Device) -> Any:
    if has_gpu(device):
        half = folder / HALF_FILE
        session = open_on_gpu(half if half.exists() else folder / ONNX_FILE, device)
        if session is not None:
            return session
    return open_graph(folder / ONNX_FILE, threads=threads, keep=keep)


def _outputs(config: EncoderConfig) -> list[str]:
    return [TERMS, ATTRIBUTIONS] if config.method == LEARNED else [TERMS]


def _check_graph(session: Any, wanted: Sequence[str]) -> None:
    inputs = [node.name for node in session.get_inputs()]
    outputs = [node.name for node in session.get_outputs()]
    if sorted(inputs) != sorted(_INPUTS) or not set(wanted) <= set(outputs):
        raise ValueError(f"its graph maps {inputs} to {outputs}")


def length_batches(lengths: NDArray[np.int64], tokens: int) -> list[NDArray[np.int64]]:
    """Indices in batches of like length, each padded to at most `tokens` tokens."""
    batches: list[NDArray[np.int64]] = []
    batch: list[int] = []
    for index in np.argsort(lengths, kind="stable"):
        if batch and (len(batch) + 1) * (lengths[index] + 2) > tokens:
            batches.append(np.array(batch))
            batch = []
        batch.append(index)
    return [*batches, np.array(batch)] if batch else batches
