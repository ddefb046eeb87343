"""Who the device at the other end is, and who we are to it: host keys by the known_hosts file, then password, key file or agent.

A host key is never added on the way: whoever has the testbed writes it down once, after looking at it.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from harness.devices import known_hosts, ssh_typed
from harness.devices.known_hosts import Key, Known
from harness.errors import DeviceError
from harness.model.reach import Connection
from harness.model.secret import Secret

if TYPE_CHECKING:
    import paramiko

RSA = ("rsa-sha2-512", "rsa-sha2-256")
"""The signatures by which a key that known_hosts calls ssh-rsa proves itself (RFC 8332)."""

MOST_TOLD = 10
"""Numbers of lines in one message."""


class UnknownHostKey(DeviceError):
    """The device's key stands in no line of the known_hosts file."""


class ChangedHostKey(DeviceError):
    """The known_hosts file has another key for the device."""


class RevokedHostKey(DeviceError):
    """The known_hosts file says of this very key that it counts no more."""


class Refused(DeviceError):
    """The device does not let this user in."""


def known_hosts_file(connection: Connection) -> Path:
    return Path(connection.known_hosts or "~/.ssh/known_hosts").expanduser()


def name_in_known_hosts(connection: Connection) -> str:
    """As OpenSSH writes it: `[host]:port` where the port is not 22."""
    return connection.host if connection.port == 22 else f"[{connection.host}]:{connection.port}"


def known_types(connection: Connection, offered: tuple[str, ...]) -> tuple[str, ...]:
    """The server's key types in the order in which to ask for them: those that the file knows first, for a server has several
    keys, and one that the file does not know says nothing about the others."""
    kinds = dict.fromkeys(key.kind for key in _known(connection).keys)
    wanted = [name for kind in kinds for name in (RSA if kind == "ssh-rsa" else (kind,)) if name in offered]
    return (*wanted, *(name for name in offered if name not in wanted))


def judge_host_key(connection: Connection, key: paramiko.PKey) -> None:
    """Raises RevokedHostKey, UnknownHostKey or ChangedHostKey; returns where the file has this very key for the device."""
    known, file, name = _known(connection), known_hosts_file(connection), name_in_known_hosts(connection)
    shown = Key(key.get_name(), key.asbytes())
    if shown in known.revoked:
        seen = f"its host key is REVOKED: {name} shows {shown.fingerprint}, which {file} has as @revoked"
        cure = "find out why; the device needs another key, or that line is to go"
        raise RevokedHostKey(connection.device, "connect", f"{seen}\n  cure: {cure}")
    if not known.keys:
        there = _passed_over(known) if file.exists() else " (there is no such file)"
        seen = f"its host key {shown.fingerprint} is not known: {file} has no key for {name}{there}"
        cure = f"{_keyscan(connection)}, then compare what it wrote with the device's own keys"
        raise UnknownHostKey(connection.device, "connect", f"{seen}\n  cure: {cure}")
    if shown not in known.keys:
        had = ", ".join(one.fingerprint for one in known.keys)
        seen = f"its host key has CHANGED: {name} shows {shown.fingerprint}, {file} has {had}{_passed_over(known)}"
        forget = f"ssh-keygen -R {shlex.quote(name)} -f {shlex.quote(str(file))}"
        cure = f"find out why (another device at this address?); then {forget}, and {_keyscan(connection)}"
        raise ChangedHostKey(connection.device, "connect", f"{seen}\n  cure: {cure}")


def fingerprint(key: paramiko.PKey) -> str:
    """`ssh-ed25519 SHA256:…`, as `ssh-keygen -l` shows it."""
    return f"{key.get_name()} {key.fingerprint}"


