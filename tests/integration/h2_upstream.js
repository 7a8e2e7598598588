// SPDX-License-Identifier: GPL-2.0-or-later
// An HTTP/2 upstream: node h2_upstream.js CERT KEY PORT REPLIES. Prints "ready", then one JSON line per request.
//   /echo       the request as JSON         /mirror     the body as it comes      /sink  length and SHA-256
//   /reply/KEY  REPLIES/KEY.json: {status, headers, informational: [[status, headers]], pieces: [base64], gap: ms, trailers}
'use strict';
const http2 = require('http2'), fs = require('fs'), path = require('path'), crypto = require('crypto');
const [cert, key, port, replies] = process.argv.slice(2);

const server = http2.createSecureServer({ cert: fs.readFileSync(cert), key: fs.readFileSync(key) });
const say = (o) => process.stdout.write(JSON.stringify(o) + '\n');
const wait = (ms) => new Promise((r) => setTimeout(r, ms));

function body(stream, each) {
	return new Promise((done, fail) => {
		const parts = [];
		let trailers = {};
		stream.on('data', (d) => (each ? each(d) : parts.push(d)));
		stream.on('trailers', (t) => (trailers = Object.assign({}, t)));
		stream.on('end', () => setImmediate(() => done({ data: Buffer.concat(parts), trailers })));
		stream.on('error', fail);
	});
}

async function reply(stream, name) {
	const r = JSON.parse(fs.readFileSync(path.join(replies, path.basename(name) + '.json')));
	for (const [status, headers] of r.informational || [])
		stream.additionalHeaders(Object.assign({ ':status': status }, headers));
	stream.respond(Object.assign({ ':status': r.status || 200 }, r.headers), { waitForTrailers: Boolean(r.trailers) });
	if (r.trailers) stream.on('wantTrailers', () => stream.sendTrailers(r.trailers));
	for (const piece of r.pieces || []) {
		stream.write(Buffer.from(piece, 'base64'));
		if (r.gap) await wait(r.gap);
	}
	stream.end();
}

server.on('stream', async (stream, headers) => {
	const where = headers[':path'].split('?')[0];
	stream.on('error', () => {});
	say({ path: where, headers: Object.assign({}, headers) });
	try {
		if (where === '/mirror') {
			stream.respond({ ':status': 200 });
			await body(stream, (d) => stream.write(d));
			return stream.end();
		}
		if (where === '/sink') {
			const hash = crypto.createHash('sha256');
			let n = 0;
			await body(stream, (d) => (hash.update(d), (n += d.length)));
			stream.respond({ ':status': 200, 'content-type': 'text/plain' });
			return stream.end(`${n} ${hash.digest('hex')}\n`);
		}
		if (where.startsWith('/reply/')) {
			await body(stream);
			return await reply(stream, where.slice(7));
		}
		const got = await body(stream);
		stream.respond({ ':status': 200, 'content-type': 'application/json' });
		stream.end(JSON.stringify({ headers: Object.assign({}, headers), body: got.data.toString('latin1'), trailers: got.trailers }));
	} catch (e) {
		stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
	}
});
server.listen(Number(port), '127.0.0.1', () => say('ready'));
process.stdin.on('end', () => process.exit(0)).resume();
