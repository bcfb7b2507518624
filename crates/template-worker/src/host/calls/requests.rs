//! What scripts see of `ctx.HTTPClient`: objects of the VM, the last of whose functions is the call.

use khronos::declare::{Function, Parameter, Type, field, object, parameter};

/// `ctx.HTTPClient` itself.
pub(super) const CLIENT: Type = object(
    "HTTPClient",
    "",
    &[],
    &[
        Function {
            name: "new_request",
            doc: "A request, which `:send()` sends.",
            parameters: &[
                parameter(
                    "method",
                    "string",
                    "`GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE` or `OPTIONS`.",
                ),
                parameter("url", "(string | Url)", "Where to: `https` or `http`, with the name of a host."),
            ],
            returns: "Request",
        },
        Function { name: "new_headers", doc: "Headers, none yet.", parameters: &[], returns: "Headers" },
        Function {
            name: "new_url",
            doc: "A URL, part by part. Throws what is wrong with it, where it is none.",
            parameters: &[parameter("url", "string", "Such as `https://example.com/search?q=luau`.")],
            returns: "Url",
        },
    ],
    &[],
);

/// Everything that it makes.
pub(super) const TYPES: &[Type] = &[URL, HEADERS, REQUEST, RESPONSE];

const NAME: &[Parameter] = &[parameter("name", "string", "The name of the header; its case does not count.")];

/// A URL.
pub(crate) const URL: Type = object(
    "Url",
    "A URL, part by part. `tostring` gives all of it.",
    &[
        field("scheme", "string", "`https` or `http`."),
        field("host", "string?", "The name of the host."),
        field("port", "number?", "The port, where it is not that of the scheme."),
        field("path", "string", "From the first slash on."),
        field("query", "string?", "What follows the question mark."),
        field("fragment", "string?", "What follows the hash; it is not sent."),
    ],
    &[],
    &[],
);

const NAME_AND_VALUE: &[Parameter] = &[NAME[0], parameter("value", "(string | buffer)", "Its value.")];

/// Headers.
pub(crate) const HEADERS: Type = object(
    "Headers",
    "Headers of a request or an answer. Where an answer has a name several times, the values stand behind each other, \
          with commas between.",
    &[],
    &[
        Function {
            name: "get",
            doc: "The value of a header; nil where there is none.",
            parameters: NAME,
            returns: "string?",
        },
        Function {
            name: "set",
            doc: "Sets a header, in place of one with its name.",
            parameters: NAME_AND_VALUE,
            returns: "()",
        },
        Function { name: "remove", doc: "Removes a header. Again is fine.", parameters: NAME, returns: "()" },
        Function {
            name: "headers_str",
            doc: "All of them, as texts.",
            parameters: &[],
            returns: "{[string]: string}",
        },
        Function {
            name: "headers_bytes",
            doc: "All of them, as buffers.",
            parameters: &[],
            returns: "{[string]: buffer}",
        },
    ],
    &[],
);

/// A request.
pub(crate) const REQUEST: Type = object(
    "Request",
    "A request that was not sent yet, or that is sent again.",
    &[
        field("method", "string", "`GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE` or `OPTIONS`."),
        field("url", "string", "Where to; a `Url` can be set as well."),
        field("headers", "Headers", "What is sent before the body. Changing them changes the request."),
        field(
            "body_bytes",
            "(string | buffer | Blob | {any} | {[string]: any})?",
            "The body; a table is sent as JSON.",
        ),
        field(
            "timeout",
            "(TimeDelta | number)?",
            "How long it may take, a number in seconds; never longer than the guild may.",
        ),
        field("version", "string", "Kept for templates that set it. What is spoken is HTTP/1.1."),
    ],
    &[Function {
        name: "send",
        doc: "Sends it and waits for the answer. Redirects are answers like others. `{{secret:NAME}}` in the value of a header, \
              or in a body that is text, is replaced by the guild's secret of that name on its way out, over `https` alone.",
        parameters: &[],
        returns: "Response",
    }],
    &[],
);

/// An answer.
pub(crate) const RESPONSE: Type = object(
    "Response",
    "The answer to a request.",
    &[
        field("url", "string", "What was asked for."),
        field("status", "number", "The status, such as 200."),
        field("content_length", "number", "Bytes of the body, decompressed."),
        field("headers", "Headers", "What came before the body."),
    ],
    &[
        Function { name: "text", doc: "The body as a string.", parameters: &[], returns: "string" },
        Function {
            name: "json",
            doc: "The body as what it is in JSON, anew each time. Throws where it is no JSON.",
            parameters: &[],
            returns: "any",
        },
        Function { name: "blob", doc: "The body as a blob.", parameters: &[], returns: "Blob" },
    ],
    &[],
);
