"""Datasets of shards: what goes in comes out, whole or not at all, and what changed is named."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rampart.data.manifest import FILE, Manifest
from rampart.data.sharding import ShardWriter, writing
from rampart.data.shards import read_batches, row_count, shard_paths
from rampart.data.tables import read_table, write_table
from rampart.errors import DataError

SCHEMA = pa.schema(
    [
        pa.field("text", pa.string(), nullable=False),
        pa.field("raw", pa.binary()),
        pa.field("number", pa.int64(), nullable=False),
    ]
)
ROWS = st.lists(
    st.tuples(st.text(max_size=20), st.none() | st.binary(max_size=20), st.integers(-9, 2**40))
)


def table(rows: list[tuple[str, bytes | None, int]]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.table([pa.array(list(column), field.type) for column, field in zip(columns, SCHEMA,
                     strict=True)], names=SCHEMA.names)  # fmt: skip


def write(path: Path, *batches: pa.Table, **limits: int) -> Path:
    with writing(path, SCHEMA, **limits) as writer:
        for batch in batches:
            writer.write(batch)
    return path


def read(path: Path, **how: int) -> list[dict[str, object]]:
    return [row for batch in read_batches(path, **how) for row in batch.to_pylist()]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Seven rows in shards of three."""
    rows = [(f"text {number}", None, number) for number in range(7)]
    return write(tmp_path / "dataset", table(rows), rows=3)


@settings(max_examples=20, deadline=None)
@given(st.lists(ROWS, max_size=4), st.integers(1, 9), st.integers(1, 400), st.integers(1, 5))
def test_rows_come_back_in_order_whatever_the_batches_and_limits(
    tmp_path_factory: pytest.TempPathFactory,
    parts: list[list[tuple[str, bytes | None, int]]],
    rows: int,
    size: int,
    batch: int,
) -> None:
    path = tmp_path_factory.mktemp("shards") / "made"
    write(path, *map(table, parts), rows=rows, size=size)
    wanted = [row for part in parts for row in table(part).to_pylist()]
    assert read(path, batch_size=batch) == wanted
    assert row_count(path) == len(wanted)
    manifest = Manifest.load(path)
    assert all(shard.rows <= rows for shard in manifest.shards)
    assert sorted(entry.name for entry in path.iterdir()) == sorted(
        [FILE, *(shard.file for shard in manifest.shards)]
    )


def test_the_same_rows_make_the_same_files(tmp_path: Path) -> None:
    rows = [(f"text {number}", b"\0\xff", number) for number in range(50)]
    one = write(tmp_path / "one", table(rows), rows=20)
    other = write(tmp_path / "other", *(table(rows[n : n + 7]) for n in range(0, 50, 7)), rows=20)
    assert Manifest.load(one) == Manifest.load(other)
    assert Manifest.load(one).fingerprint == Manifest.load(other).fingerprint


def test_shards_are_named_and_counted_in_order(dataset: Path) -> None:
    assert [Path(path).name for path in shard_paths(dataset)] == [
        "part-00000.parquet", "part-00001.parquet", "part-00002.parquet",
    ]  # fmt: skip
    assert [shard.rows for shard in Manifest.load(dataset).shards] == [3, 3, 1]


def test_a_shard_closes_when_it_is_heavy(tmp_path: Path) -> None:
    rows = [("x" * 100, None, number) for number in range(10)]
    path = write(tmp_path / "heavy", *(table([row]) for row in rows), size=250)
    assert [shard.rows for shard in Manifest.load(path).shards] == [3, 3, 3, 1]


def test_columns_are_chosen_and_one_that_is_not_there_is_named(dataset: Path) -> None:
    [first, *_] = read_batches(dataset, ["number"])
    assert first.schema.names == ["number"]
    with pytest.raises(DataError, match=r"no column 'label'.*'number'"):
        next(read_batches(dataset, ["label"]))


