"""What stands around a checkpoint: its log's signature, cosignatures of witnesses, a timestamp.

Part of verify_evidence.py; see hub/docs/evidence.md and hub/docs/timestamps.md. A timestamp is DER
(RFC 3161 section 2.4.2, RFC 5652 section 5, RFC 5035 section 3) and has one spelling.
"""

import hashlib
import re
from collections import namedtuple
from datetime import datetime, timezone

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from evidence_forms import (NUMBER, Refused, extension, from_base64, issued_by, may_sign, need, read_note,
                            sha256, valid_at, verifier_key, verifies)

TOKEN_MAX_BYTES = 65_536
# Tags of DER; shapes are patterns of tags.
BOOLEAN, INTEGER, BITS, OCTETS, NULL, OID, TIME = b"\x01", b"\x02", b"\x03", b"\x04", b"\x05", b"\x06", b"\x18"
SEQUENCE, SET, SHORT0, SHORT1, LONG0, LONG1 = b"\x30", b"\x31", b"\x80", b"\x81", b"\xa0", b"\xa1"
# Object identifiers in hexadecimal, as DER has them.
SIGNED_DATA, TST_INFO = "2a864886f70d010702", "2a864886f70d0109100104"
CONTENT_TYPE, MESSAGE_DIGEST = "2a864886f70d010903", "2a864886f70d010904"
SIGNING_CERTIFICATE_V2 = "2a864886f70d010910022f"
DIGESTS = {"608648016503040201": "sha256", "608648016503040202": "sha384", "608648016503040203": "sha512"}
ECDSA = {"sha256": "2a8648ce3d040302", "sha384": "2a8648ce3d040303"}
RSA = {"sha256": "2a864886f70d01010b", "sha384": "2a864886f70d01010c", "sha512": "2a864886f70d01010d"}
RSA_ALONE = "2a864886f70d010101"
ACCURACY_US = {INTEGER: 1_000_000, SHORT0: 1_000, SHORT1: 1}

Element = namedtuple("Element", "tag content whole")


def check_checkpoint(note, configuration):
    """The server whose log it is, number of records, root, cosignatures, and what a timestamp is over."""
    signed, lines = read_note(note)
    name, key_id, signature = lines[0]
    for server in configuration["servers"]:
        own_name, own_id, key = verifier_key(server["log_key"])
        if (own_name, own_id) == (name, key_id):
            need(verifies(key, signature, signed.encode()), "its signature does not verify")
            fields = re.fullmatch(f"([^\n]+)\n{NUMBER}\n([^\n]+)\n", signed)
            need(fields and fields[1] == name, "it is not three lines of this log")
            need(int(fields[2]) < 2**64, "it has more records than a log can have")
            seen = check_cosignatures(signed, lines[1:], name, configuration)
            stamped = note[:note.index("\n", len(signed) + 1) + 1].encode()
            return server, int(fields[2]), from_base64(fields[3]), seen, stamped
    raise Refused("no security server of the configuration has this log")


def check_cosignatures(signed, lines, log, configuration):
    """The witnesses that cosigned, all that count, and how many are needed."""
    listed = [verifier_key(w["key"], b"\x04") for w in configuration.get("witnesses", [])]
    listed = [key for key in listed if key[0] != f"{log}/witness"]
    seen, begin = [], 0
    for name, key_id, signature in lines:
        places = [n for n, key in enumerate(listed) if n >= begin and key[:2] == (name, key_id)]
        need(places, "a line is, in this order, of no witness that counts for this log")
        at, begin = int.from_bytes(signature[:8], "big"), places[0] + 1
        message = f"cosignature/v1\ntime {at}\n{signed}".encode()
        need(len(signature) == 72, "a cosignature has not 72 bytes")
        need(verifies(listed[places[0]][2], signature[8:], message), "a cosignature does not verify")
        seen.append((name, at))
    return seen, len(listed), configuration.get("witness_quorum", 0)


