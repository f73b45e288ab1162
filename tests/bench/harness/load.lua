-- wrk's script. Arguments: METHOD BODY_FILE PATHS_FILE, each of the files "-" for none. Prints what was measured as JSON.
local paths

function init(arguments)
    wrk.method = arguments[1]
    if arguments[2] ~= "-" then
        wrk.body = assert(io.open(arguments[2])):read("*a")
    end
    if arguments[3] ~= "-" then
        paths = {}
        for path in io.lines(arguments[3]) do
            paths[#paths + 1] = wrk.format(nil, path)
        end
        local at = 0
        -- A global function named `request` makes wrk ask for every request: only where there are several.
        function request()
            at = at % #paths + 1
            return paths[at]
        end
    end
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '\n{"requests": %d, "seconds": %.6f, "p50": %.3f, "p99": %.3f, "p999": %.3f, "failures": %d}\n',
        summary.requests, summary.duration / 1e6,
        latency:percentile(50) / 1000, latency:percentile(99) / 1000, latency:percentile(99.9) / 1000,
        errors.connect + errors.read + errors.write + errors.status + errors.timeout
    ))
end
