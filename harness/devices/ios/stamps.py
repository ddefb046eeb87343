"""What a router puts before a line of its log or of `debug`: a number, where `service sequence-numbers` is on, and the time, of the
day ("*Mar  1 00:00:21.123 UTC: ") or since it was booted ("00:00:21: ", "1d02h: ", "2w3d: "), as 12.2 and 12.3 have it by default.
"*" stands where the clock was never set, "." where it may be wrong."""

from __future__ import annotations

from harness.model.refusals import LOG_MESSAGE

STAMP = (
    r"(?:\d{1,9}: )?(?P<doubt>[*.]?)"
    r"(?P<stamp>(?:(?P<date>[A-Z][a-z]{2} +\d{1,2}) (?:\d{4} )?)?(?P<time>\d{1,2}:\d\d:\d\d(?:\.\d{1,6})?)(?: [A-Za-z][\w+-]*)?"
    r"|(?P<uptime>(?:\d{1,4}[ywdh]){1,2})): ?"
)
MESSAGE = rf"(?:\d{{1,9}}: )?{LOG_MESSAGE}"
"""How a line of the log begins that has no time."""