def test_a_single_file_is_read_the_same_way(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": ["a", "b"], "number": [1, 2]})
    write_table(frame, tmp_path / "single.parquet")
    assert read(tmp_path / "single.parquet") == frame.to_dict("records")
    assert row_count(tmp_path / "single.parquet") == 2
    assert shard_paths(tmp_path / "single.parquet") == [str(tmp_path / "single.parquet")]


def test_a_folder_of_shards_is_read_as_one_table(dataset: Path) -> None:
    found = read_table(dataset)
    assert found["number"].tolist() == list(range(7))
    assert found.index.tolist() == list(range(7))


def test_a_dataset_without_rows_keeps_its_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "empty", table([]))
    assert read_table(path).columns.tolist() == SCHEMA.names
    assert read(path) == []


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_a_byte_that_changed_is_found_and_its_shard_named(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("changed") / "dataset"
    write(path, table([(f"text {n}", None, n) for n in range(7)]), rows=3)
    shard = Path(data.draw(st.sampled_from(shard_paths(path))))
    content = bytearray(shard.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    shard.write_bytes(content)
    with pytest.raises(DataError, match=rf"{shard.name}.*not as it was written"):
        read(path)
    with pytest.raises(DataError, match=shard.name):
        list(read_batches(shard))


def test_a_shard_that_is_gone_is_named_and_those_before_it_are_read(dataset: Path) -> None:
    (dataset / "part-00001.parquet").unlink()
    batches = read_batches(dataset)
    assert next(batches).num_rows == 3
    with pytest.raises(DataError, match=r"part-00001.parquet.*No such file"):
        next(batches)


def test_a_shard_of_other_columns_is_refused_though_its_hash_is_right(dataset: Path) -> None:
    other = dataset / "part-00001.parquet"
    pq.write_table(pa.table({"text": ["a", "b", "c"]}), other)
    import hashlib

    text = (dataset / FILE).read_text("utf-8")
    old = Manifest.load(dataset).shards[1].sha256
    new = hashlib.sha256(other.read_bytes()).hexdigest()
    (dataset / FILE).write_text(text.replace(old, new), "utf-8")
    with pytest.raises(DataError, match=r"part-00001.parquet.*has the columns"):
        read(dataset)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace('"rows": 3', '"rows": -3'), "shards.0.rows"),
        (lambda text: text.replace("part-00000.parquet", "../elsewhere.parquet"), "shards.0.file"),
        (lambda text: text.replace('"version": 1', '"version": 2'), "version"),
        (lambda text: text[:-20], "JSON"),
    ],
)
def test_a_manifest_that_cannot_be_used_says_where(
    dataset: Path, change: object, said: str
) -> None:
    text = (dataset / FILE).read_text("utf-8")
    (dataset / FILE).write_text(change(text), "utf-8")  # type: ignore[operator]
    with pytest.raises(DataError, match=said):
        read(dataset)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (pa.table({"text": ["a"], "number": [1]}), "raw"),
        (pa.table({"text": ["a"], "raw": [b""], "number": ["one"]}), "one"),
        (pa.table({"text": pa.array([None], pa.string()), "raw": [b""], "number": [1]}), "'text'"),
        (pd.DataFrame({"text": [3], "raw": [b""], "number": [1]}), "text"),
    ],
    ids=["missing", "type", "null", "pandas"],
)
def test_rows_that_do_not_fit_are_refused_and_leave_nothing(
    tmp_path: Path, rows: pa.Table | pd.DataFrame, said: str
) -> None:
    with pytest.raises(DataError, match=said), writing(tmp_path / "made", SCHEMA) as writer:
        writer.write(rows)
    assert not list(tmp_path.iterdir())


def test_what_is_there_already_stays_unless_it_is_to_be_replaced(dataset: Path) -> None:
    with pytest.raises(DataError, match="is there already"):
        write(dataset, table([]))
    assert row_count(dataset) == 7
    with writing(dataset, SCHEMA, replace=True) as writer:
        writer.write(table([("new", None, 1)]))
        assert row_count(dataset) == 7
    assert row_count(dataset) == 1
    assert [path.name for path in dataset.parent.iterdir()] == ["dataset"]


def test_only_a_dataset_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear").write_text("to keep")
    for path in (tmp_path / "letters", tmp_path / "letters" / "dear"):
        made = writing(path, SCHEMA, replace=True)
        with pytest.raises(DataError, match="is not a dataset: it would be lost"):
            made.__enter__()
    assert (tmp_path / "letters" / "dear").read_text() == "to keep"


def test_an_error_halfway_leaves_what_was_there(dataset: Path) -> None:
    new, unfit = table([("new", None, 1)]), pa.table({"other": [1]})
    with pytest.raises(DataError), writing(dataset, SCHEMA, replace=True) as writer:  # noqa: PT012
        writer.write(new)
        writer.write(unfit)
    assert row_count(dataset) == 7
    assert [path.name for path in dataset.parent.iterdir()] == ["dataset"]


def test_a_writer_that_is_killed_leaves_no_dataset_and_the_next_one_clears_up(
    tmp_path: Path,
) -> None:
    code = (
        "import sys; from pathlib import Path;"
        "from tests.unit.data.test_shards import SCHEMA, table, writing;"
        "target = Path(sys.argv[1]);"
        "made = writing(target, SCHEMA, rows=2); writer = made.__enter__();"
        "writer.write(table([('a', None, n) for n in range(9)]));"
        "print('written', flush=True); sys.stdin.read()"
    )
    target = tmp_path / "dataset"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(target)], cwd=Path(__file__).parents[3],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        [left] = tmp_path.iterdir()
        assert list(left.glob("part-*.parquet"))
        # A second writer lets the first, which is alive, go on.
        write(target, table([("b", None, 1)]))
        assert left.exists()
        shutil.rmtree(target)
        process.send_signal(signal.SIGKILL)
    assert not target.exists()
    with pytest.raises(DataError, match="cannot be read"):
        row_count(target)
    write(target, table([("b", None, 1)]))
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"file.*cannot be written"):
        write(tmp_path / "file" / "dataset", table([]))


@pytest.mark.parametrize("limits", [{"rows": 0}, {"size": 0}])
def test_limits_that_hold_nothing_are_refused(tmp_path: Path, limits: dict[str, int]) -> None:
    with pytest.raises(DataError, match="hold nothing"):
        write(tmp_path / "made", table([]), **limits)


def test_a_writer_holds_no_more_than_a_row_group(tmp_path: Path) -> None:
    with writing(tmp_path / "made", SCHEMA) as writer:
        assert isinstance(writer, ShardWriter)
        for _ in range(40):
            writer.write(table([("x" * 2**20, None, 1)]))
    metadata = pq.read_metadata(tmp_path / "made" / "part-00000.parquet")
    groups = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    assert groups == [16, 16, 8]
