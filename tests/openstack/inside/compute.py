"""Starts nova-compute, which looks for its driver among those of `nova.virt`: ours is made one."""

from __future__ import annotations

import sys
from pathlib import Path

import nova.virt
from nova.cmd import compute

nova.virt.__path__.append(str(Path(__file__).parent))

if __name__ == "__main__":
    sys.exit(compute.main())
