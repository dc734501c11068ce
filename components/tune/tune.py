"""Work on a study."""

from kfp import dsl

from components.definition import component


@component
def tune(
    table: dsl.Input[dsl.Dataset],
    study: str,
    pod: str,
    workers: int,
    column: str,
    storage: str,
    tracking_uri: str,
) -> str:
    """Run trials of a study until its budget is spent or it is stopped, beside other pods.

    Args:
        table: split messages, of which the test part is dropped before a trial begins.
        study: its name.
        pod: which of those that work on it.
        workers: processes of this pod.
        column: the split.
        storage: where studies lie; empty for the environment's.
        tracking_uri: of MLflow; empty for MLFLOW_TRACKING_URI.

    Returns:
        Output: how the study stood when this pod was done.
    """
    from pathlib import Path

    from components.progress import tell
    from components.tune.place import cache_folder, storage_address
    from rampart.settings import settings
    from rampart.tuning.summary import StudySummary
    from rampart.tuning.workers import run_workers

    def look(known: StudySummary) -> None:
        tell(*known.progress)

    found = run_workers(
        storage_address(storage),
        study,
        Path(table.path),
        workers=workers,
        cache=cache_folder(),
        column=column,
        tracking_uri=tracking_uri or settings().tracking_uri or "",
        tell=look,
    )
    return f"{found.ended} trials, {found.state}, when pod {pod} was done"
