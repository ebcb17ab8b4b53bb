"""One restore point's life in sentences that a person can read aloud."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from etl import console
from etl.console_words import instant, line, size, span, value

if TYPE_CHECKING:
    from etl.report.history import Change, Deletion, PointHistory, PointVersion
    from etl.report.sessions import Session, SessionPolicy

#: What a point is of, by its workload.
KINDS = {
    "vm": "virtual machine",
    "sql": "SQL database",
    "file_share": "file share",
    "vnet": "virtual network configuration",
    "cosmos_db": "Cosmos DB account",
    "cosmos_db_continuous": "Cosmos DB account (continuous backup)",
}

#: Who removed it, by cause.
REMOVERS = {
    "retention": "Retention removed it",
    "manual": "Somebody deleted it by hand",
    "policy_removed": "It was removed because its policy was",
    "orphaned": "The appliance cleared it away as an orphan",
}

#: What speaks for that, by how the evidence fits.
EVIDENCE = {
    "item": "lists it (item match: resource, time, tier and size are its own)",
    "resource_and_time": "lists one of its resource and time (resource and time match: nothing else could be compared)",
    "session_only": "lists nothing, but removed restore points of its kind then (session only match: the weakest)",
}


def print_explained(points: Sequence[PointHistory], restore_point_id: str, *, as_json: bool) -> None:
    """One point's life on each appliance; says so if there is none."""
    if not points:
        console.say(f"no appliance in this warehouse ever listed a restore point {restore_point_id}")
    for number, point in enumerate(points):
        told = list(sentences(point))
        if as_json:
            console.print_json({"sentences": told, **asdict(point)})
            continue
        if number:
            line("")
        for sentence in told:
            line(sentence)


def sentences(point: PointHistory) -> Iterator[str]:
    """The life of a point in order: what it is, what made it, what was seen of it, and what is known of it now."""
    yield _what_it_is(point)
    yield _made_by(point.session)
    if point.policy is not None:
        yield _policy(point.policy)
    yield f"The warehouse first saw it at {instant(point.first_seen_at)}, in run {point.first_run}."
    for version in point.versions:
        yield from _seen(version)
        if version.deletion is not None:
            yield from _went(version.deletion)
    if point.deletion is None:
        yield f"It certainly existed at {instant(point.last_confirmed_at)}, and no run has found it gone since."
    else:
        yield "It has not been seen again."


def _what_it_is(point: PointHistory) -> str:
    of = point.attributes
    kind = KINDS.get(of["workload"], of["workload"])
    whose = f"the {kind} {of['resource_name']}" if of["resource_name"] else f"a {kind} that the appliance does not name"
    region = f" in {of['region_name']}" if of["region_name"] else ""
    facts = [
        f"{word} {value(column, of[column])}"
        for column, word in (
            ("restore_point_type", "of type"),
            ("backup_destination", "kept in"),
            ("access_tier", "in tier"),
        )
        if of[column]
    ]
    held = of["backup_size_bytes"]
    facts.append("of unknown size" if held is None else size(held))
    return (
        f"Restore point {point.restore_point_id} of appliance {point.appliance} holds {whose}{region} as it was at "
        f"{instant(of['point_in_time'])}: {', '.join(facts)}."
    )


def _made_by(session: Session | None) -> str:
    if session is None:
        return "The appliance does not say which job session made it."
    if not session.is_read:
        why = "was never read" if session.forgotten_at is None else "was forgotten by the appliance before it was read"
        return f"Job session {session.job_session_id} made it, which {why}: nothing else is known of it."
    kind = f"{session.session_type} session" if session.session_type else "Job session"
    rule = f" of policy {session.policy_name}" if session.policy_name else ""
    when = f", which began at {instant(session.started_at)}" if session.started_at else ""
    end = ""
    if session.duration_seconds is not None:
        end = f", took {span(session.duration_seconds)}"
    elif session.under_way:
        end = ", had not ended when it was last read"
    status = f", with status {session.status}" if session.status else ""
    since = " The appliance has forgotten this session since." if session.forgotten_at else ""
    return f"{kind} {session.job_session_id}{rule} made it{when}{end}{status}.{since}"


def _policy(policy: SessionPolicy) -> str:
    name = policy.policy_name or policy.policy_id
    if policy.exists is None:
        return f"Whether policy {name} still exists is not known."
    if policy.exists:
        return f"Policy {name} has not been found removed."
    if policy.gone_at is None or policy.last_confirmed_at is None:
        return f"Policy {name} has been removed."
    return f"Policy {name} was removed between {instant(policy.last_confirmed_at)} and {instant(policy.gone_at)}."


def _seen(version: PointVersion) -> Iterator[str]:
    when, changes = instant(version.valid_from), "; ".join(map(_change, version.changes))
    if version.change == "reappeared":
        different = f", but changed: {changes}" if changes else ""
        yield f"Run {version.run_number} found it there again at {when}{different}."
    elif version.change == "restated":
        yield f"Run {version.run_number} read it at another API version at {when}, which tells it otherwise: {changes}."
    elif version.change == "changed":
        yield f"Run {version.run_number} found it changed at {when}: {changes}."


def _change(change: Change) -> str:
    old, new = (value(change.column, one) or "nothing" for one in (change.old, change.new))
    return f"{change.column.removesuffix('_bytes').replace('_', ' ')} from {old} to {new}"


def _went(deletion: Deletion) -> Iterator[str]:
    yield (
        f"It vanished between {instant(deletion.last_confirmed_at)}, when it certainly existed, and "
        f"{instant(deletion.deleted_at)}, when run {deletion.run_number} found it gone."
    )
    if deletion.cause is None:
        yield "Why was never looked for."
    elif deletion.cause == "unexplained":
        yield f"Nobody knows why: {deletion.note or 'nothing that was read says so'}."
    else:
        yield _explained(deletion, deletion.cause)


def _explained(deletion: Deletion, cause: str) -> str:
    fits = EVIDENCE.get(deletion.match_kind or "", "explains it")
    session = deletion.session
    if session is None:
        evidence = f"{deletion.note or 'several sessions fit equally'}, each of which {fits}"
    else:
        kind = f"{session.session_type} session" if session.session_type else "session"
        when = f", which began at {instant(session.started_at)}," if session.started_at else ""
        evidence = f"{kind} {session.job_session_id}{when} {fits}"
        if deletion.note:
            evidence += f" ({deletion.note})"
    later = f" Run {deletion.explained_run} found that out." if deletion.explained_run != deletion.run_number else ""
    return f"{REMOVERS[cause]}: {evidence}.{later}"
