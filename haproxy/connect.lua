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
