"""A small part of `make fuzz` in every run, and that the fuzzer notices what it should."""

from __future__ import annotations

import pytest

from rampart.features.linguistic import LinguisticFeatures
from rampart.features.security import SecurityFeatures
from tests.fuzz.checks import every, family, growth
from tests.fuzz.texts import text

TEXTS = [text(0, number) for number in range(150)]


@pytest.mark.parametrize(
    "name", ["cleaning", "mail parsing", "security", "linguistic", "highlighted text", "plots"]
)
def test_generated_texts_bring_nothing_down(name) -> None:
    families = {"security": SecurityFeatures(), "linguistic": LinguisticFeatures()}
    every(families)[name](TEXTS)


def test_a_text_is_known_by_seed_and_number() -> None:
    assert [text(0, number) for number in range(20)] == TEXTS[:20]
    assert text(1, 0) != text(0, 0) or text(1, 1) != text(0, 1)
    assert len(set(TEXTS)) > 100


class Careless(SecurityFeatures):
    """Divides by the number of words."""

    def readings(self, texts):
        for one in texts:
            1 / len(one.text.split())
        return super().readings(texts)


def test_an_extractor_that_fails_on_some_text_is_found() -> None:
    with pytest.raises(ZeroDivisionError):
        family(Careless())(TEXTS)


@pytest.mark.parametrize(("power", "lowest", "highest"), [(1, 0.9, 1.1), (2, 1.9, 2.1)])
def test_growth_tells_linear_time_from_quadratic(power, lowest, highest) -> None:
    clock = [0.0]

    def check(texts) -> None:
        clock[0] += len(texts[0]) ** power / 1e3

    assert lowest < growth(check, "ab", (100, 200, 400), lambda: clock[0]) < highest
