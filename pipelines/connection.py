"""The client of Kubeflow Pipelines, quiet and with an end to its patience."""

from __future__ import annotations

import sys
import warnings
from contextlib import redirect_stdout
from types import SimpleNamespace
from typing import Any

CONNECT, READ = 10, 60
"""Seconds that Kubeflow Pipelines may take to be reached, and to answer."""


def connected(endpoint: str, namespace: str | None, token: str | None) -> Any:
    """A `kfp.Client` whose calls end in time.

    Args:
        endpoint: address of Kubeflow Pipelines.
        namespace: of runs, where Kubeflow has profiles.
        token: bearer token.
    """
    from kfp import Client
    from urllib3.util import Retry

    class _Client(Client):  # type: ignore[misc]
        def get_kfp_healthz(self, *_: Any, **__: Any) -> Any:
            """What it is asked for as it is made: whether to look for a namespace; one is given."""
            return SimpleNamespace(multi_user=False)

    # KFP prints addresses on standard output, which belongs to the caller, and warns of what every
    # user of it knows: which backends its client is for.
    with warnings.catch_warnings(), redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore", FutureWarning)
        client = _Client(host=endpoint, namespace=namespace or "kubeflow", existing_token=token)
    # It takes no such setting, and without one waits for ever, and then thrice more.
    rest = client._run_api.api_client.rest_client  # noqa: SLF001
    rest.pool_manager.connection_pool_kw["retries"] = Retry(2, read=0)
    request = rest.request

    def ended(*given: Any, **named: Any) -> Any:
        named["_request_timeout"] = named.get("_request_timeout") or (CONNECT, READ)
        return request(*given, **named)

    rest.request = ended
    return client
