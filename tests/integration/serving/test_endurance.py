"""A minute of what `make benchmark-endurance` does in forty: nothing fails, memory is flat."""

import json

import pytest

from benchmarks.serving import endurance
from tests.conftest import campaigns


@pytest.mark.long
def test_under_load_under_too_much_and_while_bundles_change_nothing_fails(
    bundle, tmp_path, monkeypatch
):
    source = tmp_path / "mails.jsonl"
    labels = {0: "ham", 1: "spam"}
    rows = [{"text": text, "label": labels[label]} for text, label in campaigns(400)]
    source.write_text("\n".join(map(json.dumps, rows)))
    monkeypatch.setattr(endurance, "FOLDER", tmp_path / "endurance")
    arguments = ["--bundle", str(bundle), "--source", str(source), "--minutes", "0.5"]
    arguments += ["--overload", "5", "--requests", "4000", "--threads", "1"]
    assert endurance.main(arguments) == 0
    found = json.loads((tmp_path / "endurance" / "endurance.json").read_text())
    first, *_, last = found["steady"]
    assert last[-1] < 1.1 * first[-1]
    assert found["overload"]["refused"] > 0
    assert found["overload"]["failed"] == 0
    assert found["reload"]["swaps"] > 1
