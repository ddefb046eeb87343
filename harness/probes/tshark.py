"""The independent judge: what Debian's tshark makes of a capture, given the run's keys.

tshark 4.0 moves a phase-1 IV chain on with every message, exact retransmissions too, so it cannot read those, nor what is chained
to them. They are byte for byte the frame that it read before; so they are taken out of the copy that it judges, counted and listed.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from harness.errors import CaptureError, MissingTool
from harness.model import Observation
from harness.probes.keyring import UNPROVED, EspKey, Keyring
from harness.probes.pcap import PcapWriter, read_frames

_ENCRYPTION = {"aes-128": "AES-CBC [RFC3602]", "aes-192": "AES-CBC [RFC3602]", "aes-256": "AES-CBC [RFC3602]"}
_ENCRYPTION |= {"3des": "TripleDES-CBC [RFC2451]", "des": "DES-CBC [RFC2405]", "null": "NULL"}
_AUTHENTICATION = {
    "md5": "HMAC-MD5-96 [RFC2403]",
    "sha1": "HMAC-SHA-1-96 [RFC2404]",
    "sha256": "HMAC-SHA-256-128 [RFC4868]",
    "sha384": "HMAC-SHA-384-192 [RFC4868]",
    "sha512": "HMAC-SHA-512-256 [RFC4868]",
    UNPROVED: "NULL",
}
# By the gateway's port, whatever port the NAT gave the client: without this, a client at 1812 is read as RADIUS.
DECODE_AS = ("-d", "udp.port==4500,udpencap", "-d", "udp.port==500,isakmp")
_ERROR = 8_388_608  # PI_ERROR of Wireshark's expert information
_FIELDS = (
    "frame.number",
    "frame.protocols",
    "_ws.expert.severity",
    "_ws.expert.message",
    "isakmp.flag_e",
    "isakmp.typepayload",
    "esp.icv_good",
)

_README = """\
Keys of this run for tshark and Wireshark. They open the captures of this run and nothing else; treat them as you treat those.

From the folder above this one:

    {command}

and with the screen of Wireshark:

    WIRESHARK_CONFIG_DIR={folder} wireshark inside.pcap

`inside.pcap` may be `outside.pcap` as well. A phase-1 message that was sent again byte for byte shows as malformed: tshark moves
its IV chain on with every message it sees. decrypted.pcap needs no keys.
"""


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that tshark did not like: the frame's number in the capture, and its words."""

    frame: int
    what: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """`retransmissions` are the exact retransmissions of phase-1 messages, which tshark was not shown."""

    capture: str
    command: str
    frames: int
    retransmissions: tuple[int, ...] = ()
    malformed: tuple[Remark, ...] = ()
    errors: tuple[Remark, ...] = ()
    unknown: tuple[Remark, ...] = ()
    esp_not_decrypted: tuple[Remark, ...] = ()
    ike_not_decrypted: tuple[Remark, ...] = ()

    @property
    def remarks(self) -> tuple[Remark, ...]:
        return self.malformed + self.errors + self.unknown + self.esp_not_decrypted + self.ike_not_decrypted

    @property
    def clean(self) -> bool:
        return not self.remarks


def phase1_retransmissions(observations: Iterable[Observation]) -> frozenset[int]:
    """The frames of one side that carry, byte for byte, an encrypted phase-1 message that this side has seen before."""
    phase1 = ("main mode", "aggressive mode")
    return frozenset(o.frame for o in observations if o.ike and o.ike["retransmission"] and o.ike["exchange"] in phase1)


