"""The scenarios that saboteurs are hunted with: small fleets, busy tenants, a few faults each.

Strengths may lie above the ranges of a swarm, so that a small run meets what a fleet meets.
"""

from __future__ import annotations

from typing import Final

from simulator.inputs import SETTLE_SECONDS, Outage, Plan, Workload

CHURN: Final = {"create": 10.0, "delete": 10.0, "show": 2.0, "list": 2.0, "force_delete": 2.0}
CONTENTS: Final = {
    **dict.fromkeys(("create_user", "delete_user", "list_users", "create_database"), 10.0),
    **dict.fromkeys(("enable_root", "change_password", "delete_database", "restart"), 4.0),
}
CALLS: Final = {name: weight for name, weight in CONTENTS.items() if name != "restart"}
"""What is asked of a guest while its client waits."""
CREATES: Final = {"create": 10.0, "delete": 8.0, "list": 2.0}
OPENINGS: Final = {"create": 6.0, "delete": 3.0, "update_access": 12.0, "reset_status": 2.0}
TAKEN_BACK: Final = {"create": 4.0, "update_access": 12.0, "cancel": 12.0, "reset_status": 4.0}
PROTECTED: Final = {"create": 6.0, "delete": 12.0, "protect": 16.0, "force_delete": 1.0}
CROSSED: Final = {"create": 10.0, "delete": 8.0, "force_delete": 12.0}
"""Much at the same moment, and of the same few instances."""
POWER: Final = {"create": 4.0, "delete": 1.0, "stop": 8.0, "start": 8.0, "reboot": 4.0}
REPLACED: Final = {"create": 4.0, "delete": 1.0, "rebuild": 8.0, "expel": 4.0, "create_user": 4.0}
UPGRADES: Final = {"create": 4.0, "delete": 1.0, "upgrade": 12.0, "write": 4.0, "show": 1.0}
AGENTS: Final = {"create": 4.0, "delete": 1.0, "upgrade_agent": 12.0, "show": 1.0}
RESIZES: Final = {"create": 4.0, "delete": 1.0, "resize_volume": 20.0, "show": 1.0}
FLAVORS: Final = {"create": 4.0, "delete": 1.0, "resize_flavor": 20.0, "show": 1.0}
ROLLED: Final = {"create": 4.0, "delete": 1.0, "roll_out": 20.0, "show": 1.0}
MOVES: Final = {"create": 4.0, "delete": 1.0, "migrate": 20.0, "show": 1.0}
CANCELS: Final = {"create": 6.0, "rebuild": 8.0, "stop": 3.0, "start": 3.0, "cancel": 16.0}
LABELS: Final = {"create": 2.0, "stop": 2.0, "start": 2.0, "list": 20.0, "protect": 6.0}
RESETS: Final = {"create": 10.0, "delete": 6.0, "force_delete": 6.0, "reset_status": 6.0}


KEYS: Final = {"create": 10.0, "delete": 8.0, "create_user": 10.0, "enable_root": 4.0}
"""Mostly POSTs, of which the workload sends a share with a key, and some of those again."""
CONFIGURED: Final = {
    "create": 4.0,
    "delete": 0.5,
    "create_group": 3.0,
    "attach": 12.0,
    "detach": 1.0,
    "change_group": 16.0,
    "delete_group": 3.0,
    "list_groups": 1.0,
    "restart": 1.0,
}
BACKED_UP: Final = {
    "create": 2.0,
    "create_backup": 14.0,
    "restore": 6.0,
    "delete_backup": 6.0,
    "verify_backup": 6.0,
    "delete_after_backup": 2.0,
    "list_backups": 1.0,
    "write": 12.0,
    "create_database": 6.0,
    "create_user": 4.0,
}
RESTORED_BACKUPS: Final = {**BACKED_UP, "create_snapshot": 6.0, "delete": 1.0}
IN_CONTAINERS: Final = {
    **BACKED_UP,
    "create_backup": 2.0,
    "create_backup_in_container": 14.0,
    "cancel": 3.0,
}
SNAPSHOTS: Final = {
    **BACKED_UP,
    "create_backup": 2.0,
    "create_snapshot": 14.0,
    "delete": 3.0,
    "cancel": 2.0,
}
IMPORTS: Final = {
    "create": 0.5,
    "delete": 6.0,
    "import_backup": 10.0,
    "restore": 14.0,
    "delete_backup": 2.0,
    "create_backup": 1.0,
    "cancel": 1.0,
}
BY_STRATEGY: Final = {
    "create": 0.5,
    "set_strategy": 1.0,
    "drop_strategy": 0.5,
    "create_backup": 12.0,
    "create_backup_in_container": 2.0,
    "create_schedule": 2.0,
    "delete_backup": 4.0,
}
SCHEDULED: Final = {
    "create_schedule": 4.0,
    "create_backup": 1.0,
    "restore": 2.0,
    "delete_backup": 1.0,
    "write": 8.0,
    "stop": 1.0,
    "start": 3.0,
}
ARCHIVED: Final = {
    "archive_log": 8.0,
    "restore_to_moment": 8.0,
    "purge_log": 2.0,
    "create_backup": 3.0,
    "delete_backup": 1.5,
    "delete_schedule": 0.5,
    "delete": 1.5,
    "restart": 1.0,
    "create_database": 6.0,
    "write": 24.0,
}
FILLED: Final = {"archive_log": 8.0, "create_backup": 2.0, "write": 40.0, "create_database": 6.0}
GIVEN_UP: Final = {
    "create": 1.0,
    "create_backup": 10.0,
    "delete_after_backup": 2.0,
    "cancel": 10.0,
}
RENAMES: Final = {**CHURN, "rename": 10.0}
NO_LAMBDA: Final = tuple(
    Outage(service="lambda", at_minutes=at, minutes=minutes)
    for at, minutes in ((1.0, 0.8), (3.0, 0.8), (5.0, 0.8), (7.0, 0.8), (9.0, 5.0))
)
"""Some just longer than a few retries, and one of minutes."""
DARK: Final = Outage(service="sqs", at_minutes=3.0, minutes=24.0)


