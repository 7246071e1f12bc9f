"""The servers; `catalogue` names them, in reading order."""

import sys

if sys.platform != "linux":
    sys.stderr.write(f"this study runs on Linux only, and this is {sys.platform}\n")
    sys.exit(2)
