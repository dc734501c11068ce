"""Opening MLflow: by several processes, quietly, telling nobody, and refusing in one way."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from rampart.errors import RegistryError
from rampart.registry import connection
from rampart.registry.connection import default_tracking_uri, shown
from rampart.registry.registry import Registry

# Registers bundles, and prints any address that something in the process speaks to.
REGISTER = """
import json, sys
from pathlib import Path

def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        print(event, arguments[-1 if event == "socket.connect" else 0], flush=True)

sys.addaudithook(watch)

from rampart.registry.registry import Registry

class Decided:
    promote, alias, reason, comparisons = True, "champion", "It is better.", ()

light = {"mlflow", "pandas", "sqlalchemy"}.isdisjoint(sys.modules)
registry = Registry(sys.argv[1])
done = [registry.register(Path(folder), decision=Decided()).version for folder in sys.argv[2:]]
from mlflow.telemetry import get_telemetry_client
fetched = registry.fetch("champion", Path.home() / "fetched").name
print(json.dumps({"versions": done, "light": light, "telemetry": str(get_telemetry_client())}))
"""


@pytest.mark.slow
def test_processes_that_start_at_once_on_no_file_share_one_registry_and_tell_nobody(
    bundle, another, python, tmp_path
):
    uri = default_tracking_uri(tmp_path / "to be made")
    own = [another("one"), another("two")]
    processes = [python(REGISTER, uri, bundle, folder) for folder in own]
    said = [process.communicate(timeout=250) for process in processes]
    assert [error for _, error in said] == ["", ""]
    documents = [json.loads(output) for output, _ in said]
    assert all(document["light"] for document in documents), "MLflow is imported too early"
    assert {document["telemetry"] for document in documents} == {"None"}
    first, second = (document["versions"] for document in documents)
    assert first[0] == second[0], "the bundle of both is one version"
    assert len({*first, *second}) == 3

    registry = Registry(uri)
    versions = registry.versions()
    assert sorted(version.number for version in versions) == sorted({*first, *second})
    assert len({version.bundle_id for version in versions}) == 3
    assert registry.champion().number in {first[1], second[1]}
    home = tmp_path / "home"
    assert not list(home.rglob("telemetry.json")), "no name was made for this installation"
    assert {path.name for path in (tmp_path / "to be made").iterdir()} == {
        "artifacts",
        "mlflow.db",
        "mlflow.db.lock",
    }


def test_a_process_that_dies_while_it_makes_the_tables_leaves_no_half_made_file(
    tmp_path, monkeypatch
):
    from mlflow.store.db import utils

    def dies(engine):
        engine.connect().exec_driver_sql("CREATE TABLE experiments (half INTEGER)")
        raise KeyboardInterrupt

    uri = default_tracking_uri(tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(utils, "_initialize_tables", dies)
        with pytest.raises(KeyboardInterrupt):
            Registry(uri).versions()
    assert not (tmp_path / "mlflow.db").exists()
    assert Registry(uri).versions() == []


def test_nothing_is_set_for_the_whole_process(registry, bundle, promoted, tmp_path):
    import mlflow

    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri(), mlflow.active_run()
    registry.register(bundle, decision=promoted)
    assert (mlflow.get_tracking_uri(), mlflow.get_registry_uri(), mlflow.active_run()) == before


def test_telemetry_that_was_on_is_off_once_a_registry_is_opened(registry, monkeypatch):
    from mlflow import telemetry
    from mlflow.telemetry import utils

    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    monkeypatch.setattr(utils, "_IS_IN_CI_ENV_OR_TESTING", False)
    monkeypatch.setenv("XDG_CONFIG_HOME", "/nowhere/that/can/be/written")
    telemetry.set_telemetry_client()
    assert telemetry.get_telemetry_client() is not None
    registry.versions()
    assert telemetry.get_telemetry_client() is None
    assert utils.is_telemetry_disabled()


def test_what_is_no_database_is_refused_at_once(tmp_path):
    (tmp_path / "mlflow.db").write_text("not a database, whatever its name says" * 100)
    with pytest.raises(RegistryError, match="file is not a database") as caught:
        Registry(default_tracking_uri(tmp_path)).versions()
    assert "is an MLflow database" in caught.value.remedy


def test_a_place_that_cannot_be_written_to_is_refused_at_once(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RegistryError, match="File exists"):
        Registry(default_tracking_uri(tmp_path / "file")).versions()


def test_a_database_of_another_mlflow_is_refused_with_the_way_out(tracking_uri, registry):
    database = connection.sqlite_file(tracking_uri)
    with sqlite3.connect(database) as other:
        other.execute("UPDATE alembic_version SET version_num = 'older'")
    other.close()
    with pytest.raises(RegistryError, match="mlflow db upgrade"):
        registry.versions()


def test_a_locked_registry_is_waited_for_and_then_refused(registry, bundle, promoted, monkeypatch):
    registry.versions()
    monkeypatch.setattr(connection, "_SECONDS_FOR_OTHERS", 0.2)
    with (
        connection.alone(registry.tracking_uri),
        pytest.raises(RegistryError, match="Another process has kept"),
    ):
        registry.register(bundle, decision=promoted)
    assert registry.register(bundle, decision=promoted).version == 1


def test_a_server_that_is_not_there_is_an_error_that_names_it_without_the_password(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(RegistryError, match=r"http://127\.0\.0\.1:9") as caught:
        Registry("http://somebody:secret@127.0.0.1:9").champion()
    assert "secret" not in str(caught.value)


def test_what_no_store_serves_is_an_error():
    with pytest.raises(RegistryError, match="unsupported URI"):
        Registry("carrier-pigeon://loft").versions()


def test_the_default_address_is_absolute_and_refuses_what_it_cannot_say(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert default_tracking_uri(Path("here")) == f"sqlite:///{tmp_path}/here/mlflow.db"
    with pytest.raises(RegistryError, match="question mark"):
        default_tracking_uri(Path("what?"))


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("postgresql://user:secret@db:5432/mlflow", "postgresql://db:5432/mlflow"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("sqlite:////tmp/a@b/mlflow.db", "sqlite:////tmp/a@b/mlflow.db"),
    ],
)
def test_an_address_is_shown_without_its_password(uri, expected):
    assert shown(uri) == expected


def test_a_moved_database_without_its_files_is_an_error(registry, bundle, promoted, tmp_path):
    registry.register(bundle, decision=promoted)
    [artifacts] = tmp_path.glob("*/artifacts")
    shutil.rmtree(artifacts)
    with pytest.raises(RegistryError):
        registry.fetch("champion", tmp_path / "fetched")
    assert not (tmp_path / "fetched").exists()
