"""CloudEvents on Kafka: the envelope, the topics, the producer and the dead letter."""
