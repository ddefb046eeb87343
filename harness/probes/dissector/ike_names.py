"""IKEv1's numbers by name: ISAKMP (RFC 2408), the IPsec DOI (RFC 2407), IKE (RFC 2409), NAT-T (RFC 3947) and known vendor IDs.

Cipher, hash and group names are those of the key file ("aes-256", "sha1", "modp2048").
"""

from __future__ import annotations

SA, KE, ID, HASH, NONCE, NOTIFY, DELETE, VID = 1, 4, 5, 8, 10, 11, 12, 13
NAT_D, NAT_OA, NAT_D_DRAFT, NAT_OA_DRAFT = 20, 21, 130, 131

PAYLOADS = {
    SA: "SA",
    2: "P",
    3: "T",
    KE: "KE",
    ID: "ID",
    6: "CERT",
    7: "CR",
    HASH: "HASH",
    9: "SIG",
    NONCE: "NONCE",
    NOTIFY: "N",
    DELETE: "D",
    VID: "VID",
    14: "ATTR",
    NAT_D: "NAT-D",
    NAT_OA: "NAT-OA",
    NAT_D_DRAFT: "NAT-D",
    NAT_OA_DRAFT: "NAT-OA",
    132: "FRAGMENT",
}

MAIN, AGGRESSIVE, INFORMATIONAL, TRANSACTION, QUICK, NEW_GROUP = 2, 4, 5, 6, 32, 33
EXCHANGES = {
    1: "base",
    MAIN: "main mode",
    3: "authentication only",
    AGGRESSIVE: "aggressive mode",
    INFORMATIONAL: "informational",
    TRANSACTION: "transaction",
    QUICK: "quick mode",
    NEW_GROUP: "new group mode",
}

PROTOCOLS = {1: "IKE", 2: "AH", 3: "ESP", 4: "IPCOMP"}
DELETED = {1: "isakmp", 2: "ah", 3: "esp", 4: "ipcomp"}

ID_TYPES = {
    1: "ID_IPV4_ADDR",
    2: "ID_FQDN",
    3: "ID_USER_FQDN",
    4: "ID_IPV4_ADDR_SUBNET",
    5: "ID_IPV6_ADDR",
    6: "ID_IPV6_ADDR_SUBNET",
    7: "ID_IPV4_ADDR_RANGE",
    8: "ID_IPV6_ADDR_RANGE",
    9: "ID_DER_ASN1_DN",
    10: "ID_DER_ASN1_GN",
    11: "ID_KEY_ID",
}

NOTIFIES = {
    1: "INVALID-PAYLOAD-TYPE",
    2: "DOI-NOT-SUPPORTED",
    3: "SITUATION-NOT-SUPPORTED",
    4: "INVALID-COOKIE",
    5: "INVALID-MAJOR-VERSION",
    6: "INVALID-MINOR-VERSION",
    7: "INVALID-EXCHANGE-TYPE",
    8: "INVALID-FLAGS",
    9: "INVALID-MESSAGE-ID",
    10: "INVALID-PROTOCOL-ID",
    11: "INVALID-SPI",
    12: "INVALID-TRANSFORM-ID",
    13: "ATTRIBUTES-NOT-SUPPORTED",
    14: "NO-PROPOSAL-CHOSEN",
    15: "BAD-PROPOSAL-SYNTAX",
    16: "PAYLOAD-MALFORMED",
    17: "INVALID-KEY-INFORMATION",
    18: "INVALID-ID-INFORMATION",
    19: "INVALID-CERT-ENCODING",
    20: "INVALID-CERTIFICATE",
    21: "CERT-TYPE-UNSUPPORTED",
    22: "INVALID-CERT-AUTHORITY",
    23: "INVALID-HASH-INFORMATION",
    24: "AUTHENTICATION-FAILED",
    25: "INVALID-SIGNATURE",
    26: "ADDRESS-NOTIFICATION",
    27: "NOTIFY-SA-LIFETIME",
    28: "CERTIFICATE-UNAVAILABLE",
    29: "UNSUPPORTED-EXCHANGE-TYPE",
    30: "UNEQUAL-PAYLOAD-LENGTHS",
    16384: "CONNECTED",
    24576: "RESPONDER-LIFETIME",
    24577: "REPLAY-STATUS",
    24578: "INITIAL-CONTACT",
    36136: "R-U-THERE",
    36137: "R-U-THERE-ACK",
}

