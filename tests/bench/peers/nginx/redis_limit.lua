-- A token from a bucket in Redis: one call on a pooled connection.
local limit = {}

local function failed(what)
    ngx.log(ngx.ERR, "redis: ", what)
    return ngx.exit(500)
end

function limit.take(port, script, limited, low_rate, low_burst, high_rate)
    local token = ngx.var.http_x_token
    local rate, burst = high_rate, high_rate
    if token == limited then
        rate, burst = low_rate, low_burst
    end
    local connection = ngx.socket.tcp()
    connection:settimeout(1000)
    local is_connected, problem = connection:connect("127.0.0.1", port)
    if not is_connected then
        return failed(problem)
    end
    local command = { "*6\r\n" }
    for _, part in ipairs({ "EVALSHA", script, "1", "bucket:" .. token, rate, burst }) do
        command[#command + 1] = "$" .. #part .. "\r\n" .. part .. "\r\n"
    end
    connection:send(command)
    local answer, why = connection:receive()
    if not answer or answer:byte() ~= 58 then
        return failed(answer or why)
    end
    connection:setkeepalive(60000, 64)
    if answer ~= ":1" then
        return ngx.exit(429)
    end
end

return limit
