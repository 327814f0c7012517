//! The ASN.1 of timestamps, as far as this module reads and writes it: RFC 3161 §2.4 (query, reply,
//! TSTInfo), RFC 5652 §5 (SignedData), RFC 5035 §3 (ESSCertIDv2).
//!
//! DER only. Sets are kept as their raw elements: what is signed is hashed as it came, and an order
//! that is not DER's is the signer's business.

use der::asn1::{AnyRef, IntRef, ObjectIdentifier, OctetStringRef};
use der::{
    Decode, DecodeValue, Encode, EncodeValue, FixedTag, Header, Length, Reader, Sequence,
    SliceReader, Tag, Writer,
};

/// Object identifiers; each with the document that gives it.
pub(super) mod oid {
    use der::asn1::ObjectIdentifier;

    const fn oid(text: &str) -> ObjectIdentifier {
        ObjectIdentifier::new_unwrap(text)
    }

    /// RFC 5652 §5.1.
    pub(in crate::timestamp) const SIGNED_DATA: ObjectIdentifier = oid("1.2.840.113549.1.7.2");
    /// RFC 3161 §2.4.2.
    pub(in crate::timestamp) const TST_INFO: ObjectIdentifier = oid("1.2.840.113549.1.9.16.1.4");
    /// RFC 5652 §11.1.
    pub(in crate::timestamp) const CONTENT_TYPE: ObjectIdentifier = oid("1.2.840.113549.1.9.3");
    /// RFC 5652 §11.2.
    pub(in crate::timestamp) const MESSAGE_DIGEST: ObjectIdentifier = oid("1.2.840.113549.1.9.4");
    /// RFC 5035 §3.
    pub(in crate::timestamp) const SIGNING_CERTIFICATE_V2: ObjectIdentifier =
        oid("1.2.840.113549.1.9.16.2.47");
    /// RFC 5754 §2.2.
    pub(in crate::timestamp) const SHA256: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.1");
    /// RFC 5754 §2.3.
    pub(in crate::timestamp) const SHA384: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.2");
    /// RFC 5754 §2.4.
    pub(in crate::timestamp) const SHA512: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.3");
    /// RFC 5754 §3.3.
    pub(in crate::timestamp) const ECDSA_SHA256: ObjectIdentifier = oid("1.2.840.10045.4.3.2");
    /// RFC 5754 §3.3.
    pub(in crate::timestamp) const ECDSA_SHA384: ObjectIdentifier = oid("1.2.840.10045.4.3.3");
    /// RFC 5480 §2.1.1.1.
    pub(in crate::timestamp) const P256: ObjectIdentifier = oid("1.2.840.10045.3.1.7");
    /// RFC 5480 §2.1.1.1.
    pub(in crate::timestamp) const P384: ObjectIdentifier = oid("1.3.132.0.34");
    /// RFC 3370 §3.2.
    pub(in crate::timestamp) const RSA: ObjectIdentifier = oid("1.2.840.113549.1.1.1");
    /// RFC 5754 §3.2.
    pub(in crate::timestamp) const RSA_SHA256: ObjectIdentifier = oid("1.2.840.113549.1.1.11");
    /// RFC 5754 §3.2.
    pub(in crate::timestamp) const RSA_SHA384: ObjectIdentifier = oid("1.2.840.113549.1.1.12");
    /// RFC 5754 §3.2.
    pub(in crate::timestamp) const RSA_SHA512: ObjectIdentifier = oid("1.2.840.113549.1.1.13");
}

/// An algorithm with its parameters (RFC 5280 §4.1.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Sequence)]
pub(super) struct AlgorithmIdentifier<'a> {
    pub(super) algorithm: ObjectIdentifier,
    #[asn1(optional = "true")]
    pub(super) parameters: Option<AnyRef<'a>>,
}

impl AlgorithmIdentifier<'_> {
    /// The algorithm without parameters.
    pub(super) fn plain(algorithm: ObjectIdentifier) -> Self {
        Self { algorithm, parameters: None }
    }

    /// The algorithm, when its parameters are left out or NULL.
    pub(super) fn without_parameters(&self) -> Option<ObjectIdentifier> {
        self.parameters.is_none_or(AnyRef::is_null).then_some(self.algorithm)
    }
}

