"""Where a transformer or an explainer looks for the predictor."""

import pytest

from serving.transformer.settings import TransformerSettings


@pytest.mark.parametrize(
    ("host", "port", "address"),
    [
        ("rampart-predictor.mail", 80, "rampart-predictor.mail:80"),
        ("rampart-predictor.mail", 8081, "rampart-predictor.mail:8081"),
        ("127.0.0.1:9", 8081, "127.0.0.1:9"),
        ("[::1]", 8081, "[::1]:8081"),
        ("[::1]:9", 8081, "[::1]:9"),
    ],
)
def test_a_host_without_a_port_gets_the_one_of_the_settings(
    host: str, port: int, address: str
) -> None:
    settings = TransformerSettings(predictor_host=host, predictor_port=port)
    assert settings.predictor == address
