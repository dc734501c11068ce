"""The kinds of base model that a bundle may hold."""

from __future__ import annotations

from rampart.models.base import Model
from rampart.models.encoder import EncoderModel
from rampart.models.ngram import NgramModel
from rampart.models.tabular import TabularModel

KINDS: dict[str, type[Model]] = {
    model.kind: model for model in (NgramModel, TabularModel, EncoderModel)
}
