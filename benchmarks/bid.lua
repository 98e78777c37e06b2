-- For wrk: bid requests, each with an id of its own. `wrk -s benchmarks/bid.lua http://127.0.0.1:8080`
local threads = 0
function setup(thread)
  thread:set("name", threads)
  threads = threads + 1
end

local form = '{"id":"wrk-%d-%d","tmax":100,"imp":[{"id":"1","banner":{"format":[{"w":300,"h":250}]},' ..
  '"bidfloor":0.1,"secure":1}],"site":{"domain":"news.example"},"device":{"ua":"Mozilla/5.0 (iPhone)",' ..
  '"ip":"198.51.100.7","geo":{"country":"DEU"}},"user":{"id":"u-%d"}}'
local headers = { ["content-type"] = "application/json", ["x-openrtb-version"] = "2.6" }
local count = 0
local start = os.time()

function request()
  count = count + 1
  return wrk.format("POST", "/openrtb2/bid/adx", headers, form:format(start * 100 + name, count, count % 1000))
end
