"""A predictor's life: refused to start with a reason, or started, told to stop, and gone."""

import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.integration.serving.conftest import until

BATCH = [f"{n}. " + "The kernel panics when the disk is full. " * 250 for n in range(96)]


def running_requests(server):
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    done = [line for line in lines if line.startswith("rampart_inference_seconds_count")]
    taken = [line for line in lines if line.startswith("request_preprocess_seconds_count")]
    return sum(float(line.split()[-1]) for line in taken) - float(done[0].split()[-1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_answers_what_it_took_and_takes_no_more(launch, ask, number):
    with launch() as server, ThreadPoolExecutor() as pool:
        batch = pool.submit(server.infer, ask(BATCH), timeout=60)
        until(lambda: running_requests(server) == 1, 30)
        server.process.send_signal(number)
        until(lambda: server.probe("/v2/health/ready") == 503, 30)
        assert server.probe("/v2/health/live") == 200
        assert server.probe("/v2/models/rampart/ready") == 503
        late = server.infer(ask(["too late"]))
        assert late.status_code == 503
        assert late.headers["retry-after"]
        assert not batch.done()
        reply = batch.result()
        assert reply.status_code == 200
        assert len(reply.json()["outputs"][0]["data"]) == len(BATCH)
        assert server.process.wait(30) == 0
        assert server.log.read_text() == ""


def test_told_twice_it_goes_at_once(launch, ask):
    with launch() as server, ThreadPoolExecutor() as pool:
        batch = pool.submit(server.infer, ask(BATCH), timeout=60)
        until(lambda: running_requests(server) == 1, 30)
        server.process.send_signal(signal.SIGTERM)
        until(lambda: server.probe() == 503, 30)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 128 + signal.SIGTERM
        with pytest.raises(httpx.TransportError):
            batch.result()


def test_it_leaves_when_the_grace_is_over(launch, ask):
    with launch("--grace", "0.2") as server, ThreadPoolExecutor() as pool:
        batch = pool.submit(server.infer, ask(BATCH), timeout=60)
        until(lambda: running_requests(server) == 1, 30)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 4
        assert "unanswered after 0.2 s" in server.log.read_text()
        with pytest.raises(httpx.TransportError):
            batch.result()


def predictor(*arguments, env=None):
    return subprocess.run(
        [sys.executable, "-m", "serving.predictor", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=env,
    )


def test_a_bundle_that_is_not_there_is_named(tmp_path):
    run = predictor("--bundle", str(tmp_path / "none"))
    assert run.returncode == 7
    assert str(tmp_path / "none") in run.stderr
    assert "Traceback" not in run.stderr
    assert run.stdout == ""


def test_a_port_that_is_taken_is_named(bundle):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for flag in ("--http_port", "--grpc_port"):
            other = "--grpc_port" if flag == "--http_port" else "--http_port"
            run = predictor(
                *("--bundle", str(bundle), "--host", "127.0.0.1", flag, port, other, "0")
            )
            assert run.returncode == 3
            assert f"127.0.0.1:{port}" in run.stderr
            assert "Traceback" not in run.stderr
            assert run.stdout == ""


def test_a_setting_that_cannot_be_is_named_before_anything_is_loaded():
    run = predictor("--max_texts", "none")
    assert run.returncode == 2
    assert "max_texts" in run.stderr
    assert "'none'" in run.stderr


def test_the_variables_of_an_image_and_kserves_flags_are_read(bundle):
    import os

    env = os.environ | {
        "RAMPART_BUNDLE": "/nowhere",
        "RAMPART_MAX_TEXTS": "2",
        "RAMPART_HOST": "127.0.0.1",
    }
    command = [sys.executable, "-m", "serving.predictor", "--model_name", "mail"]
    command += [f"--model_dir={bundle}", "--http_port=0", "--grpc_port=0"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            assert line.startswith("Serving mail at http://127.0.0.1:")
            url = line.split()[3] + "/v1/models/mail:predict"
            assert httpx.post(url, json={"instances": ["a", "b"]}).status_code == 200
            assert httpx.post(url, json={"instances": ["a", "b", "c"]}).status_code == 413
        finally:
            process.kill()


def test_answers_do_not_wait_for_the_client_to_acknowledge_their_first_part():
    from serving.predictor.server import listen

    with listen("127.0.0.1", 0) as listening:
        # asyncio switches Nagle's algorithm off where this is named, and nowhere else.
        assert listening.proto == socket.IPPROTO_TCP
