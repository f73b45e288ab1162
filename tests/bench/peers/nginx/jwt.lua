-- Verifies a JSON Web Token signed with HMAC-SHA256, by OpenSSL's HMAC.
local cjson = require "cjson"
local ffi = require "ffi"

ffi.cdef [[
typedef struct evp_md_st EVP_MD;
const EVP_MD *EVP_sha256(void);
unsigned char *HMAC(const EVP_MD *md, const void *key, int key_length, const unsigned char *data, size_t data_length,
    unsigned char *digest, unsigned int *digest_length);
]]
local crypto = ffi.load("libcrypto.so.3")
local sha256 = crypto.EVP_sha256()
local digest = ffi.new("unsigned char[32]")
local digest_length = ffi.new("unsigned int[1]")

local jwt = {}

local function from_base64url(text)
    text = text:gsub("[-_]", { ["-"] = "+", ["_"] = "/" })
    return ngx.decode_base64(text .. ("="):rep(-#text % 4))
end

-- Takes the same time wherever the two differ.
local function is_equal(one, other)
    if #one ~= #other then
        return false
    end
    local difference = 0
    for i = 1, #one do
        difference = bit.bor(difference, bit.bxor(one:byte(i), other:byte(i)))
    end
    return difference == 0
end

function jwt.check(secret, issuer, audience)
    local token = (ngx.var.http_authorization or ""):match("^Bearer (%S+)$")
    local head, claims, signature = (token or ""):match("^([%w_-]+)%.([%w_-]+)%.([%w_-]+)$")
    if not head then
        return ngx.exit(401)
    end
    local signed = token:sub(1, #head + 1 + #claims)
    crypto.HMAC(sha256, secret, #secret, signed, #signed, digest, digest_length)
    local received = from_base64url(signature)
    if not received or not is_equal(ffi.string(digest, 32), received) then
        return ngx.exit(401)
    end
    local algorithm, facts = cjson.decode(from_base64url(head)).alg, cjson.decode(from_base64url(claims))
    if algorithm ~= "HS256" or facts.exp <= ngx.time() or facts.iss ~= issuer or facts.aud ~= audience then
        return ngx.exit(401)
    end
    ngx.req.set_header("x-sub", facts.sub)
end

return jwt
