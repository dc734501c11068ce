"""Say what became of a run, where people look for it."""

from kfp import dsl

from components.definition import component


@component
def report(status: dsl.PipelineTaskFinalStatus, alerts: str) -> None:
    """Log how a run ended; raise an alert where it failed.

    Args:
        status: Kubeflow Pipelines' own, of all that the handler is around.
        alerts: address of an Alertmanager, such as http://alertmanager.monitoring:9093; empty for
            none.
    """
    import json
    from urllib.request import Request, urlopen

    run = status.pipeline_job_resource_name
    line = f"{run}: {status.state}. {status.error_message or ''}".strip()
    print(line, flush=True)  # noqa: T201 - the step's log
    if status.state == "SUCCEEDED" or not alerts:
        return
    alert = {
        "labels": {"alertname": "RampartPipelineFailed", "severity": "warning", "run": run},
        "annotations": {"summary": f"The run {run} failed.", "description": line[:1000]},
    }
    request = Request(  # noqa: S310 - whoever starts the run says where its alerts go
        f"{alerts.rstrip('/')}/api/v2/alerts",
        data=json.dumps([alert]).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urlopen(request, timeout=30) as answer:  # noqa: S310
        print(f"Alertmanager: {answer.status}", flush=True)  # noqa: T201
