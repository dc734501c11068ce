"""`rampart demo` goes the whole way once and says how to go on."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rampart.bundle.store import verify
from tests.conftest import campaigns

CALL = "import sys; from rampart.cli import main; sys.argv[0] = 'rampart'; main()"


def _served(bundle: Path) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(bundle) in command:
            found.append(command)
    return found


def _run(call: list[str]) -> subprocess.CompletedProcess[str]:
    said = subprocess.run(
        call, capture_output=True, text=True, check=False, env=os.environ | {"COLUMNS": "160"}
    )
    assert said.returncode == 0, said.stderr
    return said


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_the_demo_trains_serves_explains_and_says_how_to_go_on(
    base_encoder: Path, tmp_path: Path
) -> None:
    data, folder = tmp_path / "data.jsonl", tmp_path / "demo"
    rows = [
        # The demo shows mails of some length.
        {"text": f"{text} {text.partition(chr(10))[2].strip()} {'and so on ' * 10}", "label": label}
        for text, label in campaigns(300)
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    call = [sys.executable, "-c", CALL, "demo", "--data", str(data), "--folder", str(folder)]
    call += ["--encoder-sample", "0"]
    parameters = {
        "encoder_base": base_encoder,
        "encoder_tokens": 48,
        "encoder_tail": 12,
        "encoder_epochs": 3,
        "encoder_batch_size": 16,
        "encoder_learning_rate": 0.005,
        "attribution_texts": 20,
    }
    for name, value in parameters.items():
        call += ["--set", f"{name}={value}"]
    said = _run(call)
    assert "trained on all mails" in said.stderr
    assert said.stderr.count("/21 ") == 21
    assert "Held-out mails" in said.stdout
    verdicts = re.findall(
        r"^ *(ham|spam) +(ham|spam)(?: \(wrong\))? +(\d\.\d{4}) ", said.stdout, re.M
    )
    assert len(verdicts) == 6
    assert "voting" in said.stdout
    for heading, name in (("Report       ", "report"), ("Explanations ", "explanations")):
        page = folder / f"{name}.html"
        assert f"{heading}{page}" in said.stdout
        assert "<html" in page.read_text(encoding="utf-8")
    assert f"serve {folder / 'bundle'} --http-port 8080 --grpc-port 8081" in said.stdout
    assert "curl -s http://127.0.0.1:8080/v2/models/rampart/infer -d '" in said.stdout
    manifest = verify(folder / "bundle")
    assert _served(folder / "bundle") == []

    again = _run([*call, "--json"])
    assert again.stderr.count("done before") == 19
    document = json.loads(again.stdout)
    assert verify(Path(document["bundle"])).id == manifest.id
    labels = [verdict["label"] for verdict in document["verdicts"]]
    assert labels == [label for _, label, _ in verdicts]
    for verdict in document["verdicts"]:
        terms = [value for _, _, value in verdict["contributions"]]
        assert verdict["bias"] + sum(terms) == pytest.approx(verdict["logit"], abs=1e-4)
