"""What was promoted is read whole by whoever comes next."""

import pytest

from rampart.errors import RegistryError
from rampart.registry.connection import connect
from rampart.registry.defaults import promote, promoted


def test_before_anything_is_promoted_there_is_nothing(tracking_uri):
    assert promoted(tracking_uri) is None


def test_what_is_promoted_is_read_and_added_to(tracking_uri):
    first = promote(tracking_uri, {"ngram_words": 2, "ensemble": "soft"}, source="a")
    assert promoted(tracking_uri) == first
    second = promote(tracking_uri, {"ngram_words": 3}, source="b", promoted_by="ann")
    assert second.parameters == {"ngram_words": 3, "ensemble": "soft"}
    assert (second.source, second.promoted_by) == ("b", "ann")
    assert promoted(tracking_uri) == second
    assert promoted(tracking_uri, name="another") is None


def test_promoted_again_nothing_changes(tracking_uri):
    first = promote(tracking_uri, {"ngram_words": 2}, source="a", promoted_by="ann")
    assert promote(tracking_uri, {"ngram_words": 2}, source="a", promoted_by="bob") == first


def test_a_registry_without_a_bundle_has_no_versions_still(tracking_uri, registry):
    promote(tracking_uri, {"ngram_words": 2}, source="a")
    assert registry.versions() == []
    assert registry.champion() is None


def test_a_tag_of_somebody_elses_is_refused(tracking_uri):
    client = connect(tracking_uri)
    client.create_registered_model("rampart")
    client.set_registered_model_tag("rampart", "rampart.defaults", "[]")
    with pytest.raises(RegistryError, match="cannot be read"):
        promoted(tracking_uri)