def elements(data, shape):
    """The DER elements in `data`, whose tags have the shape."""
    found, tags = [], b""
    while data:
        length, begin = data[1], 2
        if length > 127:
            begin += length - 128
            length = int.from_bytes(data[2:begin], "big")
            need(length > 127 and data[2] > 0, "a length has another spelling than DER's")
        end = begin + length
        need(end <= len(data), "a part is cut")
        found.append(Element(data[:1], data[begin:end], data[:end]))
        # All truth values of these structures are false when they are left out.
        need(data[:1] != BOOLEAN or data[begin:end] == b"\xff", "a false is not left out")
        tags, data = tags + data[:1], data[end:]
    need(re.fullmatch(shape, tags, re.DOTALL), "a part of it has another form")
    return found


def only(data, shape):
    """The content of the one element."""
    return elements(data, shape)[0].content


def algorithm_of(identifier):
    """The algorithm of an AlgorithmIdentifier that has no parameters."""
    kind, *parameters = elements(identifier, OID + NULL + b"?")
    need(not any(element.content for element in parameters), "an algorithm has parameters")
    return kind.content.hex()


def digest_of(identifier):
    algorithm = algorithm_of(identifier)
    need(algorithm in DIGESTS, "a digest is not SHA-256, SHA-384 or SHA-512")
    return DIGESTS[algorithm]


def read_certificate(der):
    """A certificate, and issuer and serial number in the form in which a token names them."""
    signed, algorithm, signature = elements(only(der, SEQUENCE), SEQUENCE + SEQUENCE + BITS)
    parts = elements(signed.content, LONG0 + b"?" + INTEGER + SEQUENCE + SEQUENCE + b".*")
    serial, same_algorithm, issuer = [part for part in parts if part.tag != LONG0][:3]
    need(algorithm == same_algorithm, "a certificate names two algorithms")
    need(signature.content[:1] == b"\0", "a certificate's signature ends within a byte")
    return x509.load_der_x509_certificate(der), issuer.whole + serial.whole