/// What is stamped: a digest (RFC 3161 §2.4.1).
#[derive(Clone, Copy, Debug, Sequence)]
pub(super) struct MessageImprint<'a> {
    pub(super) algorithm: AlgorithmIdentifier<'a>,
    pub(super) digest: &'a OctetStringRef,
}

/// An extension (RFC 5280 §4.1).
#[derive(Clone, Copy, Debug, Sequence)]
pub(super) struct Extension<'a> {
    pub(super) id: ObjectIdentifier,
    #[asn1(default = "Default::default")]
    pub(super) critical: bool,
    pub(super) value: &'a OctetStringRef,
}

/// A query (RFC 3161 §2.4.1).
#[derive(Clone, Debug, Sequence)]
pub(super) struct TimeStampReq<'a> {
    pub(super) version: u8,
    pub(super) imprint: MessageImprint<'a>,
    #[asn1(optional = "true")]
    pub(super) policy: Option<ObjectIdentifier>,
    #[asn1(optional = "true")]
    pub(super) nonce: Option<IntRef<'a>>,
    #[asn1(default = "Default::default")]
    pub(super) certificate_wanted: bool,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    pub(super) extensions: Option<Vec<Extension<'a>>>,
}

/// A reply (RFC 3161 §2.4.2).
#[derive(Clone, Debug, Sequence)]
pub(super) struct TimeStampResp<'a> {
    pub(super) status: PkiStatusInfo<'a>,
    #[asn1(optional = "true")]
    pub(super) token: Option<AnyRef<'a>>,
}

/// How a query ended (RFC 3161 §2.4.2). The texts and failure bits are for people only.
#[derive(Clone, Debug, Sequence)]
pub(super) struct PkiStatusInfo<'a> {
    pub(super) status: u8,
    #[asn1(optional = "true")]
    pub(super) texts: Option<Vec<AnyRef<'a>>>,
    #[asn1(optional = "true")]
    pub(super) failure: Option<der::asn1::BitStringRef<'a>>,
}

/// What the authority signs (RFC 3161 §2.4.2).
#[derive(Clone, Debug, Sequence)]
pub(super) struct TstInfo<'a> {
    pub(super) version: u8,
    pub(super) policy: ObjectIdentifier,
    pub(super) imprint: MessageImprint<'a>,
    pub(super) serial: IntRef<'a>,
    pub(super) time: RawTime<'a>,
    #[asn1(optional = "true")]
    pub(super) accuracy: Option<Accuracy>,
    #[asn1(default = "Default::default")]
    pub(super) ordering: bool,
    #[asn1(optional = "true")]
    pub(super) nonce: Option<IntRef<'a>>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub(super) authority: Option<AnyRef<'a>>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    pub(super) extensions: Option<Vec<Extension<'a>>>,
}

/// By how much the time may be off, either way (RFC 3161 §2.4.2).
#[derive(Clone, Copy, Debug, Sequence)]
pub(super) struct Accuracy {
    #[asn1(optional = "true")]
    pub(super) seconds: Option<u32>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    pub(super) millis: Option<u16>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    pub(super) micros: Option<u16>,
}

/// The outer shell of a token (RFC 5652 §3).
#[derive(Clone, Debug, Sequence)]
pub(super) struct ContentInfo<'a> {
    pub(super) kind: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    pub(super) content: SignedData<'a>,
}

/// RFC 5652 §5.1.
#[derive(Clone, Debug, Sequence)]
pub(super) struct SignedData<'a> {
    pub(super) version: u8,
    pub(super) digest_algorithms: RawSet<'a>,
    pub(super) content: EncapsulatedContent<'a>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    pub(super) certificates: Option<RawSet<'a>>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    pub(super) revocations: Option<RawSet<'a>>,
    pub(super) signers: RawSet<'a>,
}

/// RFC 5652 §5.2.
#[derive(Clone, Copy, Debug, Sequence)]
pub(super) struct EncapsulatedContent<'a> {
    pub(super) kind: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    pub(super) content: &'a OctetStringRef,
}

/// RFC 5652 §5.3, with the signer named by issuer and serial number.
#[derive(Clone, Debug, Sequence)]
pub(super) struct SignerInfo<'a> {
    pub(super) version: u8,
    pub(super) signer: IssuerAndSerial<'a>,
    pub(super) digest: AlgorithmIdentifier<'a>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    pub(super) attributes: RawSet<'a>,
    pub(super) algorithm: AlgorithmIdentifier<'a>,
    pub(super) signature: &'a OctetStringRef,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    pub(super) unsigned: Option<RawSet<'a>>,
}

