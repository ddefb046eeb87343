"""`show crypto engine connections active`: an ISAKMP SA a row, and a row for each direction of IPsec, in the layouts of 12.2,
12.4 and 15. In the last, LastSeqN counts what came."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from harness.virtual.ios.grammar import Match
from harness.virtual.ios.kinds import short_interface
from harness.virtual.ios.numbers import before_12_4, conn_ids, ike_conn_id, since_15
from harness.virtual.ios.shows.crypto_values import CryptoAccount
from harness.virtual.ios.shows.ipsec_sas import protected

if TYPE_CHECKING:
    from collections.abc import Callable

OLD_CIPHERS = {"des": "DES_56_CB", "3des": "3DES_56_C", "aes-128": "AES_CBC", "aes-192": "AES_CBC", "aes-256": "AES_CBC"}
CIPHERS = {"des": "DES", "3des": "3DES", "aes-128": "AES", "aes-192": "AES192", "aes-256": "AES256"}
PROOFS = {"md5": "MD5", "sha1": "SHA", "sha256": "SHA256"}

Row = tuple[int, bool, str, str, int, int]
"""(ID, whether it is IKE's, cipher, hash, packets encrypted, packets decrypted)."""


def connections(account: CryptoAccount, match: Match) -> list[str]:
    outside = protected(account.state.configuration.tree)
    name = "" if outside is None else outside.words[1]
    here = account.address
    old = before_12_4(account.state.release)
    rows = sorted(_rows(account))
    if old:
        lines = ["", "  ID Interface       IP-Address      State  Algorithm           Encrypt  Decrypt"]
        for number, _, cipher, proof, sent, taken in rows:
            algorithm = _old_algorithm(cipher, proof)
            lines.append(f"{number:>4} {name:<15} {here:<15} {'set':<6} {algorithm:<18} {sent:>8} {taken:>8}")
        return lines
    if since_15(account.state.release):
        lines = ["Crypto Engine Connections", "", "   ID  Type    Algorithm           Encrypt  Decrypt LastSeqN IP-Address"]
        for number, ike, cipher, proof, sent, taken in rows:
            kind, algorithm = ("IKE" if ike else "IPsec"), _algorithm(ike, cipher, proof)
            lines.append(f"{number:>5}  {kind:<6}  {algorithm:<18} {sent:>8} {taken:>8} {taken:>8} {here}")
        return lines
    lines = ["Crypto Engine Connections", "", "   ID Interface  Type  Algorithm           Encrypt  Decrypt IP-Address"]
    for number, ike, cipher, proof, sent, taken in rows:
        kind, algorithm = ("IKE" if ike else "IPsec"), _algorithm(ike, cipher, proof)
        lines.append(f"{number:>5} {short_interface(name):<10} {kind:<5} {algorithm:<18} {sent:>8} {taken:>8} {here}")
    return lines


SHOWS: Mapping[str, Callable[[CryptoAccount, Match], list[str]]] = {"show crypto engine connections active": connections}


def _algorithm(ike: bool, cipher: str, proof: str) -> str:
    """What there is of the two; AH has no cipher."""
    names = CIPHERS.get(cipher, cipher.upper()), PROOFS.get(proof, proof.upper())
    return "+".join(name for name in (reversed(names) if ike else names) if name)


def _old_algorithm(cipher: str, proof: str) -> str:
    names = f"HMAC_{PROOFS.get(proof, proof.upper())}" if proof else "", OLD_CIPHERS.get(cipher, cipher.upper())
    return "+".join(name for name in names if name)


def _rows(account: CryptoAccount) -> Iterator[Row]:
    release = account.state.release
    for one in account.connections():
        number = ike_conn_id(release, one.number) if one.ike else conn_ids(release, one.number)[one.way]
        yield number, one.ike, one.cipher, one.proof, one.encrypted, one.decrypted