def _plan(
    name: str,
    mix: dict[str, float],
    faults: dict[str, float],
    outages: tuple[Outage, ...] = (),
    **more: float,
) -> Plan:
    workload = Workload(
        operations_per_guest_hour=more.get("rate", 40.0),
        guests_per_tenant=2,
        at_once=int(more.get("at_once", 1)),
        mix=mix,
    )
    return Plan(
        scenario=f"saboteurs: {name}",
        guests=int(more.get("guests", 4)),
        hours=more.get("hours", 0.4),
        workload=workload,
        faults=faults,
        outages=list(outages),
        settle_seconds=more.get("settle", SETTLE_SECONDS),
        heartbeat_seconds=int(more.get("heartbeat", 60)),
        leftovers=bool(more.get("leftovers")),
        kms=bool(more.get("kms")),
    )


PLANS: Final = {
    "calm": _plan("calm", CHURN, {}),
    "left over": _plan("left over", {"list": 1.0}, {}, leftovers=True, rate=4.0),
    "filling": _plan("filling", CONTENTS, {"F13": 1.0}),
    "calls": _plan("calls", CONTENTS, {}),
    "protected": _plan("protected", PROTECTED, {"F21": 0.3}, guests=2, rate=900.0, at_once=12),
    "feeds": _plan("feeds", {**CHURN, "list_events": 10.0}, {}),
    "plans": _plan("plans", {**CHURN, "plan": 10.0}, {}),
    "keys": _plan("keys", KEYS, {"F5": 0.6, "F8": 0.1}, rate=240.0),
    "limits": _plan("limits", {**CHURN, "quota": 6.0}, {}),
    "crashes": _plan("crashes", CHURN, {"F5": 0.2}),
    "twins": _plan("twins", CHURN, {"F1": 0.5, "F5": 0.6}),
    "races": _plan("races", RESETS, {"F21": 1.0}),
    "crossed": _plan("crossed", CROSSED, {"F21": 1.0}, hours=0.2, rate=240.0, at_once=6),
    "taken back": _plan("taken back", TAKEN_BACK, {"F5": 0.2, "F15": 0.2}, rate=240.0, at_once=4),
    "access": _plan("access", OPENINGS, {"F5": 0.2, "F15": 0.2, "F21": 0.3}),
    "power": _plan("power", POWER, {"F5": 0.1, "F15": 0.1}),
    "replaced": _plan("replaced", REPLACED, {"F5": 0.1, "F14": 1.0, "F27": 2.0}),
    "upgrades": _plan("upgrades", UPGRADES, {"F5": 0.1, "F15": 0.1}),
    "agents": _plan("agents", AGENTS, {"F5": 0.1, "F11": 0.2}),
    "vanished": _plan("vanished", REPLACED, {"F15": 0.4}, rate=80.0),
    "resizes": _plan("resizes", RESIZES, {"F15": 0.2}),
    "flavors": _plan("flavors", FLAVORS, {"F15": 0.2}, rate=80.0),
    "configured": _plan("configured", CONFIGURED, {"F3": 0.1, "F5": 0.1}, rate=120.0, at_once=3),
    "backed up": _plan("backed up", BACKED_UP, {}, rate=120.0),
    "sealed by KMS": _plan("sealed by KMS", BACKED_UP, {}, rate=120.0, kms=True),
    "snapshots": _plan("snapshots", SNAPSHOTS, {"F5": 0.1, "F15": 0.1}, rate=120.0),
    "in containers": _plan(
        "in containers", IN_CONTAINERS, {"F3": 0.2, "F5": 0.1, "F9": 0.2, "F11": 10.0}, rate=120.0
    ),
    "imports": _plan("imports", IMPORTS, {"F5": 0.05, "F11": 4.0, "F18": 0.4}, rate=120.0),
    "by strategy": _plan("by strategy", BY_STRATEGY, {}, guests=2, rate=80.0, hours=0.6),
    "scheduled": _plan("scheduled", SCHEDULED, {}, guests=3, rate=8.0, hours=3.0),
    "scheduled in trouble": _plan(
        "scheduled in trouble", SCHEDULED, {"F18": 1.0}, guests=3, rate=8.0, hours=3.0
    ),
    "archived": _plan("archived", ARCHIVED, {}, rate=80.0, hours=0.8),
    "archived in trouble": _plan(
        "archived in trouble", ARCHIVED, {"F5": 0.05, "F11": 4.0, "F18": 0.4}, rate=80.0, hours=0.8
    ),
    "filled by logs": _plan("filled by logs", FILLED, {"F13": 8.0}, rate=80.0, hours=0.8),
    "given up": _plan("given up", GIVEN_UP, {"F3": 0.3, "F11": 20.0}, rate=240.0, at_once=3),
    "a bad store": _plan("a bad store", BACKED_UP, {"F18": 4.0}, rate=120.0),
    "rolled out": _plan("rolled out", ROLLED, {"F5": 0.2, "F15": 0.1}),
    "moves": _plan("moves", MOVES, {"F15": 0.2}),
    "lost hints": _plan("lost hints", CHURN, {"F4": 0.3}),
    "unknown results": _plan("unknown results", CHURN, {"F5": 0.2, "F8": 0.1, "F15": 0.2}),
    "reordered": _plan("reordered", {"list": 1.0}, {"F1": 0.5, "F3": 0.1}, rate=1.0, heartbeat=10),
    "late": _plan("late", CONTENTS, {"F3": 1.0}),
    "strangers": _plan("strangers", {"show": 1.0}, {"F21": 1.0}, guests=10, rate=20.0),
    "contents": _plan("contents", CONTENTS, {"F1": 0.5}),
    "poison": _plan("poison", CHURN, {"F16": 0.2}, heartbeat=10),
    "poisoned commands": _plan("poisoned commands", CONTENTS, {"F16": 0.5}, rate=80.0),
    "a little poison": _plan("a little poison", CONTENTS, {"F16": 0.02}, settle=300.0),
    "thieves": _plan("thieves", CHURN, {"F16": 1.0}, rate=20.0),
    "impostors": _plan("impostors", CHURN, {"F11": 20.0, "F16": 0.05}, rate=20.0),
    "crowd": _plan("crowd", CALLS, {"F13": 1.0}, rate=2000.0, hours=0.1),
    "hostile": _plan("hostile", CONTENTS, {"F25": 6.0}, heartbeat=10),
    "hostile creates": _plan("hostile creates", CREATES, {"F25": 6.0}, rate=120.0),
    "old news": _plan(
        "old news",
        {"list": 1.0},
        {"F4": 0.5, "F16": 1.0},
        guests=20,
        hours=2,
        heartbeat=900,
        rate=0.1,
    ),
    "without Lambda": _plan(
        "without Lambda", CREATES, {}, NO_LAMBDA, rate=120.0, hours=0.25, settle=4800.0
    ),
    "releases": _plan("releases", {**RESIZES, "resize_flavor": 10.0}, {"F19": 4.0}, rate=80.0),
    "cancels": _plan("cancels", CANCELS, {}, rate=120.0),
    "labels": _plan("labels", LABELS, {}, rate=120.0),
    "askers": _plan(
        "askers",
        {"create": 1.0},
        {"F12": 0.5, "F16": 1.0},
        guests=8,
        hours=1.0,
        rate=8.0,
        heartbeat=30,
    ),
    "restored": _plan("restored", CHURN, {"F23": 4.0}),
    "restored backups": _plan("restored backups", RESTORED_BACKUPS, {"F23": 4.0}, rate=120.0),
    "restored archives": _plan("restored archives", ARCHIVED, {"F23": 4.0}, rate=80.0, hours=0.8),
    "namesakes": _plan("namesakes", CHURN, {"F24": 30.0}),
    "deployments": _plan("deployments", RENAMES, {"F19": 12.0}),
    "deaths and deployments": _plan("deaths and deployments", CHURN, {"F17": 0.2, "F19": 12.0}),
    "rotations": _plan(
        "rotations", {**CHURN, **CONTENTS}, {"F26": 4.0}, rate=120.0, hours=0.6, heartbeat=30
    ),
    "slow disks": _plan("slow disks", CHURN, {"F13": 1.0}),
    "dying databases": _plan("dying databases", CONTENTS, {"F11": 20.0}),
    "throttled": _plan("throttled", CONTENTS, {"F7": 0.2}),
    "liars": _plan("liars", CHURN, {"F15": 0.4}, rate=80.0),
    "dark": _plan(
        "dark", {"list": 1.0}, {}, (DARK,), guests=20, hours=0.5, rate=0.5, settle=1200.0
    ),
}
