/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "config.h"

#define SECRET "secrets:\n  A:\n    file: t\n    hosts: [a.example.com]\n"
#define HOST "hosts:\n  a.example.com: "

static void parse(struct config *c, const char *yaml, struct report *r)
{
	int rc = config_parse(c, span_str(yaml), "policy.yaml", r);

	assert_int_equal(buf_putc(&r->text, 0), 0);
	if (rc == 0)
		assert_string_equal((char *)r->text.p, "");
	else
		assert_int_not_equal(r->errors, 0);
}

static void expect_error(const char *yaml, const char *message)
{
	struct report r = {0};
	struct config c;

	parse(&c, yaml, &r);
	if (!strstr((char *)r.text.p, message))
		fail_msg("%s\ngave: %s\nwithout: %s", yaml, (char *)r.text.p, message);
	assert_null(c.tree);
	report_deinit(&r);
}

static const char whole[] = "secrets:\n"
                            "  OPENAI_API_KEY:\n"
                            "    file: secrets/real_tokens\n"
                            "    hosts: [API.openai.com., \"*.example.com:8443\"]\n"
                            "    inject: [header, body]\n"
                            "    headers: [X-My-Key]\n"
                            "    methods: [GET, POST]\n"
                            "    paths: [/v1/]\n"
                            "    prefix: sk-\n"
                            "    placeholder: DUMMY_OPENAI\n"
                            "    allow_short: true\n"
                            "  FROM_ENV: {env: MY_VARIABLE, hosts: []}\n"
                            "hosts:\n"
                            "  docs.python.org: {}\n"
                            "  bare.example.org:\n"
                            "  api.example.test: { connect: \"127.0.0.1:9444\", ca: tests/ca.crt }\n"
                            "  api.openai.com: { methods: [POST], paths: [/v1/], require: true, websocket: refuse }\n"
                            "  old.example.test: { http: allow, ranges: allow }\n"
                            "agents:\n"
                            "  agent-1: { secrets: [OPENAI_API_KEY], hosts: [docs.python.org], limits: { streams: 64, requests_per_second: 100 } }\n"
                            "  agent-2: { secrets: all }\n"
                            "  agent-3: {}\n"
                            "audit: best-effort\n"
                            "tripwire: suspend\n"
                            "drop_response_headers: [X-Debug-Token, Server-Timing]\n"
                            "grace: 90m\n"
                            "prefilter: off\n"
                            "isolation: strict\n";

static void policy__with_every_key__is_read(void **state)
{
	struct report r = {0};
	struct config c;

	(void)state;
	parse(&c, whole, &r);
	assert_int_equal(c.secret_count, 2);
	assert_string_equal(c.secret[0].name.text, "OPENAI_API_KEY");
	assert_int_equal(c.secret[0].name.line, 2);
	assert_string_equal(c.secret[0].hosts.item[0].text, "api.openai.com:443");
	assert_true(c.secret[0].hosts.item[0].bare);
	assert_string_equal(c.secret[0].hosts.item[1].text, "*.example.com:8443");
	assert_int_equal(c.secret[0].places, CONFIG_HEADER | CONFIG_BODY);
	assert_string_equal(c.secret[0].headers.item[0].text, "x-my-key");
	assert_string_equal(c.secret[0].paths.item[0].text, "/v1/");
	assert_true(c.secret[0].allow_short);
	assert_string_equal(c.secret[1].env.text, "MY_VARIABLE");
	assert_int_equal(c.secret[1].places, CONFIG_HEADER);
	assert_int_equal(c.host_count, 5);
	assert_string_equal(c.host[2].connect.text, "127.0.0.1:9444");
	assert_true(c.host[3].require);
	assert_true(c.host[4].http_allowed && c.host[4].ranges_allowed);
	assert_int_equal(c.host[4].ranges.line, 18);
	assert_int_equal(c.agent_count, 3);
	assert_int_equal(c.agent[0].streams, 64);
	assert_int_equal(c.agent[0].requests_per_second, 100);
	assert_false(c.agent[0].all_secrets);
	assert_true(c.agent[1].all_secrets);
	assert_int_equal(c.agent[1].hosts.line, 0);
	assert_true(c.agents_given && c.audit_best_effort && c.tripwire_suspends && c.no_prefilter && c.isolation_strict);
	assert_string_equal(c.drop_response_headers.item[0].text, "x-debug-token");
	assert_int_equal(c.grace_seconds, 5400);
	config_free(&c);
	report_deinit(&r);
}

