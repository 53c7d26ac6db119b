"""A small Hugging Face Hub on the loopback interface: the real clients speak to it, and it fails when it is told to.

Models and datasets live on the disk, under the root it is given: files by their hash, all else in an index.
The clients read HF_ENDPOINT when they are imported: set it to the hub's `url` before that.
"""

import hashlib
import json
import pickle
import re
import secrets
import struct
import threading
import time
import traceback
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from shutil import copytree
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, unquote

import yaml

# What goes through LFS whatever its size, as in the .gitattributes that the Hub puts into a new repo.
LARGE = (".arrow", ".bin", ".gz", ".jpg", ".npy", ".npz", ".parquet", ".pkl", ".png", ".pt", ".safetensors", ".zip")
GIT_ATTRIBUTES = "".join(f"*{ending} filter=lfs diff=lfs merge=lfs -text\n" for ending in LARGE).encode()


class Reply(Exception):
    """What goes back; raised where a request is turned down. A body is bytes, or what JSON can say."""

    def __init__(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        self.status, self.body, self.headers = status, body, headers or {}


def require(holds: object, status: int, message: str, code: str = "", **more: str) -> None:
    """Turns the request down unless this holds. The clients go by the error code."""
    if not holds:
        raise Reply(status, {"error": message, **more}, {"X-Error-Code": code, "X-Error-Message": message})


@dataclass
class Repo:
    page: str  # datasets/owner/name
    private: bool
    gated: str | bool = False
    branches: dict[str, str] = field(default_factory=dict)
    commits: dict[str, dict[str, Any]] = field(default_factory=dict)

    def at(self, revision: str) -> dict[str, Any]:
        sha = self.branches.get(revision, revision)
        require(sha in self.commits, 404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return self.commits[sha]

    def listing(self, revision: str) -> list[dict[str, Any]]:
        files = self.at(revision)["files"]
        folders = sorted({str(folder) for path in files for folder in PurePosixPath(path).parents} - {"."})
        return [*({"type": "directory", "path": path, "oid": "0" * 40} for path in folders), *files.values()]

    def add(self, branch: str, files: dict[str, Any], user: str, title: str, message: str = "") -> str:
        sha, date = secrets.token_hex(20), time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
        about = {"id": sha, "title": title, "message": message, "date": date, "authors": [{"user": user}]}
        log = [about, *(self.at(branch)["log"] if self.branches else [])]
        self.commits[sha] = {**about, "log": log, "files": files}
        self.branches[branch] = sha
        return sha


def read_card(text: bytes) -> dict[str, Any]:
    found = re.match(rb"\s*---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(\r?\n|$)", text, re.DOTALL)
    try:
        return dict((yaml.safe_load(found[1]) if found else None) or {})
    except (yaml.YAMLError, TypeError, ValueError) as error:
        raise Reply(400, {"errors": [{"message": f"Invalid metadata in README.md: {error}"}]}) from error


def xet_file(stores: Path, sha256: str) -> bytes:
    """Reads back what hf_xet put on the disk: its shards, in records of 48 bytes, tell its own hash for a sha256."""
    import hf_xet

    wanted = struct.pack("<4Q", *struct.unpack(">4Q", bytes.fromhex(sha256)))
    for shard in stores.rglob("shards/*.mdb"):
        data, at = shard.read_bytes(), 48
        while data[at : at + 32] != b"\xff" * 32:
            flags, n_parts = struct.unpack_from("<II", data, at + 32)
            end = at + 48 + 48 * n_parts * (2 if flags >> 31 else 1)
            if data[end : end + 32] == wanted:
                copy = copytree(shard.parents[3], stores / "read" / secrets.token_hex(4))  # the original may be locked
                access = {"endpoint": f"local://{copy}", "token": "-", "token_expiry_unix_secs": 2**40}
                file = hf_xet.XetFileInfo(struct.pack(">4Q", *struct.unpack_from("<4Q", data, at)).hex())
                return b"".join(hf_xet.XetSession().new_download_stream_group(**access).download_stream(file))
            at = end + 48 * (flags >> 30 & 1)
    raise Reply(400, {"error": f"LFS pointer pointed to a file that does not exist: {sha256}"})


class Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # in one piece: a body sent after its headers waits 40 ms until these are acknowledged
    server: "LoopbackHub"

    def serve(self) -> None:
        self.path, _, query = self.path.partition("?")
        self.query, self.body = parse_qs(query), b"".join(self.received())
        reply = self.server.serve(self)
        self.close_connection = not reply.status
        if reply.status:
            body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body, default=str).encode()
            self.send_response(reply.status)
            for name, value in {**reply.headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value.encode("ascii", "replace").decode())
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = serve  # noqa: N815

    def received(self) -> Iterator[bytes]:
        yield self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()

    def may_write(self, owner: str) -> None:
        require(self.user, 401, "Invalid username or password.")
        require(self.user == owner and not self.read_only, 403, f"You don't have the rights to write to {owner}")

    def log_message(self, *_: Any) -> None:
        pass


class LoopbackHub(ThreadingHTTPServer):
    """users: token to name. A token in `read_only` reads what its user may read, and writes nothing."""

    request_queue_size = 128

    def __init__(self, root: Path, users: dict[str, str], read_only: frozenset[str] = frozenset(), xet: bool = True):
        super().__init__(("127.0.0.1", 0), Request)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.users, self.read_only, self.xet = users, read_only, xet
        self.requests: list[tuple[str, str, int]] = []  # method, path, status: 0 where the connection was cut
        self.faults: list[SimpleNamespace] = []
        self.lock, self.stopped = threading.RLock(), False
        self.blobs, self.stores, self.index = (Path(root).resolve() / name for name in ("blobs", "xet", "index"))
        self.blobs.mkdir(parents=True, exist_ok=True)
        self.repos: dict[str, Repo] = pickle.loads(self.index.read_bytes()) if self.index.exists() else {}

    def start(self) -> "LoopbackHub":
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def server_close(self) -> None:
        self.stopped = True  # connections that are kept open outlive the server
        self.shutdown()
        super().server_close()

    __enter__, stop = start, server_close

    def fault(
        self, *, method: str = "", path: str = "", status: int | None = 503, times: int = 1, after: int = 0,
        close: bool = False, lost_reply: bool = False, delay: float = 0.0, headers: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        """Lets `after` requests through; the next `times` get `status` or, with `close`, their connection is cut.
        With `lost_reply` the work is done first. With status=None there is only the `delay`.
        """
        reply = Reply(0 if close else status or 0, {"error": "a fault"}, headers) if close or status else None
        how = {"method": method, "path": path, "lost_reply": lost_reply, "delay": delay, "reply": reply}
        self.faults.append(SimpleNamespace(seen=0, turns=range(after + 1, after + times + 1), **how))

    def clear(self) -> None:
        self.requests.clear()
        self.faults.clear()

    def commits(self, repo: str, kind: str = "datasets", revision: str = "main") -> list[str]:
        return [commit["title"] for commit in self.repos[f"{kind}/{repo}"].at(revision)["log"]]

    def files(self, repo: str, kind: str = "datasets", revision: str = "main") -> dict[str, bytes]:
        files = self.repos[f"{kind}/{repo}"].at(revision)["files"]
        return {path: (self.blobs / file["key"]).read_bytes() for path, file in files.items()}

    def is_private(self, repo: str, kind: str = "datasets") -> bool:
        return self.repos[f"{kind}/{repo}"].private

    def keep(self, data: bytes, path: str = "", sha256: str = "") -> dict[str, Any]:
        """Puts a file on the disk, with a sha256 for LFS; what the Hub says of it, and the key it is found by."""
        require(not sha256 or hashlib.sha256(data).hexdigest() == sha256, 400, "This content has another sha256")
        key = sha256 or hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        (self.blobs / key).write_bytes(data)
        lfs = {"lfs": {"oid": sha256, "size": len(data), "pointerSize": 134}} if sha256 else {}
        return {"type": "file", "path": path, "oid": key[:40], "size": len(data), "key": key, **lfs}

    def serve(self, request: Request) -> Reply:
        """A reply without a status cuts the connection."""
        with self.lock:
            for fault in self.faults:
                if fault.method in ("", request.command) and re.search(fault.path, request.path):
                    fault.seen += 1
                    if fault.seen in fault.turns:
                        break
            else:
                fault = SimpleNamespace(delay=0, lost_reply=False, reply=Reply(0, b"") if self.stopped else None)
        time.sleep(fault.delay)
        reply = self.answer(request) if fault.lost_reply or fault.reply is None else fault.reply
        reply = fault.reply or reply
        self.requests.append((request.command, request.path, reply.status))
        return reply

    def answer(self, request: Request) -> Reply:
        try:
            with self.lock:
                body = self.route(request)
                self.index.write_bytes(pickle.dumps(self.repos))
        except Reply as reply:
            return reply
        except Exception:  # a mistake in here must not look like a Hub that hangs
            return Reply(500, {"error": traceback.format_exc()})
        return body if isinstance(body, Reply) else Reply(200, body)

    def route(self, request: Request) -> Any:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        require(not token or token in self.users, 401, "Invalid credentials in Authorization header")
        request.user, request.read_only = self.users.get(token, ""), token in self.read_only
        match [request.command, *(unquote(part) for part in request.path.split("/")[1:])]:
            case "GET", "api", "whoami-v2":
                require(request.user, 401, "Invalid username or password.")
                auth = {"type": "access_token", "accessToken": {"role": "read" if request.read_only else "write"}}
                return {"type": "user", "name": request.user, "fullname": request.user, "orgs": [], "auth": auth}
            case "POST", "api", "validate-yaml":
                read_card(json.loads(request.body)["content"].encode())
                return {"errors": [], "warnings": []}
            case "POST", "api", "repos", "create":
                return self.create(request, json.loads(request.body))
            case "PUT", "lfs", sha256:
                return self.keep(request.body, sha256=sha256)
            case "POST", "lfs", sha256:
                return require((self.blobs / sha256).exists(), 404, "This was not uploaded")
            case (_, "api", kind, owner, name, *call) | (_, ("datasets" | "spaces") as kind, owner, name, *call):
                return self.call(request, kind, owner, name, [request.command, *call])
            case _, owner, name, *call:
                return self.call(request, "models", owner, name, [request.command, *call])
        raise Reply(404, {"error": f"Not served here: {request.path}"})

    def create(self, request: Request, asked: dict[str, Any]) -> dict[str, str]:
        owner, kind = asked.get("organization") or request.user, asked.get("type") or "model"
        request.may_write(owner)
        repo = Repo(f"{kind}s/{owner}/{asked['name']}", private=asked.get("visibility") == "private")
        about = {"name": asked["name"], "url": f"{self.url}/{repo.page.removeprefix('models/')}"}
        require(repo.page not in self.repos, 409, f"You already created this {kind} repo", **about)
        repo.add("main", {".gitattributes": self.keep(GIT_ATTRIBUTES, ".gitattributes")}, owner, "initial commit")
        self.repos[repo.page] = repo
        return about

    def call(self, request: Request, kind: str, owner: str, name: str, call: list[str]) -> Any:
        repo = self.repos.get(f"{kind}/{owner}/{name.removesuffix('.git')}")
        seen = repo is not None and (not repo.private or request.user == owner)
        require(seen, 404 if request.user else 401, "Repository not found", "RepoNotFound")
        if "xet-write-token" in call or (call[0] in ("POST", "PUT") and "paths-info" not in call):
            request.may_write(owner)
        match call:
            case ["GET"] | ["GET", "revision", _]:
                return self.info(repo, repo.at(call[2] if call[1:] else "main"))
            case "GET", "tree", revision, *folders:
                below = ".+" if request.query.get("recursive") == ["true"] else "[^/]+"
                wanted = re.compile(re.escape("/".join([*folders, ""])) + below)
                found = [file for file in repo.listing(revision) if wanted.fullmatch(file["path"])]
                require(found or not folders, 404, f"No such folder on {revision}: {folders}", "EntryNotFound")
                return found
            case "POST", "paths-info", revision:
                wanted = parse_qs(request.body.decode())["paths"]
                return [file for file in repo.listing(revision) if file["path"] in wanted]
            case "GET", "refs":
                heads = [{"name": b, "ref": f"refs/heads/{b}", "targetCommit": sha} for b, sha in repo.branches.items()]
                return {"branches": heads, "tags": [], "converts": []}
            case "GET", "commits", revision:
                return repo.at(revision)["log"]
            case (("GET" | "HEAD"), "resolve", revision, *path):
                require(not repo.gated or request.user == owner, 403, "Access to this repo is restricted", "GatedRepo")
                return self.resolve(repo.at(revision), "/".join(path), request.headers.get("Range", ""))
            case "GET", "xet-write-token", _ if self.xet:
                store = self.stores / secrets.token_hex(4)  # one for each client, as clients lock their stores
                return {"casUrl": f"local://{store}", "accessToken": "-", "exp": 2**40}
            case "POST", "preupload", revision:
                known, files = repo.at(revision)["files"], json.loads(request.body)["files"]
                for file in files:
                    mode = "lfs" if file["path"].endswith(LARGE) or b"\0" in b64decode(file["sample"]) else "regular"
                    file |= {"uploadMode": mode, "shouldIgnore": False, "oid": known.get(file["path"], {}).get("key")}
                return {"files": files}
            case "POST", "info", "lfs", "objects", "batch":
                files = json.loads(request.body)["objects"]
                for file in files:
                    if not (self.blobs / file["oid"]).exists():
                        url = f"{self.url}/lfs/{file['oid']}"
                        file["actions"] = {"upload": {"href": url}, "verify": {"href": url}}
                return {"transfer": "basic", "objects": files}
            case "POST", "branch", branch:
                require(branch not in repo.branches, 409, f"Reference already exists: {branch}")
                repo.branches[branch] = repo.at(json.loads(request.body).get("startingPoint", "main"))["id"]
            case "POST", "commit", branch:
                return self.commit(repo, branch, request.user, *map(json.loads, request.body.splitlines()))
            case "PUT", "settings":
                settings = json.loads(request.body)
                repo.gated = settings.get("gated", repo.gated)
                repo.private = settings.get("visibility", "private" if repo.private else "") == "private"
            case _:
                raise Reply(404, {"error": f"Not served here: {request.path}"})
        return {}

    def commit(self, repo: Repo, branch: str, user: str, header: dict[str, Any], *changes: dict[str, Any]) -> Any:
        about, head, files = header["value"], repo.at(branch)["id"], dict(repo.at(branch)["files"])
        require(about.get("parentCommit") in (None, head), 412, "A commit has happened since. Refresh and try again.")
        for line in changes:
            change, path = line["value"], line["value"]["path"]
            if line["key"] == "file":
                files[path] = self.keep(b64decode(change["content"]), path)
            elif line["key"] == "lfsFile":
                blob = self.blobs / change["oid"]
                data = blob.read_bytes() if blob.exists() else xet_file(self.stores, change["oid"])
                files[path] = self.keep(data, path, change["oid"])
            else:
                folder = f"{path.rstrip('/')}/" if line["key"] == "deletedFolder" else "//"
                gone = [name for name in files if name == path or name.startswith(folder)]
                require(gone, 404, f"A file with this name doesn't exist: {path}", "EntryNotFound")
                files = {name: file for name, file in files.items() if name not in gone}
        sha = repo.add(branch, files, user, about["summary"], about.get("description", ""))
        return {"commitOid": sha, "commitUrl": f"{self.url}/{repo.page.removeprefix('models/')}/commit/{sha}"}

    def info(self, repo: Repo, commit: dict[str, Any]) -> dict[str, Any]:
        files, name = commit["files"], repo.page.partition("/")[2]
        card = read_card((self.blobs / files["README.md"]["key"]).read_bytes()) if "README.md" in files else {}
        return {
            "id": name, "author": name.split("/")[0], "sha": commit["id"], "lastModified": commit["date"],
            "private": repo.private, "gated": repo.gated, "disabled": False, "downloads": 0, "likes": 0,
            "tags": card.get("tags", []), "cardData": card, "siblings": [{"rfilename": path} for path in files],
        }  # fmt: skip

    def resolve(self, commit: dict[str, Any], path: str, span: str) -> Reply:
        headers, file = {"X-Repo-Commit": commit["id"]}, commit["files"].get(path)
        if file is None:
            return Reply(404, {"error": "Entry not found"}, headers | {"X-Error-Code": "EntryNotFound"})
        data, headers["ETag"] = (self.blobs / file["key"]).read_bytes(), f'"{file["key"]}"'
        if not span:
            return Reply(200, data, headers)
        first, last = (int(number) if number else len(data) - 1 for number in span.removeprefix("bytes=").split("-"))
        headers["Content-Range"] = f"bytes {first}-{min(last, len(data) - 1)}/{len(data)}"
        return Reply(206, data[first : last + 1], headers)
