"""The system's tools for disks, run with a bound."""

from __future__ import annotations

import subprocess

from guest_agent.errors import GuestError


def run(command: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
    """Run a tool to its end; `GuestError` with its last words when it fails."""
    done = attempt(command, seconds)
    if done.returncode != 0:
        raise GuestError(f"{command[0]} failed: {said(done)}")
    return done


def attempt(command: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
    """Run a tool whose exit code says something; `GuestError` without one in time."""
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise GuestError(f"{command[0]} is not installed on this server") from None
    except subprocess.TimeoutExpired:
        raise GuestError(f"{command[0]} took longer than {seconds:.0f} s") from None


def said(done: subprocess.CompletedProcess[str]) -> str:
    """The last words of a tool."""
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[-1] if lines else f"exit code {done.returncode}"
