-- A token that is looked up in a table of 1,000; two headers for the upstream, or no `txn.authorized`.
local tokens = {}
for i = 0, 999 do
    tokens["token-" .. i] = { sub = "user-" .. i, plan = (i % 2 == 0) and "gold" or "free" }
end

core.register_action("authorize", { "http-req" }, function(txn)
    local token = txn.sf:req_hdr("x-token")
    local row = token and tokens[token]
    if not row then
        return
    end
    txn.http:req_set_header("x-sub", row.sub)
    txn.http:req_set_header("x-plan", row.plan)
    txn:set_var("txn.authorized", true)
end, 0)
