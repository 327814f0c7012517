"""A client of SPDCI v1.0.0, written from the published OpenAPI documents only (Social Registry,
Civil Registration, Integrated Beneficiary Registry, Authz). Standard library and `cryptography`.

  spdci_client.py keys FOLDER          makes an Ed25519 and an RSA key there, prints their JWKs
  spdci_client.py run < PLAN           does what the plan says, prints what came of it as JSON

A plan: {"base", "client", "secret", "receiver", "keys": FOLDER, "form": "jws"|"rsa"|"header-like",
"callback": "http://127.0.0.1:PORT/", "headers": {...}, "steps": [...]}, and "now": seconds, where the
registry's clock stands still. Each step names a method of `Client` and its arguments. The first thing that is not as the documents say ends the program with 1.
"""

import base64
import hashlib
import http.server
import json
import os
import queue
import re
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

MOMENT = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")
STATUS = {"rcvd", "pdng", "succ", "rjct"}


def check(holds, text, shown=None):
    if not holds:
        raise AssertionError(f"{text}: {json.dumps(shown)[:2000]}")


STANDS_AT = None


def seconds():
    return time.time() if STANDS_AT is None else STANDS_AT


def now(offset=0):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds() + offset))


def b64url(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def number(value, size=None):
    return b64url(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def make_keys(folder):
    os.makedirs(folder, exist_ok=True)
    jwks = []
    for name, key in [
        ("ed25519", ed25519.Ed25519PrivateKey.generate()),
        ("rsa", rsa.generate_private_key(public_exponent=65537, key_size=2048)),
    ]:
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        with open(os.path.join(folder, name + ".pem"), "wb") as file:
            file.write(pem)
        jwks.append(jwk(key.public_key()))
    print(json.dumps(jwks))


def jwk(public):
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        return {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return {"kty": "OKP", "crv": "Ed25519", "x": b64url(raw)}


def thumbprint(key):
    """RFC 7638."""
    names = ["crv", "kty", "x"] if key["kty"] == "OKP" else ["e", "kty", "n"]
    return b64url(hashlib.sha256(canonical({name: key[name] for name in names})).digest())


class Callbacks(http.server.BaseHTTPRequestHandler):
    """Takes callbacks; the first `refusals` of them are answered 503."""

    inbox = queue.Queue()
    refusals = 0

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if Callbacks.refusals > 0:
            Callbacks.refusals -= 1
            self.send_response(503)
            self.end_headers()
            return
        Callbacks.inbox.put((self.path, body))
        ack = {"message": {"ack_status": "ACK", "timestamp": now(), "correlation_id": "c"}}
        raw = json.dumps(ack).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_):
        pass


class Client:
    def __init__(self, plan):
        self.plan = plan
        self.base = plan["base"].rstrip("/")
        self.token = None
        self.results = {}
        self.keys = {}
        for name in ("ed25519", "rsa"):
            with open(os.path.join(plan["keys"], name + ".pem"), "rb") as file:
                self.keys[name] = serialization.load_pem_private_key(file.read(), None)

    # Transport.

    def call(self, path, body, token=True, kind="application/json", raw=None):
        headers = {"Content-Type": kind, **self.plan.get("headers", {})}
        if token is True:
            token = self.token
        if token is not None:
            headers["Authorization"] = token if token == "" else f"Bearer {token}"
        data = raw if raw is not None else (body if isinstance(body, bytes) else json.dumps(body).encode())
        request = urllib.request.Request(self.base + path, data, headers)
        if body is None and raw is None:
            request = urllib.request.Request(self.base + path, None, headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    def get_token(self):
        form = {"grant_type": "client_credentials", "client_id": self.plan["client"],
                "client_secret": self.plan["secret"]}
        kind = "application/x-www-form-urlencoded"
        raw = urllib.parse.urlencode(form).encode()
        status, answer = self.call("/oauth2/client/token", None, None, kind, raw)
        check(status == 200 and answer["token_type"] == "bearer", "no token", answer)
        check(isinstance(answer["expires_in"], str), "expires_in is a string", answer)
        self.token = answer["access_token"]
        wrong = urllib.parse.urlencode({**form, "client_secret": "wrong"}).encode()
        status, answer = self.call("/oauth2/client/token", None, None, kind, wrong)
        check(status in (401, 404) and answer["errors"], "a wrong secret", answer)

    # Envelopes.

    def header(self, action, count=1, **more):
        paths = {"search": "on-search", "subscribe": "on-subscribe", "unsubscribe": "on-unsubscribe",
                 "txn-status": "txn/on-status"}
        uri = self.plan["callback"] + "registry/" + paths.get(action, action)
        return {"version": "1.0.0", "message_id": str(uuid.uuid4()), "message_ts": now(),
                "action": action, "sender_id": self.plan["client"], "sender_uri": uri,
                "receiver_id": self.plan["receiver"], "total_count": count,
                "is_msg_encrypted": False, **more}

    def sign(self, header, message, form=None):
        form = form or self.plan["form"]
        payload = {"header": header, "message": message}
        if form == "header-like":
            key = self.keys["ed25519"]
            created = int(seconds())
            digest = base64.b64encode(hashlib.sha256(canonical(payload)).digest()).decode()
            base = f"(created): {created}\n(expires): {created + 300}\ndigest: {digest}"
            signature = base64.b64encode(key.sign(base.encode())).decode()
            name = thumbprint(jwk(key.public_key()))
            return (f'Signature: namespace="spdci", kidId="{self.plan["client"]}|{name}|ed25519", '
                    f'algorithm="ed25519", created="{created}", expires="{created + 300}", '
                    f'headers="(created) (expires) digest", signature="{signature}"')
        key = self.keys["rsa" if form == "rsa" else "ed25519"]
        alg = "RS256" if form == "rsa" else "EdDSA"
        head = b64url(canonical({"alg": alg, "kid": thumbprint(jwk(key.public_key()))}))
        signed = f"{head}.{b64url(json.dumps(payload).encode())}".encode()
        if form == "rsa":
            signature = key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        else:
            signature = key.sign(signed)
        return f"{signed.decode()}.{b64url(signature)}"

    def envelope(self, action, message, count=1, form=None, **more):
        header = self.header(action, count, **more)
        return {"signature": self.sign(header, message, form), "header": header, "message": message}

    def verify(self, envelope):
        """The registry's signature, under the key that it publishes."""
        keys = {}
        _, jwks = self.call("/.well-known/jwks.json", None, None)
        for key in jwks["keys"]:
            keys[key["kid"]] = ed25519.Ed25519PublicKey.from_public_bytes(unb64url(key["x"]))
        payload = {"header": envelope["header"], "message": envelope["message"]}
        text = envelope["signature"]
        if "kidId" in text:
            fields = dict(re.findall(r'(\w+)="([^"]*)"', text))
            digest = base64.b64encode(hashlib.sha256(canonical(payload)).digest()).decode()
            base = f"(created): {fields['created']}\n(expires): {fields['expires']}\ndigest: {digest}"
            sender, name, _ = fields["kidId"].split("|")
            check(sender == self.plan["receiver"], "signed by another", text)
            keys[name].verify(base64.b64decode(fields["signature"]), base.encode())
            return "header-like"
        signed, _, signature = text.rpartition(".")
        head, _, body = signed.partition(".")
        name = json.loads(unb64url(head))["kid"]
        keys[name].verify(unb64url(signature), signed.encode())
        check(json.loads(unb64url(body)) == payload, "the JWS signs something else", envelope)
        return "jws"

    def check_callback_header(self, envelope, action):
        header = envelope["header"]
        for name in ("message_id", "message_ts", "action", "status"):
            check(name in header, f"the header lacks {name}", header)
        check(header["action"] == action and header["status"] in STATUS, "the header", header)
        check(MOMENT.match(header["message_ts"]), "message_ts", header)
        check(header["sender_id"] == self.plan["receiver"], "sender_id", header)
        return self.verify(envelope)

    def check_search_response(self, message, transaction):
        check(message["transaction_id"] == transaction, "transaction_id", message)
        check(0 < len(message["correlation_id"]) <= 99, "correlation_id", message)
        for entry in message["search_response"]:
            check({"reference_id", "timestamp", "status"} <= set(entry), "an entry", entry)
            check(entry["status"] in STATUS and MOMENT.match(entry["timestamp"]), "an entry", entry)
            check(re.match("^[a-z]{3}$", entry.get("locale", "eng")), "locale", entry)
            if entry["status"] == "succ":
                check(isinstance(entry["data"]["reg_records"], list), "reg_records", entry)
                page = entry["pagination"]
                check({"page_size", "page_number", "total_count"} <= set(page), "pagination", page)
                for record in entry["data"]["reg_records"]:
                    if "identifier" in record:
                        check(isinstance(record["identifier"], dict), "identifier", record)
            else:
                check(entry["status_reason_code"].startswith("rjct."), "reason", entry)

    # Steps.

    def message(self, criteria, count=1):
        requests = []
        for at in range(count):
            requests.append({"reference_id": f"ref-{at}", "timestamp": now(), "locale": "eng",
                             "search_criteria": {"version": "1.0.0", **criteria}})
        return {"transaction_id": str(uuid.uuid4()), "search_request": requests}

    def search(self, name, criteria, form=None):
        """Asks at once; keeps the entry under `name`."""
        message = self.message(criteria)
        status, answer = self.call("/registry/sync/search", self.envelope("search", message, form=form))
        check(status == 200, f"{name}: HTTP {status}", answer)
        self.results["signed-as"] = self.check_callback_header(answer, "on-search")
        self.check_search_response(answer["message"], message["transaction_id"])
        entry = answer["message"]["search_response"][0]
        entry.pop("timestamp")
        self.results[name] = entry

    def take(self, path, action, correlation, seconds=20):
        """The callback with this correlation id."""
        until = time.time() + seconds
        others = []
        try:
            while True:
                got, envelope = Callbacks.inbox.get(timeout=max(0.01, until - time.time()))
                if got == path and envelope["message"].get("correlation_id", correlation) == correlation:
                    self.check_callback_header(envelope, action)
                    return envelope
                others.append((got, envelope))
        except queue.Empty:
            raise AssertionError(f"no callback at {path}") from None
        finally:
            for other in others:
                Callbacks.inbox.put(other)

    def ask_later(self, path, envelope):
        status, answer = self.call(path, envelope)
        check(status in (200, 202), f"{path}: HTTP {status}", answer)
        ack = answer["message"]
        check(ack["ack_status"] == "ACK" and MOMENT.match(ack["timestamp"]), "ACK", answer)
        check(0 < len(ack["correlation_id"]) <= 99, "correlation_id", answer)
        return ack["correlation_id"]

    def search_later(self, name, criteria, refusals=0):
        """Asks for a callback, which the client refuses `refusals` times; sent twice, it comes once."""
        Callbacks.refusals = refusals
        message = self.message(criteria)
        envelope = self.envelope("search", message)
        correlation = self.ask_later("/registry/search", envelope)
        check(self.ask_later("/registry/search", envelope) == correlation, "repeated, it is another")
        came = self.take("/registry/on-search", "on-search", correlation)
        self.check_search_response(came["message"], message["transaction_id"])
        entry = came["message"]["search_response"][0]
        entry.pop("timestamp")
        self.results[name] = entry
        self.status(message["transaction_id"], correlation, ["succ"])
        changed = json.loads(json.dumps(message))
        changed["transaction_id"] = "another"
        header = {**envelope["header"]}
        again = {"signature": self.sign(header, changed), "header": header, "message": changed}
        status, answer = self.call("/registry/search", again)
        text = json.dumps(answer)
        check(status == 400 and "rjct.message_id.duplicate" in text, "a message id used twice", answer)

    def status(self, transaction, correlation, wanted):
        for kind, value in [("transaction_id", transaction), ("correlation_id", correlation)]:
            asked = {"transaction_id": str(uuid.uuid4()), "txnstatus_request": {
                "reference_id": "s", "txn_type": "search", "attribute_type": kind,
                "attribute_value": value}}
            envelope = self.envelope("txn-status", asked)
            status, answer = self.call("/registry/sync/txn/status", envelope)
            check(status == 200, "txn/status", answer)
            self.check_callback_header(answer, "txn-on-status")
            told = answer["message"]["txnstatus_response"]
            check(told["txn_type"] == "search", "txn_type", told)
            found = [entry["status"] for entry in told["txn_status"]["search_response"]]
            check(found == wanted, f"statuses by {kind}, wanted {wanted}", answer)

    def unknown_status(self):
        self.status("never-sent", "never-sent", [])
        asked = {"transaction_id": "t", "txnstatus_request": {
            "reference_id": "s", "txn_type": "search", "attribute_type": "transaction_id",
            "attribute_value": "never-sent"}}
        correlation = self.ask_later("/registry/txn/status", self.envelope("txn-status", asked))
        came = self.take("/registry/txn/on-status", "txn-on-status", correlation)
        check(came["message"]["transaction_id"] == "t", "transaction_id", came)

    def subscribe(self, event, record_type, filter_type, query, wanted="succ"):
        message = {"transaction_id": str(uuid.uuid4()), "subscribe_request": [{
            "reference_id": "r", "timestamp": now(), "locale": "eng", "subscribe_criteria": {
                "reg_event_type": event, "filter_type": filter_type, "filter": query,
                "notify_record_type": record_type}}]}
        correlation = self.ask_later("/registry/subscribe", self.envelope("subscribe", message))
        came = self.take("/registry/on-subscribe", "on-subscribe", correlation)["message"]
        check(came["transaction_id"] == message["transaction_id"], "transaction_id", came)
        entry = came["subscribe_response"][0]
        check(entry["status"] == wanted, f"subscribe, wanted {wanted}", entry)
        if wanted == "succ":
            info = entry["subscriptions"][0]
            check(info["status"] == "subscribe" and len(info["code"]) <= 99, "subscription", info)
            self.code = info["code"]
        else:
            self.results["subscribe-" + wanted] = entry["status_reason_code"]

    def say(self, line):
        """Tells who runs the client that it may go on, and waits for a line."""
        print(line, flush=True)
        sys.stdin.readline()

    def notified(self, event, value):
        """Waits for the notice of an event, whose record names `value`."""
        came = self.take("/registry/notify", "notify", None)["message"]
        told = came["notify_event"][0]
        check({"reference_id", "timestamp", "data"} <= set(told), "notice", told)
        data = told["data"]
        check(data["reg_event_type"] == event and isinstance(data["reg_records"], dict), "notice", told)
        check(value in json.dumps(data["reg_records"]), "the record of the notice", data)

    def unsubscribe(self, codes=None, wanted="succ"):
        message = {"transaction_id": str(uuid.uuid4()), "timestamp": now(),
                   "subscription_codes": codes or [self.code]}
        correlation = self.ask_later("/registry/unsubscribe", self.envelope("unsubscribe", message))
        came = self.take("/registry/on-unsubscribe", "on-unsubscribe", correlation)["message"]
        check(came["status"] == wanted and MOMENT.match(came["timestamp"]), "unsubscribe", came)
        if wanted == "rjct":
            self.results["unsubscribe-rjct"] = came["status_reason_code"]

    def enrolled(self, name, query, query_type="expression"):
        message = {"transaction_id": str(uuid.uuid4()),
                   "enrolled_criteria": {"query_type": query_type, "query": query}}
        status, answer = self.call("/registry/sync/enrolled", self.envelope("search", message))
        check(status == 200, f"enrolled: HTTP {status}", answer)
        self.check_search_response(answer["message"], message["transaction_id"])
        entry = answer["message"]["search_response"][0]
        entry.pop("timestamp")
        entry.pop("reference_id")
        self.results[name] = entry

    def report(self, beneficiaries, wanted):
        message = {"transaction_id": str(uuid.uuid4()), "enrolled_updates": {
            "receipt_type": "Register", "beneficiaries": beneficiaries}}
        path = "/registry/sync/enrollment/updates"
        status, answer = self.call(path, self.envelope("notify", message))
        check(status == 200, f"updates: HTTP {status}", answer)
        found = [entry["status"] for entry in answer["message"]["enrolled_response"]]
        check(found == wanted, f"updates, wanted {wanted}", answer)

    def refusals(self, criteria):
        """What must not be taken: each alone is wrong, everything else good."""
        good = self.message(criteria)

        def refused(text, status, code, envelope, **call):
            got, answer = self.call("/registry/sync/search", envelope, **call)
            later, other = self.call("/registry/search", envelope, **call)
            check(got in status and later in status, f"{text}: HTTP {got} and {later}", answer)
            check(answer["errors"][0]["code"] == code, text, answer)
            check(other["errors"][0]["code"] == code, text, other)

        def with_header(**more):
            header = {**self.header("search"), **more}
            return {"signature": self.sign(header, good), "header": header, "message": good}

        for token in [None, "", "x", "a.b.c", self.token[:-6] + "AAAAAA"]:
            refused("a token", (401, 403), "err.request.unauthorized", with_header(), token=token)
        bad = "err.request.bad"
        signature = "err.signature.invalid"
        changed = with_header()
        changed["message"] = self.message(criteria)
        refused("a message changed after signing", (400,), signature, changed)
        refused("an unsigned stub", (400,), signature, {**with_header(), "signature": "unsigned-stub"})
        unsigned = with_header()
        del unsigned["signature"]
        refused("no signature", (400,), "err.signature.missing", unsigned)
        stale = with_header()
        stale["signature"] = self.sign(stale["header"], good, "header-like").replace('created="1', 'created="2')
        refused("a stretched signature", (400,), signature, stale)
        refused("another sender", (403,), "err.sender_id.invalid", with_header(sender_id="else"))
        refused("another receiver", (400,), "err.receiver_id.invalid", with_header(receiver_id="else"))
        refused("another version", (400,), "err.version.not_supported", with_header(version="9.0.0"))
        refused("an old message", (400,), bad, with_header(message_ts=now(-90000)))
        refused("a message of tomorrow", (400,), bad, with_header(message_ts=now(90000)))
        refused("no zone", (400,), bad, with_header(message_ts="2026-03-02T09:00:00"))
        refused("another action", (400,), bad, with_header(action="subscribe"))
        refused("a wrong count", (400,), bad, with_header(total_count=2))
        refused("encrypted", (400,), "err.encryption.invalid", with_header(is_msg_encrypted=True))
        for path, value in [
            (("transaction_id",), "x" * 100), (("transaction_id",), ""), (("transaction_id",), 7),
            (("search_request",), []), (("search_request",), {}),
            (("search_request", 0, "locale"), "en"), (("search_request", 0, "locale"), "ENG"),
            (("search_request", 0, "search_criteria"), None),
            (("search_request", 0, "search_criteria", "query_type"), "sql"),
        ]:
            message = json.loads(json.dumps(good))
            place = message
            for part in path[:-1]:
                place = place[part]
            place[path[-1]] = value
            refused(f"{path} = {value}", (400,), bad, self.envelope("search", message))
        refused("no JSON", (400,), bad, b"{")
        longest = {**good, "transaction_id": "x" * 99}
        status, answer = self.call("/registry/sync/search", self.envelope("search", longest))
        check(status == 200, "99 characters", answer)
        elsewhere = with_header(sender_uri="http://127.0.0.2:1/registry/on-search")
        status, answer = self.call("/registry/search", elsewhere)
        check(status == 400 and answer["message"]["ack_status"] == "ERR", "a foreign address", answer)
        check(answer["message"]["error"]["code"] == "err.sender_uri.invalid", "a foreign address", answer)

    def rejections(self, criteria):
        """Requests that are rejected one by one, with their reason."""

        def reason(change):
            message = self.message(criteria)
            change(message["search_request"][0])
            status, answer = self.call("/registry/sync/search", self.envelope("search", message))
            check(status == 200 and answer["header"]["status"] == "rjct", "a rejection", answer)
            self.check_search_response(answer["message"], message["transaction_id"])
            return answer["message"]["search_response"][0]["status_reason_code"]

        def criteria_with(**more):
            return lambda item: item["search_criteria"].update(more)

        page, sort = "rjct.pagination.invalid", "rjct.sort.invalid"
        cases = [
            (criteria_with(pagination={"page_size": 0}), page),
            (criteria_with(pagination={"page_size": 5, "page_number": 0}), page),
            (criteria_with(pagination={"page_number": 1}), page),
            (lambda item: item.update(pagination={"page_size": -1}), page),
            (criteria_with(sort=[{"attribute_name": "no_such", "sort_order": "asc"}]), sort),
            (criteria_with(query={"type": "NO_SUCH", "value": "1"}, query_type="idtype-value"),
             "rjct.filter.invalid"),
            (criteria_with(query_type="graphql"), "rjct.search_criteria.invalid"),
            (criteria_with(reg_record_type="NoSuch"), "rjct.search_criteria.invalid"),
            (lambda item: item.update(timestamp="2026-03-02"), "rjct.timestamp.invalid"),
            (lambda item: item.update(reference_id=""), "rjct.reference_id.invalid"),
        ]
        for change, wanted in cases:
            check(reason(change) == wanted, f"wanted {wanted}")
        twice = self.message(criteria, 2)
        twice["search_request"][1]["reference_id"] = "ref-0"
        _, answer = self.call("/registry/sync/search", self.envelope("search", twice, 2))
        statuses = [entry["status"] for entry in answer["message"]["search_response"]]
        check(statuses == ["succ", "rjct"], "a reference id used twice", answer)

    def callbacks_are_taken(self):
        """The registry's own side of the callback paths."""
        message = {"transaction_id": "t", "correlation_id": "c", "search_response": []}
        header = {**self.header("on-search"), "status": "succ"}
        envelope = {"signature": self.sign(header, message), "header": header, "message": message}
        self.ask_later("/registry/on-search", envelope)
        status, _ = self.call("/registry/on-search", envelope, token=None)
        check(status == 401, "a callback without token")


def run(plan):
    global STANDS_AT
    STANDS_AT = plan.get("now")
    port = urllib.parse.urlsplit(plan["callback"]).port
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Callbacks)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = Client(plan)
    client.get_token()
    for step in plan["steps"]:
        name, *arguments = step
        try:
            getattr(client, name)(*arguments)
        except Exception as error:
            raise AssertionError(f"step {step}: {error!r}") from error
    print(json.dumps(client.results))


if __name__ == "__main__":
    if sys.argv[1] == "keys":
        make_keys(sys.argv[2])
    else:
        run(json.loads(sys.stdin.readline()))
