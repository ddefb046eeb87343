"""What the crypto map commands accept, refuse and remark."""

from __future__ import annotations

from dataclasses import replace

import pytest
from vpn_bench import EAST, SETS, THERE, policy

from harness.errors import UsageError
from harness.model import Secret
from harness.virtual import crypto_map_edits as edits
from harness.virtual.crypto_map import CryptoMap, DynamicReference, IsakmpEntry, ManualEntry, Place, SessionKey, missing, proposals
from harness.wire.config import AhProposal, EspProposal

EMPTY = CryptoMap("mymap")


def test_sec_70_entries_stand_by_number_whatever_the_order_in_which_they_came() -> None:
    made = EMPTY
    for number in (20, 30, 10):
        made, said = edits.enter(made, number, "ipsec-isakmp")
        assert said == (edits.NEW,)
    assert [entry.sequence for entry in made.entries] == [10, 20, 30]


def test_sec_74_what_an_entry_is_cannot_be_changed_but_by_deleting_it() -> None:
    made, _ = edits.enter(EMPTY, 10, "ipsec-isakmp")
    for other in ({"kind": "ipsec-manual"}, {"kind": "ipsec-isakmp", "dynamic": "d"}):
        with pytest.raises(UsageError, match="denied") as caught:
            edits.enter(made, 10, **other)  # type: ignore[arg-type]
        assert caught.value.cure == "no crypto map mymap 10, then enter it anew"
    again, _ = edits.enter(edits.remove(made, 10), 10, "ipsec-manual")
    assert again.entries == (ManualEntry(10),)
    dynamic, said = edits.enter(EMPTY, 30, "ipsec-isakmp", dynamic="d", discover=True)
    assert (dynamic.entries, said) == ((DynamicReference(30, "d", True),), ())
    with pytest.raises(UsageError, match="denied"):
        edits.enter(dynamic, 30, "ipsec-isakmp", dynamic="another")


def test_sec_86_without_a_keyword_an_entry_is_edited_that_is_there() -> None:
    filled = edits.put(EMPTY, IsakmpEntry(10, "101", (EAST,), ("aes",)))
    assert edits.enter(filled, 10) == (filled, ())
    assert edits.enter(filled, 10, "ipsec-isakmp") == (filled, ())  # what is in it stays
    with pytest.raises(UsageError, match="mymap 20 does not exist"):
        edits.enter(filled, 20)


def test_sec_87_removing() -> None:
    filled = edits.put(edits.put(EMPTY, IsakmpEntry(10)), IsakmpEntry(20))
    assert edits.remove(filled, 10).entries == (IsakmpEntry(20),)
    with pytest.raises(UsageError, match="mymap 30 does not exist"):
        edits.remove(filled, 30)


@pytest.mark.parametrize("number", [0, 65536])
def test_sequence_numbers_have_bounds(number: int) -> None:
    with pytest.raises(UsageError, match="Invalid sequence number"):
        edits.enter(EMPTY, number, "ipsec-isakmp")


def test_sec_59_up_to_six_transform_sets_that_are_there() -> None:
    rules = policy()
    six = replace(rules, transform_sets={f"t{n}": edits.transform_set(f"t{n}", ["esp-des", "esp-md5-hmac"]) for n in range(7)})
    names = list(six.transform_sets)
    assert edits.set_transform_sets(six, IsakmpEntry(10), names[:6]).transform_sets == tuple(names[:6])
    with pytest.raises(UsageError, match="7 transform sets"):
        edits.set_transform_sets(six, IsakmpEntry(10), names)
    with pytest.raises(UsageError, match="2 transform sets, where an entry of ipsec-manual takes 1 to 1"):
        edits.set_transform_sets(six, ManualEntry(10), names[:2])
    with pytest.raises(UsageError, match="Transform set x does not exist"):
        edits.set_transform_sets(six, IsakmpEntry(10), ["t1", "x"])


