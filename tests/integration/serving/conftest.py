"""A real predictor in a process of its own, and the texts that every client sends it."""

import importlib
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import pytest

READY = re.compile(r"^Serving [\w, ]+ at (http://[\d.]+:\d+) \(REST\) and ([\d.]+:\d+) \(gRPC\)$")
TEXTS = [
    "Win a free prize today\n\nClick here to claim your money. Limited offer, act now!",
    "The meeting moved to Thursday\n\nI have attached the patch for review.",
    "<html><body><p>Cheap <b>loans</b> approved at once</p><a href='http://example.com'>go</a>",
    "<p>Make &#36;5,000 a week &amp; more from home</p>",
    "\N{PARTY POPPER}\N{FAMILY} You have been selected as a winner \N{MONEY BAG}\N{MONEY BAG}",
    "Wi\N{COMBINING ACUTE ACCENT}n a fre\N{COMBINING DIAERESIS}e prize",
    "Lunch at noon\r\n\r\nif the rain stops\r\nSee the manual, chapter four\r\n",
    "The kernel panics when the disk is full. " * 200,
    "Thanks for the notes. " * 120 + "Win a free prize today.",
    "",
    "   \n\t ",
    "\N{ZERO WIDTH SPACE}fr\N{SOFT HYPHEN}ee pri\N{ZERO WIDTH JOINER}ze",
    "Re: [list] Could you look at the build log?\n\n> quoted line\nNo.",
    "\u65e5\u672c\u8a9e\u306e free money \u0627\u0644\u0639\u0631\u0628\u064a\u0629",
    "nul \x00 and control \x07 characters \x1b[31m",
    '"quotes" \\ backslash {"inputs": []} </script>',
    "a" * 3000,
    "\N{MATHEMATICAL BOLD CAPITAL F}\N{MATHEMATICAL BOLD SMALL R}ee \U0010ffff \ufeff end",
    "<style>p{}</style><script>x</script>My tests pass on the old compiler<br>bye",
    "Remove your address by replying to this mail",
]


@dataclass(frozen=True)
class Running:
    """A predictor that said it serves; `log` is where its stderr goes."""

    process: subprocess.Popen
    url: str
    grpc: str
    log: object

    def infer(self, document, **options):
        return httpx.post(f"{self.url}/v2/models/rampart/infer", json=document, **options)

    def probe(self, path="/v2/health/ready"):
        return httpx.get(self.url + path, timeout=30).status_code


def until(condition, seconds=60):
    """Wait for something that has to come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def question(texts, **fields):
    entry = {"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": list(texts)}
    return {"inputs": [entry]} | fields


@pytest.fixture(scope="session")
def ask():
    """Makes the V2 JSON document for texts."""
    return question


@pytest.fixture(scope="session")
def texts():
    return TEXTS


@contextmanager
def running(module, log, *arguments, env=None, python=sys.executable):
    """A server of ours on free ports, ended afterwards; its stderr goes to `log`."""
    command = [str(python), "-m", module, "--host", "127.0.0.1"]
    command += ["--http_port", "0", "--grpc_port", "0", *arguments]
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=env
        ) as process,
    ):
        try:
            line = process.stdout.readline()
            said = READY.match(line)
            assert said, line + log.read_text()
            yield Running(process, said[1], said[2], log)
        finally:
            process.kill()


@pytest.fixture(scope="session")
def launch(bundle, tmp_path_factory):
    """Starts a predictor on free ports, with more arguments if given, and ends it afterwards."""

    def launched(*arguments, env=None):
        log = tmp_path_factory.mktemp("predictor") / "stderr.txt"
        usual = ("--bundle", str(bundle), "--threads", "1")
        return running("serving.predictor", log, *usual, *arguments, env=env)

    return launched


@pytest.fixture(scope="session")
def server(launch):
    """One predictor for all tests that leave it as it was."""
    with launch() as running:
        yield running
        noise = running.log.read_text()
    assert noise == "", noise


@pytest.fixture(scope="session")
def kserve():
    """KServe's SDK, imported as the predictor does it: it would parse pytest's command line."""
    importlib.import_module("serving.predictor.sdk")
    return importlib.import_module("kserve")


@pytest.fixture(scope="session")
def engine(bundle):
    from rampart.inference.engine import Engine

    return Engine.load(bundle, threads=1)


@pytest.fixture
def serves_on(server, ask, engine):
    """Afterwards a good request gets the right answer."""
    yield
    [verdict] = engine.score(["Win a free prize today"])
    reply = server.infer(ask(["Win a free prize today"], outputs=[{"name": "logit"}]))
    assert reply.status_code == 200
    assert reply.json()["outputs"][0]["data"] == pytest.approx([verdict.logit], abs=1e-5)
