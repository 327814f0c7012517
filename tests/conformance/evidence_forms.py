"""Forms that evidence is written in: JSON in one spelling, identifiers, signed notes, certificates, proofs.

Part of verify_evidence.py; see hub/docs/evidence.md.
"""

import base64
import hashlib
import json
import re
from datetime import timezone
from urllib.parse import quote, unquote

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa


NUMBER = "(0|[1-9][0-9]{0,19})"


class Refused(Exception):
    """Something does not hold; the text says what."""


def need(holds, reason):
    if not holds:
        raise Refused(reason)


def shown(text):
    """Text of others on one line: what would move or hide what stands around it comes as its number."""
    return "".join(sign if sign.isprintable() else f"\\u{{{ord(sign):x}}}" for sign in str(text))


def read_json(data):
    def once(pairs):
        need(len(dict(pairs)) == len(pairs), "a field stands twice")
        return dict(pairs)
    return json.loads(data, object_pairs_hook=once)


def canonical(value):
    """RFC 8785, for integers, texts and ASCII field names."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def need_fields(value, patterns):
    left = dict(value)
    for name, pattern in patterns.items():
        if name.rstrip("?") in left or not name.endswith("?"):
            found = canonical(left.pop(name.rstrip("?")))
            number = isinstance(pattern, int)
            fits = re.fullmatch(NUMBER if number else pattern, found, re.DOTALL)
            need(fits and not (number and int(found) > pattern), f"the field {name} has another form")
    need(not left, "there is an unknown field")


def from_base64(encoded):
    raw = base64.b64decode(encoded, validate=True)
    need(base64.b64encode(raw).decode() == encoded, "base64 is not in its one spelling")
    return raw


def content_digest(raw_hash):
    return f"sha-256=:{base64.b64encode(raw_hash).decode()}:"


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def identifier(path, count):
    """Codes of an identifier, decoded: compared so."""
    codes = path.split("/")
    need(len(codes) == count and all(codes), "an identifier has another number of codes")
    return tuple(unquote(code, errors="strict") for code in codes)


def spelled(codes):
    """An identifier as records have it: RFC 3986 section 3.3, encoded where a segment needs it."""
    return "/".join(quote(code, safe="-._~!$&'()*+,;=:@") for code in codes)


def verifies(key, signature, message, *how):
    try:
        key.verify(signature, message, *how)
        return True
    except InvalidSignature:
        return False


def verifier_key(encoded, kind=b"\x01"):
    """Name, id and key of a C2SP verifier key; kind 4 is that of a witness's cosignatures."""
    name, key_id, key = encoded.split("+", 2)
    raw = from_base64(key)
    need(raw[:1] == kind, "a verifier key is of another kind")
    need(sha256(name.encode(), b"\n", raw)[:4].hex() == key_id, "a verifier key's id is not its own")
    return name, key_id, ed25519.Ed25519PublicKey.from_public_bytes(raw[1:])


def read_note(note):
    """Text and signature lines (name, id, bytes) of a C2SP signed note."""
    divided, blank, lines = note.rpartition("\n\n")
    need(blank and lines.endswith("\n"), "a note has no signatures after an empty line")
    need(not re.search("[\x00-\x09\x0b-\x1f]", divided), "a note has a control character")
    signatures = []
    for line in lines[:-1].split("\n"):
        fields = re.fullmatch("\u2014 ([^ ]+) ([^ ]+)", line)
        need(fields, "a note has a line that is no signature")
        raw = from_base64(fields[2])
        signatures.append((fields[1], raw[:4].hex(), raw[4:]))
    return divided + "\n", signatures


def root_through(leaf, index, size, proof):
    """The root that an inclusion proof leads to, RFC 9162 section 2.1.3.2."""
    need(index < size, "the tree is too small for the index")
    at, last, node = index, size - 1, sha256(b"\x00", leaf)
    for sibling in proof:
        need(last > 0, "a proof is too long")
        if at % 2 or at == last:
            node = sha256(b"\x01", sibling, node)
            while at % 2 == 0 and at:
                at, last = at >> 1, last >> 1
        else:
            node = sha256(b"\x01", node, sibling)
        at, last = at >> 1, last >> 1
    need(last == 0, "a proof is too short")
    return node


def batch_signature(signature, base):
    """The signature of a batch's root, and what it signs, when the base is in it (batch-signatures.md)."""
    own, place, path = signature[:64], signature[64:68], signature[68:]
    need(len(place) == 4 and len(path) % 32 == 0, "the batch signature is cut")
    index, count = int.from_bytes(place[:2], "big"), int.from_bytes(place[2:], "big")
    need(count <= 256, "the batch is too large")
    proof = [path[n:n + 32] for n in range(0, len(path), 32)]
    return own, b"koprik-batch/1\n" + place[2:] + root_through(base, index, count, proof)


def extension(certificate, kind):
    """An extension of a certificate, or None."""
    return next((found for found in certificate.extensions if isinstance(found.value, kind)), None)


def may_sign(certificate):
    """Whether the key may sign; None where the certificate does not say."""
    usage = extension(certificate, x509.KeyUsage)
    return usage and (usage.value.digital_signature or usage.value.content_commitment)


def valid_at(certificate, at):
    """Whether the certificate is valid at these seconds since 1970, both ends included."""
    def moment(end):
        found = getattr(certificate, end + "_utc", None)  # since cryptography 42
        return int((found or getattr(certificate, end).replace(tzinfo=timezone.utc)).timestamp())
    return moment("not_valid_before") <= at <= moment("not_valid_after")


def issued_by(certificate, authority):
    constraints, usage = extension(authority, x509.BasicConstraints), extension(authority, x509.KeyUsage)
    issues = constraints and constraints.value.ca and (not usage or usage.value.key_cert_sign)
    algorithm = certificate.signature_hash_algorithm
    weak = algorithm is not None and algorithm.name not in ("sha256", "sha384", "sha512")
    if not issues or weak or certificate.issuer != authority.subject:
        return False
    key, how = authority.public_key(), []
    if isinstance(key, rsa.RSAPublicKey):
        how = [padding.PKCS1v15(), algorithm]
    elif isinstance(key, ec.EllipticCurvePublicKey):
        how = [ec.ECDSA(algorithm)]
    return verifies(key, certificate.signature, certificate.tbs_certificate_bytes, *how)
