from __future__ import annotations

import base64

from factotum.dev.kafka_apache import cluster_id


def test_the_id_of_a_cluster_is_sixteen_bytes_and_begins_like_no_option() -> None:
    made = [cluster_id() for _ in range(2000)]
    assert len(set(made)) == len(made)
    assert all(len(base64.urlsafe_b64decode(f"{each}==")) == 16 for each in made)
    assert not [each for each in made if each.startswith("-")]
