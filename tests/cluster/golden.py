"""Write what the overlays render: `python -m tests.cluster.golden`."""

from __future__ import annotations

from tests.cluster.resources import GOLDEN, OVERLAYS, reviewed


def main() -> None:
    """One file for each overlay."""
    GOLDEN.mkdir(exist_ok=True)
    for folder in OVERLAYS:
        (GOLDEN / f"{folder.name}.yaml").write_text(reviewed(folder), encoding="utf-8")


if __name__ == "__main__":
    main()
