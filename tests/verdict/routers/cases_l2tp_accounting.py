"""What the checks of verdict/routers/l2tp_accounting say of sound evidence, of a fault's, and of bad evidence."""

from dataclasses import replace

from edits import both, doubtful, fails, in_trouble, no_capture, not_done, passes, retold, untold, without

from harness.model import FrameKind, Told
from harness.verdict.routers.l2tp_world import LAC
from harness.verdict.routers.reading import step

SCRIPT = "l2tp-accounting"
USER, OTHER, UNKNOWN = "userSerial10@cisco.com", "someone@cisco.com", "nobody@cisco.com"


def record(status, user="", number=0, who=""):
    """The `number`-th record of that status and user."""

    def which(evidence):
        found = [
            one
            for one in evidence.told
            if one.kind == "accounting" and (one.data["status"], one.data["user"]) == (status, user) and who in ("", one.who)
        ]
        assert len(found) > number, "there is no such record"
        return found[number]

    return which


def changed(which, t=None, attributes=None, **data):
    """That record otherwise."""

    def edit(evidence):
        old = which(evidence)
        inner = {**old.data["attributes"], **(attributes or {})}
        new = replace(old, t=old.t if t is None else t(evidence), data={**old.data, **data, "attributes": inner})
        return replace(evidence, told=tuple(new if one is old else one for one in evidence.told))

    return edit


def gone(which):
    def edit(evidence):
        old = which(evidence)
        return replace(evidence, told=tuple(one for one in evidence.told if one is not old))

    return edit


def twice(which, t=None):
    def edit(evidence):
        old = which(evidence)
        return replace(evidence, told=(*evidence.told, replace(old, t=old.t if t is None else t(evidence))))

    return edit


def not_asked(user):
    return lambda evidence: replace(
        evidence, told=tuple(one for one in evidence.told if not (one.kind == "judged" and one.data["user"] == user))
    )


def came_up(name):
    """A caller is told to be up, though its line went."""

    def edit(evidence):
        t = next(one.t for one in evidence.told if one.kind == "dialled" and one.who == name) + 1
        told = Told(t, name, "up", {"address": "172.16.1.99", "took": 1.0})
        return replace(evidence, told=(*evidence.told, told))

    return edit


def before_hanging_up(evidence):
    return step(evidence, "hang-up:caller 1").began - 1


def in_the_step(evidence):
    return step(evidence, "without a list").began + 10


def before_ike(evidence):
    return step(evidence, "dial:caller 1").began


def is_delete(frame):
    return bool((frame.ike or {}).get("deletes"))


def is_esp(frame):
    return frame.kind is FrameKind.ESP


def later_esp(evidence):
    """Without the ESP of the time in which there is no list."""
    since = step(evidence, "without a list").began
    return without(lambda frame: is_esp(frame) and frame.src == LAC and frame.t >= since)(evidence)


def not_counted_later(evidence):
    return gone(record("start", USER, 1))(evidence)


def only_friends(evidence):
    """The one who is rejected has never dialled."""
    told = tuple(one for one in evidence.told if one.who != "caller 3" and one.data.get("user") != UNKNOWN)
    return replace(evidence, told=told)


def the_other_way(evidence):
    """The stop of the first user tells what went in as what went out."""
    of = record("stop", USER)(evidence).data["attributes"]
    swapped = {"acct-input-octets": of["acct-output-octets"], "acct-output-octets": of["acct-input-octets"]}
    return changed(record("stop", USER), attributes=swapped)(evidence)


def nothing_one_way(evidence):
    """No host sent the first caller anything, and its stop says so."""
    of = record("stop", USER)(evidence).data["attributes"]
    stopped = changed(record("stop", USER), attributes={"acct-output-octets": of["acct-input-octets"]})(evidence)
    return untold("got", "caller 1")(stopped)


SESSION_START, SESSION_STOP = record("start", who="radius-2"), record("stop", who="radius-2")

