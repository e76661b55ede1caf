"""A server on this machine that answers as OpenAI's does, with what a test tells it to."""

import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FakeModel:
    """Answers by ``answer(messages)``: a text, or a status, headers and a body; keeps what it was asked."""

    def __init__(self, answer):
        self.answer, self.asked, self.keys, self.url = answer, [], [], ""

    def reply(self, body):
        """The status, headers and body of an answer."""
        request = json.loads(body)
        self.asked.append(request)
        made = self.answer(request["messages"])
        if not isinstance(made, str):
            return made
        usage = {"prompt_tokens": len(body) // 10, "completion_tokens": len(made)}
        choices = [{"index": 0, "message": {"role": "assistant", "content": made}, "finish_reason": "stop"}]
        return 200, {}, json.dumps({"model": f"{request['model']}-0701", "choices": choices, "usage": usage})


@contextmanager
def serving(answer):
    """Serve a model; its ``url`` is what a recipe names."""
    model = FakeModel(answer)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            """Answer."""
            assert self.path == "/v1/chat/completions"
            model.keys.append(self.headers.get("Authorization"))
            status, headers, body = model.reply(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    model.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield model
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def numbered(messages):
    """The texts that a request lists with ids."""
    found = re.findall(r'^\{"id": .*\}$', messages[-1]["content"], re.MULTILINE)
    return {row["id"]: row["text"] for row in map(json.loads, found)}


def lines(texts):
    """An answer with a text for each id."""
    return "\n".join(json.dumps({"id": number, "text": text}) for number, text in texts.items())
