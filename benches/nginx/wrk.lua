-- Sends the keys of a file in rotation: wrk -s wrk.lua URL -- KEYS. The last line that is printed is JSON.
local requests, count, next_request = {}, 0, 0

function init(arguments)
  for key in io.lines(arguments[1]) do
    count = count + 1
    requests[count] = wrk.format("GET", "/", { Authorization = "Bearer " .. key })
  end
end

function request()
  next_request = next_request % count + 1
  return requests[next_request]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"seconds":%.6f,"p50_us":%d,"p99_us":%d,"max_us":%d,"refused":%d,"broken":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99), latency.max,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
