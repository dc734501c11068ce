"""Asks a V2 address on several connections, and counts what came of it.

    load.py start NAME URL CONNECTIONS    leaves a process in the pod that asks, and returns
    load.py stop NAME                     ends it, and prints its counts

Runs in a pod, by the packages that the predictor's image has. The process does not hang on the
connection that started it, so that it goes on where the API server is away.
"""

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import httpx

TEXTS = ["Win a free prize today", "Lunch at noon, if the rain stops"]
QUESTION = {
    "inputs": [{"name": "text", "shape": [2], "datatype": "BYTES", "data": TEXTS}],
    "outputs": [{"name": "label"}],
}


class Load:
    """Threads that ask until they are told to end."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.ended = threading.Event()
        self.lock = threading.Lock()
        self.bundles: Counter[str] = Counter()
        self.failed: list[list[object]] = []
        self.slowest = 0.0
        self.began = time.time()

    def once(self, client: httpx.Client) -> None:
        begin = time.time()
        try:
            answer = client.post(self.url, json=QUESTION)
            whose = answer.json()["parameters"]["bundle"][:8] if answer.status_code == 200 else ""
            why = "" if whose else f"{answer.status_code} {answer.text[:200]}"
        except (httpx.HTTPError, ValueError, KeyError) as error:
            whose, why = "", repr(error)
        took = time.time() - begin
        with self.lock:
            self.slowest = max(self.slowest, took)
            if why:
                self.failed.append([round(begin - self.began, 2), round(took, 3), why])
            else:
                self.bundles[whose] += 1

    def ask(self) -> None:
        while not self.ended.is_set():
            # A few requests on a connection: a Service balances connections.
            with httpx.Client(timeout=20) as client:
                for _ in range(20):
                    if not self.ended.is_set():
                        self.once(client)

    def run(self, connections: int, asked_to_end: Path) -> dict[str, object]:
        workers = [threading.Thread(target=self.ask) for _ in range(connections)]
        for worker in workers:
            worker.start()
        while not asked_to_end.exists():
            time.sleep(0.05)
        self.ended.set()
        for worker in workers:
            worker.join()
        seconds = time.time() - self.began
        said = {"bundles": self.bundles, "failed": self.failed, "slowest": self.slowest}
        return said | {"seconds": seconds}


def main(what: str, name: str, *more: str) -> None:
    stop, done = Path(f"/tmp/{name}.stop"), Path(f"/tmp/{name}.json")
    if what == "run":
        url, connections = more
        found = Load(url).run(int(connections), stop)
        part = done.with_suffix(".part")
        part.write_text(json.dumps(found), encoding="utf-8")
        part.rename(done)
    elif what == "start":
        program, *words = more
        with Path(f"/tmp/{name}.log").open("w") as log:
            subprocess.Popen(
                [sys.executable, "-c", program, "run", name, *words],
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        sys.stdout.write("{}\n")
    else:
        stop.touch()
        deadline = time.monotonic() + 60
        while not done.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        sys.stdout.write(done.read_text(encoding="utf-8") + "\n")


main(*sys.argv[1:])
