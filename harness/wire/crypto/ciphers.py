"""Block ciphers in CBC mode, as rows of a table.

Sources: RFC 3602 (AES-CBC), RFC 2451 (3DES-CBC), RFC 2405 (DES-CBC), RFC 2409 Appendix B (the same modes protect IKE itself).
Names are those of `wire.config`. Padding is the caller's business: IKE pads with zeros, ESP with 1, 2, 3 …
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from harness.errors import ProtocolError


@dataclass(frozen=True, slots=True)
class CipherRow:
    """One cipher: sizes of key and block (which is that of the IV too) in bytes."""

    name: str
    key_size: int
    block: int
    _algorithm: Callable[[bytes], BlockCipherAlgorithm]

    def keyed(self, key: bytes) -> CbcCipher:
        """Bind a key; the result serves any number of messages, each with an IV of its own."""
        if len(key) != self.key_size:
            raise ValueError(f"{self.name} takes a key of {self.key_size} bytes, not {len(key)}")
        return CbcCipher(self._algorithm(key), self.block)


class CbcCipher:
    """A cipher with its key. The algorithm object is made once, since it costs as much as a packet does."""

    __slots__ = ("_algorithm", "block")

    def __init__(self, algorithm: BlockCipherAlgorithm, block: int) -> None:
        self._algorithm = algorithm
        self.block = block

    def encrypt(self, iv: bytes, data: bytes) -> bytes:
        """`data` is a whole number of blocks. A wrong length is the caller's mistake: ValueError."""
        self._whole(data)
        return Cipher(self._algorithm, CBC(iv)).encryptor().update(data)

    def decrypt(self, iv: bytes, data: bytes) -> bytes:
        """The plain text, padding and all. What is not a whole number of blocks came from a peer: ProtocolError."""
        if len(data) % self.block:
            raise ProtocolError("crypto", f"{len(data)} bytes of cipher text are not whole blocks of {self.block}")
        return Cipher(self._algorithm, CBC(iv)).decryptor().update(data)

    def _whole(self, data: bytes) -> None:
        if len(data) % self.block:
            raise ValueError(f"{len(data)} bytes are not whole blocks of {self.block}")


CIPHERS: dict[str, CipherRow] = {
    row.name: row
    for row in (
        CipherRow("aes-128", 16, 16, AES),
        CipherRow("aes-192", 24, 16, AES),
        CipherRow("aes-256", 32, 16, AES),
        CipherRow("3des", 24, 8, TripleDES),
        CipherRow("des", 8, 8, lambda key: TripleDES(key * 3)),  # encrypt, decrypt, encrypt with one key is DES (ANSI X9.52)
    )
}
