"""What can go wrong between Factotum and Kafka."""


class BrokerUnavailable(Exception):
    """Kafka did not acknowledge in time. The event may or may not have been written: send it again."""


class EventTooLarge(Exception):
    """Kafka takes no message of this size, now or later: send less."""
