-- SPDX-License-Identifier: GPL-2.0-or-later
-- Loads the filter while HAProxy reads its configuration, before any `filter slapenir` line. Named by `lua-load` in `global`.
local module = os.getenv("SLAPENIR_MODULE")
if not module then
	error("SLAPENIR_MODULE is not set: it names slapenir_filter.so")
end
local open, why = package.loadlib(module, "slapenir_filter_open")
if not open then
	error("cannot load " .. module .. ": " .. tostring(why))
end
local refused = open()
if refused then
	error(refused)
end