_LIFE_TYPE = {1: "s", 2: "kb"}
_GROUPS = {
    1: "modp768",
    2: "modp1024",
    5: "modp1536",
    14: "modp2048",
    15: "modp3072",
    16: "modp4096",
    17: "modp6144",
    18: "modp8192",
    19: "ecp256",
    20: "ecp384",
    21: "ecp521",
}

# Attribute number → (name, values by name; an empty table leaves the number, as for the encapsulation, whose number is looked at)
PHASE1: dict[int, tuple[str, dict[int, str]]] = {
    1: ("encryption", {1: "des", 2: "idea", 3: "blowfish", 4: "rc5", 5: "3des", 6: "cast", 7: "aes"}),
    2: ("hash", {1: "md5", 2: "sha1", 3: "tiger", 4: "sha256", 5: "sha384", 6: "sha512"}),
    3: ("authentication", {1: "psk", 2: "dss", 3: "rsa", 4: "rsa-encryption", 9: "ecdsa-256", 10: "ecdsa-384", 65001: "xauth-psk"}),
    4: ("group", _GROUPS),
    11: ("life_type", _LIFE_TYPE),
    12: ("life", {}),
    13: ("prf", {}),
    14: ("key_length", {}),
}
PHASE2: dict[int, tuple[str, dict[int, str]]] = {
    1: ("life_type", _LIFE_TYPE),
    2: ("life", {}),
    3: ("group", _GROUPS),
    4: ("encapsulation", {}),
    5: ("authentication", {1: "md5", 2: "sha1", 3: "des-mac", 4: "kpdk", 5: "sha256", 6: "sha384", 7: "sha512"}),
    6: ("key_length", {}),
    7: ("key_rounds", {}),
    11: ("extended_sequence_numbers", {}),
}
AH_TRANSFORMS = {2: "AH_MD5", 3: "AH_SHA", 4: "AH_DES", 5: "AH_SHA2_256", 6: "AH_SHA2_384", 7: "AH_SHA2_512"}
ESP_TRANSFORMS = {2: "des", 3: "3des", 7: "blowfish", 11: "null", 12: "aes", 13: "aes-ctr", 20: "aes-gcm-16"}

# Vendor IDs by their first bytes; what follows (a version) is kept.
VENDORS = {
    "1e2b516905991c7d7c96fcbfb587e461": "MS NT5 ISAKMPOAKLEY",
    "4a131c81070358455c5728f20e95452f": "RFC 3947",
    "90cb80913ebb696e086381b5ec427b1f": "draft-ietf-ipsec-nat-t-ike-02\\n",
    "cd60464335df21f87cfdb2fc68b6a448": "draft-ietf-ipsec-nat-t-ike-02",
    "7d9419a65310ca6f2c179d9215529d56": "draft-ietf-ipsec-nat-t-ike-03",
    "4485152d18b6bbcd0be8a8469579ddcc": "draft-ietf-ipsec-nat-t-ike-00",
    "4048b7d56ebce88525e7de7f00d6c2d3": "FRAGMENTATION",
    "fb1de3cdf341b7ea16b7e5be0855f120": "MS-Negotiation Discovery Capable",
    "26244d38eddb61b3172a36e3d0cfb819": "Vid-Initial-Contact",
    "e3a5966a76379fe707228231e5ce8652": "IKE CGA version 1",
    "01528bbbc00696121849ab9a1c5b2a51": "MS-MamieExists",
    "afcad71368a1f1c96b8696fc77570100": "Dead Peer Detection",
    "09002689dfd6b712": "XAUTH",
    "12f5f28c457168a9702d9fe274cc": "Cisco Unity",
    "882fe56d6fd20dbc2251613b2ebe5beb": "strongSwan",
}


def vendor(data: bytes) -> str:
    """The name of a known vendor ID and what follows its fixed part, "" for an unknown one."""
    text = data.hex()
    for prefix, name in VENDORS.items():
        if text.startswith(prefix):
            return f"{name} {text[len(prefix) :]}".rstrip()
    return ""