static void policy__empty__has_the_defaults(void **state)
{
	static const char *const texts[] = {"", "# nothing\n", "{}\n", "---\n{}\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct report r = {0};
		struct config c;

		parse(&c, texts[i], &r);
		assert_non_null(c.tree);
		assert_int_equal(c.secret_count + c.host_count + c.agent_count, 0);
		assert_false(c.agents_given || c.audit_best_effort || c.tripwire_suspends || c.no_prefilter || c.isolation_strict);
		assert_int_equal(c.grace_seconds, 3600);
		config_free(&c);
		report_deinit(&r);
	}
}

static void unknown_key__gets_its_line_and_what_was_meant(void **state)
{
	(void)state;
	expect_error("secrets:\n  A:\n    file: t\n    hots: [a.example.com]\n", "policy.yaml:4: hots: is no key of a secret: did you mean hosts?");
	expect_error("secrest: {}\n", "policy.yaml:1: secrest: is no key of the policy: did you mean secrets?");
	expect_error(HOST "{ method: [GET] }\n", "policy.yaml:2: method: is no key of a host: did you mean methods?");
	expect_error(HOST "{ colour: red }\n", "colour: is no key of a host: it has connect, ca, methods, paths, require, websocket, ranges, http");
	expect_error("agents:\n  a: {limits: {stream: 4}}\n", "policy.yaml:2: stream: is no key of limits: did you mean streams?");
}

static void several_mistakes__are_all_told(void **state)
{
	(void)state;
	expect_error("audit: maybe\ngrace: never\n", "policy.yaml:2: grace: ");
	expect_error("audit: maybe\ngrace: never\n", "policy.yaml:1: audit: \"maybe\" is not known: it is required or best-effort");
}

static void yaml__that_says_something_else_than_it_seems__is_refused(void **state)
{
	(void)state;
	expect_error(HOST "{}\n  b.example.com: {}\n  a.example.com: {}\n", "policy.yaml:4: a.example.com stands here a second time, the first is on line 2");
	expect_error("audit: required\naudit: required\n", "policy.yaml:2: audit stands here a second time");
	expect_error("hosts: &all\n  a.example.com: {}\n", "policy.yaml:1: anchors (&name) are not allowed");
	expect_error("hosts:\n  a.example.com: {methods: *m}\n", "policy.yaml:2: ");
	expect_error(HOST "&x {}\n  b.example.com: *x\n", "policy.yaml:2: anchors");
	expect_error("hosts:\n  <<: {a.example.com: {}}\n", "policy.yaml:2: merge keys (<<) are not allowed");
	expect_error("audit: !!str required\n", "policy.yaml:1: tags (!name) are not allowed");
	expect_error("hosts:\n  *.example.com: {}\n", "quote it if it is a wildcard");
	expect_error("hosts: {}\n---\nsecrets: {}\n", "policy.yaml:2: a second document");
	expect_error("hosts:\n\ta.example.com: {}\n", "policy.yaml:2: not valid YAML");
	expect_error("hosts: {\n", "not valid YAML");
	expect_error("hosts:\n  ? [a, b]\n  : {}\n", "policy.yaml:2: a key must be a string");
	expect_error("\"hos\\0ts\": {}\n", "policy.yaml:1: a NUL byte");
}

