"""The option negotiation automaton of RFC 1661 §4.1, in the RFC's own notation; LCP and the NCPs run it, in either role.

A cell is "actions/next state"; "-" is a pair that cannot happen, here as everywhere an error. The RFC's footnotes: "r" (restart
option) and "x" (crossed connection) change nothing here; "p" (passive option) is not used, so that silence ends the attempt.
"""

from __future__ import annotations

from enum import Enum

from harness.wire.machine import Table


class State(Enum):
    INITIAL = 0
    STARTING = 1
    CLOSED = 2
    STOPPED = 3
    CLOSING = 4
    STOPPING = 5
    REQ_SENT = 6
    ACK_RCVD = 7
    ACK_SENT = 8
    OPENED = 9


class Event(Enum):
    UP = "Up"
    DOWN = "Down"
    OPEN = "Open"
    CLOSE = "Close"
    TIMEOUT = "TO+"  # with restart counter > 0
    TIMEOUT_LAST = "TO-"  # with the counter expired
    REQUEST_GOOD = "RCR+"
    REQUEST_BAD = "RCR-"
    ACK = "RCA"
    NAK = "RCN"  # or Reject
    TERMINATE_REQUEST = "RTR"
    TERMINATE_ACK = "RTA"
    UNKNOWN_CODE = "RUC"
    REJECT_HARMLESS = "RXJ+"
    REJECT_FATAL = "RXJ-"
    ECHO = "RXR"  # Echo-Request, Echo-Reply, Discard-Request


class Action(Enum):
    LAYER_UP = "tlu"
    LAYER_DOWN = "tld"
    LAYER_STARTED = "tls"
    LAYER_FINISHED = "tlf"
    INIT_RESTART = "irc"
    ZERO_RESTART = "zrc"
    SEND_REQUEST = "scr"
    SEND_ACK = "sca"
    SEND_NAK = "scn"
    SEND_TERMINATE_REQUEST = "str"
    SEND_TERMINATE_ACK = "sta"
    SEND_CODE_REJECT = "scj"
    SEND_ECHO_REPLY = "ser"


_RFC = """
       0     1         2         3           4     5     6         7         8         9
Up     2     irc,scr/6 -         -           -     -     -         -         -         -
Down   -     -         0         tls/1       0     1     1         1         1         tld/1
Open   tls/1 1         irc,scr/6 3r          5r    5r    6         7         8         9r
Close  0     tlf/0     2         2           4     4     irc,str/4 irc,str/4 irc,str/4 tld,irc,str/4
TO+    -     -         -         -           str/4 str/5 scr/6     scr/6     scr/8     -
TO-    -     -         -         -           tlf/2 tlf/3 tlf/3p    tlf/3p    tlf/3p    -
RCR+   -     -         sta/2 irc,scr,sca/8   4     5     sca/8     sca,tlu/9 sca/8     tld,scr,sca/8
RCR-   -     -         sta/2 irc,scr,scn/6   4     5     scn/6     scn/7     scn/6     tld,scr,scn/6
RCA    -     -         sta/2     sta/3       4     5     irc/7     scr/6x    irc,tlu/9 tld,scr/6x
RCN    -     -         sta/2     sta/3       4     5     irc,scr/6 scr/6x    irc,scr/8 tld,scr/6x
RTR    -     -         sta/2     sta/3       sta/4 sta/5 sta/6     sta/6     sta/6     tld,zrc,sta/5
RTA    -     -         2         3           tlf/2 tlf/3 6         6         8         tld,scr/6
RUC    -     -         scj/2     scj/3       scj/4 scj/5 scj/6     scj/7     scj/8     scj/9
RXJ+   -     -         2         3           4     5     6         6         8         9
RXJ-   -     -         tlf/2     tlf/3       tlf/2 tlf/3 tlf/3     tlf/3     tlf/3     tld,irc,str/5
RXR    -     -         2         3           4     5     6         7         8         ser/9
"""

TIMED = frozenset((State.CLOSING, State.STOPPING, State.REQ_SENT, State.ACK_RCVD, State.ACK_SENT))
"""The states in which the restart timer runs (§4.2)."""


def _read(text: str) -> dict[tuple[State, Event], tuple[tuple[Action, ...], State]]:
    rows = {}
    _, *lines = text.strip().splitlines()
    for line in lines:
        name, *cells = line.split()
        for state, cell in zip(State, cells, strict=True):
            if cell == "-":
                continue
            before, _, after = cell.rpartition("/")
            actions = tuple(Action(word) for word in before.split(",") if word)
            rows[state, Event(name)] = (actions, State(int(after.rstrip("rpx"))))
    return rows


TABLE: Table[State, Event, Action] = Table("ppp", State, Event, State.INITIAL, _read(_RFC))
