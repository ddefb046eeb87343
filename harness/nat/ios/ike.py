"""`ip nat service list … IKE preserve-port`: port 500 stays 500 on both sides for those whom the list permits (ESN-20…27).

The source does not say how answers are told apart where two hosts keep 500 towards one gateway. Here it is by initiator cookie, as
by other NATs (RFC 3715 §2.3). An exchange that the gateway begins bears a cookie that nobody has sent: it goes to the host that
alone keeps 500 towards that gateway; where several do, to nobody. Hosts outside the list are translated as ever.
"""

from __future__ import annotations

from harness.nat.headers import IKE, UDP
from harness.nat.helpers import cookie_of
from harness.nat.ios.access_list import AccessList
from harness.nat.state import Dropped, State
from harness.nat.table import Session


class PreservedIke:
    def __init__(self, permitted: AccessList) -> None:
        self.permitted = permitted
        self.reset()

    def reset(self) -> None:
        self._kept: dict[bytes, list[Session]] = {}  # by remote address

    def outward(self, state: State, packet: bytes, at: int) -> Session | None:
        """None for those whom the list does not permit."""
        inside, remote = packet[12:16], packet[16:20]
        if not self.permitted.permits(inside, remote):
            return None
        cookie = cookie_of(packet, at)
        leaving = inside + remote + IKE + cookie
        found = state.table.find_leaving(state.now, UDP, leaving)
        if found is None:
            coming = remote + state.outside + IKE + cookie
            if state.table.find_coming(state.now, UDP, coming) is not None:
                raise Dropped("another client's")
            found = state.establish(UDP, leaving, coming, 500, 500)
            if len(self._kept) >= state.table.limit:
                self._kept = {one: left for one in self._kept if (left := self._live(state, one))}
            self._kept[remote] = [*self._live(state, remote), found]
        return found

    def inward(self, state: State, packet: bytes, at: int) -> Session | None:
        """None where nobody keeps 500 towards that gateway, or the ordinary translation knows better."""
        remote, key = packet[12:16], packet[12:20] + IKE
        kept = self._live(state, remote)
        if not kept:
            return None
        found = state.table.find_coming(state.now, UDP, key + cookie_of(packet, at))
        if found is not None:
            return found
        if state.table.find_coming(state.now, UDP, key) is not None:
            return None
        if len({one.binding.inside for one in kept}) > 1:
            raise Dropped("unknown cookie")
        return kept[-1]

    def _live(self, state: State, remote: bytes) -> list[Session]:
        return [one for one in self._kept.get(remote, ()) if not one.binding.removed and one.binding.expires > state.now]
