"""Which scripts for routers a release of IOS can be asked: a release that lacks what one needs is not asked it."""

from __future__ import annotations

from harness.devices.ios import gates
from harness.errors import UsageError
from harness.model import ios_releases
from harness.routers.script import RouterScript


def lacking(script: RouterScript) -> str:
    """Why the script's release, on its platform, is not asked it, with the release that brought what it lacks; "" where it is. What
    the script's own lines need is read off them."""
    platform = script.options.get("platform")
    return next((why for feature in features(script) if (why := _lacks(script.release, feature, platform))), "")


def features(script: RouterScript) -> tuple[str, ...]:
    """Those that the script says it needs, and those that its lines do, by their names in model/ios_releases."""
    lines = (line for typed in (script.lines, script.instead) for of in typed.values() for line in of)
    return tuple(dict.fromkeys((*script.needs, *gates.needed(lines))))


def _lacks(release: str, name: str, platform: str | None) -> str:
    feature = ios_releases.FEATURES.get(name)
    if feature is None:
        raise UsageError(f"no feature of IOS is called {name!r}", cure=f"one of: {', '.join(ios_releases.FEATURES)}")
    where = f"IOS {release}" + (f" on the {platform}" if platform else "")
    own = [one for one in feature.introduced if platform in one.platforms]
    brought = ", ".join(str(one.release) for one in own or feature.introduced if own or not one.platforms)
    try:
        there = ios_releases.has(name, ios_releases.parse(release), platform)
    except UsageError as error:  # a train beside those that the documents name
        return f"whether {where} has `{feature.title}` is not known: {error}"
    return "" if there else f"{where} has no `{feature.title}`: {brought} brought it ({feature.source})"
