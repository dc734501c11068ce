"""How the images are made: what is taken out, and that a list does not outlive its reasons."""

from pathlib import Path

import pytest

from images.prune import prune


@pytest.fixture
def site(tmp_path: Path) -> Path:
    for name in ("lean/core.py", "lean/extra/a.py", "lean/own/b.py", "idle/__init__.py", "one.pth"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def test_what_a_list_names_goes_but_for_what_it_keeps(site: Path) -> None:
    prune(site, "# why\nidle\nlean/[a-z]*\n!lean/core.py\n\n!lean/own\none.pth\n")
    left = sorted(str(path.relative_to(site)) for path in site.rglob("*") if path.is_file())
    assert left == ["lean/core.py", "lean/own/b.py"]


def test_a_pattern_that_names_nothing_is_an_error(site: Path) -> None:
    with pytest.raises(LookupError, match=r"'gone\*'.*take it off the list"):
        prune(site, "idle\ngone*\n")
