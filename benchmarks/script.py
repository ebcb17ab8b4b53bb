"""The script that a person would write by hand: serial pages, pandas, `to_sql`, an upsert. Five columns, no history."""

from __future__ import annotations

import sys

import httpx
import pandas as pd
from sqlalchemy import create_engine, text

url, warehouse = sys.argv[1:]
client = httpx.Client(base_url=url, timeout=60)
token = client.post(
    "/api/oauth2/token",
    data={"grant_type": "Password", "username": "reporter", "password": "simulated-password"},
).json()["access_token"]
client.headers["Authorization"] = f"Bearer {token}"

rows: list[dict[str, object]] = []
while True:
    page = client.get("/api/v8.1/restorePoints/virtualMachines", params={"Offset": len(rows), "Limit": 500}).json()
    rows += page["results"]
    if not page["results"] or len(rows) >= page["totalCount"]:
        break

frame = pd.DataFrame(rows)[["id", "pointInTime", "backupSizeBytes", "backupDestination", "jobSessionId"]]
frame["pointInTime"] = pd.to_datetime(frame["pointInTime"], format="ISO8601")
engine = create_engine(warehouse)
with engine.begin() as connection:
    connection.execute(
        text(
            'create table if not exists points (id text primary key, "pointInTime" timestamp, '
            '"backupSizeBytes" bigint, "backupDestination" text, "jobSessionId" text)'
        )
    )
    frame.to_sql("staging", connection, if_exists="replace", index=False, chunksize=1000)
    connection.execute(
        text(
            "insert into points select * from staging where true on conflict (id) do update set "
            '"pointInTime" = excluded."pointInTime", "backupSizeBytes" = excluded."backupSizeBytes", '
            '"backupDestination" = excluded."backupDestination", "jobSessionId" = excluded."jobSessionId"'
        )
    )
