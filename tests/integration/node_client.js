// SPDX-License-Identifier: GPL-2.0-or-later
// Node's own clients through an mTLS CONNECT proxy: node node_client.js < {proxy, ca, cert, key, mode, url, method,
// headers, body (base64), trailers}. Prints {status, alpn, headers, body (base64), trailers, informational, error}.
//   mode fetch: the built-in fetch;  mode h2: http2
'use strict';
const tls = require('tls'), fs = require('fs'), http2 = require('http2');

function tunnel(job, url, alpn) {
	return new Promise((done, fail) => {
		const [host, port] = [job.proxy.split(':')[0], Number(job.proxy.split(':')[1])];
		const authority = `${url.hostname}:${url.port || 443}`;
		const outer = tls.connect({ host, port, ca: fs.readFileSync(job.ca), cert: fs.readFileSync(job.cert), key: fs.readFileSync(job.key) }, () => {
			outer.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
			let head = '';
			outer.on('readable', function once() {
				const data = outer.read();
				if (!data) return;
				head += data.toString('latin1');
				if (!head.includes('\r\n\r\n')) return;
				outer.removeListener('readable', once);
				if (!head.startsWith('HTTP/1.1 200')) return fail(new Error('CONNECT: ' + head));
				const inner = tls.connect({ socket: outer, servername: url.hostname, ca: fs.readFileSync(job.ca), ALPNProtocols: alpn }, () => done(inner));
				inner.on('error', fail);
			});
		});
		outer.on('error', fail);
	});
}

async function viaFetch(job) {
	const url = new URL(job.url);
	await fetch('data:,').catch(() => {}); // loads the built-in client, whose Agent class has no other name
	const Agent = globalThis[Symbol.for('undici.globalDispatcher.1')].constructor;
	const dispatcher = new Agent({ connect: (_, done) => tunnel(job, url, ['http/1.1']).then((s) => done(null, s), (e) => done(e)) });
	const r = await fetch(job.url, { method: job.method, headers: job.headers, body: job.body && Buffer.from(job.body, 'base64'), dispatcher });
	const body = Buffer.from(await r.arrayBuffer());
	return { status: r.status, headers: Object.fromEntries(r.headers), body: body.toString('base64') };
}

async function viaH2(job) {
	const url = new URL(job.url), socket = await tunnel(job, url, ['h2', 'http/1.1']);
	const session = http2.connect(url.origin, { createConnection: () => socket });
	const out = { alpn: socket.alpnProtocol, informational: [] };
	await new Promise((done, fail) => {
		session.on('error', fail);
		const request = session.request(Object.assign({ ':path': url.pathname + url.search, ':method': job.method || 'GET' }, job.headers),
			{ waitForTrailers: Boolean(job.trailers), endStream: false });
		const parts = [];
		request.on('wantTrailers', () => request.sendTrailers(job.trailers));
		request.on('headers', (h) => out.informational.push(h));
		request.on('response', (h) => ((out.status = h[':status']), (out.headers = h)));
		request.on('trailers', (t) => (out.trailers = t));
		request.on('data', (d) => parts.push(d));
		request.on('error', (e) => (out.error = String(e)));
		request.on('close', () => ((out.body = Buffer.concat(parts).toString('base64')), (out.rst = request.rstCode), done()));
		request.end(job.body ? Buffer.from(job.body, 'base64') : undefined);
	});
	session.destroy();
	return out;
}

const job = JSON.parse(fs.readFileSync(0));
setTimeout(() => process.exit(3), 60000).unref();
(job.mode === 'h2' ? viaH2 : viaFetch)(job).then((o) => console.log(JSON.stringify(o)), (e) => console.log(JSON.stringify({ error: String((e.cause && e.cause.message) || e.message) }))).then(() => process.exit(0));
