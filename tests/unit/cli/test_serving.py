"""`rampart serve` refuses what it cannot serve before it imports a server."""

from __future__ import annotations

from pathlib import Path

from tests.unit.cli.conftest import Command


def test_a_port_out_of_range_is_named(rampart: Command, tmp_path: Path) -> None:
    said = rampart("serve", tmp_path, "--http-port", "70000")
    assert said.code == 3
    assert "http_port" in said.err
    assert said.err.count("\n") == 1


def test_so_is_one_of_the_explainers(rampart: Command) -> None:
    said = rampart("serve-explainer", "--grpc-port", "-1")
    assert said.code == 3
    assert "grpc_port" in said.err
