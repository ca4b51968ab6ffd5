"""A department's whole client: keeps what is pushed, decides it, and puts the outcome back."""

import hmac
import json
import os
import sqlite3
import time
from base64 import b64decode, b64encode
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.request import Request, urlopen

API, KEY = os.environ["ONEWINDOW"], os.environ["KEY"]
SECRET = b64decode(os.environ["SECRET"].removeprefix("whsec_"))
HEADERS = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
KEPT = sqlite3.connect(os.environ.get("KEPT", "department.db"), isolation_level=None)
KEPT.execute("CREATE TABLE IF NOT EXISTS tasks (id PRIMARY KEY, task, outcome, status)")
NEW = "INSERT INTO tasks VALUES (?1, ?2, NULL, 599) ON CONFLICT DO UPDATE SET task=?2, status=599"


def decision(task: str) -> str | None:  # your part; None: not yet. Here every item is approved
    approved = {"outcome": "approved", "document_no": "示例许〔2026〕1号"}
    items = [{"item": asked["item"], **approved} for asked in json.loads(task)["items"]]
    return json.dumps({"code": "answered", "items": items}) if items else None


class Department(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if is_ours := self.is_signed(body):
            message = json.loads(body)
            if "subject" not in message:  # a task; it may come again
                KEPT.execute(NEW, [message["id"], body.decode()])
            elif message["type"] == "onewindow.task.withdrawn":
                KEPT.execute("DELETE FROM tasks WHERE id = ?", [message["subject"]])
        self.send_response(202 if is_ours else 401)
        self.end_headers()

    do_POST = do_PUT

    def is_signed(self, body: bytes) -> bool:
        msg, at, found = (self.headers[f"webhook-{n}"] for n in ("id", "timestamp", "signature"))
        good = b"v1," + b64encode(hmac.digest(SECRET, f"{msg}.{at}.".encode() + body, "sha256"))
        is_signed = any(hmac.compare_digest(good, each.encode()) for each in str(found).split())
        return is_signed and abs(time.time() - int(at)) < 300


server = HTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8200"))), Department)
server.timeout = Department.timeout = 2
while True:
    server.handle_request()
    for task_id, task, kept, _ in KEPT.execute("SELECT * FROM tasks WHERE status>499").fetchall():
        if outcome := kept or decision(task):
            KEPT.execute("UPDATE tasks SET outcome = ? WHERE id = ?", [outcome, task_id])
            put = Request(f"{API}/tasks/{task_id}/outcome", outcome.encode(), HEADERS, method="PUT")
            try:
                status = urlopen(put, timeout=10).status
            except OSError as problem:  # refused, as by 409; or nothing was said at all
                status = getattr(problem, "code", 599)
            KEPT.execute("UPDATE tasks SET status = ? WHERE id = ?", [status, task_id])
