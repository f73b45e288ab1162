-- Types of Moongate's host API, version 1, for Luau's language server. Made from the source; do not edit.

declare class Request
    --- The first value of a header field, whatever the case of the name.
    header: (name: string) -> string?
    --- The same, always of the request as the client sent it.
    client_header: (name: string) -> string?
    --- All header fields by lower-case name; fields that came more than once are lists.
    headers: () -> { [string]: string | { string } }
    --- The method.
    method: () -> string
    --- The whole path, percent-encoded.
    path: () -> string
    --- The query as it came.
    raw_query: () -> string?
    --- The first value of a query parameter, decoded.
    query: (name: string) -> string?
    --- A parameter of the route's path, percent-encoded as it came.
    path_parameter: (name: string) -> string?
    --- The address of the connection's other end.
    client_ip: () -> string
    --- The body, where the route holds it in memory: behind templates and functions, and where a plugin says `request_body = "buffer"`. Elsewhere nil.
    body: () -> string?
    --- Sets a header field of the integration request to one value.
    set_header: (name: string, value: any) -> ()
    --- Adds a value to a header field of the integration request.
    add_header: (name: string, value: any) -> ()
    --- Removes a header field of the integration request, and says whether it was there.
    remove_header: (name: string) -> boolean
    --- Sets path and query of the integration request.
    set_path: (path: string) -> ()
    --- Sets the body of the integration request. A table becomes JSON, with its content type.
    set_body: (body: string | { [any]: any }) -> ()
end

declare class Response
    --- The status.
    status: () -> number
    --- The first value of a header field, whatever the case of the name.
    header: (name: string) -> string?
    --- All header fields by lower-case name; fields that came more than once are lists.
    headers: () -> { [string]: string | { string } }
    --- The body, where a plugin says `response_body = "buffer"` or the gateway made it. Elsewhere nil.
    body: () -> string?
    --- Sets the status.
    set_status: (status: number) -> ()
    --- Sets a header field to one value.
    set_header: (name: string, value: any) -> ()
    --- Adds a value to a header field.
    add_header: (name: string, value: any) -> ()
    --- Removes a header field, and says whether it was there.
    remove_header: (name: string) -> boolean
    --- Sets the body. A table becomes JSON, with its content type.
    set_body: (body: string | { [any]: any }) -> ()
    --- Answers the client without the integration. The function returns, and the script is expected to return as well; called again, the later answer counts.
    exit: (status: number, body: any?, headers: ({ [any]: any })?) -> ()
end

declare class Context
    requestId: string
    apiId: string?
    stage: string?
    routeKey: string?
    resourcePath: string?
    httpMethod: string
    path: string
    protocol: string
    domainName: string?
    requestTime: string
    requestTimeEpoch: number
    identity: { sourceIp: string, userAgent: string?, apiKeyId: string? }
    authorizer: { [string]: any }
    requestOverride: { header: { [string]: any }, path: { [string]: any }, querystring: { [string]: any } }
    responseOverride: { header: { [string]: any }, status: number? }
    [string]: any
end

declare class StageVariables
    [string]: any
end

declare class Input
    body: string
    --- The value a JSONPath leads to.
    path: (path: string?) -> any
    --- The JSON text of the value a JSONPath leads to, without white space; `""` where there is none.
    json: (path: string?) -> string
    --- The last value of a parameter, looked for in path, query and header. Without a name all of them, in the tables `path`, `querystring` and `header`.
    params: (name: string?) -> any
end

declare class Util
    --- The text as it may stand in a JavaScript string.
    escapeJavaScript: (text: any?) -> string
    --- The value of a JSON text.
    parseJson: (text: string) -> any
    --- The text as forms encode it, with `+` for spaces.
    urlEncode: (text: any?) -> string
    --- The reverse of `urlEncode`.
    urlDecode: (text: any?) -> string
    --- Standard Base64.
    base64Encode: (text: any?) -> string
    --- The reverse of `base64Encode`: bytes, which need not be text.
    base64Decode: (text: any?) -> string
    --- Any value as AWS's templates print it.
    text: (value: any?) -> string
end

