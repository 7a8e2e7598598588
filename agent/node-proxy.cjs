// SPDX-License-Identifier: GPL-2.0-or-later
// Node's fetch looks at HTTPS_PROXY by itself from version 24 on (NODE_USE_ENV_PROXY=1). Before, it takes its dispatcher from a
// global symbol that the package undici sets: this file is preloaded by NODE_OPTIONS and does that.
"use strict";
const major = Number(process.versions.node.split(".")[0]);
const proxy = process.env.HTTPS_PROXY;
if (proxy && major < 24) {
	try {
		const { ProxyAgent, setGlobalDispatcher } = require("undici");
		setGlobalDispatcher(new ProxyAgent(proxy));
	} catch (e) {
		if (e.code !== "MODULE_NOT_FOUND") throw e;
	}
}
