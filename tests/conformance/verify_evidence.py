#!/usr/bin/env python3
"""Verifies evidence files with the configuration anchor alone, written from hub/docs/evidence.md.

Prints step by step what is proved. Exit code 0: every file holds; 1: a step of one does not; 2: usage.
Needs Python 3.9, the package `cryptography` (Debian: python3-cryptography), evidence_forms.py and
evidence_checkpoint.py beside it, nothing of the hub's.
"""

import argparse
import base64
import re
import sys
from datetime import datetime, timezone

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

from evidence_checkpoint import check_checkpoint, check_timestamp
from evidence_forms import (NUMBER, Refused, batch_signature, canonical, content_digest, from_base64,
                            identifier, issued_by, may_sign, need, need_fields, read_json, read_note,
                            root_through, sha256, shown, spelled, valid_at, verifier_key, verifies)

STEPS = {
    "form": "the file is an evidence file and has one spelling only",
    "configuration": "the global configuration is signed by the anchor's keys",
    "checkpoint": "the checkpoint is signed by a message log of a registered server",
    "witnesses": "enough witnesses of the configuration cosigned the checkpoint",
    "records": "the records stand in that log, at these places, unchanged",
    "timestamp": "a timestamp authority of the configuration stamped the checkpoint",
    "request": "the request was signed by the client's member, as recorded",
    "answer": "the answer was signed by the provider's member, to this request",
    "agreement": "records, messages and configuration agree on who, what and when",
}
# Fields of objects as patterns of their canonical JSON, or largest numbers; a name with ? may be absent.
TEXT, HASH, COUNT, LIST = '".*"', '"[0-9a-f]{64}"', 2**64 - 1, r"\[.*\]"
TEXTS = r'\["([^"\\]|\\.)*"(,"([^"\\]|\\.)*")*\]'
FILE = {"format": '"koprik-evidence/1"', "configuration": TEXT, "checkpoint": TEXT,
        "records": LIST, "messages": LIST, "timestamp?": TEXT}
ENTRY = {"index": COUNT, "leaf": TEXT, "proof": rf"\[({HASH}(,{HASH})*)?\]"}
MESSAGE = {"base": TEXT, "body?": TEXT, "signature": TEXT}
RECORD = {
    "kind": '"(request|answer|refusal|act)"', "side": '"(consumer|provider|hub)"', "version": "1",
    "outcome": TEXT, "time": COUNT, "status?": 2**16 - 1, "subjects?": TEXTS,
    **dict.fromkeys(["body?", "evidence?", "signed?"], HASH),
    **dict.fromkeys(["body_bytes?", "configuration?", "duration_us?"], COUNT),
    **dict.fromkeys(["class?", "client?", "endpoint?", "exchange?", "grant?", "legal_basis?", "message?",
                     "peer?", "purpose?", "service?", "user?"], TEXT),
}
ANCHOR = {"instance": TEXT, "keys": r"\{.*\}", "central": LIST}
NAME = '"[a-z0-9_@.-]+"(?:;req)?'
PARAMETERS = re.compile(
    rf'\(({NAME}(?: {NAME})*)\);created={NUMBER};expires={NUMBER};keyid="([0-9a-f]{{64}})";'
    'alg="(ed25519|ecdsa-p256-sha256|ed25519-merkle-batch)"')
# How far clocks may differ, and how long a message may be under way, in seconds.
SKEW, LIFETIME = 5, 60
BOUND = ["@method", "@path", "@query", "content-digest", "x-road-request-id", "signature"]