def authenticate(transport: paramiko.Transport, connection: Connection) -> None:
    """By key file, then password, whichever the connection has; with neither, by the user's agent. Raises Refused."""
    import paramiko

    tried: list[str] = []
    try:
        for what, attempt in _ways(transport, connection):
            tried.append(what)
            try:
                attempt()
            except paramiko.BadAuthenticationType as error:
                tried[-1] += f" (it takes {', '.join(error.allowed_types)} only)"
            except paramiko.AuthenticationException as error:
                if "imeout" in str(error):
                    raise Refused(connection.device, "log in", f"no answer to {what} for user {connection.username!r}") from error
            if transport.is_authenticated():
                return
    except paramiko.SSHException as error:
        seen = f"the connection broke off while {connection.username!r} logged in by {tried[-1] if tried else 'its agent'}: {error}"
        raise DeviceError(connection.device, "log in", seen) from error
    if not tried:
        seen = f"nothing to log in with as {connection.username!r}: no password, no key file, and no agent that holds a key"
        raise Refused(connection.device, "log in", f"{seen}\n  cure: give the connection a password or a key file, or run ssh-add")
    seen = f"{connection.host}:{connection.port} refuses user {connection.username!r} by {' and by '.join(tried)}"
    raise Refused(connection.device, "log in", f"{seen}\n  cure: correct the testbed's credentials of {connection.device}")


def _ways(transport: paramiko.Transport, connection: Connection) -> Iterator[tuple[str, _Attempt]]:
    user = connection.username
    if connection.key_file is not None:
        key = _private_key(connection, connection.key_file, connection.password)
        yield f"key file {connection.key_file}", _Attempt(transport.auth_publickey, user, key)
    if connection.password is not None:
        yield "password", _Attempt(transport.auth_password, user, connection.password.reveal())
    if connection.key_file is None and connection.password is None:
        import paramiko

        for key in paramiko.Agent().get_keys() if os.environ.get("SSH_AUTH_SOCK") else ():
            yield f"the agent's {fingerprint(key)}", _Attempt(transport.auth_publickey, user, key)


class _Attempt:
    """One call that logs in; not a lambda or a partial, whose repr would show the password in a traceback."""

    def __init__(self, call: object, *arguments: object) -> None:
        self._call = call
        self._arguments = arguments

    def __call__(self) -> None:
        assert callable(self._call)
        self._call(*self._arguments)


def _private_key(connection: Connection, file: str, passphrase: Secret | None) -> paramiko.PKey:
    """From an OpenSSH or PEM file. The connection's password is the passphrase of a key that has one."""
    import paramiko

    path = Path(file).expanduser()

    def refused(seen: str, cure: str) -> DeviceError:
        return Refused(connection.device, "log in", f"key file {path}: {seen}\n  cure: {cure}")

    try:
        try:
            return paramiko.PKey.from_path(path)
        except (TypeError, paramiko.PasswordRequiredException):  # it has a passphrase
            if passphrase is None:
                raise refused("has a passphrase", "give it as the connection's password, or load the key into an agent") from None
            return paramiko.PKey.from_path(path, passphrase.reveal().encode())
    except OSError as error:
        raise refused(error.strerror or str(error), "name a private key that this user can read") from error
    except (ValueError, paramiko.SSHException, paramiko.UnknownKeyType) as error:
        raise refused("is no private key that can be read, or its passphrase is another", "ssh-keygen -y -f it") from error


def _known(connection: Connection) -> Known:
    file = known_hosts_file(connection)
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return Known()
    except OSError as error:
        seen = f"{file} cannot be read: {error.strerror}"
        raise DeviceError(connection.device, "connect", f"{seen}\n  cure: name a known_hosts file of your own") from error
    return known_hosts.read(content, name_in_known_hosts(connection))


def _passed_over(known: Known) -> str:
    if not known.strange:
        return ""
    one = len(known.strange) == 1
    numbers = ", ".join(map(str, known.strange[:MOST_TOLD])) + (", …" if len(known.strange) > MOST_TOLD else "")
    return f" (line{'' if one else 's'} {numbers} of it {'is' if one else 'are'} passed over: no host key)"


def _keyscan(connection: Connection) -> str:
    scan = f"ssh-keyscan -p {connection.port} {shlex.quote(connection.host)}"
    if connection.jump is not None:
        scan = f"{ssh_typed.to(connection.jump)} {scan}"
    return f"{scan} >> {shlex.quote(str(known_hosts_file(connection)))}"