static void value__of_another_type__is_refused(void **state)
{
	(void)state;
	expect_error("[]\n", "policy.yaml:1: the policy: must be a mapping");
	expect_error("secrets: [A]\n", "policy.yaml:1: secrets: must be a mapping, {key: value}, not a list");
	expect_error(SECRET "    paths: /v1/\n", "policy.yaml:5: paths: must be a list, [a, b], not one value");
	expect_error("secrets:\n  A: {file: [t], hosts: []}\n", "policy.yaml:2: file: must be one value");
	expect_error("secrets:\n  A: {file: 12, hosts: []}\n", "policy.yaml:2: file: 12 is a number where a string stands: write \"12\"");
	expect_error("secrets:\n  A: {env: yes, hosts: []}\n", "policy.yaml:2: env: yes is a boolean where a string stands");
	expect_error("secrets:\n  A: {file: , hosts: []}\n", "policy.yaml:2: file: has no value");
	expect_error("secrets:\n  A: {file: ~, hosts: []}\n", "policy.yaml:2: file: has no value");
	expect_error(SECRET "    placeholder: 1234567890\n", "placeholder: 1234567890 is a number where a string stands");
	expect_error(SECRET "    placeholder: 0x12345678\n", "is a number where a string stands");
	expect_error(SECRET "    placeholder: 1.5e10\n", "is a number where a string stands");
	expect_error("secrets:\n  on: {file: t, hosts: []}\n", "policy.yaml:2: secrets: on is a boolean where a string stands");
	expect_error(SECRET "    methods: [GET, null]\n", "methods: has no value");
	expect_error(SECRET "    allow_short: 1\n", "policy.yaml:5: allow_short: \"1\" is neither true nor false");
	expect_error(SECRET "    allow_short: \"true\"\n", "is neither true nor false");
	expect_error(HOST "{ require: yes }\n", "is neither true nor false");
	expect_error(HOST "17\n", "policy.yaml:2: a.example.com: must be a mapping");
	expect_error("agents:\n  a: {limits: {streams: \"4\"}}\n", "is no whole number");
	expect_error("agents:\n  a: {limits: {streams: 0}}\n", "is no whole number from 1 to");
	expect_error("agents:\n  a: {limits: {streams: 4.5}}\n", "is no whole number");
	expect_error("agents: 5\n", "agents: must be a mapping");
}

static void secret__that_lacks_something__is_refused(void **state)
{
	(void)state;
	expect_error("secrets:\n  A: {hosts: [a.example.com]}\n", "policy.yaml:2: A: has neither file: nor env:");
	expect_error("secrets:\n  A: {file: t, env: B, hosts: [a.example.com]}\n", "policy.yaml:2: A: has both file: and env:");
	expect_error("secrets:\n  A: {file: t}\n", "policy.yaml:2: A: has no hosts:");
	expect_error("secrets:\n  A: {env: sk-ant-real, hosts: []}\n", "policy.yaml:2: env: is no name of an environment variable");
	expect_error("secrets:\n  my-key: {file: t, hosts: []}\n", "is no name of an environment variable");
	expect_error("secrets:\n  SLAPENIR_CANARY: {file: t, hosts: []}\n", "is the gateway's own");
	expect_error(SECRET "    inject: [cookie]\n", "inject: \"cookie\" is no place");
	expect_error(SECRET "    inject: []\n", "inject: an empty list");
	expect_error(SECRET "    inject: [body]\n    headers: [X-Key]\n", "have no effect");
	expect_error(SECRET "    headers: [User-Agent]\n", "servers reflect this header");
	expect_error(SECRET "    headers: [Sec-WebSocket-Protocol]\n", "no secret goes there");
	expect_error(SECRET "    headers: [\"X Key\"]\n", "is no header's name");
	expect_error(SECRET "    methods: [get]\n", "capital letters");
	expect_error(SECRET "    methods: []\n", "an empty list allows nothing");
	expect_error(SECRET "    paths: [v1/]\n", "a path begins with a slash");
	expect_error(SECRET "    paths: [\"/v1/../x\"]\n", "a path holds no `..`");
	expect_error(SECRET "    paths: [\"/v1?x\"]\n", "a path ends before ? and #");
	expect_error(SECRET "    paths: [/v1/, /v1/]\n", "stands here twice");
	expect_error(SECRET "    placeholder: DUMMY\n", "a placeholder under 8 bytes");
	expect_error(SECRET "    placeholder: \"DUMMY TOKEN\"\n", "no blanks");
	expect_error(SECRET "    placeholder: \"DUMMY\\r\\nX-Evil: 1\"\n", "visible ASCII characters only");
	expect_error("secrets:\n  A: {file: t, hosts: [\"a.example.com:80\"]}\n", "port 80 is plain http, over which no secret is sent");
	expect_error("secrets:\n  A: {file: t, hosts: [10.0.0.1]}\n", "this is an IP address");
	expect_error("secrets:\n  A: {file: t, hosts: [\"https://a.example.com\"]}\n", "this is a URL");
	expect_error("secrets:\n  A: {file: t, hosts: [a.example.com/v1]}\n", "a host has no path");
}

