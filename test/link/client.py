"""A client of docs/link-protocol.md, version 1, with Python's standard library only."""
import functools, hashlib, hmac, json, operator, os, socket, struct, zlib

OPEN, DATA, END, CREDIT, CANCEL, PING, PONG, GOAWAY, AUTH = range(1, 10)
LAST, WINDOW, MAX_FRAME = 1, 1 << 20, 16384
number = lambda data: int.from_bytes(data, "big")
class Link:
    def __init__(self, host, port, secret=None):
        self.socket = socket.create_connection((host, port))
        self.next_id, self.replies, self.credits, self.connection_credit = 1, {}, {}, 0
        own = struct.pack(">8sHHIII32s", b"PIKOLINK", 1, 3 if secret else 2, MAX_FRAME, WINDOW, 100, os.urandom(32))
        own += struct.pack(">I", zlib.crc32(own))
        self.socket.sendall(own)
        other = self.exactly(60)
        magic, version, flags, self.max_frame, self.window, _ = struct.unpack(">8sHHIII", other[:24])
        assert magic == b"PIKOLINK" and version >= 1 and not flags & 2 and zlib.crc32(other[:56]) == number(other[56:])
        self.connection_credit = 8 * self.window
        if secret:
            proof = lambda role: hmac.new(secret.encode(), role + own + other, "sha256").digest()
            self.frame(AUTH, 0, proof(b"D"))
            kind, _, _, body = self.read_frame()
            assert kind == AUTH and hmac.compare_digest(body, proof(b"L"))

    def exactly(self, count):
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            assert piece, "the other end closed the connection"
            data += piece
        return data

    def frame(self, kind, message, body, flags=0, level=0):
        head = struct.pack(">BBBBI", 0x50, kind, flags, level, message) + len(body).to_bytes(3, "big")
        head += bytes([functools.reduce(operator.xor, head)])
        self.socket.sendall(head + struct.pack(">I", zlib.crc32(body, zlib.crc32(head))) + body)

    def read_frame(self):
        head = self.exactly(16)
        assert head[0] == 0x50 and functools.reduce(operator.xor, head[:12]) == 0
        body = self.exactly(number(head[8:11]))
        assert zlib.crc32(body, zlib.crc32(head[:12])) == number(head[12:])
        return head[1], head[2], number(head[4:8]), body

    def request(self, route, body, kind="json", **more):
        message, self.next_id = self.next_id, self.next_id + 2
        head = json.dumps({"kind": "request", "route": route, "type": kind, **more}).encode()
        self.credits[message] = self.window
        self.frame(OPEN, message, struct.pack(">I", len(head)) + head, 0, 1)
        sent = 0
        while sent < len(body):
            size = min(self.max_frame, len(body) - sent, self.credits[message], self.connection_credit)
            if size == 0:
                self.handle()
                continue
            self.frame(DATA, message, body[sent:sent + size], 0, 1)
            sent += size
            self.credits[message] -= size
            self.connection_credit -= size
        self.frame(END, message, struct.pack(">Q", len(body)) + hashlib.sha256(body).digest(), 0, 1)
        while True:
            for reply in list(self.replies.values()):
                if reply["head"]["of"] == message and reply["done"]:
                    del self.replies[reply["id"]]
                    return reply["head"], reply["body"]
            self.handle()

    def handle(self):
        kind, flags, message, body = self.read_frame()
        if kind == PING:
            self.frame(PONG, 0, body)
        elif kind == CREDIT and message == 0:
            self.connection_credit += number(body)
        elif kind == CREDIT and message in self.credits:
            self.credits[message] += number(body)
        elif kind == OPEN:
            size = number(body[:4])
            self.replies[message] = {"id": message, "head": json.loads(body[4:4 + size]), "body": b"", "done": False}
            self.take(message, body[4 + size:], flags)
        elif kind == DATA:
            self.take(message, body, flags)
        elif kind == END:
            self.finish(message, body)
        elif kind in (CANCEL, GOAWAY):
            raise RuntimeError(body[2 if kind == CANCEL else 6:].decode())

    def take(self, message, data, flags):
        data, trailer = (data[:-40], data[-40:]) if flags & LAST else (data, None)
        self.replies[message]["body"] += data
        if data:
            for whom in (0, message):
                self.frame(CREDIT, whom, struct.pack(">I", len(data)))
        if trailer:
            self.finish(message, trailer)

    def finish(self, message, trailer):
        reply = self.replies[message]
        assert struct.unpack(">Q", trailer[:8])[0] == len(reply["body"])
        assert trailer[8:40] == hashlib.sha256(reply["body"]).digest()
        reply["done"] = True
