"""Sealing a few bytes for one process elsewhere, such that whatever passes them on may write them down.

What the `colab` command sends to a machine it writes into its history, and the machine's Python writes it into another one. So a
token goes over sealed for a key that exists only in the memory of the job that is to read it.

X25519 with a fresh pair for each message, HKDF-SHA-256 over both public halves, ChaCha20-Poly1305: all of `cryptography`, which the
extra `drive` brings.
"""

from __future__ import annotations

import base64

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_KEY_BYTES = 32
#: No key is used for a second message, so the nonce may always be the same.
_NONCE = bytes(12)


class Pair:
    """A key of this process: who knows its public half can seal something that only this process opens."""

    def __init__(self) -> None:
        self._secret = X25519PrivateKey.generate()
        self.public = self._secret.public_key().public_bytes_raw().hex()

    def open(self, sealed: str) -> bytes:
        """What was sealed for this key.

        Raises:
            ValueError: it was sealed for another one, or was changed on the way.
        """
        whole = base64.b64decode(sealed, validate=True)
        theirs, content = whole[:_KEY_BYTES], whole[_KEY_BYTES:]
        try:
            return _cipher(self._secret, theirs, theirs + bytes.fromhex(self.public)).decrypt(_NONCE, content, None)
        except InvalidTag as error:
            raise ValueError("sealed for another key, or changed") from error

    def __repr__(self) -> str:
        return "Pair()"


def seal(public: str, content: bytes) -> str:
    """Seal something for the holder of a key.

    Raises:
        ValueError: that is no key.
    """
    secret, theirs = X25519PrivateKey.generate(), bytes.fromhex(public)
    own = secret.public_key().public_bytes_raw()
    return base64.b64encode(own + _cipher(secret, theirs, own + theirs).encrypt(_NONCE, content, None)).decode()


def _cipher(secret: X25519PrivateKey, theirs: bytes, both: bytes) -> ChaCha20Poly1305:
    shared = secret.exchange(X25519PublicKey.from_public_bytes(theirs))
    return ChaCha20Poly1305(HKDF(SHA256(), 32, salt=None, info=b"holdfast sealed\0" + both).derive(shared))