declare class Json
    null: any
    --- The value of a JSON text. `null` is `json.null`; lists stay lists even when they are empty.
    decode: (text: string) -> any
    --- The JSON text of a value. An empty table is an object unless it is marked as a list.
    encode: (value: any) -> string
    --- One value out of a JSON text, without making tables of the rest.
    get: (text: string, ...any) -> any
    --- Marks a table as a list, so that it is written as one even when it is empty; without an argument a new one.
    array: (list: ({ [any]: any })?) -> { any }
end

declare class Log
    --- Writes a line out of any values, with tabs between them.
    debug: (...any) -> ()
    --- Writes a line out of any values, with tabs between them.
    info: (...any) -> ()
    --- Writes a line out of any values, with tabs between them.
    warn: (...any) -> ()
    --- Writes a line out of any values, with tabs between them.
    error: (...any) -> ()
end

declare class GateIdentity
    --- The principal an authorizer named.
    principal: () -> string?
    --- What an authorizer said about the caller under a name.
    claim: (name: string) -> (string | number | boolean)?
    --- The id of the API key that was shown and accepted; never the key itself.
    api_key_id: () -> string?
    --- The address of the connection's other end.
    ip: () -> string
end

declare class GateXml
    --- The value of an XML document. White space around text is left out.
    decode: (text: string) -> ({ [string]: any }?, string?)
    --- The XML document that `decode` would read as this value; elements come sorted by name.
    encode: (value: { [any]: any }) -> string
end

declare class GateJsonpath
    --- The value a path leads to; nil where there is none, and for `null`.
    get: (json: string | { [any]: any }, path: string) -> any
end

declare class GateBase64
    --- Standard Base64 with padding.
    encode: (bytes: string) -> string
    --- The reverse of `encode`.
    decode: (text: string) -> (string?, string?)
    --- Base64 for URLs, without padding.
    encode_url: (bytes: string) -> string
    --- The reverse of `encode_url`.
    decode_url: (text: string) -> (string?, string?)
end

declare class GateHex
    --- Two lower-case digits per byte.
    encode: (bytes: string) -> string
    --- The reverse of `encode`; digits in any case.
    decode: (text: string) -> (string?, string?)
end

declare class GateUrl
    --- Percent-encodes everything but letters, digits and `-._~`.
    encode: (text: string) -> string
    --- The reverse of `encode`. A `+` stays what it is.
    decode: (text: string) -> (string?, string?)
    --- Takes an `http` or `https` URL apart. The port is the scheme's where the URL names none.
    parse: (url: string) -> ({ scheme: string, host: string, port: number, path: string, query: string? }?, string?)
    --- The parameters of a query, decoded; of several with one name the last one counts.
    parse_query: (query: string) -> { [string]: string }
    --- The query that a table of texts, numbers and booleans makes, sorted by name.
    build_query: (parameters: { [any]: any }) -> string
end

declare class GateCrypto
    --- The SHA-256 digest (FIPS 180-4).
    sha256: (bytes: string) -> string
    --- The SHA-384 digest.
    sha384: (bytes: string) -> string
    --- The SHA-512 digest.
    sha512: (bytes: string) -> string
    --- The HMAC of a text (RFC 2104).
    hmac: (digest: string, key: string, bytes: string) -> string
    --- Random bytes that nobody can guess.
    random: (count: number) -> string
    --- Whether two texts are the same, in a time that does not tell where they differ. For signatures and keys.
    equal: (a: string, b: string) -> boolean
    --- Encrypts and authenticates a text with AES-GCM under a random nonce, which stands before the result.
    seal: (key: string, bytes: string, context: string?) -> string
    --- The reverse of `seal`.
    open: (key: string, sealed: string, context: string?) -> (string?, string?)
end

declare class GateJwt
    --- The claims of a token whose signature and times are right.
    verify: (token: string, keys: string, options: { [any]: any }) -> ({ [string]: any }?, string?)
    --- A token with these claims.
    sign: (claims: { [any]: any }, key: string, options: ({ [any]: any })?) -> string
    --- Header and claims of a token, unverified: nothing in it can be trusted.
    decode: (token: string) -> ({ header: { [string]: any }, claims: { [string]: any } }?, string?)
end

declare class GateTime
    --- Now, with milliseconds.
    now: () -> number
    --- A time as text: `rfc3339` (`2026-04-09T12:34:56.789Z`), `http` (`Thu, 09 Apr 2026 12:34:56 GMT`) or `clf` (`09/Apr/2026:12:34:56 +0000`).
    format: (seconds: number, form: string?) -> string
    --- The seconds that an RFC 3339 time stands for.
    parse: (text: string) -> (number?, string?)