def write_keys(keyring: Keyring, folder: Path) -> str:
    """Makes `folder` a Wireshark configuration with the run's keys, readable by its owner alone.

    Returns the command that opens inside.pcap with it, to be typed in the folder above; the same stands in its README.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    command = f"WIRESHARK_CONFIG_DIR={shlex.quote(folder.name)} tshark -n {' '.join(DECODE_AS)} -r inside.pcap"
    _write(folder / "preferences", "esp.enable_encryption_decode: TRUE\nesp.enable_authentication_check: TRUE\n")
    _write(folder / "esp_sa", "".join(_esp_line(key) + "\n" for key in keyring.all_esp()))
    _write(folder / "ikev1_decryption_table", "".join(f"{key.icookie},{key.key.hex()}\n" for key in keyring.ike.values()))
    _write(folder / "README", _README.format(command=command, folder=shlex.quote(folder.name)))
    return command


def _esp_line(key: EspKey) -> str:
    # Any addresses: the same SA shows with other ones on the other side of the NAT, and an SPI is enough to tell SAs apart.
    fields = ["IPv4", "*", "*", f"0x{key.spi}", _ENCRYPTION[key.encryption], f"0x{key.key.hex()}"]
    fields += [_AUTHENTICATION[key.authentication], f"0x{key.auth_key.hex()}"]
    return ",".join(f'"{field}"' for field in fields)


def _write(path: Path, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        file.write(text)


def judge(capture: Path | str, keyring: Keyring, retransmissions: Collection[int] = (), timeout: float = 300.0) -> Judgement:
    """Runs tshark over `capture`. MissingTool without tshark; CaptureError where it fails or cannot read the file."""
    program = shutil.which("tshark")
    if program is None:
        raise MissingTool("judge the captures", "tshark is not installed", "apt-get install --no-install-recommends tshark")
    with tempfile.TemporaryDirectory(prefix="natstorm-tshark-") as scratch:
        folder = Path(scratch)
        write_keys(keyring, folder)
        shown, numbers = _without(capture, frozenset(retransmissions), folder / "shown.pcap")
        command = [program, "-n", *DECODE_AS, "-r", str(shown), "-T", "fields", "-E", "separator=/t"]
        command += [part for field in _FIELDS for part in ("-e", field)]
        environment = os.environ | {"WIRESHARK_CONFIG_DIR": scratch}
        try:
            run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout, check=False)
        except subprocess.TimeoutExpired as error:
            raise CaptureError(f"tshark took longer than {timeout:g} s over {capture}") from error
    if run.returncode:
        raise CaptureError(f"tshark ended with status {run.returncode} over {capture}:\n{run.stderr.strip()}")
    lines = run.stdout.splitlines()
    if len(lines) != len(numbers):
        raise CaptureError(f"tshark read {len(lines)} of the {len(numbers)} frames of {capture}:\n{run.stderr.strip()}")
    return _judgement(str(capture), shlex.join(command), lines, numbers, tuple(sorted(retransmissions)))


def _without(capture: Path | str, leave_out: frozenset[int], copy: Path) -> tuple[Path, list[int]]:
    """(the file to show, the number in `capture` of each of its frames)."""
    numbers: list[int] = []
    writer: PcapWriter | None = None
    for frame in read_frames(capture):
        if writer is None and leave_out:
            writer = PcapWriter(copy, frame.link)
        if frame.number not in leave_out:
            numbers.append(frame.number)
            if writer is not None:
                writer.write(frame.nanoseconds, frame.data)
    if writer is None:
        return Path(capture), numbers
    writer.close()
    return copy, numbers


def _judgement(capture: str, command: str, lines: list[str], numbers: list[int], left_out: tuple[int, ...]) -> Judgement:
    remarks: dict[str, list[Remark]] = {name: [] for name in ("malformed", "errors", "unknown", "esp", "ike")}
    for line, number in zip(lines, numbers, strict=True):
        fields = dict(zip(_FIELDS, line.split("\t"), strict=True))
        for name, what in _look(fields):
            remarks[name].append(Remark(number, what))
    found = {name: tuple(each) for name, each in remarks.items()}
    return Judgement(
        capture,
        command,
        len(numbers) + len(left_out),
        left_out,
        found["malformed"],
        found["errors"],
        found["unknown"],
        found["esp"],
        found["ike"],
    )


def _look(fields: dict[str, str]) -> list[tuple[str, str]]:
    """What is wrong with one frame: (kind of remark, words)."""
    found: list[tuple[str, str]] = []
    layers = fields["frame.protocols"].split(":")
    words = fields["_ws.expert.message"]
    severe = str(_ERROR) in fields["_ws.expert.severity"].split(",")
    malformed = "_ws.malformed" in layers or "Malformed" in words
    if malformed:
        found.append(("malformed", words or "malformed"))
    elif severe:
        found.append(("errors", words))
    # An echo's data is data by right; anywhere else it is bytes that no dissector claimed.
    if any(layer in ("data", "_ws.unknown", "_ws.short") and before != "icmp" for before, layer in pairwise(layers)):
        found.append(("unknown", fields["frame.protocols"]))
    elif layers[-1] in ("udp", "ip", "ppp", "l2tp_data"):
        found.append(("unknown", f"{fields['frame.protocols']}: nothing read above {layers[-1]}"))
    if "esp" in layers and layers[-1] == "esp":
        found.append(("esp", "not decrypted"))
    elif "esp" in layers and not malformed and fields["esp.icv_good"] != "1":
        # Where what is inside is malformed, tshark leaves the frame before it comes to the ICV.
        found.append(("esp", "decrypted, but its ICV was not found good"))
    if "isakmp" in layers and "1" in fields["isakmp.flag_e"].split(","):
        payloads = fields["isakmp.typepayload"]
        # Every encrypted message of IKEv1 carries a HASH (8) or, in phase 1 with certificates, a SIG (9).
        if not {"8", "9"} & set(payloads.split(",")):
            found.append(("ike", f"decrypted to payloads {payloads}, without a HASH" if payloads else "not decrypted"))
    return found
