"""Where a key goes: the same for every producer, ours and others'."""

import pytest

from services.runtime.kafka import partition_of


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        # The values that Kafka's own Java client is tested with.
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
@pytest.mark.parametrize("partitions", [1, 3, 12, 1000])
def test_a_key_goes_where_kafkas_java_client_puts_it(
    key: bytes, hashed: int, partitions: int
) -> None:
    """Equal numbers meet in one partition, whoever wrote them."""
    assert partition_of(key, partitions) == (hashed & 0x7FFFFFFF) % partitions