def test_transform_sets() -> None:
    made = edits.transform_set("someset", ["ah-md5-hmac", "esp-des"])
    assert (made.ah, made.encryption, made.authentication) == ("md5", "des", "")
    assert edits.transform_set("t", ["esp-aes", "256", "esp-sha-hmac"]).encryption == "aes-256"
    assert edits.transform_set("t", ["esp-sha-hmac"]).encryption == "null"
    for words, complaint in (
        (["esp-des", "esp-3des"], "two transforms for encryption"),
        (["esp-rot13"], "Invalid transform esp-rot13"),
        ([], "has no transform"),
    ):
        with pytest.raises(UsageError, match=complaint):
            edits.transform_set("t", words)


def test_lifetimes_of_the_entry_come_before_the_global_ones() -> None:
    rules = policy(lifetime_s=600, lifetime_kb=2000)
    entry = IsakmpEntry(10, transform_sets=("aes", "ah"))
    assert proposals(rules, entry) == (EspProposal("aes-128", "sha1", 600, 2000), AhProposal("sha1", 600, 2000))
    assert [row.lifetime_s for row in proposals(rules, replace(entry, lifetime_s=120))] == [120, 120]
    assert [row.lifetime_kb for row in proposals(rules, replace(entry, lifetime_kb=0))] == [0, 0]


def test_sec_84_session_keys() -> None:
    key = SessionKey("inbound", "esp", 256, cipher=Secret("0123456789012345"))
    entry = edits.add_key(ManualEntry(10), key)
    assert entry.keys == (key,)
    again = replace(key, spi=300)
    assert edits.add_key(entry, again).keys == (again,)
    with pytest.raises(UsageError, match="only be set for ipsec-manual"):
        edits.add_key(IsakmpEntry(10), key)
    with pytest.raises(UsageError, match="Invalid SPI 255"):
        edits.add_key(entry, replace(key, spi=255))
    row = edits.transform_set("someset", ["ah-md5-hmac", "esp-des"])
    assert edits.key_octets(key, row) == (bytes.fromhex("0123456789012345"), b"")
    ah = SessionKey("outbound", "ah", 256, authenticator=Secret("fedcbafedcbafedcbafedcbafedcbafedc"))
    assert edits.key_octets(ah, row) == (b"", bytes.fromhex("fedcbafedcbafedcbafedcbafedcbafe"))
    for wrong, complaint in (("0123", "too short"), ("x" * 16, "not hexadecimal")):
        with pytest.raises(UsageError, match=complaint) as caught:
            edits.key_octets(replace(key, cipher=Secret(wrong)), row)
        assert wrong not in str(caught.value)


def test_remarks_say_what_is_without_effect() -> None:
    whole = policy(IsakmpEntry(10, "101", (EAST,), ("aes",)), lists={"101": (THERE,)})
    assert edits.remarks(whole) == ()
    assert edits.remarks(policy()) == ()
    for entry, complaint in (
        (IsakmpEntry(10, "101", (), ("aes",)), "it lacks a peer"),
        (IsakmpEntry(10, "102", (EAST,), ("aes",)), "it lacks a valid access list"),
        (IsakmpEntry(10, "101", (EAST,), ("x",)), "it lacks a transform set"),
        (DynamicReference(10, "nobody"), "names dynamic crypto map nobody"),
    ):
        (remark,) = edits.remarks(policy(entry, lists={"101": (THERE,)}))
        assert complaint in remark
    bare = replace(whole, transform_sets={**SETS, "aes": edits.transform_set("aes", ["esp-des"])})
    assert edits.remarks(bare) == ("crypto map mymap 10: transform set aes encrypts without authentication",)


@pytest.mark.parametrize("kind", [IsakmpEntry, ManualEntry])
def test_an_entry_that_has_all_but_a_transform_set_lacks_that(kind) -> None:
    entry = kind(10, "101", (EAST,))
    assert missing(policy(entry, lists={"101": (THERE,)}), Place("mymap 10", entry)) == "a transform set"