static void host_agent_and_settings__out_of_bounds__are_refused(void **state)
{
	(void)state;
	expect_error("hosts:\n  \"*\": {}\n", "a wildcard stands for one whole label");
	expect_error("hosts:\n  \"*.com\": {}\n", "a wildcard needs two labels behind it");
	expect_error("hosts:\n  \"a.example.com:80\": {}\n", "policy.yaml:2: hosts: \"a.example.com:80\": port 80 is plain http: say `http: allow`");
	expect_error("hosts:\n  \"a.example.com:81\": {http: allow, ca: x.crt}\n", "ca: has no effect");
	expect_error(HOST "{ connect: \"localhost:80\" }\n", "must be IP:port");
	expect_error(HOST "{ connect: 127.0.0.1 }\n", "must be IP:port");
	expect_error(HOST "{ http: yes }\n", "http: \"yes\" is not known: it is refuse or allow");
	expect_error(HOST "{ ranges: deny }\n", "ranges: \"deny\" is not known");
	expect_error("agents:\n  \"a b\": {}\n", "can be no certificate's CN");
	expect_error("agents:\n  slapenir-canary: {}\n", "is the gateway's own");
	expect_error("drop_response_headers: [Content-Length]\n", "frames the message");
	expect_error("grace: 1w\n", "is no time");
	expect_error("grace: 31d\n", "is no time");
	expect_error("grace: -1h\n", "is no time");
	expect_error("tripwire: allow\n", "it is block or suspend");
	expect_error("isolation: none\n", "it is safe or strict");
}

static void what_comes_later__is_refused_with_its_line_and_never_ignored(void **state)
{
	(void)state;
	expect_error(HOST "{ websocket: allow }\n", "policy.yaml:2: websocket: allow is not supported yet: write `websocket: refuse`");
	expect_error(HOST "{ websocket: {scan: true} }\n", "policy.yaml:2: websocket: this is not supported yet");
	expect_error("audit: required\nmode: stock\n", "policy.yaml:2: mode: is not supported yet");
}

static void documents__nested_or_large__end_in_an_error(void **state)
{
	struct buf text = {0};

	(void)state;
	for (unsigned i = 0; i < 5000; i++)
		assert_int_equal(buf_putc(&text, '['), 0);
	assert_int_equal(buf_putc(&text, 0), 0);
	expect_error((char *)text.p, "policy.yaml:1: ");
	buf_deinit(&text);
}

/* docs/policy.md is the reference: a key that it does not describe is not there for anybody. */
static void reference__describes_each_key(void **state)
{
	struct buf text = {0};
	const char *key, *section;
	char wanted[64];
	FILE *f = fopen("docs/policy.md", "r");
	int c;

	(void)state;
	if (!f)
		fail_msg("run this from the project's root");
	while ((c = getc(f)) != EOF)
		assert_int_equal(buf_putc(&text, (uint8_t)c), 0);
	fclose(f);
	assert_int_equal(buf_putc(&text, 0), 0);
	for (size_t i = 0; (key = config_key(i, &section)) != NULL; i++) {
		const char *from, *to, *at;

		snprintf(wanted, sizeof(wanted), "\n## %s\n", section);
		from = strstr((char *)text.p, wanted);
		if (!from)
			fail_msg("docs/policy.md has no section \"%s\"", section);
		to = strstr(from + 1, "\n## ");
		snprintf(wanted, sizeof(wanted), "\n| `%s` |", key);
		at = strstr(from, wanted);
		if (!at || (to && at > to))
			fail_msg("docs/policy.md does not describe %s of %s", key, section);
	}
	buf_deinit(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(policy__with_every_key__is_read),
		cmocka_unit_test(policy__empty__has_the_defaults),
		cmocka_unit_test(unknown_key__gets_its_line_and_what_was_meant),
		cmocka_unit_test(several_mistakes__are_all_told),
		cmocka_unit_test(yaml__that_says_something_else_than_it_seems__is_refused),
		cmocka_unit_test(value__of_another_type__is_refused),
		cmocka_unit_test(secret__that_lacks_something__is_refused),
		cmocka_unit_test(host_agent_and_settings__out_of_bounds__are_refused),
		cmocka_unit_test(what_comes_later__is_refused_with_its_line_and_never_ignored),
		cmocka_unit_test(documents__nested_or_large__end_in_an_error),
		cmocka_unit_test(reference__describes_each_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