/// RFC 5652 §10.2.4.
#[derive(Clone, Copy, Debug, Sequence)]
pub(super) struct IssuerAndSerial<'a> {
    pub(super) issuer: AnyRef<'a>,
    pub(super) serial: IntRef<'a>,
}

/// RFC 5652 §5.3.
#[derive(Clone, Copy, Debug, Sequence)]
pub(super) struct Attribute<'a> {
    pub(super) kind: ObjectIdentifier,
    pub(super) values: RawSet<'a>,
}

/// RFC 5035 §3.
#[derive(Clone, Debug, Sequence)]
pub(super) struct SigningCertificateV2<'a> {
    pub(super) certificates: Vec<EssCertIdV2<'a>>,
    #[asn1(optional = "true")]
    pub(super) policies: Option<AnyRef<'a>>,
}

/// RFC 5035 §4; the algorithm is SHA-256 where it is left out.
#[derive(Clone, Copy, Debug, Sequence)]
pub(super) struct EssCertIdV2<'a> {
    #[asn1(optional = "true")]
    pub(super) algorithm: Option<AlgorithmIdentifier<'a>>,
    pub(super) digest: &'a OctetStringRef,
    #[asn1(optional = "true")]
    pub(super) issuer_serial: Option<AnyRef<'a>>,
}

/// A SET OF, kept as the bytes of its elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RawSet<'a>(pub(super) &'a [u8]);

impl<'a> RawSet<'a> {
    /// The elements with their bytes.
    pub(super) fn elements<T: Decode<'a, Error = der::Error>>(&self) -> der::Result<Vec<T>> {
        let mut reader = SliceReader::new(self.0)?;
        let mut elements = Vec::new();
        while !reader.is_finished() {
            elements.push(reader.decode()?);
        }
        Ok(elements)
    }

    /// The one element.
    pub(super) fn single<T: Decode<'a, Error = der::Error>>(&self) -> der::Result<T> {
        T::from_der(self.0)
    }

    /// The set in DER with its own tag, whatever tag it stood under (RFC 5652 §5.4).
    pub(super) fn to_set(self) -> der::Result<Vec<u8>> {
        self.to_der()
    }
}

impl FixedTag for RawSet<'_> {
    const TAG: Tag = Tag::Set;
}

impl<'a> DecodeValue<'a> for RawSet<'a> {
    type Error = der::Error;

    fn decode_value<R: Reader<'a>>(reader: &mut R, header: Header) -> der::Result<Self> {
        reader.read_slice(header.length()).map(Self)
    }
}

impl EncodeValue for RawSet<'_> {
    fn value_len(&self) -> der::Result<Length> {
        self.0.len().try_into()
    }

    fn encode_value(&self, writer: &mut impl Writer) -> der::Result<()> {
        writer.write(self.0)
    }
}

/// A GeneralizedTime, kept as its text: a fraction of a second is allowed here (RFC 3161 §2.4.2).
#[derive(Clone, Copy, Debug)]
pub(super) struct RawTime<'a>(pub(super) &'a [u8]);

impl FixedTag for RawTime<'_> {
    const TAG: Tag = Tag::GeneralizedTime;
}

impl<'a> DecodeValue<'a> for RawTime<'a> {
    type Error = der::Error;

    fn decode_value<R: Reader<'a>>(reader: &mut R, header: Header) -> der::Result<Self> {
        reader.read_slice(header.length()).map(Self)
    }
}

impl EncodeValue for RawTime<'_> {
    fn value_len(&self) -> der::Result<Length> {
        self.0.len().try_into()
    }

    fn encode_value(&self, writer: &mut impl Writer) -> der::Result<()> {
        writer.write(self.0)
    }
}

/// A certificate in its outermost form (RFC 5280 §4.1): what stands around the signed part has one
/// spelling here, while the signature holds the signed part itself.
#[derive(Clone, Copy, Debug, Sequence)]
pub(super) struct RawCertificate<'a> {
    pub(super) signed: AnyRef<'a>,
    pub(super) algorithm: AlgorithmIdentifier<'a>,
    pub(super) signature: der::asn1::BitStringRef<'a>,
}
