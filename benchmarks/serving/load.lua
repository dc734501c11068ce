-- A mail a request, in turns; a mark in each is replaced, so that no text is ever sent twice.
local bodies, sent = {}, 0
local repeats = os.getenv("BENCHMARK_REPEATS") == "1"

function init(args)
  for line in io.lines(os.getenv("BENCHMARK_BODIES")) do
    bodies[#bodies + 1] = line
  end
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
end

function request()
  sent = sent + 1
  local body = bodies[(sent - 1) % #bodies + 1]
  if not repeats then
    body = body:gsub("@@MARK@@", os.getenv("BENCHMARK_RUN") .. "-" .. sent, 1)
  end
  return wrk.format(nil, nil, nil, body)
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"requests": %d, "seconds": %.6f, "p50": %.3f, "p99": %.3f, "refused": %d, "broken": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