CASES = (
    passes("SEC-85", SCRIPT),
    fails("SEC-85", SCRIPT, "no start", gone(SESSION_START), "0 starts"),
    fails("SEC-85", SCRIPT, "no stop", gone(SESSION_STOP), "0 stops"),
    fails("SEC-85", SCRIPT, "two starts", twice(SESSION_START), "2 starts"),
    fails("SEC-85", SCRIPT, "two sessions", changed(SESSION_STOP, session="other"), "two sessions"),
    fails("SEC-85", SCRIPT, "a start before there are SAs", changed(SESSION_START, t=before_ike), "while the SAs were there"),
    fails("SEC-85", SCRIPT, "a stop while there is ESP", changed(SESSION_STOP, t=before_hanging_up), "before the last ESP"),
    fails("SEC-85", SCRIPT, "a record without the list", twice(SESSION_START, in_the_step), "has no list"),
    fails("SEC-85", SCRIPT, "the LAC's record", changed(SESSION_START, nas=LAC), "a record is of"),
    doubtful("SEC-85", SCRIPT, "no IPsec", without(is_esp), "no IPsec session"),
    doubtful("SEC-85", SCRIPT, "it does not end", without(is_delete), "not over"),
    doubtful("SEC-85", SCRIPT, "no IPsec without the list", later_esp, "without a list"),
    doubtful("SEC-85", SCRIPT, "nobody counted later", not_counted_later, "nobody was counted"),
    doubtful("SEC-85", SCRIPT, "the list never goes", not_done("without a list"), "not carried out"),
    doubtful("SEC-85", SCRIPT, "no capture", no_capture(), "no outside capture"),
    passes("SEC-135", SCRIPT),
    fails("SEC-135", SCRIPT, "nobody was asked", not_asked(OTHER), f"not asked about {OTHER}"),
    fails("SEC-135", SCRIPT, "in though rejected", came_up("caller 3"), "had not accepted"),
    fails("SEC-135", SCRIPT, "the LAC asks", retold("judged", nas=LAC), "another than the LNS"),
    fails("SEC-135", SCRIPT, "no start", gone(record("start", OTHER)), f"0 starts of {OTHER}"),
    fails("SEC-135", SCRIPT, "two starts", twice(record("start", OTHER)), f"2 starts of {OTHER}"),
    fails("SEC-135", SCRIPT, "no stop", gone(record("stop", USER)), f"0 stops of {USER}"),
    fails("SEC-135", SCRIPT, "two stops", twice(record("stop", USER)), f"2 stops of {USER}"),
    fails("SEC-135", SCRIPT, "an early stop", changed(record("stop", USER), t=before_hanging_up), "before caller 1 hung up"),
    fails("SEC-135", SCRIPT, "another's name", changed(record("stop", USER), user=OTHER), f"is of {OTHER}"),
    fails("SEC-135", SCRIPT, "no name", changed(record("stop", USER), user=""), "is of nobody"),
    fails("SEC-135", SCRIPT, "another address",
          changed(record("start", USER), attributes={"framed-ip-address": "172.16.1.99"}), "172.16.1.99"),
    fails("SEC-135", SCRIPT, "another's octets",
          changed(record("stop", OTHER), attributes={"acct-input-octets": 4000}), "acct-input-octets 4000"),
    fails("SEC-135", SCRIPT, "no octets",
          changed(record("stop", OTHER), attributes={"acct-output-octets": 0}), "acct-output-octets 0"),
    fails("SEC-135", SCRIPT, "one session for two",
          both(changed(record("start", OTHER), session="00000002"), gone(record("stop", OTHER))), "in common"),
    fails("SEC-135", SCRIPT, "a record of who was rejected", changed(record("start", USER), user=UNKNOWN), UNKNOWN),
    fails("SEC-135", SCRIPT, "the two ways mixed up", the_other_way, "acct-input-octets"),
    doubtful("SEC-135", SCRIPT, "as much each way", nothing_one_way, "as much in as out"),
    doubtful("SEC-135", SCRIPT, "accepted and not up", untold("up", "caller 2"), "did not come up"),
    doubtful("SEC-135", SCRIPT, "nobody is rejected", only_friends, "rejected nobody"),
    doubtful("SEC-135", SCRIPT, "nobody dialled", untold("dialled"), "0 calls"),
    doubtful("SEC-135", SCRIPT, "nothing carried", retold("pinged", answered=False), "carried nothing"),
    doubtful("SEC-135", SCRIPT, "never hung up", not_done("hang-up:caller 2"), "not carried out"),
    doubtful("SEC-135", SCRIPT, "trouble", in_trouble, "half up"),
)  # fmt: skip
