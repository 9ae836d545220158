"""CRC-32C of a few bytes, as the record formats of TensorFlow and LevelDB have it."""

from __future__ import annotations

#: Castagnoli's polynomial, reflected (RFC 3720, 12.1).
_POLYNOMIAL = 0x82F63B78


def _row(index: int) -> int:
    for _ in range(8):
        index = index >> 1 ^ (_POLYNOMIAL if index & 1 else 0)
    return index


_TABLE = tuple(_row(index) for index in range(256))


def masked_crc(data: bytes) -> int:
    """The masked CRC-32C of a few bytes.

    Source: tensorflow/core/lib/hash/crc32c.h, `Mask`: turned right by 15 bits, and a constant added.
    """
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _TABLE[(value ^ byte) & 0xFF]
    value ^= 0xFFFFFFFF
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF
