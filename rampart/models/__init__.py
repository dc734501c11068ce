"""The base models: how each scores a text and says why."""
