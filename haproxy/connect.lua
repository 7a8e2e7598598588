-- SPDX-License-Identifier: GPL-2.0-or-later

-- Accepts a CONNECT whose verdict is "allow": takes the request's head out of the buffer, so that what follows (the client's TLS)
-- is all that the next hop sees, and answers 200. The rules before this action have seen a complete head.
core.register_action("connect_accept", { "tcp-req" }, function(txn)
	local head = txn.req:data()
	local _, last = string.find(head, "\r\n\r\n", 1, true)
	if last == nil then
		txn:done()
		return
	end
	txn.req:remove(0, last)
	txn.res:send("HTTP/1.1 200 Connection established\r\n\r\n")
end)

-- HAProxy does not parse a CONNECT whose Host differs from its target, so no rule could even refuse it. Widespread clients (undici's
-- ProxyAgent before version 7) put the proxy's own name there. Only the target is judged and dialled, so the one Host field is made to say it;
-- with two of them, or none, the head stays as it is.
core.register_action("connect_host", { "tcp-req" }, function(txn)
	local head = txn.req:data()
	local last = head and select(2, string.find(head, "\r\n\r\n", 1, true))
	if last == nil then
		return
	end
	head = string.sub(head, 1, last)
	local target = string.match(head, "^CONNECT ([^%s]+) HTTP/1%.[01]\r\n")
	if target == nil then
		return
	end
	local fixed, count = string.gsub(head, "\r\n[Hh][Oo][Ss][Tt]:[^\r\n]*", function() return "\r\nHost: " .. target end)
	if count == 1 then
		txn.req:set(fixed, 0, last)
	end
end)

-- A process that has just started (a hitless reload makes one) takes connections before its canary has answered, a moment later.
core.register_action("wait_for_canary", { "tcp-req" }, function()
	local canary = core.backends["canary"].servers["canary"]
	for _ = 1, 150 do
		if canary:get_stats()["check_status"] == "L7OK" then
			return
		end
		core.msleep(20)
	end
end)
