"""Texts are cut once; what is kept is found again by its content, and never if it is broken."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rampart.data.labelled import Labelled
from rampart.models.encoder import WindowSettings
from rampart.training import tokens
from rampart.training.encoder import EncoderTraining, train_encoder
from rampart.training.frozen import Cutter
from rampart.training.tokens import TokenCache
from tests.conftest import mails

TEXTS = ["first text", "", "another one"]


class Cut:
    """Cuts texts into their characters, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, texts: Sequence[str]) -> list[np.ndarray]:
        self.asked += texts
        return [np.array([ord(letter) for letter in text], dtype=np.int64) for text in texts]


def ids(cache: TokenCache, cut: Cut, texts: Sequence[str] = TEXTS, **other: str) -> list[list[int]]:
    found = cache.ids(texts, cut, **({"tokenizer": "t", "how": "s"} | other))
    return [row.tolist() for row in found]


def test_the_second_run_cuts_nothing_and_gets_the_same(tmp_path: Path) -> None:
    cut, again = Cut(), Cut()
    first = ids(TokenCache(tmp_path), cut)
    assert cut.asked == TEXTS
    assert ids(TokenCache(tmp_path), again) == first == [[ord(c) for c in t] for t in TEXTS]
    assert again.asked == []


@pytest.mark.parametrize("other", [{"tokenizer": "u"}, {"how": "r"}])
def test_another_tokenizer_or_setting_cuts_again(tmp_path: Path, other: dict[str, str]) -> None:
    ids(TokenCache(tmp_path), Cut())
    cut = Cut()
    ids(TokenCache(tmp_path), cut, **other)
    assert cut.asked == TEXTS


def test_a_text_is_found_whichever_others_it_stands_among(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "TEXTS", 2)
    ids(TokenCache(tmp_path), Cut())
    cut = Cut()
    mixed = ["new", *reversed(TEXTS), "newer", "new", TEXTS[0]]
    assert ids(TokenCache(tmp_path), cut, mixed) == [[ord(c) for c in text] for text in mixed]
    assert cut.asked == ["new", "newer"]


@pytest.mark.parametrize("place", [0.0, 0.4, 0.6, 0.99])
def test_a_broken_file_is_made_again(tmp_path: Path, place: float) -> None:
    texts = ["a longer text " * 200]
    first = ids(TokenCache(tmp_path), Cut(), texts)
    [path] = tmp_path.glob("*/*.arrow")
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 255
    path.write_bytes(content)
    assert ids(TokenCache(tmp_path), Cut(), texts) == first
    cut = Cut()
    assert ids(TokenCache(tmp_path), cut, texts) == first
    assert cut.asked == []


def test_a_file_that_was_cut_off_is_made_again(tmp_path: Path) -> None:
    first = ids(TokenCache(tmp_path), Cut())
    [path] = tmp_path.glob("*/*.arrow")
    path.write_bytes(path.read_bytes()[:-40])
    assert ids(TokenCache(tmp_path), Cut()) == first


def test_the_files_used_longest_ago_go_first(tmp_path: Path) -> None:
    cache = TokenCache(tmp_path)
    for age, text in enumerate(["old" * 100, "older" * 100, "new" * 100]):
        ids(cache, Cut(), [text])
        newest = max(tmp_path.glob("*/*.arrow"), key=lambda path: path.stat().st_mtime_ns)
        os.utime(newest, (1_000 + age, 1_000 + age))
    ids(cache, Cut(), ["old" * 100])  # used again
    size = max(path.stat().st_size for path in tmp_path.glob("*/*.arrow"))
    cut = Cut()
    ids(TokenCache(tmp_path, limit=size * 2), cut, ["old" * 100])
    ids(TokenCache(tmp_path), cut, ["new" * 100])
    assert cut.asked == []
    ids(TokenCache(tmp_path), cut, ["older" * 100])
    assert cut.asked == ["older" * 100]


def test_a_folder_that_cannot_be_written_to_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cut = Cut()
    assert ids(TokenCache(tmp_path / "file"), cut) == ids(TokenCache(tmp_path / "file"), cut)
    assert cut.asked == TEXTS * 2


def test_no_texts_have_no_ids(tmp_path: Path) -> None:
    assert ids(TokenCache(tmp_path), Cut(), []) == []


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=30), max_size=12))
def test_whatever_the_texts_both_runs_give_the_same(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("tokens")
    assert ids(TokenCache(folder), Cut(), texts) == ids(TokenCache(folder), Cut(), texts)


def test_no_more_files_are_kept_than_are_opened_in_no_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "_FILES", 3)
    for number in range(5):
        ids(TokenCache(tmp_path), Cut(), [f"text {number}"])
    assert len(list(tmp_path.glob("*/*.arrow"))) == 3


def test_processes_that_fill_one_cache_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; import numpy as np;"
        "from rampart.training import tokens; tokens.TEXTS = 3;"
        "texts = [f'text {n}' for n in range(200)];"
        "cut = lambda some: [np.array([ord(c) for c in text]) for text in some];"
        "found = tokens.TokenCache(Path(sys.argv[1])).ids(texts, cut, tokenizer='t', how='s');"
        "assert [row.tolist() for row in found] == [[ord(c) for c in text] for text in texts]"
    )
    call = [sys.executable, "-c", code, str(tmp_path)]
    running = [subprocess.Popen(call) for _ in range(2)]
    assert [one.wait() for one in running] == [0, 0]
    assert not list(tmp_path.glob("*/*.part"))
    cut = Cut()
    ids(TokenCache(tmp_path), cut, [f"text {n}" for n in range(200)])
    assert cut.asked == []


def test_a_second_training_tokenises_nothing_and_comes_to_the_same(
    tmp_path: Path, base_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = Cutter._cut

    def cut(self: Cutter, texts: Sequence[str]) -> list[np.ndarray]:
        asked.extend(texts)
        return real(self, texts)

    monkeypatch.setattr(Cutter, "_cut", cut)
    texts, labels = mails(60, seed=9)
    parts = Labelled(texts[:40], labels[:40]), Labelled(texts[40:], labels[40:])
    window = WindowSettings(tokens=32, tail=8)
    how = EncoderTraining(base=str(base_encoder), window=window, epochs=1, trained_layers=1)
    cache = TokenCache(tmp_path / "tokens")
    first = train_encoder(*parts, tmp_path / "first", how, tokens=cache)
    assert sorted(asked) == sorted(set(texts))
    asked.clear()
    second = train_encoder(*parts, tmp_path / "second", how, tokens=cache)
    assert asked == []
    assert second.validation_loss == first.validation_loss
    train_encoder(*parts, tmp_path / "third", how)
    assert len(asked) == 60