end

declare class GateUuid
    --- A random one.
    v4: () -> string
    --- One that sorts by the time it was made.
    v7: () -> string
    --- Whether a text is a UUID, in any case.
    is_valid: (text: string) -> boolean
end

declare class GateRegex
    --- Whether a pattern matches anywhere in a text.
    test: (pattern: string, text: string) -> boolean
    --- The first match: the whole of it in `match`, the groups in `groups`, named ones in `named` too. Groups that took no part are `json.null`.
    find: (pattern: string, text: string) -> { match: string, groups: { any }, named: { [string]: any } }?
    --- The text with every match replaced; `$1` and `${name}` in the replacement stand for groups, `$$` for a `$`.
    replace: (pattern: string, text: string, replacement: string) -> string
end

declare class GateIp
    --- 4 or 6; nil when the text is not an address.
    version: (address: string) -> number?
    --- Whether an address belongs to a network, or to one of a list.
    matches: (address: string, networks: any) -> boolean
    --- An address as 32 hexadecimal digits that sort as addresses do, IPv4 in IPv6 clothing: for searching sorted lists.
    key: (address: string) -> string?
    --- The first and the last address of a network, as `key` gives them.
    range: (network: string) -> ({ first: string, last: string }?, string?)
end

declare class GateHttp
    --- Asks with GET.
    get: (url: string, options: ({ [any]: any })?) -> ({ status: number, headers: { [string]: string | { string } }, body: string }?, string?)
    --- Sends a body with POST: a text as it is, a table as JSON.
    post: (url: string, body: any, options: ({ [any]: any })?) -> ({ status: number, headers: { [string]: string | { string } }, body: string }?, string?)
    --- Asks with any method.
    request: (method: string, url: string, options: ({ [any]: any })?) -> ({ status: number, headers: { [string]: string | { string } }, body: string }?, string?)
end

declare class GateStore
    --- The text kept under a key; numbers are written out.
    get: (key: string) -> string?
    --- Keeps a text under a key.
    set: (key: string, value: string, ttl_seconds: number) -> ()
    --- Keeps a text under a key unless there is one, and says whether it did. Of several at once one does.
    add: (key: string, value: string, ttl_seconds: number) -> boolean
    --- Adds to a number and gives it as it is then. One that is not there is 0, and is kept for the time given; one that is there keeps its time.
    incr: (key: string, by: number, ttl_seconds: number) -> number
    --- Gives what is kept under a key another time, and says whether there was something.
    expire: (key: string, ttl_seconds: number) -> boolean
    --- Removes what is kept under a key, and says whether there was something.
    delete: (key: string) -> boolean
end

declare class GateCache
    --- The text kept under a key, if it still is.
    get: (key: string) -> string?
    --- Keeps a text under a key for some time at most. Texts of more than 1 MiB are refused.
    set: (key: string, value: string, ttl_seconds: number) -> ()
    --- Forgets what is kept under a key.
    delete: (key: string) -> ()
end

declare class Gate
    request: Request
    response: Response
    context: Context
    stageVariables: StageVariables
    input: Input
    util: Util
    json: Json
    log: Log
    identity: GateIdentity
    xml: GateXml
    jsonpath: GateJsonpath
    base64: GateBase64
    hex: GateHex
    url: GateUrl
    crypto: GateCrypto
    jwt: GateJwt
    time: GateTime
    uuid: GateUuid
    regex: GateRegex
    ip: GateIp
    http: GateHttp
    store: GateStore
    cache: GateCache
    --- The value of a secret. Plugins name it as their settings do (`env:NAME`, `file:PATH` in a setting that the schema marks `"format": "secret"`); other scripts by its name in the API's `secrets`. The value comes from the gateway, never from the configuration.
    secret: (reference: string) -> string
    --- Adds to a counter that the gateway keeps by API, plugin and this name for as long as it runs.
    meter: (name: string, amount: number?) -> ()
    --- Calls several functions at once: while one waits, the others go on. Gives a table with the first result of each under its key, when all have ended.
    parallel: (functions: { [any]: any }) -> { [any]: any }
end

declare gate: Gate
declare request: Request
declare response: Response
declare context: Context
declare stageVariables: StageVariables
declare input: Input
declare util: Util
declare json: Json
declare log: Log