class Message:
    """A message whose signature base has been read."""

    def __init__(self, message):
        self.base, self.body = message["base"].encode(), message.get("body")
        self.signature = from_base64(message["signature"])
        lines, _, parameters = message["base"].rpartition('\n"@signature-params": ')
        read = PARAMETERS.fullmatch(parameters)
        need(read, "the signature base is not one that hubs write")
        names, lines, self.values = read[1].split(" "), lines.split("\n"), {}
        need(len(names) == len(lines), "the signature base has other lines than it says")
        for name, line in zip(names, lines):
            need(line.startswith(name + ": "), "the signature base has other lines than it says")
            self.values.setdefault(name, line[len(name) + 2:])
        self.created, self.expires = int(read[2]), int(read[3])
        self.key_id, self.algorithm = read[4], read[5]

    def value(self, name, suffix=""):
        return self.values.get(f'"{name}"{suffix}')

    def check_record(self, record):
        signed = sha256(sha256(b"\0" + self.base) + self.signature)
        need(record["signed"] == signed.hex(), "the record commits to another base or signature")
        empty = sha256(b"").hex() if record.get("body_bytes") == 0 else None
        stated, body = self.value("content-digest"), record.get("body", empty)
        if body is not None or record["kind"] != "refusal":
            need(stated == (body and content_digest(bytes.fromhex(body))), "the record commits to another body")
        if self.body is not None:
            need(stated == content_digest(sha256(from_base64(self.body))), "the body is another")
        lifetime, at = self.expires - self.created, record["time"] // 1000
        need(0 <= lifetime <= LIFETIME, "the signature lives longer than it may")
        need(self.created <= at + SKEW, "the signature was made after its record")
        # A refusal may be late: the body was awaited.
        late = at > self.expires + SKEW and record["kind"] != "refusal"
        need(not late, "the signature had expired when it was recorded")

    def check_signature(self, member, configuration, at):
        listed = [(from_base64(c["certificate"]), c.get("revoked"))
                  for m in configuration["members"] if identifier(m["id"], 3) == member
                  for c in m["signing_certificates"]]
        listed = [found for found in listed if sha256(found[0]).hex() == self.key_id]
        need(listed, "the signing certificate is not one of the member's")
        (der, revoked), made = listed[0], self.created
        certificate = x509.load_der_x509_certificate(der)
        authorities = [from_base64(a["certificate"]) for a in configuration["authorities"]]
        need(any(issued_by(certificate, x509.load_der_x509_certificate(a)) for a in authorities),
             "the signing certificate was issued by no listed authority")
        need(may_sign(certificate), "its key is not for signing")
        need(all(valid_at(certificate, moment) for moment in (made, max(made, at // 1000))),
             "the certificate was not valid")
        need(revoked is None or revoked > made * 1000, "the certificate was revoked")
        key, signature, signed, how = certificate.public_key(), self.signature, self.base, []
        if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp256r1":
            need(self.algorithm == "ecdsa-p256-sha256", "the algorithm is not the key's")
            need(len(signature) == 64, "the signature has not 64 bytes")
            halves = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
            signature, how = utils.encode_dss_signature(*halves), [ec.ECDSA(hashes.SHA256())]
        else:
            need(isinstance(key, ed25519.Ed25519PublicKey), "the key is of another kind")
            need(self.algorithm != "ecdsa-p256-sha256", "the algorithm is not the key's")
        if self.algorithm == "ed25519-merkle-batch":
            signature, signed = batch_signature(signature, signed)
        need(verifies(key, signature, signed, *how), "the signature does not verify")


def read_form(content):
    file = read_json(content)
    need_fields(file, FILE)
    need(canonical(file) + "\n" == content, "it is not in its one spelling")
    for entry in file["records"]:
        need_fields(entry, ENTRY)
        record = read_json(entry["leaf"])
        need_fields(record, RECORD)
        need(canonical(record) == entry["leaf"], "a leaf is not in its one spelling")
        entry["record"] = record
    for message in file["messages"]:
        need_fields(message, MESSAGE)
    kinds = [entry["record"]["kind"] for entry in file["records"]]
    known = (["request"], ["refusal"], ["request", "refusal"], ["request", "answer"])
    need(kinds in known and len(file["messages"]) == 1 + ("answer" in kinds),
         "messages and records do not belong together")
    return file


def check_configuration(note, anchor, at):
    signed, lines = read_note(note)
    threshold, texts = anchor["keys"]["threshold"], anchor["keys"]["verifiers"]
    keys = {(name, key_id): key for name, key_id, key in map(verifier_key, texts)}
    need(1 <= threshold <= len(texts) <= 16, "the anchor's threshold is not one")
    need(len({t.split("+", 2)[2] for t in texts}) == len(texts), "the anchor has a key twice")
    need(len({key_id for _, key_id, _ in lines}) == len(lines), "a signature is repeated")
    for name, key_id, signature in lines:
        need((name, key_id) in keys, "a signature is of no key of the anchor")
        need(verifies(keys[name, key_id], signature, signed.encode()), "a signature does not verify")
    need(len(lines) >= threshold, "too few keys of the anchor have signed")
    need(signed.count("\n") == 1, "it is not one line")
    found = read_json(signed)
    need(found["instance"] == anchor["instance"], "it is of another instance")
    need(found["format"] == 1 and found["version"] >= 1, "its format or version is unknown")
    need((found["version"] == 1) == (found["previous"] is None), "it names no version before")
    need(found["issued"] < found["expires"], "it expires before it is issued")
    need(found["issued"] <= at + 5000 and at < found["expires"], "it was not in force at the time")
    members, servers, witnesses = found["members"], found["servers"], found.get("witnesses", [])
    logs = [server["log_key"] for server in servers] + [found["central_log"] or ""]
    for listed in ([identifier(m["id"], 3) for m in members],
                   [identifier(s["id"], 4) for m in members for s in m["subsystems"]],
                   [identifier(s["id"], 4) for s in servers], [log.split("+")[0] for log in logs],
                   [c["certificate"] for m in members for c in m["signing_certificates"]],
                   [authority["name"] for authority in found.get("timestamp_authorities", [])],
                   *([witness["key"].split("+", 2)[part] for witness in witnesses] for part in (0, 2))):
        need(len(set(listed)) == len(listed), "something is listed twice")
    quorum = found.get("witness_quorum", 0)
    need(quorum <= len(witnesses) and (quorum > 0) == bool(witnesses), "the quorum is not one")
    return found


def verify(data, anchor, say):
    """Takes the steps of the document; `say` hears of each before it is taken."""
    say("form")
    file = read_form(data.decode())
    entries = file["records"]
    records = [entry["record"] for entry in entries]
    at = records[0]["time"]
    say("configuration")
    configuration = check_configuration(file["configuration"], anchor, at)
    say("checkpoint")
    server, size, root, seen, stamped = check_checkpoint(file["checkpoint"], configuration)
    if len(seen[0]) >= seen[2] > 0:
        say("witnesses")
    say("records")
    indexes = [entry["index"] for entry in entries]
    need(sorted(set(indexes)) == indexes, "the records are not in the log's order")
    for entry in entries:
        proof = [bytes.fromhex(sibling) for sibling in entry["proof"]]
        reached = root_through(entry["leaf"].encode(), entry["index"], size, proof)
        need(reached == root, "a proof leads to another root")
    existed = None
    if "timestamp" in file:
        say("timestamp")
        existed = check_timestamp(from_base64(file["timestamp"]), stamped, configuration)
    say("request")
    request, *answers = map(Message, file["messages"])
    client = identifier(request.value("x-road-client"), 4)
    path = request.value("@path").split("/")
    need(path[:2] == ["", "r1"], "the path names no service")
    service = identifier("/".join(path[2:7]), 5)
    request.check_record(records[0])
    request.check_signature(client[:3], configuration, at)
    for answer in answers:
        say("answer")
        answer.check_record(records[1])
        answer.check_signature(service[:3], configuration, at)
        carried = f"koprik=:{base64.b64encode(request.signature).decode()}:"
        for name in BOUND:
            bound = carried if name == "signature" else request.value(name)
            same = bound is not None and answer.value(name, ";req") == bound
            need(same, "the answer is bound to another request")
        need(answer.value("@status") == str(records[1]["status"]), "the status is another")
    say("agreement")
    clients = [identifier(own, 4) for own in server["clients"]]
    for record in records:
        same = (record.get("exchange") == request.value("x-road-request-id")
                and record.get("client") == spelled(client) and record.get("service") == spelled(service))
        need(same, "a record names another exchange, client or service")
        need(record["configuration"] == configuration["version"], "... another configuration")
        own = client if record["side"] == "consumer" else service[:4]
        need(record["side"] != "hub" and own in clients, "the log's server serves neither side")
    need(len({record["side"] for record in records}) == 1, "the records are of both sides")
    first, last, replay = records[0], records[-1], ("provider", "server.serverproxy.replayed_message")
    ends = last.get("signed") == first["signed"] and (last["side"], last["outcome"]) != replay
    need(first is last or last["kind"] != "refusal" or ends, "the refusal is of another message or a replay")
    return server, size, seen, existed, file


def not_proved(seen, existed, file):
    if len(seen[0]) < max(seen[2], 1):
        yield "that nobody was shown another version of the log"
    if existed is None:
        yield "the time, beyond what the hubs' own clocks say: there is no timestamp"
    elif max(entry["record"]["time"] for entry in file["records"]) > existed[0]:
        yield "that the hub's clock was right: a record claims a later time than its timestamp"
    else:
        yield "how long before the timestamp, beyond what the hubs' own clocks say"
    yield "who the user was, beyond what the client's system stated"
    if not all("body" in message for message in file["messages"]):
        yield "what a body said, where only its hash was kept"


def report(path, anchor):
    """Verifies one file, prints what is proved, and gives the exit code."""
    taken = []
    try:
        with open(path, "rb") as file:
            server, size, seen, existed, read = verify(file.read(), anchor, taken.append)
    except OSError as error:
        print(f"{path}: cannot be read: {error.strerror}")
        return 2
    except Exception as error:  # whatever a file brings about, it proves nothing then
        for step in taken[:-1]:
            print(f"  proved: {STEPS[step]}")
        reason = error if isinstance(error, Refused) else f"malformed: {type(error).__name__}"
        print(f"{path}: NOT VERIFIED: {taken[-1]}: {reason}")
        return 1
    for step in taken:
        print(f"  proved: {STEPS[step]}")
    for entry in read["records"]:
        said = [shown(entry["record"].get(name, "-"))
                for name in ("kind", "outcome", "time", "client", "service", "endpoint", "purpose")]
        print(f"  record {entry['index']} of {size}: {', '.join(said)}")
    by, count, quorum = seen
    print(f"  seen by {len(by)} of {count} witnesses, {quorum} are needed")
    for name, at in by:
        print(f"    {name} at {at} seconds since 1970")
    if existed:
        moment = datetime.fromtimestamp(existed[0] / 1000, timezone.utc)
        print(f"  existed before {moment}, says the timestamp authority {existed[1]}")
    for gap in not_proved(seen, existed, read):
        print(f"  not proved: {gap}")
    print(f"{path}: VERIFIED: {len(read['records'])} record(s) of {server['id']}")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--anchor", required=True, help="the configuration anchor, JSON")
    parser.add_argument("files", nargs="+", metavar="FILE", help="an evidence file")
    given = parser.parse_args()
    try:
        with open(given.anchor, "rb") as file:
            anchor = read_json(file.read().decode())
        need_fields(anchor, ANCHOR)
        need_fields(anchor["keys"], {"threshold": COUNT, "verifiers": LIST})
    except (OSError, ValueError, KeyError, TypeError, Refused) as error:
        print(f"{given.anchor} is no anchor: {error}", file=sys.stderr)
        return 2
    return max(report(path, anchor) for path in given.files)


if __name__ == "__main__":
    sys.exit(main())
