"""One of many who contend for a lock: `lock_play.py DIRECTORY NAME DEVICE…`, driven line by line.

"acquire" answers "won", or "lost" and why; "release" answers "free"; the end of the input ends it without releasing anything.
"""

import sys
from pathlib import Path

from harness.errors import LabError
from harness.lab.providers.lock import Lock


def main() -> None:
    lock = Lock(sys.argv[3:], sys.argv[2], Path(sys.argv[1]))
    print("ready", flush=True)
    for line in sys.stdin:
        if line.strip() == "acquire":
            try:
                print("won", *lock.acquire(), flush=True)
            except LabError as error:
                print("lost", str(error).replace("\n", " "), flush=True)
        else:
            lock.release()
            print("free", flush=True)


if __name__ == "__main__":
    main()
