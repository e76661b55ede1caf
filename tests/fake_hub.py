"""The part of the Hugging Face Hub's HTTP interface that uploads and downloads use, on this machine."""

import base64
import hashlib
import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class FakeHub:
    """Repositories by name, each with its files; ``asked`` has what was posted, by path."""

    def __init__(self, refuses=0):
        self.refuses, self.files, self.private, self.asked = refuses, {}, {}, []

    def posted(self, path, body):
        """Answer a request that changes something: status, and what the Hub says."""
        self.asked.append(path)
        if self.refuses:
            return self.refuses, {"error": "You don't have the rights"}
        if path == "/api/repos/create":
            wanted = json.loads(body)
            name = f"{wanted['organization']}/{wanted['name']}"
            self.files.setdefault(name, {})
            self.private.setdefault(name, wanted.get("private") is True or wanted.get("visibility") == "private")
            return 200, {"url": f"{self.address}/{name}"}
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        _, _, _, owner, repository, action, *_ = path.split("/")
        if action == "preupload":
            files = json.loads(body)["files"]
            return 200, {"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]}
        lines = [json.loads(line) for line in body.splitlines()]
        for line in lines:
            if line["key"] == "file":
                content = base64.b64decode(line["value"]["content"])
                self.files[f"{owner}/{repository}"][line["value"]["path"]] = content
        return 200, {
            "commitUrl": f"{self.address}/{owner}/{repository}/commit/{self.revision}",
            "commitOid": self.revision,
        }

    def got(self, path):
        """Answer a request for something: status, content, further headers."""
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"] and "/".join(parts[2:4]) in self.files:
            name = "/".join(parts[2:4])
            names = sorted(self.files[name])
            if "tree" in parts:
                listed = [{"type": "file", "path": n, "size": len(self.files[name][n]), "oid": n} for n in names]
                return 200, json.dumps(listed).encode(), {}
            about = {"id": name, "sha": self.revision, "siblings": [{"rfilename": file} for file in names]}
            return 200, json.dumps(about).encode(), {}
        name, file = "/".join(parts[:2]), "/".join(parts[4:])
        if file not in self.files.get(name, {}):
            return 404, b"{}", {"X-Error-Code": "EntryNotFound" if name in self.files else "RepoNotFound"}
        content = self.files[name][file]
        return 200, content, {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": self.revision}

    revision = "0123456789abcdef0123456789abcdef01234567"
    address = ""


@contextmanager
def serve(hub):
    """Answer for a while, at ``hub.address``."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *given):
            """Say nothing."""

        def answer(self, status, content, headers=()):
            self.send_response(status)
            for key, value in {"Content-Length": str(len(content)), **dict(headers)}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, said = hub.posted(self.path.partition("?")[0], body)
            self.answer(status, json.dumps(said).encode())

        def do_GET(self):
            status, content, headers = hub.got(self.path.partition("?")[0])
            self.answer(status, content, headers)

        def do_HEAD(self):
            self.do_GET()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
