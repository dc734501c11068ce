"""What the explainer can be told: by arguments, by RAMPART_* variables, by KServe's own flags."""

from __future__ import annotations

from pydantic import Field

from serving.predictor.settings import EVERY_ADDRESS, AskingSettings


class ExplainerSettings(AskingSettings):
    """Settings of one explainer process."""

    max_texts: int = Field(default=16, ge=1, description="Texts that one request may hold.")
    evaluations: int = Field(
        default=500, ge=2, description="Texts that may be scored for one explanation, at the most."
    )
    seconds: float = Field(
        default=30.0, gt=0, description="Seconds that one explanation may take, at the most."
    )
    batch: int = Field(default=32, ge=1, description="Texts sent to the predictor at once.")
    deadline: float = Field(
        default=30.0, gt=0, description="Seconds that the predictor may take for one batch."
    )
    kept: int = Field(
        default=1000, ge=0, description="Explanations that are kept to be given again."
    )


class ContainerSettings(ExplainerSettings):
    """The same in an image, where only the pod's own network can reach it."""

    host: str = EVERY_ADDRESS
