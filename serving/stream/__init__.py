"""The scorer of streams: a member of a consumer group, or what Knative sends events to."""
