//! The codes by which a message or one of its requests is refused.
//!
//! Source: SPDCI OpenAPI v1.0.0, schemas `Error`, `MsgHeaderStatusReasonCode`,
//! `SearchStatusReasonCode`, `SubscribeStatusReasonCode`, `UnSubscribeStatusReasonCode`.

use http::StatusCode;

/// Why a whole message is refused: codes of the communication layer (schema `Error`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// The body is not a message of this interface.
    Bad,
    /// No valid access token.
    Unauthorized,
    /// The sender may not do this.
    Forbidden,
    /// This registry does not have that interface.
    NotFound,
    /// The sender has too much under way.
    TooManyRequests,
    /// The version is not 1.0.0.
    Version,
    /// `sender_id` is not the partner whose token came.
    SenderId,
    /// `sender_uri` is not a place where that partner may be called back.
    SenderUri,
    /// `receiver_id` is not this registry.
    ReceiverId,
    /// No signature where one is needed.
    SignatureMissing,
    /// The signature does not hold.
    SignatureInvalid,
    /// An encrypted message, which this registry does not read.
    Encryption,
    /// The registry's data cannot be reached.
    Unavailable,
}

impl ErrorCode {
    /// The code on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bad => "err.request.bad",
            Self::Unauthorized => "err.request.unauthorized",
            Self::Forbidden => "err.request.forbidden",
            Self::NotFound => "err.request.not_found",
            Self::TooManyRequests => "err.request.too_many_requests",
            Self::Version => "err.version.not_supported",
            Self::SenderId => "err.sender_id.invalid",
            Self::SenderUri => "err.sender_uri.invalid",
            Self::ReceiverId => "err.receiver_id.invalid",
            Self::SignatureMissing => "err.signature.missing",
            Self::SignatureInvalid => "err.signature.invalid",
            Self::Encryption => "err.encryption.invalid",
            Self::Unavailable => "err.service.unavailable",
        }
    }

    /// The HTTP status that goes with it.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden | Self::SenderId => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Bad
            | Self::Version
            | Self::SenderUri
            | Self::ReceiverId
            | Self::SignatureMissing
            | Self::SignatureInvalid
            | Self::Encryption => StatusCode::BAD_REQUEST,
        }
    }
}

/// A message that is refused as a whole, with a text that says what to change. The text never
/// repeats what was sent: it may be personal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct Refusal {
    /// The code.
    pub code: ErrorCode,
    /// The reason code of the header, where the specification has one.
    pub reason: Option<Reason>,
    /// Side, cause and repair.
    pub message: String,
}

impl Refusal {
    /// A refusal with its text.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, reason: None, message: message.into() }
    }

    /// A body that is not what the OpenAPI document says.
    #[must_use]
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Bad, message)
    }

    /// A header or message part refused for a reason of its own.
    #[must_use]
    pub fn reason(reason: Reason, message: &str) -> Self {
        let text = format!("{}: {message}", reason.as_str());
        Self { reason: Some(reason), ..Self::bad(text) }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why one request of a message is refused (`status_reason_code`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// The code on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

reasons! {
    /// The message id was used for another message.
    MessageIdDuplicate = "rjct.message_id.duplicate",
    /// The time of the message is no moment, or lies outside the window.
    MessageTs = "rjct.message_ts.invalid",
    /// The action does not belong to the path.
    Action = "rjct.action.invalid",
    /// `total_count` is not the number of requests.
    TotalCount = "rjct.total_count.invalid",
    /// More requests than one message may hold.
    TotalCountLimit = "rjct.total_count.limit_exceeded",
    /// A reference id is empty or too long.
    ReferenceId = "rjct.reference_id.invalid",
    /// A reference id stands twice in one message.
    ReferenceIdDuplicate = "rjct.reference_id.duplicate",
    /// The time of a request is no moment.
    Timestamp = "rjct.timestamp.invalid",
    /// The criteria name a query or record type that this registry does not have.
    Criteria = "rjct.search_criteria.invalid",
    /// The query cannot be read, or names an attribute that cannot be asked.
    Filter = "rjct.filter.invalid",
    /// The order names an attribute that cannot be sorted by.
    Sort = "rjct.sort.invalid",
    /// Page size or number is not allowed.
    Pagination = "rjct.pagination.invalid",
    /// The query fits more records than the registry goes through.
    TooManyRecords = "rjct.search.too_many_records_found",
    /// The event or the record type of a subscription is not known.
    NotifyTypes = "rjct.notify_types.invalid",
    /// The details of a subscription cannot be met.
    NotifyDetails = "rjct.notify_details.invalid",
    /// The same subscription is in force.
    AlreadySubscribed = "rjct.event.already_subscribed",
    /// No such subscription.
    SubscriptionCode = "rjct.subscription_code.invalid",
    /// The subscription is somebody else's.
    Requester = "rjct.requester.invalid",
    /// The subscription has ended before.
    AlreadyUnsubscribed = "rjct.event.already_unsubscribed",
}

/// One request of a message, refused; the others go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", reason.as_str())]
pub struct Rejection {
    /// The reason code.
    pub reason: Reason,
    /// What to change; never what was sent.
    pub message: String,
}

impl Rejection {
    /// A rejection with its text.
    #[must_use]
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}
