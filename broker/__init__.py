"""A real Kafka broker on this machine: Apache's own artefacts on Java 17, and no Docker needed."""
