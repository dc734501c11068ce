"""Hand a pipeline to Kubeflow Pipelines in a cluster."""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from pipelines.catalogue import compile_pipeline
from pipelines.connection import connected
from rampart.errors import PipelineError


def submit(
    name: str,
    arguments: Mapping[str, Any],
    *,
    endpoint: str,
    namespace: str | None = None,
    experiment: str = "rampart",
    token: str | None = None,
    service_account: str | None = None,
    cron: str | None = None,
    caching: bool = True,
    node_selector: Mapping[str, str] | None = None,
    run_name: str | None = None,
) -> str:
    """Compile a pipeline and start a run of it, or let it run again and again; returns the id.

    Args:
        name: of the pipeline.
        arguments: the pipeline's own.
        endpoint: address of Kubeflow Pipelines.
        namespace: of the run.
        experiment: that it goes to; made if it is not there.
        token: bearer token.
        service_account: that steps run as; Kubeflow's own if unset.
        cron: when it runs, seconds first, such as "0 0 2 * * 0"; once and now if unset.
        caching: whether steps that allow it may be answered from former runs.
        node_selector: labels of the nodes that its steps may run on.
        run_name: of a run that is started now; Kubeflow Pipelines makes one if unset.

    Raises:
        PipelineError: Kubeflow Pipelines does not answer, or refuses.
    """
    from kfp_server_api.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    # KFP prints addresses on standard output, which belongs to the caller.
    with (
        tempfile.TemporaryDirectory() as scratch,
        warnings.catch_warnings(),
        redirect_stdout(sys.stderr),
    ):
        warnings.simplefilter("ignore", FutureWarning)
        package = compile_pipeline(
            name,
            Path(scratch) / f"{name}.yaml",
            node_selector=node_selector,
            caching=caching,
        )
        try:
            client = connected(endpoint, namespace, token)
            if cron is not None:
                group = client.create_experiment(experiment, namespace=namespace)
                recurring = client.create_recurring_run(
                    experiment_id=group.experiment_id,
                    job_name=f"rampart-{name}",
                    cron_expression=cron,
                    max_concurrency=1,
                    no_catchup=True,
                    pipeline_package_path=str(package),
                    params=dict(arguments),
                    service_account=service_account,
                )
                return str(recurring.recurring_run_id)
            run = client.create_run_from_pipeline_package(
                str(package),
                arguments=dict(arguments),
                run_name=run_name,
                experiment_name=experiment,
                namespace=namespace,
                service_account=service_account,
            )
        except ApiException as error:
            raise PipelineError(
                f"Kubeflow Pipelines at {endpoint} refused the run: {error.status} {error.reason}.",
                "Look at the token (RAMPART_KFP_TOKEN) and the namespace.",
            ) from error
        except (HTTPError, OSError, ValueError) as error:
            raise PipelineError(
                f"Kubeflow Pipelines at {endpoint} does not answer: {error}.",
                "Check the address; `kubectl port-forward svc/ml-pipeline-ui 8080:80` opens one.",
            ) from error
    return str(run.run_id)
