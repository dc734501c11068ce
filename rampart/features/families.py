"""The families that a served model may read."""

from __future__ import annotations

from rampart.features.base import FeatureFamily
from rampart.features.security import SecurityFeatures

FAMILIES: dict[str, type[FeatureFamily]] = {family.name: family for family in (SecurityFeatures,)}
