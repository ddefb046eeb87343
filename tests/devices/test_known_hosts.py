"""A known_hosts file, line by line. OpenSSH's own ssh-keygen judges which lines are whose."""

from __future__ import annotations

import base64
import subprocess

import pytest

from harness.devices.known_hosts import Key, Known, read


def key(filler: int, kind: bytes = b"ssh-ed25519") -> Key:
    blob = len(kind).to_bytes(4, "big") + kind + (32).to_bytes(4, "big") + bytes([filler]) * 32
    return Key(kind.decode(), blob)


def line(name: str, one: Key, marker: str = "") -> bytes:
    return f"{marker}{name} {one.kind} {base64.b64encode(one.blob).decode()} somebody's\n".encode()


ONE, TWO, OTHER = key(1), key(2), key(3, b"ssh-other")
SHORT = Key("ssh-ed25519", ONE.blob[:-8])

STRANGE = {
    "bad base64": b"10.0.0.1 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI\n",
    "cut off": line("10.0.0.1", SHORT),
    "its type alone": line("10.0.0.1", Key("ssh-ed25519", ONE.blob[:15])),
    "another type within": line("10.0.0.1", Key("ssh-rsa", ONE.blob)),
    "no key": b"10.0.0.1 ssh-ed25519\n",
    "a word": b"nonsense\n",
    "a marker that nobody knows": line("10.0.0.1", TWO, "@trusted "),
    "half a letter": b"10.0.0.1 caf\xe9 \xff\n",
    "no base64 at all": "10.0.0.1 ssh-ed25519 ключ\n".encode(),
}


@pytest.mark.parametrize("odd", STRANGE.values(), ids=STRANGE)
def test_a_strange_line_is_numbered_and_hinders_no_other(odd):
    content = b"# caf\xe9\n\n" + odd + line("10.0.0.1", ONE)
    assert read(content, "10.0.0.1") == Known((ONE,), (), (3,))


def test_several_keys_of_one_type_all_count():
    mine = [ONE, TWO, OTHER, ONE]
    content = line("10.0.0.2", OTHER) + b"".join(line("10.0.0.1", one) for one in mine)
    assert read(content, "10.0.0.1") == Known((ONE, TWO, OTHER))


def test_what_is_revoked_is_no_key_and_an_authority_is_none_either():
    content = line("10.0.0.1", ONE) + line("*", TWO, "@revoked ") + line("10.0.0.2", ONE, "@revoked ")
    content += line("*", OTHER, "@cert-authority ")
    assert read(content, "10.0.0.1") == Known((ONE,), (TWO,))


PATTERNS = [
    "10.0.0.1", "10.0.0.2", "[10.0.0.1]:2222", "10.0.0.*", "10.?.0.1", "*", "a.example,10.0.0.1", "*,!10.0.0.1", "!10.0.0.1,*",
    "!10.0.0.2,*", "[10.0.0.1]:*", "10.0.0.1,!10.0.0.?", "EDGE.example", "10.0.0.10", "[a-z]0.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("name", ["10.0.0.1", "[10.0.0.1]:2222", "edge.example"])
def test_whose_a_line_is_openssh_sees_alike(name, tmp_path):
    file = tmp_path / "known_hosts"
    ours, theirs = [], []
    for pattern in PATTERNS:
        file.write_bytes(line(pattern, ONE))
        ours.append(bool(read(file.read_bytes(), name).keys))
        found = subprocess.run(["ssh-keygen", "-F", name, "-f", file], capture_output=True, check=False)
        theirs.append(found.returncode == 0)
    assert dict(zip(PATTERNS, ours, strict=True)) == dict(zip(PATTERNS, theirs, strict=True))
    assert True in ours
    assert False in ours


def test_hashed_names(tmp_path):
    file = tmp_path / "known_hosts"
    file.write_bytes(line("10.0.0.1", ONE) + line("[10.0.0.1]:2222", TWO))
    subprocess.run(["ssh-keygen", "-H", "-f", file], check=True, capture_output=True)
    content = file.read_bytes() + line("|1|broken", OTHER) + line("|1|ab|cd|ef", OTHER)
    assert b"10.0.0.1" not in content
    assert read(content, "10.0.0.1").keys == (ONE,)
    assert read(content, "[10.0.0.1]:2222").keys == (TWO,)
    assert read(content, "10.0.0.2") == Known()


def test_a_fingerprint_is_shown_as_openssh_shows_it(tmp_path):
    file = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file], check=True)
    kind, text = file.with_suffix(".pub").read_text().split()[:2]
    shown = subprocess.run(["ssh-keygen", "-l", "-f", file], check=True, capture_output=True, text=True).stdout.split()[1]
    assert read(f"a {kind} {text}\n".encode(), "a").keys[0].fingerprint == f"{kind} {shown}"