def check_timestamp(token, stamped, configuration):
    """The milliseconds since 1970 before which the bytes existed, and the name of who says so."""
    need(len(token) <= TOKEN_MAX_BYTES, "it is longer than any token")
    kind, wrapped = elements(only(token, SEQUENCE), OID + LONG0)
    version, digests, content, certificates, signers = elements(
        only(wrapped.content, SEQUENCE), INTEGER + SET + SEQUENCE + LONG0 + SET)
    known = kind.content.hex() == SIGNED_DATA and version.content == b"\x03"
    need(known, "it is not SignedData of version 3")
    kind, wrapped = elements(content.content, OID + LONG0)
    need(kind.content.hex() == TST_INFO, "its content is not a TSTInfo")
    info = only(wrapped.content, OCTETS)
    version, named, digest, attributes, algorithm, signature = elements(
        only(signers.content, SEQUENCE), INTEGER + SEQUENCE + SEQUENCE + LONG0 + SEQUENCE + OCTETS)
    same = version.content == b"\x01" and digests.content == digest.whole
    need(same, "the signer is not of version 1, or has another digest")
    digest = digest_of(digest.content)
    parts = elements(certificates.content, SEQUENCE + b"*")
    read = [read_certificate(part.whole) for part in parts]
    found = [n for n, (_, name) in enumerate(read) if name == named.content]
    need(found, "the signer's certificate is not there")
    signer, own = read[found[0]][0], parts[found[0]].whole
    check_attributes(attributes.content, digest, info, own)
    # RFC 5652 section 5.4: the attributes are signed as a set of their own.
    message = SET + attributes.whole[1:]
    check_signature(signer, digest, algorithm_of(algorithm.content), signature.content, message)
    authorities = configuration.get("timestamp_authorities", [])
    name = check_authority(signer, [certificate for certificate, _ in read], authorities)
    usage = extension(signer, x509.ExtendedKeyUsage)
    stamps = usage and usage.critical and list(usage.value) == [x509.ExtendedKeyUsageOID.TIME_STAMPING]
    need(stamps and may_sign(signer) is not False, "the certificate is not one for timestamps")
    made, inaccuracy = read_info(info, stamped)
    need(valid_at(signer, made // 1000), "the certificate was not valid")
    return made + inaccuracy, name


def check_attributes(attributes, digest, info, certificate):
    values = {}
    for attribute in elements(attributes, SEQUENCE + b"*"):
        kind, value = elements(attribute.content, OID + SET)
        values.setdefault(kind.content.hex(), []).append(value.content)
    needed = [values.get(kind, []) for kind in (CONTENT_TYPE, MESSAGE_DIGEST, SIGNING_CERTIFICATE_V2)]
    need([len(value) for value in needed] == [1, 1, 1], "a signed attribute is missing or repeated")
    (content_type,), (imprint,), (signing,) = needed
    need(only(content_type, OID).hex() == TST_INFO, "the content type is another")
    made = hashlib.new(digest, info).digest()
    need(only(imprint, OCTETS) == made, "the content has another digest")
    first, *_ = elements(only(only(signing, SEQUENCE), SEQUENCE + b".?"), SEQUENCE + b"+")
    parts = elements(first.content, SEQUENCE + b"?" + OCTETS + b".?")
    digest = digest_of(parts.pop(0).content) if parts[0].tag == SEQUENCE else "sha256"
    same = hashlib.new(digest, certificate).digest() == parts[0].content
    need(same, "another certificate is named as the signer's")


def check_signature(signer, digest, algorithm, signature, message):
    key, how = signer.public_key(), getattr(hashes, digest.upper())()
    if isinstance(key, rsa.RSAPublicKey):
        fits = algorithm in (RSA_ALONE, RSA[digest]) and 2048 <= key.key_size <= 8192
        how = [padding.PKCS1v15(), how]
    else:
        curve = isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name
        fits = curve in ("secp256r1", "secp384r1") and algorithm == ECDSA.get(digest)
        how = [ec.ECDSA(how)]
    need(fits, "the signature's algorithm is not taken")
    need(verifies(key, signature, message, *how), "the signature does not verify")


def check_authority(signer, certificates, authorities):
    """The name of the authority that the signer is, or that issued it."""
    for listed in authorities:
        authority = x509.load_der_x509_certificate(from_base64(listed["certificate"]))
        if authority == signer or issued_by(signer, authority):
            issuers = [*certificates, authority]
            strays = [one for one in certificates
                      if one != signer and not any(issued_by(one, issuer) for issuer in issuers)]
            need(not strays, "a certificate has no issuer in the token")
            return listed["name"]
    raise Refused("the signer is no timestamp authority of the configuration, nor issued by one")


def read_info(info, stamped):
    """Time and inaccuracy in milliseconds, when it is over these bytes."""
    shape = (INTEGER + OID + SEQUENCE + INTEGER + TIME + SEQUENCE + b"?" + BOOLEAN + b"?"
             + INTEGER + b"?" + LONG0 + b"?" + LONG1 + b"?")
    version, _, imprint, _, time, *more = elements(only(info, SEQUENCE), shape)
    need(version.content == b"\x01", "the TSTInfo is not of version 1")
    algorithm, imprint = elements(imprint.content, SEQUENCE + OCTETS)
    same = digest_of(algorithm.content) == "sha256" and imprint.content == sha256(stamped)
    need(same, "the token is over other bytes")
    inaccuracy = 0
    for element in more:
        if element.tag == SEQUENCE:
            parts = elements(element.content, INTEGER + b"?" + SHORT0 + b"?" + SHORT1 + b"?")
            inaccuracy = sum(-(-int.from_bytes(part.content, "big") * ACCURACY_US[part.tag] // 1_000)
                             for part in parts)
        for found in elements(element.content, SEQUENCE + b"*") if element.tag == LONG1 else []:
            elements(found.content, OID + OCTETS)  # one that is critical has a truth value too
    read = re.fullmatch(rb"(\d{14})(?:\.(\d{0,8}[1-9]))?Z", time.content)
    need(read, "its time is no UTC time")
    moment = datetime.strptime(read[1].decode(), "%Y%m%d%H%M%S").replace(tzinfo=timezone.utc)
    millis = (read[2] or b"").ljust(3, b"0")[:3]
    return int(moment.timestamp()) * 1_000 + int(millis), inaccuracy
