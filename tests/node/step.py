"""Runs the component that trains together, as a pipeline's step would: step.py OPTIONS.

OPTIONS is JSON: table, candidate (folders of the claim), and the component's own parameters.
"""

from __future__ import annotations

import json
import sys

from kfp import dsl

from components.train.pytorchjob import train_together

given = json.loads(sys.argv[1])
table = dsl.Dataset(uri=given.pop("table"))
candidate = dsl.Model(uri=given.pop("candidate"))
pace = dsl.Metrics(uri="/tmp/pace")
train_together.python_func(table=table, candidate=candidate, pace=pace, **given)
sys.stdout.write(json.dumps({"pace": pace.metadata, "candidate": candidate.metadata}) + "\n")
