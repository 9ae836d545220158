"""Sealing a few bytes for one process elsewhere, such that whatever passes them on may write them down.

What the `colab` command sends to a machine it writes into its history, and the machine's Python writes it into another one. So a
token goes over sealed for a key that exists only in the memory of the job that is to read it.

Diffie and Hellman's exchange in the 2048-bit group of RFC 3526 (section 3) with a fresh pair for each message, SHAKE-256 as the
stream, HMAC-SHA-256 over what is sent. Python's own library, because nothing else is known to be there.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

_PRIME = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437"
    "4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7EDEE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05"
    "98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B"
    "E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA051015728E5A8AACAA68FFFFFFFFFFFFFFFF",
    16,
)
_GENERATOR = 2
_SIZE = 256
_SECRET_BITS = 512
_TAG = 32


class Pair:
    """A key of this process: who knows its public half can seal something that only this process opens."""

    def __init__(self) -> None:
        self._secret = secrets.randbits(_SECRET_BITS) | 1 << (_SECRET_BITS - 1)
        self.public = pow(_GENERATOR, self._secret, _PRIME).to_bytes(_SIZE, "big").hex()

    def open(self, sealed: str) -> bytes:
        """What was sealed for this key.

        Raises:
            ValueError: it was sealed for another one, or was changed on the way.
        """
        whole = base64.b64decode(sealed, validate=True)
        theirs, content, tag = whole[:_SIZE], whole[_SIZE:-_TAG], whole[-_TAG:]
        stream, proof = _keys(theirs.hex(), self._secret, theirs.hex() + self.public)
        if not hmac.compare_digest(tag, hmac.digest(proof, theirs + content, "sha256")):
            raise ValueError("sealed for another key, or changed")
        return _mixed(content, stream)

    def __repr__(self) -> str:
        return "Pair()"


def seal(public: str, content: bytes) -> str:
    """Seal something for the holder of a key.

    Raises:
        ValueError: that is no key.
    """
    own = Pair()
    stream, proof = _keys(public, own._secret, own.public + public)
    sent = bytes.fromhex(own.public) + _mixed(content, stream)
    return base64.b64encode(sent + hmac.digest(proof, sent, "sha256")).decode()


def _keys(public: str, secret: int, both: str) -> tuple[bytes, bytes]:
    number = int(public, 16)
    if not 1 < number < _PRIME - 1:
        raise ValueError("no key")
    shared = pow(number, secret, _PRIME).to_bytes(_SIZE, "big")
    made = hashlib.shake_256(b"holdfast sealed\0" + shared + bytes.fromhex(both)).digest(64)
    return made[:32], made[32:]


def _mixed(content: bytes, key: bytes) -> bytes:
    stream = hashlib.shake_256(key).digest(len(content))
    return bytes(a ^ b for a, b in zip(content, stream, strict=True))
