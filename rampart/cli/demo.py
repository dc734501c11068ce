"""`rampart demo`: the whole way once, on the real corpus: train, serve, ask, explain."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from rampart.cli.console import columns, err, out, print_json
from rampart.cli.data import Json
from rampart.cli.highlight import excerpt
from rampart.cli.picture import save_picture
from rampart.cli.pipeline import Set, parameters_of, run_here
from rampart.errors import PipelineError
from rampart.explain.contributions import Contributions

# Enough for the encoder to be worth its place, and for two cores to finish in minutes.
PARAMETERS = {
    "encoder_sample": "600",
    "encoder_epochs": "2",
    "encoder_tokens": "64",
    "encoder_tail": "16",
    "attribution_texts": "36",
    "time_split": "false",
}
_SHOWN = 6
_LENGTH = 150
_TOP_K = 8
_WAIT = 120.0


def demo(
    *,
    folder: Annotated[Path, typer.Option(help="Where everything goes.")] = Path("build/demo"),
    data: Annotated[str, typer.Option(help="Source of labelled mails.")] = "spam-assassin",
    encoder_sample: Annotated[
        int, typer.Option(help="Mails the encoder is trained on; 0 for all.")
    ] = int(PARAMETERS["encoder_sample"]),
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Train on the default corpus through the pipeline, serve, and explain held-out mails.

    To be done in minutes the encoder reads 64 tokens of each mail, its top two layers are trained
    on a sample, and there is no time split; `rampart pipeline run training` reads 128 tokens,
    trains on everything and measures on the time split too.
    """
    begun = time.monotonic()
    whole = "all mails" if not encoder_sample else f"a sample of {encoder_sample} mails"
    err.print(f"The encoder's top two layers are trained on {whole}, 64 tokens of each.\n")
    parameters = PARAMETERS | parameters_of(set_)
    parameters |= {"uri": data, "encoder_sample": str(encoder_sample)}
    bundle = folder / "bundle"
    outputs = run_here("training", parameters, folder / "pipeline", bundle)
    pages = {name: folder / f"{name}.html" for name in ("report", "explanations")}
    for name, page in pages.items():
        shutil.copyfile(outputs[name], page)
    texts, truths = _held_out(Path(outputs["table"]))
    with _served(bundle) as address:
        answers = _ask(address, texts)
    if as_json:
        print_json(
            {"bundle": str(bundle), **{n: str(p) for n, p in pages.items()}, "verdicts": answers}
        )
        return
    table = _table(texts, truths, answers)
    out.print(table, soft_wrap=False)
    picture = folder / "verdicts.svg"
    save_picture(table, picture, title="make demo")
    seconds = time.monotonic() - begun
    out.print(
        f"\nModel version {outputs['version']} is the {outputs['alias']}: {outputs['reason']}\n"
        f"\nReport       {pages['report']}"
        f"\nExplanations {pages['explanations']}"
        f"\nModel card   {bundle / 'card.md'}"
        f"\nPicture      {picture}"
        f"\nTook         {seconds / 60:.1f} minutes\n"
        f"\nKeep a server up:\n    {_command()} serve {bundle} --http-port 8080 --grpc-port 8081\n"
        f"\nand ask it:\n    {_curl()}"
    )


def _held_out(table: Path) -> tuple[list[str], list[str]]:
    """Mails of the test part and what they are: the same ones every time, of each group some."""
    from rampart.data.tables import read_table

    messages = read_table(table)
    tested = messages[messages["split"] == "test"].sort_values("id")
    fitting = tested[tested["text"].str.len().between(200, 4000)]
    found = fitting if len(fitting) >= _SHOWN else tested
    groups = [rows for _, rows in found.groupby(["group", "label"])]
    turns = -(-_SHOWN // len(groups))
    chosen = []
    for shown in range(_SHOWN):
        rows = groups[shown % len(groups)]
        chosen.append(rows.iloc[(shown // len(groups) + 1) * len(rows) // (turns + 1)])
    names = {0: "ham", 1: "spam"}
    return [row["text"] for row in chosen], [names[int(row["label"])] for row in chosen]


@contextmanager
def _served(bundle: Path) -> Iterator[str]:
    """A server of the bundle on a free port, in a process of its own; gives its REST address."""
    call = [sys.executable, "-m", "serving.predictor", "--bundle", str(bundle)]
    call += ["--host", "127.0.0.1", "--http_port", "0", "--grpc_port", "0"]
    with err.status("Starting the server"):
        process = subprocess.Popen(call, stdout=subprocess.PIPE, text=True)  # noqa: S603
        line = process.stdout.readline() if process.stdout else ""
    try:
        address = next((word for word in line.split() if word.startswith("http://")), None)
        if address is None:
            raise PipelineError(
                "The server did not start.", f"Run `rampart serve {bundle}` to see why."
            )
        yield address
    finally:
        process.terminate()
        process.wait(_WAIT)


def _ask(address: str, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Ask over V2, as any client would; one verdict for each text."""
    import httpx

    tensor = {"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": list(texts)}
    reply = httpx.post(
        f"{address}/v2/models/rampart/infer",
        json={"inputs": [tensor], "parameters": {"top_k": _TOP_K}},
        timeout=_WAIT,
    )
    if reply.is_error:
        raise PipelineError(f"The server answered {reply.status_code}: {reply.text[:200]}")
    outputs = {output["name"]: output["data"] for output in reply.json()["outputs"]}
    verdicts = []
    for row in range(len(texts)):
        cut = slice(row * _TOP_K, (row + 1) * _TOP_K)
        spans = outputs["span"][2 * row * _TOP_K : 2 * (row + 1) * _TOP_K]
        found = zip(spans[::2], spans[1::2], outputs["contribution"][cut], strict=True)
        verdicts.append(
            {
                name: outputs[name][row]
                for name in ("label", "probability", "logit", "stage", "bias")
            }
            | {"contributions": [list(span) for span in found if span[0] >= 0]}
        )
    return verdicts


def _table(texts: Sequence[str], truths: Sequence[str], answers: Sequence[dict[str, Any]]) -> Table:
    import numpy as np

    table = columns(
        "Held-out mails, as the server sees them (red speaks for spam, green against)",
        "is", "verdict", ">probability", "settled by", "what weighed most",
    )  # fmt: skip
    table.columns[-1].no_wrap = False
    table.show_lines = True
    for text, truth, answer in zip(texts, truths, answers, strict=True):
        starts, ends, values = np.array(answer["contributions"]).reshape(-1, 3).T
        parts = Contributions(starts.astype(int), ends.astype(int), values, answer["bias"])
        right = truth == answer["label"]
        table.add_row(
            truth,
            answer["label"] if right else f"{answer['label']} (wrong)",
            f"{answer['probability']:.4f}",
            answer["stage"],
            excerpt(text, parts, _LENGTH),
        )
    return table


def _command() -> str:
    """How to call this command again from here."""
    called = Path(sys.argv[0])
    try:
        return str(called.absolute().relative_to(Path.cwd()))
    except ValueError:
        return called.name


def _curl() -> str:
    body = (
        '{"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", '
        '"data": ["You have won a prize\\n\\nClick here to claim $1,000,000 now!"]}]}'
    )
    return f"curl -s http://127.0.0.1:8080/v2/models/rampart/infer -d '{body}'"
